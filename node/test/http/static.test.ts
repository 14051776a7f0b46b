/** The built web pages, as files on disk and as answers. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { test } from 'tap'
import type { PlainRequest, PreparedResponse } from '../../src/http/prepared-response.ts'
import { loadStaticPages } from '../../src/http/static.ts'
import { plainRequest } from '../support/plain-request.ts'

const script = 'console.log("kairo");'.repeat(50)

test('static pages', async (t) => {
  const folder = t.testdir({
    'index.html': '<!doctype html><title>watch</title>'.repeat(10),
    'admin.html': '<!doctype html><title>admin</title>',
    docs: { 'index.html': '<p>docs' },
    assets: { 'index-abc123.js': script, 'dot.png': 'png' },
    unknown: 'bytes',
  })
  const handler = await loadStaticPages({ folder })
  const ask = (path: string, more: Partial<PlainRequest> = {}) =>
    handler(plainRequest(path, more), new AbortController().signal, '192.0.2.1') as
      | PreparedResponse
      | undefined
  const bytes = (response: PreparedResponse | undefined) => Buffer.concat(response?.body ?? [])

  t.test('paths', async (t) => {
    t.match(String(bytes(ask('/'))), 'watch')
    t.match(String(bytes(ask('/index.html'))), 'watch')
    t.match(String(bytes(ask('/admin'))), 'admin')
    t.match(String(bytes(ask('/docs'))), 'docs')
    t.match(String(bytes(ask('/docs/'))), 'docs')
    for (const path of [
      '/nope',
      '/assets',
      '/assets/',
      '/../index.html',
      '//index.html',
      '/constructor',
    ]) {
      t.equal(ask(path), undefined, path)
    }
  })

  t.test('headers', async (t) => {
    const page = ask('/')?.headers
    t.equal(page?.['cache-control'], 'no-cache')
    t.match(page?.['content-security-policy'], /frame-ancestors 'none'/)
    t.equal(page?.['referrer-policy'], 'no-referrer')
    const asset = ask('/assets/index-abc123.js')?.headers
    t.equal(asset?.['content-type'], 'text/javascript; charset=utf-8')
    t.match(asset?.['cache-control'], /immutable/)
    t.equal(asset?.vary, 'Accept-Encoding')
    t.equal(ask('/assets/dot.png')?.headers['content-type'], 'image/png')
    t.equal(ask('/unknown')?.headers['content-type'], 'application/octet-stream')
  })

  t.test('encodings', async (t) => {
    const path = '/assets/index-abc123.js'
    const plain = ask(path)
    t.equal(String(bytes(plain)), script)
    const brotli = ask(path, { acceptEncoding: 'gzip, deflate, br' })
    t.equal(brotli?.headers['content-encoding'], 'br')
    t.equal(String(brotliDecompressSync(bytes(brotli))), script)
    const gzip = ask(path, { acceptEncoding: 'br;q=0, gzip;q=0.5' })
    t.equal(gzip?.headers['content-encoding'], 'gzip')
    t.equal(String(gunzipSync(bytes(gzip))), script)
    t.equal(new Set([plain, brotli, gzip].map((item) => item?.headers.etag)).size, 3)
    t.equal(
      ask('/assets/dot.png', { acceptEncoding: 'br' })?.headers['content-encoding'],
      undefined,
    )
    t.equal(ask('/admin', { acceptEncoding: 'gzip;q=0' })?.headers['content-encoding'], undefined)
  })

  t.test('unchanged pages', async (t) => {
    const etag = ask('/')?.headers.etag as string
    for (const ifNoneMatch of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const response = ask('/', { ifNoneMatch })
      t.equal(response?.status, 304, ifNoneMatch)
      t.same(response?.body, [])
      t.equal(response?.headers.etag, etag)
    }
    t.equal(ask('/', { ifNoneMatch: '"x"' })?.status, 200)
  })

  t.test('what changes on disk later is not served', async (t) => {
    await mkdir(join(folder, 'late'))
    await writeFile(join(folder, 'late/index.html'), 'late')
    t.equal(ask('/late'), undefined)
  })

  t.test('a folder that is not there', async (t) => {
    await t.rejects(loadStaticPages({ folder: join(folder, 'missing') }), { code: 'ERR_CONFIG' })
  })
})
