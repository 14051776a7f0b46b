/** One object on its way: order, second requests, readers that go along, and peers that fail in every way they can. */
import { randomBytes } from 'node:crypto'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { digestOf } from '../../../src/content/digest.ts'
import { Fetcher } from '../../../src/content/fetch/fetch-client.ts'
import { fetchBreakerLimits, fetchLimits } from '../../../src/limits/fetch.ts'
import { contentLimits } from '../../../src/limits.ts'
import { silentLogger } from '../../../src/logger.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { metricOf } from '../../support/registry-value.ts'
import { type PeerScript, ScriptedPeers } from '../../support/scripted-peers.ts'

const object = randomBytes(1_000_000)
const digest = digestOf(object)

function stage(
  scripts: Readonly<Record<string, PeerScript>>,
  rtts: Readonly<Record<string, number>> = {},
) {
  const clock = new ManualClock()
  const http = new ScriptedPeers(clock)
  for (const [peer, script] of Object.entries(scripts)) http.scripts.set(peer, script)
  http.objects.set(digest, object)
  const stored = new Map<string, Buffer>()
  const store = { put: (name: string, bytes: Buffer) => void stored.set(name, bytes) }
  const registry = new Registry()
  const base = { clock, logger: silentLogger, registry, http, store }
  const fetcher = new Fetcher({ ...base, rttOf: (peer) => rtts[peer] })
  const metric = (name: string, labels = {}): Promise<number> =>
    metricOf(registry, `kairo_fetch_${name}`, labels)
  /** Fetches whole objects to teach what a peer's latency is. */
  const teach = async (peer: string, times: number): Promise<void> => {
    for (let count = 0; count < times; count += 1) {
      const read = fetcher.fetch(digest, [peer])
      await clock.pass(10_000)
      await read
    }
    http.asked.length = 0
  }
  return { clock, http, stored, fetcher, metric, teach }
}

/** Reads a body to its end or failure; what had come is kept. */
function reader(body: AsyncIterable<Buffer>) {
  const seen = { bytes: Buffer.alloc(0), ended: false, code: '' }
  const done = (async () => {
    try {
      for await (const piece of body) seen.bytes = Buffer.concat([seen.bytes, piece])
      seen.ended = true
    } catch (error) {
      seen.code = (error as { code: string }).code
    }
  })()
  return { seen, done }
}

const flip = (at: number) => (bytes: Buffer) => {
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  return bytes
}

test('who is asked', async (t) => {
  await t.test('the nearest first, unknown distances last in the order given', async (t) => {
    const { fetcher, http, clock } = stage({}, { far: 90, near: 3 })
    const read = fetcher.fetch(digest, ['x', 'far', 'y', 'near', 'x'])
    read.catch(() => {})
    await clock.pass(1)
    await t.rejects(read, { code: 'ERR_NO_PROVIDER' })
    t.same(http.order, ['near', 'far', 'x', 'y'])
    const given = fetcher.fetch(digest, ['x', 'far', 'y', 'near'], { keepOrder: true })
    await t.rejects(given, { code: 'ERR_NO_PROVIDER' })
    t.same(http.order.slice(4), ['x', 'far', 'y', 'near'])
  })

  await t.test('no more than a few', async (t) => {
    const { fetcher, http } = stage({})
    const peers = Array.from({ length: 50 }, (_, index) => `p${index}`)
    await t.rejects(fetcher.fetch(digest, peers), { code: 'ERR_NO_PROVIDER' })
    t.equal(http.asked.length, fetchLimits.providersMax)
  })
})

