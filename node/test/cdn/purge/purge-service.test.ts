/** Purges over a network in memory: one command reaches every peer, tells what each has done, and peers that were away catch up before they serve. */
import { type Test, test } from 'tap'
import type { PurgeReport } from '../../../src/cdn/purge/purge-report.ts'
import { purgeLimits } from '../../../src/limits/purge.ts'
import { settle } from '../../support/manual-clock.ts'
import { PurgeNetwork, type PurgePeer } from '../../support/purge-network.ts'

const URL_A = 'https://cdn.example/a'
const URL_B = 'https://cdn.example/b'
const A = { by: 'url', url: URL_A } as const
const EVERYTHING = { by: 'everything' } as const

async function meshOf(
  t: Test,
  count: number,
): Promise<{ network: PurgeNetwork; peers: PurgePeer[] }> {
  const network = PurgeNetwork.plain()
  t.teardown(() => network.stop())
  return { network, peers: await network.mesh(count) }
}

/** Purges and lets time pass until every peer has answered or the deadline is over. */
async function purge(
  network: PurgeNetwork,
  peer: PurgePeer,
  ...args: Parameters<PurgePeer['purges']['purge']>
): Promise<PurgeReport> {
  const work = peer.purges.purge(...args)
  work.catch(() => {})
  await network.clock.pass(purgeLimits.deadlineMs + 1)
  return await work
}

const statuses = (report: PurgeReport): string[] => report.peers.map(({ status }) => status)

test('one purge reaches every peer, and the caller is told when each has done it', async (t) => {
  const { network, peers } = await meshOf(t, 5)
  for (const { cache } of peers) {
    cache.put(URL_A, 'old')
    cache.put(URL_B, 'kept')
  }
  const [first] = peers as [PurgePeer]
  const report = await purge(network, first, A, 'hard')
  t.equal(report.complete, true)
  t.equal(report.peers.length, 5)
  t.equal(report.peers[0]?.peerId, first.id, 'this peer comes first')
  for (const { status, purged } of report.peers) t.strictSame([status, purged], ['done', 1])
  t.ok(
    report.peers.slice(1).every(({ ms }) => ms >= 10 && ms < 200),
    'a round trip each',
  )
  for (const { cache } of peers) t.strictSame([...cache.responses.keys()], [URL_B])
  t.strictSame(first.purges.reports(), [report])
  t.equal(await first.metric('kairo_cdn_purge_acknowledgements_total', { status: 'done' }), 4)
})

test('a soft purge makes stale and does not forget', async (t) => {
  const { network, peers } = await meshOf(t, 2)
  for (const { cache } of peers) cache.put(URL_A, 'old')
  await purge(network, peers[0] as PurgePeer, A, 'soft')
  for (const { cache } of peers) t.equal(cache.responses.get(URL_A)?.soft, true)
})

test('an acknowledgement is sent only after the cache has forgotten', async (t) => {
  const { network, peers } = await meshOf(t, 2)
  const [first, second] = peers as [PurgePeer, PurgePeer]
  second.storage.failure = Object.assign(new Error('full'), { code: 'ENOSPC' })
  second.cache.put(URL_A, 'old')
  const report = await purge(network, first, A, 'hard')
  t.equal(report.complete, false)
  t.match(
    report.peers[1],
    { status: 'failed', code: 'ERR_STORAGE' },
    'it may come back after a restart',
  )
  t.equal(second.cache.responses.size, 0, 'it is carried out all the same')
  second.storage.failure = undefined
  await network.clock.pass(10_000)
  t.equal(first.purges.reports()[0]?.complete, true, 'it is kept with the next write')
})

test('a peer whose disk refuses makes no purge', async (t) => {
  const { network, peers } = await meshOf(t, 2)
  const [first, second] = peers as [PurgePeer, PurgePeer]
  first.cache.put(URL_A, 'old')
  first.storage.failure = Object.assign(new Error('full'), { code: 'ENOSPC' })
  await t.rejects(purge(network, first, A, 'hard'), { code: 'ERR_STORAGE' })
  t.equal(first.cache.responses.size, 1)
  first.storage.failure = undefined
  const report = await purge(network, first, A, 'hard')
  t.equal(report.complete, true, 'the number that failed leaves no gap')
  t.match(report.id, /\/1$/)
  t.equal(second.cache.purges.length, 1)
})

