/** Purges, restarts and clock jumps: what was purged is not served again, what was kept is. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { Agent, get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import type { PurgeSelector } from '../../../src/cdn/purge-selector.ts'
import { type CdnStage, sendVersion, startCdn, startOrigin } from '../../support/cdn-stage.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const body = randomBytes(2_000)

async function startCounting() {
  const origin = await startOrigin((message, reply) =>
    sendVersion(message, reply, {
      etag: '"1"',
      body,
      headers: {
        'surrogate-key': `all ${message.url?.slice(1)}`,
        'cache-control': 'max-age=3600',
      },
    }),
  )
  const hits = async (cdn: CdnStage, path: string): Promise<boolean> =>
    /; hit/.test(String((await cdn.get(path)).headers['cache-status']))
  return { origin, hits }
}

test('purges by URL, tag, prefix, host, and of everything', async (t) => {
  const { origin, hits } = await startCounting()
  const cdn = await startCdn({ origin: origin.url })
  t.teardown(async () => {
    await cdn.stop()
    await origin.stop()
  })
  const base = cdn.url
  const host = base.replace('http://', '')
  const cases: [PurgeSelector, boolean, boolean][] = [
    [{ by: 'url', url: `${base}/a` }, false, true],
    [{ by: 'url', url: `https://${host}/a` }, false, true],
    [{ by: 'tag', tag: 'b' }, true, false],
    [{ by: 'tag', tag: 'all' }, false, false],
    [{ by: 'tag', tag: 'all', host: 'other.example' }, true, true],
    [{ by: 'prefix', prefix: `${base}/a` }, false, true],
    [{ by: 'host', host }, false, false],
    [{ by: 'host', host: 'other.example' }, true, true],
    [{ by: 'everything' }, false, false],
  ]
  for (const [selector, a, b] of cases) {
    for (const path of ['/a', '/b']) await cdn.get(path)
    const count = cdn.cache.purge(selector, 'hard')
    t.equal(count, Number(!a) + Number(!b), JSON.stringify(selector))
    t.equal(await hits(cdn, '/a'), a, `${selector.by} a`)
    t.equal(await hits(cdn, '/b'), b, `${selector.by} b`)
  }
  t.notMatch((await cdn.get('/a')).headers, { 'surrogate-key': /./ })
})

test('a soft purge serves the old one while the new one comes', async (t) => {
  const { origin } = await startCounting()
  const cdn = await startCdn({ origin: origin.url })
  t.teardown(async () => {
    await cdn.stop()
    await origin.stop()
  })
  await cdn.get('/a')
  cdn.clock.advance(1_000)
  origin.handler = (message, reply) =>
    sendVersion(message, reply, { etag: '"2"', body: Buffer.from('two') })
  t.equal(cdn.cache.purge({ by: 'everything' }, 'soft'), 1)
  t.ok((await cdn.get('/a')).body.equals(body))
  for (let round = 0; round < 50 && (await cdn.get('/a')).text !== 'two'; round += 1);
  t.equal((await cdn.get('/a')).text, 'two')
})

test('a response that was asked for before a purge is not stored after it', async (t) => {
  const { origin, hits } = await startCounting()
  const cdn = await startCdn({ origin: origin.url })
  t.teardown(async () => {
    await cdn.stop()
    await origin.stop()
  })
  for (const selector of [
    { by: 'url', url: `${cdn.url}/a` },
    { by: 'tag', tag: 'a' },
    { by: 'everything' },
  ] as const) {
    const { promise: asked, resolve: tell } = Promise.withResolvers<() => void>()
    const usual = origin.handler
    origin.handler = (message, reply) => {
      const old = { etag: '"old"', body: Buffer.from('old'), headers: { 'cache-tag': 'a' } }
      tell(() => sendVersion(message, reply, old))
    }
    const before = cdn.get('/a')
    const release = await asked
    origin.handler = usual
    cdn.cache.purge(selector, 'hard')
    t.ok((await cdn.get('/a')).body.equals(body), 'a request after the purge waits for no old one')
    release()
    t.equal((await before).text, 'old')
    t.ok(await hits(cdn, '/a'))
    t.ok((await cdn.get('/a')).body.equals(body), 'what is stored is from after the purge')
    t.equal(cdn.cache.purge({ by: 'everything' }, 'hard'), 1)
  }
})

test('a restart finds what was stored, and not what was purged', async (t) => {
  const { origin } = await startCounting()
  const directory = await mkdtemp(join(tmpdir(), 'kairo-cdn-'))
  const clock = new ManualClock(Math.floor(Date.now() / 1_000) * 1_000)
  const init = { origin: origin.url, directory, clock }
  t.teardown(async () => {
    await origin.stop()
    await rm(directory, { recursive: true, force: true })
  })
  // Another port is another host, and so another key: the name is given.
  const named = async (cdn: CdnStage, path: string): Promise<boolean> => {
    const answer = await cdn.get(path, { host: 'site.example' })
    t.ok(answer.body.equals(body), String(answer.headers['cache-status']))
    return /; hit/.test(String(answer.headers['cache-status']))
  }
  const first = await startCdn(init)
  for (const path of ['/a', '/b', '/c']) await named(first, path)
  first.cache.purge({ by: 'url', url: 'http://site.example/b' }, 'hard')
  await first.stop()
  const second = await startCdn(init)
  t.same([await named(second, '/a'), await named(second, '/b')], [true, false])
  second.cache.purge({ by: 'url', url: 'http://site.example/c' }, 'hard')
  // As after a kill: what a crash leaves is the journal as it was.
  const journal = join(directory, 'cdn', 'index.journal')
  const text = await readFile(journal, 'utf8')
  await second.stop()
  await writeFile(journal, `${text}{"t":"put","key":"torn`)
  const third = await startCdn(init)
  t.same([await named(third, '/a'), await named(third, '/c')], [true, false])
  await third.stop()
  const closed = await readFile(journal, 'utf8')
  t.match(closed, /\{"t":"close"\}\n$/)
  const elsewhere = closed.replace(/"boot":"[^"]+"/, '"boot":"x"')
  await writeFile(journal, elsewhere.replace('{"t":"close"}\n', 'not a record\n'))
  const fourth = await startCdn(init)
  t.equal(
    fourth.lines.some(({ message }) => /without order/.test(message)),
    true,
  )
  const answer = await fourth.get('/a', { host: 'site.example' })
  t.match(
    answer.headers['cache-status'],
    /hit; ttl=0|fwd=stale/,
    'after a crash of the machine it is validated',
  )
  await fourth.stop()
})

test('a rule in other words forgets what was stored', async (t) => {
  const { origin, hits } = await startCounting()
  const cdn = await startCdn({ origin: origin.url })
  t.teardown(async () => {
    await cdn.stop()
    await origin.stop()
  })
  await cdn.get('/a')
  t.ok(await hits(cdn, '/a'))
  const [rule] = cdn.rules.list()
  if (rule === undefined) throw new Error('no rule')
  cdn.rules.put(rule)
  t.ok(await hits(cdn, '/a'), 'the same words change nothing')
  cdn.rules.put({ ...rule, compress: false })
  t.notOk(await hits(cdn, '/a'))
  cdn.rules.remove('site')
  t.equal((await cdn.get('/a')).status, 404)
})

test('while purges may have been missed, what is stored is asked for anew', async (t) => {
  const { origin } = await startCounting()
  let isReady = true
  const purges = { ready: () => isReady, stamp: () => '', covers: () => true }
  const cdn = await startCdn({ origin: origin.url, components: { purges } })
  t.teardown(async () => {
    await cdn.stop()
    await origin.stop()
  })
  await cdn.get('/a')
  await cdn.get('/a')
  isReady = false
  t.match((await cdn.get('/a')).headers['cache-status'], /fwd=stale; fwd-status=304/)
  await origin.stop()
  t.equal((await cdn.get('/a')).status, 502)
  isReady = true
  t.match((await cdn.get('/a')).headers['cache-status'], /hit/)
})

test('an answer whose bytes are still being read from the disk does not begin after a purge', async (t) => {
  const { origin } = await startCounting()
  const cdn = await startCdn({ origin: origin.url })
  t.teardown(async () => {
    await cdn.stop()
    await origin.stop()
  })
  await cdn.get('/a')
  origin.handler = (message, reply) =>
    sendVersion(message, reply, { etag: '"2"', body: Buffer.from('two') })
  const { promise: reading, resolve: tellReading } = Promise.withResolvers<void>()
  const { promise: go, resolve: release } = Promise.withResolvers<void>()
  const [peek, read] = [cdn.store.peek.bind(cdn.store), cdn.store.read.bind(cdn.store)]
  let isOnDisk = true
  cdn.store.peek = (digest) => (isOnDisk ? undefined : peek(digest))
  cdn.store.read = async (digest, options) => {
    tellReading()
    await go
    return await read(digest, options)
  }
  const asked = cdn.get('/a')
  await reading
  cdn.cache.purge({ by: 'everything' }, 'hard')
  isOnDisk = false
  release()
  t.equal((await asked).text, 'two')
})

test('a connection that repeats its request gets what a purge and a new version leave', async (t) => {
  const { origin } = await startCounting()
  const cdn = await startCdn({ origin: origin.url })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(async () => {
    agent.destroy()
    await cdn.stop()
    await origin.stop()
  })
  const ask = async (): Promise<string> => {
    const asked = get(`${cdn.url}/a`, { agent })
    const [reply] = (await once(asked, 'response')) as [IncomingMessage]
    const pieces = await reply.toArray()
    t.ok(Buffer.concat(pieces).equals(body))
    return String(reply.headers['cache-status']).replace(/^.*; (hit|fwd).*$/, '$1')
  }
  t.same([await ask(), await ask(), await ask()], ['fwd', 'hit', 'hit'])
  cdn.cache.purge({ by: 'everything' }, 'hard')
  t.same([await ask(), await ask(), await ask()], ['fwd', 'hit', 'hit'])
  cdn.cache.purge({ by: 'tag', tag: 'all' }, 'hard')
  t.same([await ask(), await ask()], ['fwd', 'hit'])
  t.equal(Object.values(agent.freeSockets).flat().length, 1, 'all on one connection')
})
