/** Uploads by tus over a real HTTP server: the protocol by hand, its limits, and what hostile clients try. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { KairoError } from '../../../src/errors.ts'
import { streamRouteLimits, uploadLimits } from '../../../src/limits/upload.ts'
import { eventually, metric, RawClient } from '../../support/http-exchange.ts'
import { httpRequest } from '../../support/http-get.ts'
import { startUploadPeer, type UploadPeer } from '../../support/upload-peer.ts'

const tus = { 'tus-resumable': '1.0.0' }
const bytes = { ...tus, 'content-type': 'application/offset+octet-stream' }
const base64 = (text: string) => Buffer.from(text).toString('base64')

async function create(peer: UploadPeer, size: number, headers: Record<string, string> = {}) {
  return await httpRequest(`${peer.url}/api/uploads`, {
    method: 'POST',
    headers: { ...tus, 'upload-length': String(size), ...headers },
  })
}

async function begin(peer: UploadPeer, size: number): Promise<string> {
  const { headers } = await create(peer, size)
  return `${peer.url}${headers.location}`
}

const patch = (url: string, offset: number | string, body: string, headers = {}) =>
  httpRequest(url, {
    method: 'PATCH',
    headers: { ...bytes, 'upload-offset': String(offset), ...headers },
    body,
  })
const head = (url: string) => httpRequest(url, { method: 'HEAD', headers: tus })

test('an upload, piece by piece', async (t) => {
  const directory = join(t.testdir({}), 'uploads')
  const usages: number[] = []
  const peer: UploadPeer = await startUploadPeer({
    directory,
    beforeTake: async () => {
      usages.push(peer.uploads.usage())
    },
  })
  t.teardown(() => peer.stop())
  const options = await httpRequest(`${peer.url}/api/uploads`, { method: 'OPTIONS' })
  t.equal(options.status, 204)
  t.match(options.headers, { 'tus-version': '1.0.0', 'tus-resumable': '1.0.0' })
  t.match(options.headers['tus-extension'], /creation.*termination.*expiration/)

  const made = await create(peer, 10, {
    'upload-metadata': `filename ${base64('../../etc/my_film.final.mp4')},filetype ${base64('text/html')},evil ${base64('x')}`,
  })
  t.equal(made.status, 201)
  t.match(made.headers.location, /^\/api\/uploads\/[0-9a-f]{32}$/)
  t.ok(made.headers['upload-expires'])
  const url = `${peer.url}${made.headers.location}`
  const first = await patch(url, 0, 'hello')
  t.same([first.status, first.headers['upload-offset']], [204, '5'])
  const state = await head(url)
  t.match(state.headers, {
    'upload-offset': '5',
    'upload-length': '10',
    'cache-control': 'no-store',
  })
  t.equal(state.headers['upload-metadata'], `filename ${base64('my_film.final.mp4')}`)
  t.equal(peer.uploads.usage(), 5)
  const last = await patch(url, 5, 'world')
  t.same([last.status, last.headers['kairo-video']], [204, 'video-1'])
  t.equal(peer.taken[0]?.title, 'my film.final')
  t.equal(readFileSync(String(peer.taken[0]?.path), 'utf8'), 'helloworld')
  const after = await head(url)
  t.match(after.headers, { 'upload-offset': '10', 'upload-length': '10', 'kairo-video': 'video-1' })
  t.equal((await patch(url, 10, '')).status, 404)
  t.equal(peer.uploads.usage(), 0)
  t.same(usages, [0], 'the library finds the room that the upload itself took')
  t.equal(await metric(peer.registry, 'kairo_vod_upload_received_bytes'), 10)

  const whole = await httpRequest(`${peer.url}/api/uploads`, {
    method: 'POST',
    headers: { ...bytes, 'upload-length': '3', 'upload-metadata': `title ${base64('A  title\n')}` },
    body: 'abc',
  })
  t.same([whole.status, whole.headers['kairo-video']], [201, 'video-2'])
  t.equal(peer.taken[1]?.title, 'A title')
})

test('refusals', async (t) => {
  const directory = join(t.testdir({}), 'uploads')
  let room = Number.POSITIVE_INFINITY
  const peer = await startUploadPeer({ directory, roomFor: (wanted) => wanted <= room })
  t.teardown(() => peer.stop())
  const url = await begin(peer, 10)

  t.test('of requests that break the protocol', async (t) => {
    const status = async (size: string, headers = {}) =>
      (
        await httpRequest(`${peer.url}/api/uploads`, {
          method: 'POST',
          headers: { ...tus, 'upload-length': size, ...headers },
        })
      ).status
    t.equal(await status('-1'), 400)
    t.equal(await status('1e3'), 400)
    t.equal(await status('0'), 400)
    t.equal(await status('NaN'), 400)
    t.equal(await status('9007199254740991'), 413)
    t.equal(await status('10', { 'upload-metadata': 'filename %%%' }), 400)
    t.equal(await status('10', { 'tus-resumable': '0.2.2' }), 400)
    const without = await httpRequest(`${peer.url}/api/uploads`, { method: 'POST' })
    t.equal(without.status, 412)
    const deferred = await httpRequest(`${peer.url}/api/uploads`, {
      method: 'POST',
      headers: { ...tus, 'upload-defer-length': '1' },
    })
    t.equal(deferred.status, 501)
    const wrong = await patch(url, 3, 'abc')
    t.equal(wrong.status, 409)
    t.match(JSON.parse(wrong.text), { code: 'ERR_UPLOAD_OFFSET', status: 409 })
    t.equal(wrong.headers['content-type'], 'application/problem+json')
    t.equal((await patch(url, '-1', 'abc')).status, 400)
    t.equal((await patch(url, 0, 'abcdefghijklmnop')).status, 413)
    t.equal((await patch(url, 0, 'abc', { 'content-type': 'text/plain' })).status, 400)
    t.equal((await head(url)).headers['upload-offset'], '0', 'nothing was written')
  })

  t.test('of names that are no uploads', async (t) => {
    for (const name of ['..%2f..%2fidentity.key', '%00', 'x', 'f'.repeat(32), '../uploads']) {
      const answer = await patch(`${peer.url}/api/uploads/${name}`, 0, 'abc')
      t.ok([400, 404].includes(answer.status), `${name}: ${answer.status}`)
    }
    t.equal((await httpRequest(url, { headers: tus })).status, 404, 'nothing is given out')
  })

  t.test('of files that there is no room for', async (t) => {
    room = 1_000
    t.equal((await create(peer, 990)).status, 201, 'ten bytes are promised already')
    const full = await create(peer, 1)
    t.equal(full.status, 507)
    t.match(JSON.parse(full.text), { code: 'ERR_STORAGE', detail: /no room/ })
    t.equal(full.headers['tus-resumable'], '1.0.0')
    room = Number.POSITIVE_INFINITY
    t.equal((await create(peer, 400 * 1024 ** 3)).status, 507, 'the disk itself')
    t.equal(await metric(peer.registry, 'kairo_vod_uploads_total', { outcome: 'refused-room' }), 2)
  })

  t.test('of too many', async (t) => {
    for (let count = 0; count < uploadLimits.uploadsPerAddressMax - 2; count += 1) {
      t.equal((await create(peer, 10)).status, 201)
    }
    const more = await create(peer, 10)
    t.equal(more.status, 429)
    t.match(JSON.parse(more.text), { code: 'ERR_LIMIT' })
    t.equal((await httpRequest(url, { method: 'DELETE', headers: tus })).status, 204)
    t.equal((await create(peer, 10)).status, 201)
  })
})

test('who may upload', async (t) => {
  const root = t.testdir({})
  const peer = await startUploadPeer({ directory: join(root, 'a') })
  t.teardown(() => peer.stop())
  const origin = (value: string) => ({ origin: value })
  t.equal((await create(peer, 5, origin(peer.url))).status, 201)
  t.equal((await create(peer, 5, origin('http://evil.example'))).status, 401)
  t.equal((await create(peer, 5, { 'sec-fetch-site': 'cross-site' })).status, 401)
  t.equal((await create(peer, 5, { host: 'rebound.example' })).status, 401)
  const right = { authorization: 'Bearer right' }
  t.equal((await create(peer, 5, { ...right, host: 'kairo.example' })).status, 201)
  const friend = await create(peer, 5, { ...right, ...origin('http://friend.example') })
  t.equal(friend.headers['access-control-allow-origin'], 'http://friend.example')
  t.match(friend.headers['access-control-expose-headers'], /Location/)
  const operator = await startUploadPeer({ directory: join(root, 'b'), access: 'operator' })
  t.teardown(() => operator.stop())
  t.equal((await create(operator, 5)).status, 401)
  t.equal((await create(operator, 5, right)).status, 201)
  const off = await startUploadPeer({ directory: join(root, 'c'), access: 'off' })
  t.teardown(() => off.stop())
  t.equal((await create(off, 5, right)).status, 404)
})

test('broken connections', async (t) => {
  const directory = join(t.testdir({}), 'uploads')
  const peer = await startUploadPeer({ directory })
  t.teardown(() => peer.stop())
  const raw = async (url: string, offset: number, length: number, body: string) => {
    const client = await RawClient.connect(peer.port)
    client.send(
      `PATCH ${new URL(url).pathname} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\n` +
        `Content-Type: application/offset+octet-stream\r\nUpload-Offset: ${offset}\r\nContent-Length: ${length}\r\n\r\n${body}`,
    )
    return client
  }
  const received = (name: string) => readFileSync(join(directory, name)).byteLength
  const idOf = (url: string) => url.slice(-32)

  t.test('what arrived before the line broke stays', async (t) => {
    const url = await begin(peer, 10)
    const client = await raw(url, 0, 10, 'abcd')
    await eventually(() => received(idOf(url)) === 4)
    client.socket.destroy()
    await eventually(async () => (await head(url)).headers['upload-offset'] === '4')
    t.equal((await patch(url, 4, 'efghij')).status, 204)
    t.equal(readFileSync(String(peer.taken.at(-1)?.path), 'utf8'), 'abcdefghij')
  })

  t.test('a second request takes over from one that hangs', async (t) => {
    const url = await begin(peer, 10)
    const client = await raw(url, 0, 10, 'abcd')
    await eventually(() => received(idOf(url)) === 4)
    t.equal((await head(url)).headers['upload-offset'], '4')
    t.equal((await patch(url, 4, 'efghij')).status, 204)
    client.socket.destroy()
    t.equal(readFileSync(String(peer.taken.at(-1)?.path), 'utf8'), 'abcdefghij')
  })

  t.test('many at once to one upload', async (t) => {
    const url = await begin(peer, 1_000)
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => patch(url, 0, 'x'.repeat(500))),
    )
    const statuses = answers.map(({ status }) => status)
    t.equal(statuses.filter((status) => status === 204).length, 1, statuses.join())
    t.ok(
      statuses.every((status) => [204, 409, 423].includes(status)),
      statuses.join(),
    )
    t.equal((await head(url)).headers['upload-offset'], '500')
  })

  t.test('a body that drips is cut, and can be gone on with', async (t) => {
    const url = await begin(peer, 100_000)
    const client = await raw(url, 0, 100_000, 'ab')
    await eventually(() => received(idOf(url)) === 2)
    peer.clock.advance(streamRouteLimits.paceWindowMs)
    await client.closed()
    await eventually(async () => (await head(url)).headers['upload-offset'] === '2')
    t.pass('cut')
  })
})

test('restarts, stale uploads, and a library that refuses', async (t) => {
  const directory = join(t.testdir({}), 'uploads')
  let refuses = true
  const beforeTake = async () => {
    if (refuses) throw new KairoError('ERR_STORAGE', 'the library is full')
  }
  const first = await startUploadPeer({ directory, beforeTake })
  const half = new URL(await begin(first, 10)).pathname
  await patch(`${first.url}${half}`, 0, 'abcd')
  const whole = new URL(await begin(first, 4)).pathname
  const refused = await patch(`${first.url}${whole}`, 0, 'full')
  t.equal(refused.status, 507)
  t.equal((await head(`${first.url}${whole}`)).status, 507, 'asked again, tried again')
  await first.stop()
  t.equal((await first.uploads.handle({} as never).catch((error) => error)).code, 'ERR_STOPPED')
  writeFileSync(join(directory, 'stray'), 'x')
  writeFileSync(join(directory, `${'a'.repeat(32)}.json`), '{"broken')
  writeFileSync(join(directory, 'b'.repeat(32)), 'no record')

  refuses = false
  const second = await startUploadPeer({ directory, beforeTake })
  await eventually(() => second.taken.length === 1)
  t.equal(readFileSync(String(second.taken[0]?.path), 'utf8'), 'full', 'handed over at the start')
  t.equal((await head(`${second.url}${half}`)).headers['upload-offset'], '4')
  t.equal(readdirSync(directory).length, 3, 'half an upload, its record, a finished record')
  await second.stop()

  const third = await startUploadPeer({ directory, beforeTake })
  t.match((await head(`${third.url}${whole}`)).headers, { 'kairo-video': 'video-1' })
  third.clock.advance(uploadLimits.staleMs + 2 * uploadLimits.sweepMs)
  await eventually(() => readdirSync(directory).length === 0)
  t.equal((await head(`${third.url}${half}`)).status, 404)
  t.equal(await metric(third.registry, 'kairo_vod_uploads_total', { outcome: 'expired' }), 1)
  await third.stop()
})
