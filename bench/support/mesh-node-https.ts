/** Bare node:https with the objects of the `mesh-fetch` bench in RAM, in a process of its own: the least a Node server can do. */
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { loadIdentity } from '../../node/src/host/identity.ts'
import { createCertificate } from '../../node/src/host/peer-https/certificate.ts'
import { silentLogger } from '../../node/src/logger.ts'
import { meshObjects } from './mesh-objects.ts'
import { tempFolder } from './temp-folder.ts'

const objects = new Map([...meshObjects()].map(([name, bytes]) => [`/${name}`, bytes]))
const home = tempFolder('mesh')
const { privateKey } = await loadIdentity(home.path, silentLogger)
home.remove()
const { certificate, key } = await createCertificate(privateKey)
const server = createServer({ cert: certificate, key }, (request, response) => {
  const body = objects.get(request.url ?? '')
  response.writeHead(body === undefined ? 404 : 200, { 'content-length': body?.byteLength ?? 0 })
  response.end(body)
})
// Connections wait while the other side has its turn.
server.keepAliveTimeout = 600_000
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }))
})
