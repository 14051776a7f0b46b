/** Large bodies: slices, ranges, versions that change, origins that break off, clients that leave. */
import { randomBytes } from 'node:crypto'
import { get as httpGet } from 'node:http'
import { test } from 'tap'
import { sendVersion, startCdn, startOrigin } from '../../support/cdn-stage.ts'

const sliceBytes = 65_536
const body = randomBytes(5 * sliceBytes + 1_000)

async function stage(components: Parameters<typeof startCdn>[0]['components'] = {}) {
  const origin = await startOrigin((message, reply) =>
    sendVersion(message, reply, { etag: '"1"', body }),
  )
  const cdn = await startCdn({ origin: origin.url, rule: { sliceBytes }, components })
  const stop = async (): Promise<void> => {
    await cdn.stop()
    await origin.stop()
  }
  const asked = (): (string | undefined)[] => origin.requests.map(({ headers }) => headers.range)
  return { origin, cdn, stop, asked }
}

test('a range of something unknown fetches the slice that holds it, and no more', async (t) => {
  const { cdn, stop, asked } = await stage()
  t.teardown(stop)
  const range = `bytes=${2 * sliceBytes + 5}-${2 * sliceBytes + 14}`
  const answer = await cdn.get('/a', { range })
  t.equal(answer.status, 206)
  t.ok(answer.body.equals(body.subarray(2 * sliceBytes + 5, 2 * sliceBytes + 15)))
  t.equal(answer.headers['content-range'], `${range.replace('=', ' ')}/${body.byteLength}`)
  t.same(asked(), [`bytes=${2 * sliceBytes}-${3 * sliceBytes - 1}`])
  t.match((await cdn.get('/a', { range })).headers['cache-status'], /hit/)
  t.equal(asked().length, 1)
  const whole = await cdn.get('/a')
  t.ok(whole.body.equals(body))
  t.equal(asked().length, 6, 'the other slices were fetched, each by itself')
  t.ok((await cdn.get('/a', { 'x-unknown': '1' })).body.equals(body))
  t.equal(asked().length, 6)
})

test('several ranges, suffixes, and ranges that are not there', async (t) => {
  const { cdn, stop } = await stage()
  t.teardown(stop)
  const last = await cdn.get('/a', { range: 'bytes=-10' })
  t.ok(last.body.equals(body.subarray(-10)))
  const several = await cdn.get('/a', { range: 'bytes=0-3, 100000-100003' })
  t.equal(several.status, 206)
  t.match(several.headers['content-type'], /^multipart\/byteranges; boundary=/)
  t.ok(several.body.includes(body.subarray(100_000, 100_004)))
  t.equal(Number(several.headers['content-length']), several.body.byteLength)
  const none = await cdn.get('/a', { range: 'bytes=99999999-' })
  t.equal(none.status, 416)
  t.equal(none.headers['content-range'], `bytes */${body.byteLength}`)
  t.equal((await cdn.get('/a', { range: 'bytes=0-1', 'if-range': '"2"' })).status, 200)
  t.equal((await cdn.get('/a', { range: 'bytes=0-1', 'if-range': '"1"' })).status, 206)
})

test('a range beyond the end of something unknown is the origin’s to refuse', async (t) => {
  const { cdn, stop } = await stage()
  t.teardown(stop)
  t.equal((await cdn.get('/a', { range: 'bytes=99999999-' })).status, 416)
})

test('slices of two versions are never mixed', async (t) => {
  const { origin, cdn, stop } = await stage()
  t.teardown(stop)
  await cdn.get('/a', { range: 'bytes=0-9' })
  const other = randomBytes(body.byteLength)
  origin.handler = (message, reply) => sendVersion(message, reply, { etag: '"2"', body: other })
  const later = { range: `bytes=${3 * sliceBytes}-${3 * sliceBytes + 9}` }
  const answer = await cdn.get('/a', later)
  t.ok(answer.body.equals(other.subarray(3 * sliceBytes, 3 * sliceBytes + 10)))
  t.equal(answer.headers.etag, '"2"')
  t.ok((await cdn.get('/a')).body.equals(other))
})

test('an answer that has begun breaks off when the version changes', async (t) => {
  const { origin, cdn, stop } = await stage()
  t.teardown(stop)
  await cdn.get('/a', { range: 'bytes=0-9' })
  const other = randomBytes(body.byteLength)
  origin.handler = (message, reply) => sendVersion(message, reply, { etag: '"2"', body: other })
  await t.rejects(cdn.get('/a'), 'the first slice was of the old one')
  t.ok((await cdn.get('/a')).body.equals(other))
})