test('answers that are none', async (t) => {
  const bad: Record<string, PeerScript> = {
    'breaks off': { breaksAfter: 200_000 },
    'claims more': { claims: 1_000_001 },
    'claims less': { claims: 999_999 },
    'claims too much': { claims: contentLimits.objectBytesMax + 1 },
    'claims nothing': { claims: undefined },
    'is busy': { status: 429 },
    'is broken': { status: 500 },
    'is elsewhere': { status: 302 },
    'sends another byte': { lie: flip(999_999) },
    'cannot be reached': { unreachable: true },
  }
  for (const [what, script] of Object.entries(bad)) {
    const { fetcher, http, stored } = stage({ bad: script, good: {} })
    t.ok(
      (await fetcher.fetch(digest, ['bad', 'good'])).equals(object),
      `${what}: the next is asked`,
    )
    t.same(http.order, ['bad', 'good'])
    t.ok(stored.get(digest)?.equals(object))
    const alone = stage({ bad: script })
    const code = what === 'sends another byte' ? 'ERR_VERIFICATION' : 'ERR_NO_PROVIDER'
    await t.rejects(alone.fetcher.fetch(digest, ['bad']), { code }, what)
    t.equal(alone.stored.size, 0, 'nothing unverified is stored')
  }
})

test('time', async (t) => {
  await t.test('a peer that says nothing is given up', async (t) => {
    const { fetcher, clock, metric } = stage({ silent: { headMs: 1e6 } })
    const read = fetcher.fetch(digest, ['silent'])
    read.catch(() => {})
    await clock.pass(fetchLimits.headMsMax - 1)
    t.equal(await metric('requests_total'), 0)
    await clock.pass(1)
    await t.rejects(read, { code: 'ERR_NO_PROVIDER' })
    t.equal(await metric('requests_total', { code: 'ERR_TIMEOUT' }), 1)
    t.equal(clock.timers, 0)
  })

  await t.test('a peer that sends other objects meanwhile is busy, not silent', async (t) => {
    const { fetcher, clock, http } = stage({ busy: { chunkBytes: 10_000, chunkMs: 90 } })
    const other = randomBytes(1_000_000)
    http.objects.set(digestOf(other), other)
    const first = fetcher.fetch(digest, ['busy'])
    await settle()
    http.scripts.set('busy', { headMs: fetchLimits.headMsMax + 3_000 })
    const second = fetcher.fetch(digestOf(other), ['busy'])
    await clock.pass(20_000)
    t.ok((await first).equals(object))
    t.ok((await second).equals(other))
  })

  await t.test('a body has time by its size', async (t) => {
    const { fetcher, clock, metric } = stage({ trickle: { chunkBytes: 1_000, chunkMs: 100 } })
    const read = fetcher.fetch(digest, ['trickle'])
    read.catch(() => {})
    const ms = fetchLimits.bodyMsBase + (1_000_000 / fetchLimits.bytesPerSecondMin) * 1_000
    await clock.pass(ms - 1)
    t.equal(await metric('requests_total'), 0)
    await clock.pass(2)
    await t.rejects(read, { code: 'ERR_NO_PROVIDER' })
    t.equal(await metric('requests_total', { code: 'ERR_TIMEOUT' }), 1)
    t.equal(await metric('in_flight_bytes'), 0)
    t.equal(clock.timers, 0)
  })
})

