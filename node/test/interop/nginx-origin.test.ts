/** nginx as an origin. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { type Test, test } from 'tap'
import { HttpOrigin } from '../../src/cdn/origins/http-origin.ts'
import { needs, partnerPath } from '../support/needs.ts'
import { ask, bodyOf, originParts, wholeOf } from '../support/origin-parts.ts'
import { metricOf } from '../support/registry-value.ts'

const page = `<p>${'words '.repeat(500)}</p>`

/** Starts nginx; gives its URL. A connection serves three requests. */
async function startNginx(t: Test): Promise<string> {
  const folder = t.testdir({ site: { 'page.html': page, sub: { 'index.html': 'sub' } } })
  writeFileSync(join(folder, 'site/big.bin'), Buffer.alloc(20_000_000, 'b'))
  for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(folder, name))
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const { port } = free.address() as AddressInfo
  free.close()
  await once(free, 'close')
  const paths = ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name === 'body' ? 'client_body' : name}_temp_path ${join(folder, name)};`,
  )
  const config = `
    daemon off; worker_processes 1; pid ${join(folder, 'pid')}; error_log stderr crit;
    events { worker_connections 512; }
    http {
      access_log off; keepalive_requests 3; types { text/html html; } ${paths.join(' ')}
      gzip on; gzip_min_length 100; gzip_types text/html; gzip_vary on;
      server { listen 127.0.0.1:${port}; root ${join(folder, 'site')}; }
    }`
  writeFileSync(join(folder, 'nginx.conf'), config)
  const child = spawn(
    partnerPath('nginx') as string,
    ['-c', join(folder, 'nginx.conf'), '-p', folder],
    {
      stdio: 'ignore',
    },
  )
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill()
    await exited
  })
  while (!(await listens(port))) await new Promise((resolve) => setTimeout(resolve, 20))
  return `http://127.0.0.1:${port}`
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    // Not yet.
    return false
  } finally {
    socket.destroy()
  }
}

test('nginx', { skip: needs('nginx') }, async (t) => {
  const { components, registry } = originParts()
  const origin = new HttpOrigin(components, { url: await startNginx(t) })
  t.teardown(() => origin.close())

  await t.test('a page, its validators and its conditions', async (t) => {
    const { status, headers, text } = await wholeOf(ask(origin, '/page.html'))
    t.strictSame([status, text], [200, page])
    const { etag = '', 'last-modified': date = '' } = headers
    for (const [name, value] of [
      ['if-none-match', etag],
      ['if-modified-since', date],
    ] as const) {
      t.equal(
        (await wholeOf(ask(origin, '/page.html', { headers: { [name]: value } }))).status,
        304,
      )
    }
    const wrong = { 'if-match': '"x"' }
    t.equal((await wholeOf(ask(origin, '/page.html', { headers: wrong }))).status, 412)
  })

  await t.test('compressed and in chunks, as it sends it', async (t) => {
    const headers = { 'accept-encoding': 'gzip' }
    const response = await ask(origin, '/page.html', { headers })
    t.match(response.headers, { 'content-encoding': 'gzip', vary: 'Accept-Encoding' })
    t.equal(response.headers['transfer-encoding'], undefined)
    t.equal(gunzipSync(await bodyOf(response)).toString(), page)
  })

  await t.test('ranges, one and several', async (t) => {
    const one = await wholeOf(ask(origin, '/page.html', { headers: { range: 'bytes=3-7' } }))
    t.strictSame([one.status, one.text], [206, 'words'])
    const two = await wholeOf(ask(origin, '/page.html', { headers: { range: 'bytes=0-1,3-7' } }))
    t.strictSame([two.status, two.headers['content-range']], [206, undefined])
    t.match(two.headers['content-type'], /^multipart\/byteranges/)
    const none = await wholeOf(ask(origin, '/page.html', { headers: { range: 'bytes=999999-' } }))
    t.equal(none.status, 416)
  })

  await t.test('20 MB, whole', async (t) => {
    let bytes = 0
    for await (const chunk of (await ask(origin, '/big.bin')).body) bytes += chunk.byteLength
    t.equal(bytes, 20_000_000)
  })

  await t.test('redirects and refusals are answers', async (t) => {
    t.equal((await wholeOf(ask(origin, '/sub'))).status, 301)
    t.equal((await wholeOf(ask(origin, '/none'))).status, 404)
    t.equal((await wholeOf(ask(origin, '/page.html', { method: 'PUT' }))).status, 405)
    const headers = { 'x-long': 'x'.repeat(60_000) }
    t.equal((await wholeOf(ask(origin, '/page.html', { headers }))).status, 400)
  })

  await t.test('its limit of requests a connection costs no answer', async (t) => {
    const texts = new Set<string>()
    for (let round = 0; round < 50; round += 1) {
      texts.add((await wholeOf(ask(origin, '/page.html'))).text)
    }
    const many = Array.from({ length: 60 }, () => wholeOf(ask(origin, '/page.html')))
    for (const { text } of await Promise.all(many)) texts.add(text)
    t.strictSame(texts, new Set([page]))
    t.equal(await metricOf(registry, 'kairo_cdn_origin_inflight'), 0)
  })
})
