/** The peer of the `mesh-fetch` bench that is fetched from: the whole program, which has the objects from an origin and holds them in RAM. */
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startKairo } from './kairo-process.ts'
import { meshObjects, meshSizes } from './mesh-objects.ts'

/** A running peer that holds the objects. */
export interface MeshServer {
  readonly peerId: string
  readonly pid: number
  /** `host:port` where it answers peers by HTTPS. */
  readonly address: string
  /** Digests of the objects by name. */
  readonly digests: ReadonlyMap<string, string>
  stop(): Promise<void>
}

/** Starts it and has it cache the objects, each as one. @throws Error when it does not. */
export async function startMeshServer(): Promise<MeshServer> {
  const objects = meshObjects()
  const origin = createServer((message, reply) => {
    const body = objects.get(message.url?.slice(1) ?? '') ?? Buffer.alloc(0)
    const headers = { 'cache-control': 'max-age=86400', 'content-length': body.byteLength }
    reply.writeHead(body.byteLength === 0 ? 404 : 200, headers).end(body)
  })
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve))
  const { port } = origin.address() as AddressInfo
  const peer = await startKairo(['--admin-http', '127.0.0.1:0', '--no-mdns'])
  const stop = async (): Promise<void> => {
    await peer.stop()
    origin.closeAllConnections()
    await new Promise<void>((resolve) => origin.close(() => resolve()))
  }
  try {
    const { admin, http, peerId } = peer.ready
    const rule = { hosts: ['*'], origin: { type: 'http', url: `http://127.0.0.1:${port}` } }
    // A slice holds the largest of them.
    const body = { ...rule, sliceBytes: meshSizes['8m'], compress: false }
    await operate(admin, '/api/cdn/rules/mesh', { method: 'PUT', body: JSON.stringify(body) })
    const digests = new Map<string, string>()
    for (const [name, bytes] of objects) {
      const got = Buffer.from(await (await fetch(`${http}/${name}`)).arrayBuffer())
      if (!got.equals(bytes)) throw new Error(`the peer does not serve ${name}`)
      digests.set(name, createHash('sha256').update(bytes).digest('hex'))
    }
    const known = await operate(admin, '/api/nearest/peers', {})
    const [address] = (known as { self: { httpsAddresses: string[] } }).self.httpsAddresses
    if (address === undefined) throw new Error('the peer tells no HTTPS address')
    return { peerId, pid: peer.child.pid as number, address, digests, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function operate(admin: string, path: string, init: RequestInit): Promise<unknown> {
  const { origin, searchParams } = new URL(admin)
  const answer = await fetch(origin + path, {
    ...init,
    headers: {
      authorization: `Bearer ${searchParams.get('token')}`,
      'content-type': 'application/json',
    },
  })
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
  return await answer.json()
}