test('second requests', async (t) => {
  await t.test('a late first one, and the second wins', async (t) => {
    const { fetcher, clock, http, metric, teach } = stage({
      near: { headMs: 5 },
      far: { headMs: 30 },
    })
    await teach('near', fetchLimits.hedgeSamplesMin)
    http.scripts.set('near', { headMs: 4_000 })
    const read = fetcher.fetch(digest, ['near', 'far'])
    await clock.pass(fetchLimits.hedgeMsMin - 1)
    t.same(http.order, ['near'])
    await clock.pass(1)
    t.same(http.order, ['near', 'far'], 'after the 95th percentile, or the least')
    await clock.pass(30)
    t.ok((await read).equals(object))
    t.equal(await metric('hedges_total', { outcome: 'won' }), 1)
    await settle()
    t.equal(http.aborted, 1, 'the late one is not waited for')
    t.equal(clock.timers, 0)
    t.equal(await metric('in_flight_bytes'), 0)
  })

  await t.test('the first one wins after all', async (t) => {
    const { fetcher, clock, metric } = stage({ near: { headMs: 310 }, far: { headMs: 9_000 } })
    const read = fetcher.fetch(digest, ['near', 'far'])
    await clock.pass(320)
    t.ok((await read).equals(object))
    t.equal(await metric('hedges_total', { outcome: 'lost' }), 1)
  })

  await t.test('a body that stops is late too', async (t) => {
    const { fetcher, clock, http } = stage({ near: { hangsAfter: 300_000 }, far: {} })
    const read = fetcher.fetch(digest, ['near', 'far'])
    await clock.pass(fetchLimits.hedgeMsDefault + 10)
    t.ok((await read).equals(object))
    t.same(http.order, ['near', 'far'])
  })

  await t.test('a body that comes slowly, but comes, is not', async (t) => {
    const { fetcher, clock, http } = stage({ near: { chunkMs: 250 }, far: {} })
    const read = fetcher.fetch(digest, ['near', 'far'])
    await clock.pass(6_000)
    t.ok((await read).equals(object))
    t.same(http.order, ['near'])
  })

  await t.test('no more than the budget allows', async (t) => {
    const { fetcher, clock, http, metric } = stage({ slow: { headMs: 400 }, far: { headMs: 900 } })
    const reads = []
    for (let count = 0; count < 200; count += 1) {
      const one = Buffer.from(`object ${count}`)
      http.objects.set(digestOf(one), one)
      reads.push(fetcher.fetch(digestOf(one), ['slow', 'far']))
    }
    await clock.pass(500)
    await Promise.all(reads)
    const extra = http.asked.length - reads.length
    t.equal(extra, fetchLimits.hedgeBurstMax)
    t.equal(await metric('hedges_total', { outcome: 'refused' }), reads.length - extra)
    t.equal(await metric('hedges_total', { outcome: 'lost' }), extra)
    t.equal(clock.timers, 0)
  })
})

test('a peer that fails is left alone, and tried again', async (t) => {
  const { fetcher, clock, http, metric } = stage({ flaky: { status: 500 }, good: {} })
  const fetch = () => fetcher.fetch(digest, ['flaky', 'good'])
  for (let count = 0; count < 10; count += 1) await fetch()
  const asked = () => http.order.filter((peer) => peer === 'flaky').length
  t.equal(asked(), fetchBreakerLimits.failuresMax)
  t.equal(await metric('breaker_opened_total', { reason: 'failed' }), 1)
  t.equal(await metric('skipped_total'), 10 - fetchBreakerLimits.failuresMax)
  await clock.pass(fetchBreakerLimits.retryMsMin)
  await Promise.all([fetch(), fetch()])
  t.equal(asked(), fetchBreakerLimits.failuresMax + 1, 'one trial')
  await clock.pass(fetchBreakerLimits.retryMsMin)
  await fetch()
  t.equal(asked(), fetchBreakerLimits.failuresMax + 1, 'twice as long after a failed one')
  await clock.pass(fetchBreakerLimits.retryMsMin)
  http.scripts.set('flaky', {})
  await fetch()
  await fetch()
  t.equal(asked(), fetchBreakerLimits.failuresMax + 3, 'back after a good one')
  http.scripts.set('flaky', { lie: flip(3) })
  await fetch()
  await clock.pass(10_000)
  await fetch()
  t.equal(asked(), fetchBreakerLimits.failuresMax + 4, 'one lie is enough, and counts for longer')
})

