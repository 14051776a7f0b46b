/** Bare node:http in a process, with the two objects of the `serve` bench in RAM: the least a Node server can do. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { part, playlist, servePaths, serveTypes } from './serve-bodies.ts'

const server = createServer((request, response) => {
  const isPart = request.url === servePaths.part
  const body = isPart ? part : playlist
  response.writeHead(200, {
    'content-type': isPart ? serveTypes.part : serveTypes.playlist,
    'cache-control': 'max-age=1',
    etag: '"bench"',
    'content-length': body.length,
  })
  response.end(body)
})
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }))
})
