/** Origins by HTTPS: who is believed, and which name is asked for. */
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls'
import { test } from 'tap'
import { HttpOrigin } from '../../../src/cdn/origins/http-origin.ts'
import { testCertificate } from '../../support/certificates.ts'
import { ask, originParts, wholeOf } from '../../support/origin-parts.ts'

test('https', async (t) => {
  const { cert, key } = await testCertificate([{ type: 'dns', value: 'localhost' }])
  const names: unknown[] = []
  const hosts: unknown[] = []
  const server = createServer({ cert, key }, (message, reply) => {
    names.push((message.socket as TLSSocket).servername)
    hosts.push(message.headers.host)
    reply.end('secret')
  })
  server.listen(0, 'localhost')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const { components } = originParts()
  const originOf = (hostname: string, host?: string): HttpOrigin => {
    const origin = new HttpOrigin(components, { url: `https://${hostname}:${port}`, host })
    t.teardown(() => origin.close())
    return origin
  }

  await t.test('a certificate of nobody we know is refused', async (t) => {
    await t.rejects(wholeOf(ask(originOf('localhost'), '/')), {
      code: 'ERR_NO_PROVIDER',
      message: /DEPTH_ZERO_SELF_SIGNED_CERT/,
    })
    t.equal(names.length, 0)
  })

  await t.test('one that we know is taken, for its name', async (t) => {
    setDefaultCACertificates([...getCACertificates('default'), cert])
    t.equal((await wholeOf(ask(originOf('localhost'), '/'))).text, 'secret')
    t.equal(names.at(-1), 'localhost')
    await t.rejects(wholeOf(ask(originOf('127.0.0.1'), '/')), {
      code: 'ERR_NO_PROVIDER',
      message: /ERR_TLS_CERT_ALTNAME_INVALID/,
    })
  })

  await t.test('the client’s Host is no name to verify', async (t) => {
    const origin = originOf('localhost', 'client')
    for (const host of ['cdn.example', 'other.example:444']) {
      t.equal((await wholeOf(ask(origin, '/', { host }))).text, 'secret')
      t.equal(hosts.at(-1), host)
      t.equal(names.at(-1), 'localhost')
    }
  })
})
