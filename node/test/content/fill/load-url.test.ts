/** Reading a URL through a server: with the name that clients use, whole or not at all. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import { loadUrl } from '../../../src/content/fill/load-url.ts'

test('a URL is read through the peer, as its clients ask for it', async (t) => {
  const asked: unknown[] = []
  const server = createServer((message, reply) => {
    const { host, 'x-forwarded-proto': scheme } = message.headers
    asked.push({ url: message.url, host, scheme })
    if (message.url === '/broken') {
      reply.writeHead(200, { 'content-length': '100' })
      reply.write('half', () => reply.destroy())
    } else if (message.url === '/slow') reply.writeHead(200).write('x')
    else reply.writeHead(message.url === '/gone' ? 404 : 200).end('0123456789')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
  const load = (url: string, signal = new AbortController().signal): Promise<number> =>
    loadUrl(url, address, signal)
  t.equal(await load('https://cdn.example/a/b?c=1'), 10)
  t.strictSame(asked, [{ url: '/a/b?c=1', host: 'cdn.example', scheme: 'https' }])
  for (const path of ['/gone', '/broken']) {
    await t.rejects(load(`http://cdn.example${path}`), { code: 'ERR_NO_PROVIDER' })
  }
  for (const url of ['nonsense', 'file:///etc/passwd', '/path']) {
    await t.rejects(load(url), { code: 'ERR_INVALID_INPUT' })
  }
  const controller = new AbortController()
  const slow = load('http://cdn.example/slow', controller.signal)
  setImmediate(() => controller.abort())
  await t.rejects(slow, { code: 'ERR_NO_PROVIDER' })
})