test('a peer that cannot be reached is named, and carries it out before it serves again', async (t) => {
  const { network, peers } = await meshOf(t, 3)
  const [first, second, away] = peers as [PurgePeer, PurgePeer, PurgePeer]
  away.cache.put(URL_A, 'old')
  network.unlink(first, away)
  network.unlink(second, away)
  const report = await purge(network, first, A, 'hard')
  t.equal(report.complete, false, 'it may come back with what it has')
  t.strictSame(statuses(report), ['done', 'done', 'away'])
  await network.clock.pass(60_000)
  t.equal(away.purges.ready(), true, 'nobody else is there')
  network.link(second, away)
  t.equal(away.purges.ready(), false, 'a neighbour has come that may know more')
  await network.clock.pass(100)
  t.equal(away.purges.ready(), true)
  t.equal(away.cache.responses.size, 0)
  t.equal(first.purges.reports()[0]?.complete, false, 'this one has not heard of it yet')
  network.link(first, away)
  await network.clock.pass(100)
  t.equal(first.purges.reports()[0]?.complete, true)
})

test('a peer that is away for long, or has said goodbye, is not waited for', async (t) => {
  const { network, peers } = await meshOf(t, 3)
  const [first, leaving, away] = peers as [PurgePeer, PurgePeer, PurgePeer]
  await away.crash()
  t.strictSame(statuses(await purge(network, first, A, 'hard')), ['done', 'done', 'away'])
  network.left.add(leaving.id)
  t.strictSame(statuses(await purge(network, first, A, 'hard')), ['done', 'done', 'away'])
  await leaving.crash()
  t.strictSame(statuses(await purge(network, first, A, 'hard')), ['done', 'away'])
  await network.clock.pass(purgeLimits.awayMsMax)
  const report = await purge(network, first, A, 'hard')
  t.strictSame(statuses(report), ['done'])
  t.equal(report.complete, true)
  // Whoever starts again is one of the network again, whatever it has said before.
  network.left.clear()
  await leaving.start()
  network.link(first, leaving)
  await network.clock.pass(1_000)
  await leaving.crash()
  t.strictSame(statuses(await purge(network, first, A, 'hard')), ['done', 'away'])
})

test('a stream that breaks on the way is opened again', async (t) => {
  const { network, peers } = await meshOf(t, 3)
  const [first, , third] = peers as [PurgePeer, PurgePeer, PurgePeer]
  third.cache.put(URL_A, 'old')
  const work = first.purges.purge(A, 'hard')
  await network.clock.pass(6)
  network.net.cut((from, to) => from === third.id || to === third.id)
  await network.clock.pass(100)
  t.strictSame(statuses(await work), ['done', 'done', 'done'])
  t.equal(third.cache.responses.size, 0)
})

test('a message that is lost is found again, and the late acknowledgement noted', async (t) => {
  const { network, peers } = await meshOf(t, 3)
  const [first, , third] = peers as [PurgePeer, PurgePeer, PurgePeer]
  third.cache.put(URL_A, 'old')
  network.net.silence(third.id)
  const report = await purge(network, first, A, 'hard')
  t.strictSame(statuses(report), ['done', 'done', 'failed'])
  network.net.revive(third.id)
  await network.clock.pass(2 * purgeLimits.syncIntervalMs)
  t.equal(third.cache.responses.size, 0)
  t.equal(first.purges.reports()[0]?.complete, true)
  t.equal(await first.metric('kairo_cdn_purge_acknowledgements_total', { status: 'late' }), 1)
})

test('a peer that does not answer ends the wait at the deadline', async (t) => {
  const { network, peers } = await meshOf(t, 3)
  const [first, , third] = peers as [PurgePeer, PurgePeer, PurgePeer]
  third.pause()
  const report = await purge(network, first, A, 'hard')
  t.equal(report.complete, false)
  t.match(report.peers[2], { status: 'failed', code: 'ERR_TIMEOUT' })
})

test('a process that was stopped does not serve before it has asked everybody', async (t) => {
  const { network, peers } = await meshOf(t, 3)
  const [first, , third] = peers as [PurgePeer, PurgePeer, PurgePeer]
  third.cache.put(URL_A, 'old')
  third.pause()
  await purge(network, first, A, 'hard')
  await network.clock.pass(3_000)
  third.resume()
  t.equal(third.purges.ready(), false, 'before anything else has run')
  t.equal(third.cache.responses.size, 1)
  await network.clock.pass(1_000)
  t.equal(third.purges.ready(), true)
  t.equal(third.cache.responses.size, 0)
  t.equal(await third.metric('kairo_cdn_purge_out_of_touch_total', { reason: 'pause' }), 1)
})