test('reading along', async (t) => {
  await t.test('bytes come as they come, the last ones when all is verified', async (t) => {
    const { fetcher, clock, stored } = stage({ peer: { chunkBytes: 100_000, chunkMs: 10 } })
    const opening = fetcher.fetchStream(digest, ['peer'])
    await clock.pass(0)
    const { length, bytes, body } = await opening
    t.same({ length, bytes }, { length: 1_000_000, bytes: 1_000_000 })
    const { seen, done } = reader(body)
    await clock.pass(50)
    t.equal(seen.bytes.byteLength, 500_000)
    const late = await fetcher.fetchStream(digest, ['peer'])
    const follower = reader(late.body)
    await settle()
    t.equal(follower.seen.bytes.byteLength, 500_000, 'a follower has at once what is there')
    await clock.pass(49)
    t.equal(seen.bytes.byteLength, 900_000)
    t.equal(stored.size, 0)
    await clock.pass(1)
    await Promise.all([done, follower.done])
    t.ok(seen.ended && seen.bytes.equals(object))
    t.ok(follower.seen.ended && follower.seen.bytes.equals(object))
    t.ok(stored.get(digest)?.equals(object))
  })

  await t.test('a flipped byte is never part of a whole object', async (t) => {
    for (const at of [0, 500_000, 999_999]) {
      const { fetcher, clock, stored } = stage({ liar: { lie: flip(at), chunkMs: 10 } })
      const opening = fetcher.fetchStream(digest, ['liar'])
      await clock.pass(1)
      const { seen, done } = reader((await opening).body)
      await clock.pass(1_000)
      await done
      t.equal(seen.code, 'ERR_VERIFICATION')
      t.ok(seen.bytes.byteLength <= 1_000_000 - fetchLimits.withheldBytes)
      t.equal(stored.size, 0)
    }
  })

  await t.test('a liar is followed by an honest peer: nobody reads a mixture', async (t) => {
    const scripts = { liar: { lie: flip(700_000), chunkMs: 10 }, honest: { chunkMs: 10 } }
    const { fetcher, clock } = stage(scripts)
    const whole = fetcher.fetch(digest, ['liar', 'honest'], { keepOrder: true })
    const opening = fetcher.fetchStream(digest, [])
    await clock.pass(1)
    const { seen, done } = reader((await opening).body)
    await clock.pass(2_000)
    await done
    t.ok((await whole).equals(object))
    t.equal(seen.code, 'ERR_VERIFICATION', 'who had read the lie is told')
  })

  await t.test('a liar that breaks off is not continued by an honest peer', async (t) => {
    const liar = { lie: flip(3), breaksAfter: 500_000, chunkMs: 10 }
    const { fetcher, clock, stored } = stage({ liar, honest: { chunkMs: 10 } })
    const opening = fetcher.fetchStream(digest, ['liar', 'honest'], { keepOrder: true })
    await clock.pass(1)
    const { seen, done } = reader((await opening).body)
    await clock.pass(2_000)
    await done
    t.equal(seen.code, 'ERR_VERIFICATION')
    t.ok(stored.get(digest)?.equals(object), 'who waits for the whole gets it all the same')
  })

  await t.test('where one breaks off the next goes on, unseen by the reader', async (t) => {
    const scripts = { breaks: { breaksAfter: 500_000, chunkMs: 10 }, good: { chunkMs: 10 } }
    const { fetcher, clock, http } = stage(scripts)
    const opening = fetcher.fetchStream(digest, ['breaks', 'good'])
    await clock.pass(1)
    const { seen, done } = reader((await opening).body)
    await clock.pass(2_000)
    await done
    t.same(http.order, ['breaks', 'good'])
    t.ok(seen.ended && seen.bytes.equals(object))
  })

  await t.test('ranges share the one fetch, and are verified with the whole', async (t) => {
    const { fetcher, clock, http } = stage({ peer: { chunkBytes: 100_000, chunkMs: 10 } })
    const ranges = [
      { start: 0, end: 0 },
      { start: 100_000, end: 599_999 },
      { start: 999_999 },
      { start: 0 },
      { start: 999_000, end: 5_000_000 },
    ]
    const opening = Promise.all(
      ranges.map((range) => fetcher.fetchStream(digest, ['peer'], { range })),
    )
    await clock.pass(1)
    const streams = await opening
    t.same(
      streams.map(({ bytes }) => bytes),
      [1, 500_000, 1, 1_000_000, 1_000],
    )
    const readers = streams.map(({ body }) => reader(body))
    await clock.pass(90)
    t.ok(
      readers.every(({ seen }) => !seen.ended),
      'no range is whole before the object is verified',
    )
    await clock.pass(20)
    await Promise.all(readers.map(({ done }) => done))
    for (const [index, { start, end = 999_999 }] of ranges.entries()) {
      t.ok(readers[index]?.seen.bytes.equals(object.subarray(start, end + 1)))
    }
    t.equal(http.asked.length, 1)
    const beyond = fetcher.fetchStream(digest, ['peer'], { range: { start: 1_000_000 } })
    beyond.catch(() => {})
    await clock.pass(200)
    await t.rejects(beyond, { code: 'ERR_INVALID_INPUT' })
  })

  await t.test('an empty object', async (t) => {
    const { fetcher, http } = stage({ peer: {} })
    const nothing = Buffer.alloc(0)
    http.objects.set(digestOf(nothing), nothing)
    const { length, body } = await fetcher.fetchStream(digestOf(nothing), ['peer'])
    const { seen, done } = reader(body)
    await done
    t.equal(length, 0)
    t.ok(seen.ended)
    t.equal((await fetcher.fetch(digestOf(nothing), ['peer'])).byteLength, 0)
  })

  await t.test('when the last reader leaves, so does the request', async (t) => {
    const { fetcher, clock, http, stored } = stage({ peer: { chunkMs: 10 } })
    const given = new AbortController()
    const opening = fetcher.fetchStream(digest, ['peer'], { signal: given.signal })
    const other = fetcher.fetchStream(digest, ['peer'])
    await clock.pass(1)
    const { seen, done } = reader((await opening).body)
    const { body } = await other
    await clock.pass(50)
    given.abort()
    await done
    t.equal(seen.code, 'ERR_TIMEOUT')
    t.equal(http.aborted, 0, 'one still reads')
    for await (const piece of body) {
      t.ok(piece.byteLength > 0)
      break
    }
    await settle()
    t.equal(http.aborted, 1)
    await clock.pass(1_000)
    t.equal(stored.size, 0)
    t.equal(clock.timers, 0)
    const late = new AbortController()
    late.abort()
    await t.rejects(fetcher.fetch(digest, ['peer'], { signal: late.signal }), {
      code: 'ERR_TIMEOUT',
    })
  })

  await t.test('a body that is never begun is left when its signal fires', async (t) => {
    const { fetcher, clock, http } = stage({ peer: { chunkMs: 10 } })
    const given = new AbortController()
    const opening = fetcher.fetchStream(digest, ['peer'], { signal: given.signal })
    await clock.pass(1)
    await opening
    given.abort()
    await settle()
    t.equal(http.aborted, 1)
    t.equal(clock.timers, 0)
  })
})

test('memory has a bound', async (t) => {
  const { fetcher, clock, http, metric } = stage({
    peer: { chunkBytes: 8_000_000, hangsAfter: 30_000_000 },
  })
  const big = randomBytes(contentLimits.objectBytesMax)
  const waiting = []
  for (let count = 0; count < 12; count += 1) {
    big.writeUInt32BE(count, 0)
    const copy = Buffer.from(big)
    http.objects.set(digestOf(copy), copy)
    const read = fetcher.fetch(digestOf(copy), ['peer'])
    read.catch(() => {})
    waiting.push(read)
  }
  await settle()
  await settle()
  t.ok((await metric('in_flight_bytes')) <= fetchLimits.bytesInFlightMax)
  t.ok((await metric('limits_total', { limit: 'bytes' })) > 0)
  await clock.pass(400_000)
  await Promise.allSettled(waiting)
  t.equal(await metric('in_flight_bytes'), 0)
  t.ok((await metric('requests_total', { code: 'ERR_LIMIT' })) > fetchBreakerLimits.failuresMax)
  t.equal(await metric('breaker_opened_total'), 0, 'our bound is no failure of the peer')
})
