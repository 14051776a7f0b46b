/** A stranger where a direct line is called: it has a certificate that this machine trusts, for the very address, and not the secret. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, setDefaultCACertificates } from 'node:tls'
import { test } from 'tap'
import { callLane } from '../../../tracker/src/lines/line-tls.ts'
import { testCertificate } from '../support/certificates.ts'

test('a certificate is no secret, whoever trusts it', async (t) => {
  const { cert, key } = await testCertificate([{ type: 'ip', value: '127.0.0.1' }])
  setDefaultCACertificates([cert])
  const server = createServer({ cert, key }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const name = 'x'.repeat(22)
  const secret = new Uint8Array(32)
  const socket = callLane({ host: '127.0.0.1', port, name, secret, lane: 'raft' })
  socket.once('secureConnect', () => t.fail('a stranger was taken for the peer'))
  const [error] = (await once(socket, 'error').catch((cause) => [cause])) as [Error]
  t.match(error.message, 'does not have the secret')
})
