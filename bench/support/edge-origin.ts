/**
 * The origin of the `edge` bench, in a process of its own: `/2k` and `/1m` are one object each, `/z/<n>` the objects of the trace, `/1g` a
 * gigabyte of which no two parts are alike, `/hold` an answer that begins and never ends. `/count` tells as JSON how many requests of each kind came, and begins anew.
 */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { traceObjectBytes } from './trace-catalogue.ts'

const MiB = 1024 * 1024
const filler = Buffer.alloc(MiB, 'trace')

/** Each is another one: a store that names bytes by their digest would keep equal ones once. */
function traceBody(url: string): Buffer {
  const body = Buffer.from(filler.subarray(0, traceObjectBytes(Number(url.slice('/z/'.length)))))
  body.write(url)
  return body
}

const bodies = new Map([
  ['/2k', Buffer.alloc(2_048, 'small')],
  ['/1m', Buffer.alloc(MiB, 'large')],
])
let asked: Record<string, number> = {}

const server = createServer(async (message, reply) => {
  const url = message.url ?? ''
  if (url === '/count') {
    reply.end(JSON.stringify(asked))
    asked = {}
    return
  }
  const kind = url.startsWith('/z/') ? '/z' : url
  asked[kind] = (asked[kind] ?? 0) + 1
  const headers = {
    'cache-control': 'max-age=86400',
    'content-type': 'application/octet-stream',
    etag: `"bench${url}"`,
  }
  if (url === '/1g') {
    reply.writeHead(200, { ...headers, 'content-length': 1_024 * MiB })
    await sendGigabyte(reply)
    return
  }
  if (url === '/hold') {
    reply.writeHead(200, { ...headers, 'content-length': MiB }).write(filler.subarray(0, 1_024))
    return
  }
  const body = bodies.get(url) ?? (kind === '/z' ? traceBody(url) : undefined)
  if (body === undefined) {
    reply.writeHead(404, { 'content-length': 0 }).end()
    return
  }
  reply.writeHead(200, { ...headers, 'content-length': body.byteLength }).end(body)
})

/** A megabyte after the other, each with its number in it, no faster than it is taken. */
async function sendGigabyte(reply: ServerResponse): Promise<void> {
  for (let piece = 0; piece < 1_024 && !reply.destroyed; piece += 1) {
    const bytes = Buffer.from(filler)
    bytes.writeUInt32BE(piece)
    if (!reply.write(bytes)) await Promise.race([once(reply, 'drain'), once(reply, 'close')])
  }
  reply.end()
}

server.keepAliveTimeout = 600_000
server.listen(0, '127.0.0.1', 4_096)
await once(server, 'listening')
console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }))
