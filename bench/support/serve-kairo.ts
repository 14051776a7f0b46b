/** Kairo's HTTP server alone in a process, with the two objects of the `serve` bench in RAM. */
import { systemClock } from '../../node/src/clock.ts'
import type { PreparedResponse } from '../../node/src/http/prepared-response.ts'
import { HttpServer } from '../../node/src/http/server.ts'
import { silentLogger } from '../../node/src/logger.ts'
import { createRegistry } from '../../node/src/metrics/registry.ts'
import { part, playlist, servePaths, serveTypes } from './serve-bodies.ts'

function prepared(type: string, body: Buffer): PreparedResponse {
  return {
    status: 200,
    headers: { 'content-type': type, 'cache-control': 'max-age=1', etag: '"bench"' },
    body: [body],
  }
}

const answers = new Map([
  [servePaths.playlist, prepared(serveTypes.playlist, playlist)],
  [servePaths.part, prepared(serveTypes.part, part)],
])
const server = new HttpServer(
  { clock: systemClock, logger: silentLogger, registry: createRegistry() },
  { host: '127.0.0.1', port: 0, plainHandlers: [(request) => answers.get(request.path)] },
)
await server.start()
console.log(JSON.stringify({ port: server.address()?.port }))