test('a peer that was killed catches up before it serves', async (t) => {
  const { network, peers } = await meshOf(t, 3)
  const [first, , third] = peers as [PurgePeer, PurgePeer, PurgePeer]
  third.cache.put(URL_A, 'old', third.purges.generation())
  third.cache.put(URL_B, 'kept', third.purges.generation())
  await third.crash()
  await purge(network, first, A, 'hard')
  await third.start()
  t.equal(third.purges.ready(), false)
  network.linkAll()
  await network.clock.pass(1_000)
  t.equal(third.purges.ready(), true)
  t.strictSame([...third.cache.responses.keys()], [URL_B])
})

test('what was purged before a crash is not back after it', async (t) => {
  const { network, peers } = await meshOf(t, 2)
  const [first, second] = peers as [PurgePeer, PurgePeer]
  const stored = { url: URL_A, generation: second.purges.generation() }
  second.cache.put(stored.url, 'old', stored.generation)
  await purge(network, first, A, 'hard')
  second.cache.put(URL_B, 'new', second.purges.generation())
  await second.crash()
  // The index on disk had not heard of the purge.
  second.cache.put(stored.url, 'old', stored.generation)
  await second.start()
  t.strictSame([...second.cache.responses.keys()], [URL_B])
})

test('a peer that knows nobody serves at once', async (t) => {
  const network = PurgeNetwork.plain()
  t.teardown(() => network.stop())
  const lone = await network.make({ expectsPeers: false })
  await lone.start()
  t.equal(lone.purges.ready(), true)
  const report = await lone.purges.purge(EVERYTHING, 'hard')
  t.match(report, { complete: true, peers: [{ peerId: lone.id, status: 'done' }] })
})

test('a peer that expects others waits for them, but not for ever', async (t) => {
  const network = PurgeNetwork.plain()
  t.teardown(() => network.stop())
  const peer = await network.make()
  await peer.start()
  let caughtUp = false
  const waiting = peer.purges.whenCaughtUp().then(() => {
    caughtUp = true
  })
  await network.clock.pass(purgeLimits.aloneMs - 100)
  t.equal(peer.purges.ready(), false)
  await network.clock.pass(2 * purgeLimits.tickMs + 100)
  t.equal(peer.purges.ready(), true)
  await waiting
  t.equal(caughtUp, true)
})

test('two peers that start together do not wait for each other for ever', async (t) => {
  const network = PurgeNetwork.plain()
  t.teardown(() => network.stop())
  const [a, b] = [await network.make(), await network.make()]
  await a.start()
  await b.start()
  network.linkAll()
  await network.clock.pass(purgeLimits.aloneMs + 1_000)
  t.equal(a.purges.ready() && b.purges.ready(), true)
})

test('neighbours that never answer do not keep a peer from serving for ever', async (t) => {
  const network = PurgeNetwork.plain()
  t.teardown(() => network.stop())
  const [a, b] = [await network.make(), await network.make()]
  await a.start()
  await b.start()
  network.net.silence(b.id)
  network.linkAll()
  await network.clock.pass(purgeLimits.aloneMs + 1_000)
  t.equal(a.purges.ready(), false)
  await network.clock.pass(purgeLimits.unansweredMs)
  t.equal(a.purges.ready(), true)
})

test('whoever waits to have caught up may give up', async (t) => {
  const network = PurgeNetwork.plain()
  t.teardown(() => network.stop())
  const peer = await network.make()
  await peer.start()
  const signal = AbortSignal.abort()
  await t.rejects(peer.purges.whenCaughtUp({ signal }), { code: 'ERR_TIMEOUT' })
})

test('purges of peers that are not believed are refused, and the caller is told', async (t) => {
  const network = PurgeNetwork.plain()
  t.teardown(() => network.stop())
  const stranger = await network.make()
  const strict = await network.make({ purgePeers: ['12D3KooWNobodyxxxxxxxxxxxxxxxxxxxxxx'] })
  const third = await network.make()
  for (const peer of [stranger, strict, third]) await peer.start()
  network.linkAll()
  await network.clock.pass(10_000)
  strict.cache.put(URL_A, 'old')
  const report = await purge(network, stranger, A, 'hard')
  t.match(report.peers[1], { peerId: strict.id, status: 'failed', code: 'ERR_FORBIDDEN' })
  await network.clock.pass(60_000)
  t.equal(strict.cache.responses.size, 1, 'neither is it told by others')
  t.equal(stranger.purges.reports()[0]?.complete, false)
  t.equal(strict.purges.ready(), true, 'and it is no reason not to serve')
  const own = await purge(network, strict, A, 'hard')
  t.equal(own.complete, true, 'its own are carried out')
})

