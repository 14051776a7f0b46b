/** Many idle keep-alive connections beside some busy ones: are they all held, and what does each cost the server? */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { load } from './http-load.ts'
import { rssBytes } from './process-tree.ts'

/** What is asked of a server. */
export interface HeldOptions {
  readonly server: { readonly port: number; readonly pid: number }
  /** Answered with 200 and a `Content-Length`. */
  readonly path: string
  /** Connections that ask once at the beginning and once at the end. */
  readonly idle: number
  /** Connections that ask all the time between. */
  readonly active: number
  readonly seconds: number
}

/** What came of it. */
export interface HeldResult {
  /** Idle connections that answered at the end too. */
  readonly idleHeld: number
  readonly requestsPerSecond: number
  /** Resident memory of the server for each idle connection, beyond what it had after a warm-up. */
  readonly bytesPerConnection: number
  /** Resident memory that the busy connections added, in all. */
  readonly activeBytes: number
}

/** Connections opened at once; more would overflow the accept queue. */
const batch = 250
/** Clients of one address, so that limits by address do not show. */
const perAddress = 500

/** Holds them for as long as the busy ones take. */
export async function holdConnections(options: HeldOptions): Promise<HeldResult> {
  const { server, path, idle, active, seconds } = options
  await load({ port: server.port, path, connections: active, seconds: Math.min(seconds, 3) })
  const before = rssBytes(server.pid)
  const sockets: Socket[] = []
  try {
    while (sockets.length < idle) {
      const count = Math.min(batch, idle - sockets.length)
      const opened = Array.from({ length: count }, (_, index) =>
        openAndAsk(server.port, path, sockets.length + index),
      )
      sockets.push(...(await Promise.all(opened)))
    }
    const held = rssBytes(server.pid)
    const { requestsPerSecond } = await load({
      ...{ port: server.port, path, connections: active, seconds },
    })
    const after = rssBytes(server.pid)
    let idleHeld = 0
    for (let first = 0; first < sockets.length; first += batch) {
      const answers = sockets
        .slice(first, first + batch)
        .map((socket) => answersAgain(socket, path))
      idleHeld += (await Promise.all(answers)).filter(Boolean).length
    }
    return {
      idleHeld,
      requestsPerSecond,
      bytesPerConnection: Math.round((held - before) / idle),
      activeBytes: after - held,
    }
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}

async function openAndAsk(port: number, path: string, index: number): Promise<Socket> {
  const localAddress = `127.0.${1 + Math.floor(index / perAddress / 250)}.${1 + (Math.floor(index / perAddress) % 250)}`
  const socket = connect({ port, host: '127.0.0.1', localAddress })
  await once(socket, 'connect')
  if (!(await ask(socket, path))) throw new Error('a connection was not served')
  return socket
}

async function answersAgain(socket: Socket, path: string): Promise<boolean> {
  if (socket.destroyed || socket.readableEnded) return false
  return await ask(socket, path)
}

/** True when the connection gives a whole 200. */
function ask(socket: Socket, path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  let text = ''
  const onData = (chunk: Buffer): void => {
    text += chunk.toString('latin1')
    const end = text.indexOf('\r\n\r\n')
    const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1]
    if (end >= 0 && length !== undefined && text.length >= end + 4 + Number(length)) {
      settle(text.startsWith('HTTP/1.1 200 '))
    }
  }
  const onEnd = (): void => settle(false)
  const settle = (isServed: boolean): void => {
    socket.off('data', onData).off('close', onEnd).off('error', onEnd)
    socket.on('error', () => {})
    resolve(isServed)
  }
  socket.on('data', onData).on('close', onEnd).on('error', onEnd)
  socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`)
  return promise
}
