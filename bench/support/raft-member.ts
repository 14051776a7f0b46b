/**
 * One member of the region of the `raft` bench as a process: a libp2p host, its lines, and a tracker with its thread and its log on disk. Answers
 * `GET /view` and `GET /figures` on the port that it prints.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createTracker } from '../../tracker/src/program.ts'
import { startRaftHost } from './raft-host.ts'

const [home = '', listen = '', founds = '', ...others] = process.argv.slice(2)
const { lines, stop: stopHost } = await startRaftHost({ home, listen: [listen], others })
const tracker = createTracker(
  {
    transport: lines,
    mayJoin: () => true,
    peerFacts: { isReachable: true, load: 0, roles: [] },
    logger: { warn: (message) => console.error(message), error: (text) => console.error(text) },
    onFailure: (error) => {
      console.error(error)
      process.exit(1)
    },
  },
  { folder: join(home, 'tracker'), region: 'bench', expectsPeers: founds !== 'founds' },
)
await tracker.start()

const server = createServer((request, response) => {
  const asked = request.url === '/view' ? tracker.view() : tracker.figures()
  asked.then(
    (told) => response.end(JSON.stringify(told)),
    (error: Error) => response.writeHead(503).end(error.message),
  )
})
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }))
})
process.once('SIGTERM', async () => {
  await tracker.stop()
  await stopHost()
  process.exit(0)
})
