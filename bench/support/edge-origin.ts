/**
 * The origin of the `edge` bench, in a process of its own: `/2k` and `/1m` are one object each, `/z/<n>` the objects of the trace, `/1g` a
 * gigabyte. `/count` tells how many requests for the trace came, and begins anew.
 */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const MiB = 1024 * 1024
/** Fills whole blocks of a file system together with nginx's own head of a cached file, so that both count the same. */
const traceObject = Buffer.alloc(15 * 1024, 'trace')

/** Each is another one: a store that names bytes by their digest would keep equal ones once. */
function traceBody(url: string): Buffer {
  const body = Buffer.from(traceObject)
  body.write(url)
  return body
}

const bodies = new Map([
  ['/2k', Buffer.alloc(2_048, 'small')],
  ['/1m', Buffer.alloc(MiB, 'large')],
])
const giantPiece = Buffer.alloc(MiB, 'giant')
let asked = 0

const server = createServer(async (message, reply) => {
  const url = message.url ?? ''
  const headers = {
    'cache-control': 'max-age=86400',
    'content-type': 'application/octet-stream',
    etag: '"bench"',
  }
  if (url === '/count') {
    reply.end(String(asked))
    asked = 0
    return
  }
  if (url === '/1g') {
    reply.writeHead(200, { ...headers, 'content-length': 1_024 * MiB })
    await sendGiant(reply)
    return
  }
  const body = bodies.get(url) ?? traceBody(url)
  if (url.startsWith('/z/')) asked += 1
  reply.writeHead(200, { ...headers, 'content-length': body.byteLength }).end(body)
})

async function sendGiant(reply: ServerResponse): Promise<void> {
  for (let piece = 0; piece < 1_024 && !reply.destroyed; piece += 1) {
    if (!reply.write(giantPiece)) await Promise.race([once(reply, 'drain'), once(reply, 'close')])
  }
  reply.end()
}

server.keepAliveTimeout = 600_000
server.listen(0, '127.0.0.1', 4_096)
await once(server, 'listening')
console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }))