test('an origin that breaks off: a response with ranges goes on, one without ends early', async (t) => {
  const { origin, cdn, stop, asked } = await stage()
  t.teardown(stop)
  let broken = 0
  const breaking = (ranges: boolean): typeof origin.handler => {
    return (message, reply) => {
      if (message.headers.range !== undefined) {
        sendVersion(message, reply, { etag: '"1"', body })
        return
      }
      broken += 1
      const headers = {
        etag: '"1"',
        'cache-control': 'max-age=60',
        'content-length': body.byteLength,
        ...(ranges && { 'accept-ranges': 'bytes' }),
      }
      reply.writeHead(200, headers).write(body.subarray(0, 2 * sliceBytes + 77), () => {
        message.socket.destroy()
      })
    }
  }
  origin.handler = breaking(true)
  t.ok((await cdn.get('/with')).body.equals(body))
  t.equal(broken, 1)
  t.equal(asked()[1], `bytes=${2 * sliceBytes}-${3 * sliceBytes - 1}`)
  origin.handler = breaking(false)
  await t.rejects(cdn.get('/without'))
  origin.handler = (message, reply) => sendVersion(message, reply, { etag: '"1"', body })
  t.ok((await cdn.get('/without')).body.equals(body), 'nothing of the broken one was kept')
})

test('a client that leaves ends a fetch in slices, and what came is kept', async (t) => {
  const { origin, cdn, stop, asked } = await stage()
  t.teardown(stop)
  const huge = randomBytes(64 * sliceBytes)
  const { promise: cut, resolve: tellCut } = Promise.withResolvers<void>()
  origin.handler = (message, reply) => {
    if (message.headers.range !== undefined) {
      sendVersion(message, reply, { etag: '"1"', body: huge })
      return
    }
    reply.once('close', () => tellCut())
    reply.writeHead(200, {
      etag: '"1"',
      'cache-control': 'max-age=60',
      'content-length': huge.byteLength,
      'accept-ranges': 'bytes',
    })
    reply.write(huge.subarray(0, 3 * sliceBytes))
  }
  await new Promise<void>((resolve) => {
    const request = httpGet(`${cdn.url}/a`, (response) => {
      response.once('data', () => request.destroy())
      response.on('error', () => {})
      response.once('close', () => resolve())
    })
    request.on('error', () => {})
  })
  await cut
  const range = (slice: number): string => `bytes=${slice * sliceBytes}-${slice * sliceBytes + 3}`
  t.ok(
    (await cdn.get('/a', { range: range(1) })).body.equals(
      huge.subarray(sliceBytes, sliceBytes + 4),
    ),
  )
  t.equal(asked().length, 1, 'what came is there')
  const far = await cdn.get('/a', { range: range(40) })
  t.ok(far.body.equals(huge.subarray(40 * sliceBytes, 40 * sliceBytes + 4)))
  t.equal(asked()[1], `bytes=${40 * sliceBytes}-${41 * sliceBytes - 1}`)
})

test('a hundred clients of one range are one origin request', async (t) => {
  const { cdn, stop, asked } = await stage()
  t.teardown(stop)
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => cdn.get('/a', { range: 'bytes=70000-70009' })),
  )
  t.ok(answers.every((answer) => answer.body.equals(body.subarray(70_000, 70_010))))
  t.equal(asked().length, 1)
})

test('a small response without a strong validator is kept whole for its parts', async (t) => {
  const { origin, cdn, stop, asked } = await stage()
  t.teardown(stop)
  origin.handler = (message, reply) => sendVersion(message, reply, { etag: 'W/"1"', body })
  for (const range of ['bytes=5-14', 'bytes=70000-70009', 'bytes=-10']) {
    const answer = await cdn.get('/a', { range })
    t.equal(answer.status, 206)
    t.equal(answer.body.byteLength, 10)
  }
  t.same(asked(), [`bytes=0-${sliceBytes - 1}`, undefined])
})

test('an origin that ignores If-Range cannot mix versions', async (t) => {
  const { origin, cdn, stop } = await stage()
  t.teardown(stop)
  const later = { range: `bytes=${2 * sliceBytes}-${2 * sliceBytes + 9}` }
  const others = [
    { etag: '"2"', body: randomBytes(body.byteLength) },
    { etag: '"1"', body: randomBytes(body.byteLength + 1) },
  ]
  for (const [index, other] of others.entries()) {
    const path = `/${index}`
    await cdn.get(path, { range: 'bytes=0-9' })
    origin.handler = (message, reply) => {
      delete message.headers['if-range']
      sendVersion(message, reply, other)
    }
    const answer = await cdn.get(path, later)
    t.ok(answer.body.equals(other.body.subarray(2 * sliceBytes, 2 * sliceBytes + 10)))
    t.match(answer.headers['content-range'], new RegExp(`/${other.body.byteLength}$`))
    t.ok((await cdn.get(path)).body.equals(other.body), 'and the whole is of one version')
    origin.handler = (message, reply) => sendVersion(message, reply, { etag: '"1"', body })
  }
})