test('above the rate a purge is refused', async (t) => {
  const { peers } = await meshOf(t, 1)
  const [first] = peers as [PurgePeer]
  const works = Array.from({ length: purgeLimits.ownBurst }, () => first.purges.purge(A, 'hard'))
  await t.rejects(first.purges.purge(A, 'hard'), { code: 'ERR_LIMIT' })
  await Promise.all(works)
  t.equal(await first.metric('kairo_cdn_purge_limits_total', { limit: 'ownPerSecond' }), 1)
  t.equal(first.purges.reports().length, purgeLimits.reportsMax, 'reports are bounded')
})

test('purges made at the same time get numbers of their own', async (t) => {
  const { network, peers } = await meshOf(t, 3)
  const [first, second] = peers as [PurgePeer, PurgePeer]
  const works = Array.from({ length: 20 }, () => first.purges.purge(A, 'hard'))
  await network.clock.pass(1_000)
  const ids = (await Promise.all(works)).map(({ id, complete }) => complete && id)
  t.equal(new Set(ids).size, 20)
  t.equal(second.cache.purges.length, 20)
})

test('a peer whose disk was set back purges under another epoch', async (t) => {
  const { network, peers } = await meshOf(t, 2)
  const [first, second] = peers as [PurgePeer, PurgePeer]
  const older = first.storage.bytes
  await purge(network, first, { by: 'url', url: URL_B }, 'hard')
  await first.crash()
  first.storage.bytes = older
  await first.start()
  second.cache.put(URL_A, 'old')
  // It has not asked anybody yet, and gives the number of its first purge again.
  network.net.join(first.id, second.id)
  network.link(first, second)
  const work = first.purges.purge(A, 'hard')
  await network.clock.pass(200)
  t.equal((await work).complete, true)
  t.equal(second.cache.responses.size, 0, 'it is not taken for the old one')
})

test('a peer that was away for longer than logs are kept forgets everything', async (t) => {
  const { network, peers } = await meshOf(t, 2)
  const [, second] = peers as [PurgePeer, PurgePeer]
  second.cache.put(URL_A, 'old', second.purges.generation())
  await second.crash()
  await network.clock.pass(1_000)
  network.clock.advance(purgeLimits.logAgeMsMax)
  await second.start()
  t.equal(second.cache.responses.size, 0)
  t.equal(await second.metric('kairo_cdn_purge_gaps_total', { reason: 'away' }), 1)
})

test('a peer whose log is lost or damaged forgets everything', async (t) => {
  const { peers } = await meshOf(t, 2)
  for (const [index, second] of peers.entries()) {
    second.cache.put(URL_A, 'old', second.purges.generation())
    await second.crash()
    second.storage.bytes = index === 0 ? undefined : second.storage.bytes?.subarray(0, -1)
    await second.start()
    t.equal(second.cache.responses.size, 0)
    t.equal(await second.metric('kairo_cdn_purge_gaps_total', { reason: 'log' }), 1)
  }
})

test('a copy of a neighbour that has not heard of a purge is told by its stamp', async (t) => {
  const { network, peers } = await meshOf(t, 2)
  const [first, second] = peers as [PurgePeer, PurgePeer]
  t.equal(second.purges.covers(first.purges.stamp()), true)
  network.unlink(first, second)
  await purge(network, first, A, 'hard')
  t.equal(second.purges.covers(first.purges.stamp()), false)
  t.equal(first.purges.covers(second.purges.stamp()), true)
  network.link(first, second)
  await network.clock.pass(1_000)
  t.equal(second.purges.covers(first.purges.stamp()), true)
  t.equal(second.purges.covers('junk'), false)
  t.match(first.purges.stamp(), /^[\x21-\x2b\x2d-\x7e]+$/, 'fits a header field')
})

test('a selector that can take nothing is refused', async (t) => {
  const { peers } = await meshOf(t, 1)
  const [first] = peers as [PurgePeer]
  const refused = [
    { by: 'host', host: 'no host' },
    { by: 'tag', tag: 'two words' },
    { by: 'url', url: 'https://user@cdn.example/' },
  ] as const
  for (const selector of refused) {
    await t.rejects(first.purges.purge(selector, 'hard'), { code: 'ERR_INVALID_INPUT' })
  }
})

test('a purge after the stop is refused, and a stop ends one that waits', async (t) => {
  const { network, peers } = await meshOf(t, 2)
  const [first, second] = peers as [PurgePeer, PurgePeer]
  second.pause()
  const work = first.purges.purge(A, 'hard')
  await settle()
  await network.until(first.purges.stop())
  t.equal((await work).complete, false)
  await t.rejects(first.purges.purge(A, 'hard'), { code: 'ERR_STOPPED' })
  t.equal(first.purges.ready(), false)
  second.resume()
  await network.clock.pass(10)
})
