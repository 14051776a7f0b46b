/** Purges in the log of a region, with a real tracker in memory: whoever was away reads them there, and whoever was restarted still knows of them. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import { test } from 'tap'
import { entryOf, type Purge, signPurge } from '../../../src/cdn/purge/purge-message.ts'
import { peerSigner } from '../../../src/host/peer-signature.ts'
import { purgeLimits } from '../../../src/limits/purge.ts'
import { regionLogLimits } from '../../../src/limits/region-log.ts'
import type { PurgePeer } from '../../support/purge-network.ts'
import { PurgeRegionStage } from '../../support/purge-region.ts'

const URL_A = 'https://cdn.example/a'
const URL_B = 'https://cdn.example/b'
const A = { by: 'url', url: URL_A } as const
const B = { by: 'url', url: URL_B } as const
const WRITES = 'kairo_cdn_purge_region_writes_total'
const CARRIED_OUT = 'kairo_cdn_purges_total'
const GAPS = 'kairo_cdn_purge_gaps_total'

const outcomes = (peers: readonly { peerId: string; status: string }[]) =>
  Object.fromEntries(peers.map(({ peerId, status }) => [peerId, status]))

/** A purge that nobody has sent. */
async function strange(sequence = 1): Promise<{ purge: Purge; value: Uint8Array; name: string }> {
  const signer = peerSigner(await generateKeyPair('Ed25519'))
  const origin = { issuer: signer.peerId, epoch: '0123456789abcdef' }
  const purge = { ...origin, sequence, issuedAtMs: 1, selector: A, mode: 'hard' } as const
  return { purge, ...entryOf(signPurge(signer, purge)) }
}

test('a purge is in the log when the caller is answered, and every peer tells of it', async (t) => {
  const stage = await PurgeRegionStage.make(t, { members: 3 })
  const peers = (await stage.network.mesh(3)) as [PurgePeer, PurgePeer, PurgePeer]
  const [first, second, third] = peers
  for (const { cache } of peers) cache.put(URL_A, 'old')
  const report = await stage.purge(first, A)
  t.match(report, { complete: true, degraded: false })
  t.same(
    report.peers.map(({ purged }) => purged),
    [1, 1, 1],
  )
  t.same(await stage.keys('entries/'), [`entries/${report.id}`])
  for (const peer of [second, third]) {
    const [told, ...more] = await stage.reports(peer)
    t.same(more, [])
    t.match(told, { id: report.id, issuer: first.id, complete: true, degraded: false })
    t.same(outcomes(told?.peers ?? []), outcomes(report.peers))
    t.equal(told?.peers[0]?.peerId, peer.id, 'itself first')
  }
  t.equal(await first.metric(WRITES, { outcome: 'logged' }), 1)
  for (const { cache } of peers)
    t.equal(cache.purges.length, 1, 'by two ways, and carried out once')
})

test('a peer that no neighbour reaches carries a purge out by the region', async (t) => {
  const stage = await PurgeRegionStage.make(t)
  const [first, second] = (await stage.network.mesh(2)) as [PurgePeer, PurgePeer]
  second.cache.put(URL_A, 'old')
  stage.network.unlink(first, second)
  const { complete, degraded } = await stage.purge(first, A)
  t.same([complete, degraded], [false, false])
  await stage.until(() => second.cache.responses.size === 0)
  t.equal(await second.metric(CARRIED_OUT, { source: 'region', outcome: 'done' }), 1)
})

test('a killed peer reads the log before it serves, and the issuer tells of it after a restart', async (t) => {
  const stage = await PurgeRegionStage.make(t)
  const [first, second] = (await stage.network.mesh(2)) as [PurgePeer, PurgePeer]
  second.cache.put(URL_A, 'old', second.purges.generation())
  await stage.purge(first, B)
  await second.crash()
  const { id, peers } = await stage.purge(first, A)
  t.same(outcomes(peers), { [first.id]: 'done', [second.id]: 'away' })
  await first.crash()
  await first.start()
  await stage.until(() => first.purges.reports().length === 2)
  t.match(first.purges.reports().at(-1), { id, complete: false, degraded: false })
  t.same(outcomes(first.purges.reports().at(-1)?.peers ?? []), outcomes(peers))

  // Nobody of whom it could ask is there: only the region knows.
  await first.crash()
  await second.start()
  t.equal(second.purges.ready(), false)
  await stage.until(() => second.purges.ready())
  t.equal(second.cache.responses.size, 0)
  t.equal(await second.metric(CARRIED_OUT, { source: 'region', outcome: 'done' }), 1)
  t.equal(await second.metric('kairo_cdn_purge_limits_total', { limit: 'regionWaitMs' }), 0)
  await first.start()
  await stage.until(() => first.purges.reports().at(-1)?.complete === true)
  t.same(
    first.purges.reports().map((report) => [report.id, report.complete]),
    second.purges.reports().map((report) => [report.id, true]),
  )
})

test('an issuer that goes on hears from the region that a peer is back', async (t) => {
  const stage = await PurgeRegionStage.make(t)
  const [first, second] = (await stage.network.mesh(2)) as [PurgePeer, PurgePeer]
  await second.crash()
  t.equal((await stage.purge(first, A)).complete, false)
  await second.start()
  await stage.until(() => first.purges.reports()[0]?.complete === true)
  t.equal(await first.metric('kairo_cdn_purge_acknowledgements_total', { status: 'late' }), 1)
})

test('without a quorum purges go on as they can, say so, and are written later, also after a restart', async (t) => {
  const stage = await PurgeRegionStage.make(t)
  const [first, second] = (await stage.network.mesh(2)) as [PurgePeer, PurgePeer]
  second.cache.put(URL_A, 'old')
  stage.setQuorum(false)
  const beforeMs = stage.network.clock.monotonicMs()
  const report = await stage.purge(first, A)
  t.match(report, { complete: true, degraded: true })
  t.equal(second.cache.responses.size, 0)
  const waitedMs = stage.network.clock.monotonicMs() - beforeMs
  t.ok(waitedMs <= purgeLimits.regionWriteMs + 50, `${waitedMs} ms`)
  // The region is known to take nothing: the next one does not wait.
  await stage.network.clock.pass(regionLogLimits.callMs)
  const nextMs = stage.network.clock.monotonicMs()
  t.equal((await stage.purge(first, B)).degraded, true)
  t.ok(stage.network.clock.monotonicMs() - nextMs < 100)
  await first.crash()
  stage.setQuorum(true)
  await first.start()
  await stage.until(() => first.purges.reports().length === 2)
  t.same(
    await stage.keys('entries/'),
    first.purges.reports().map(({ id }) => `entries/${id}`),
  )
  t.notOk(first.purges.reports().some(({ degraded }) => degraded))
})

test('a region that does not answer keeps a peer from its cache for a while only', async (t) => {
  const stage = await PurgeRegionStage.make(t)
  const [first, second] = (await stage.network.mesh(2)) as [PurgePeer, PurgePeer]
  await second.crash()
  stage.setQuorum(false)
  await second.start()
  stage.network.link(first, second)
  await stage.network.clock.pass(purgeLimits.regionWaitMs - 100)
  t.equal(second.purges.ready(), false, 'it has read the log before, and may find more in it')
  await stage.network.clock.pass(1_000)
  t.equal(second.purges.ready(), true)
  t.equal(await second.metric('kairo_cdn_purge_limits_total', { limit: 'regionWaitMs' }), 1)
})

test('a peer that was paused reads the log again before it serves', async (t) => {
  const stage = await PurgeRegionStage.make(t)
  const [first, second] = (await stage.network.mesh(2)) as [PurgePeer, PurgePeer]
  const lists = () => second.metric('kairo_coordination_log_lists_total', { outcome: 'done' })
  t.equal(await lists(), 1)
  second.pause()
  await stage.network.clock.pass(3_000)
  second.cache.put(URL_A, 'old')
  stage.network.unlink(first, second)
  await stage.purge(first, A)
  second.resume()
  t.equal(second.purges.ready(), false)
  await stage.until(() => second.purges.ready())
  t.equal(second.cache.responses.size, 0)
  t.equal(await lists(), 2)
})

test('many purges at once are few transactions, in order', async (t) => {
  const stage = await PurgeRegionStage.make(t)
  const [first] = (await stage.network.mesh(2)) as [PurgePeer]
  const { revision } = await stage.result(stage.keyspace.list('', { limit: 1 }))
  const urls = Array.from({ length: 40 }, (_, index) => `https://cdn.example/${index}`)
  const reports = await stage.result(
    Promise.all(urls.map((url) => first.purges.purge({ by: 'url', url }, 'hard'))),
  )
  t.notOk(reports.some(({ degraded }) => degraded))
  t.equal((await stage.keys('entries/')).length, urls.length)
  const later = await stage.result(stage.keyspace.list('', { limit: 1 }))
  t.ok(later.revision - revision <= urls.length / 4, `${later.revision - revision} changes`)
  const told = (await stage.reports(first)).map(
    ({ selector }) => selector.by === 'url' && selector.url,
  )
  t.same(told, urls)
})

test('whoever has missed purges that were trimmed forgets everything', async (t) => {
  const stage = await PurgeRegionStage.make(t)
  const [first, second] = (await stage.network.mesh(2)) as [PurgePeer, PurgePeer]
  second.cache.put(URL_A, 'old', second.purges.generation())
  second.cache.put(URL_B, 'old', second.purges.generation())
  await second.crash()
  const noise = Array.from({ length: regionLogLimits.entriesMax }, (_, index) => index)
  for (let at = 0; at < noise.length; at += 100) {
    const then = noise.slice(at, at + 100).map((number) => {
      return { type: 'put', key: `entries/noise-${number}`, value: Buffer.from('x') } as const
    })
    await stage.result(stage.keyspace.transact({ then }))
  }
  await stage.purge(first, A)
  await stage.purge(first, B)
  const kept = Math.floor(regionLogLimits.entriesMax * regionLogLimits.keepShare)
  await stage.until(() => first.purges.reports().length === 2)
  await stage.network.clock.pass(1_000)
  const keys = await stage.keys('entries/')
  t.ok(keys.length <= kept + 1, `${keys.length} entries are left`)
  t.equal(keys.filter((key) => !key.includes('noise')).length, 2, 'the newest')
  t.ok(await first.metric('kairo_coordination_log_trimmed_total'))
  await first.crash()
  await second.start()
  await stage.until(() => second.purges.ready())
  t.equal(second.cache.responses.size, 0)
  t.equal(await second.metric(GAPS, { reason: 'region' }), 1)
  await second.crash()
  await second.start()
  await stage.until(() => second.purges.ready())
  t.equal(await second.metric(GAPS), 0, 'once')
})

test('entries that are no purges, or forged, are passed over', async (t) => {
  const stage = await PurgeRegionStage.make(t)
  const [first, second] = (await stage.network.mesh(2)) as [PurgePeer, PurgePeer]
  for (const { cache } of [first, second]) cache.put(URL_A, 'kept')
  const [good, other, forged] = [await strange(), await strange(), await strange()]
  const signature = new Uint8Array(64)
  const wire = {
    ...signPurge({ peerId: forged.purge.issuer, sign: () => signature }, forged.purge),
  }
  await stage.put('entries/what', 'no purge')
  await stage.put(`entries/${other.name}`, good.value)
  await stage.put(`entries/${forged.name}`, entryOf(wire).value)
  await stage.put(`entries/${good.name.slice(0, -1)}2`, 'no purge')
  await stage.put('members/nobody', 'much')
  await stage.network.clock.pass(1_000)
  t.equal(first.cache.responses.size, 1)
  t.equal(await first.metric(CARRIED_OUT, { source: 'region', outcome: 'ERR_VERIFICATION' }), 1)
  t.equal(await first.metric(CARRIED_OUT, { source: 'region', outcome: 'ERR_PROTOCOL' }), 2)
  await stage.put(`entries/${good.name}`, good.value)
  await stage.until(() => [first, second].every(({ cache }) => cache.responses.size === 0))
  t.match(await stage.purge(first, B), { degraded: false })
})

test('a peer does not carry out purges of issuers that it does not believe, and does not say that it has', async (t) => {
  const stage = await PurgeRegionStage.make(t)
  const [first] = (await stage.network.mesh(1)) as [PurgePeer]
  const picky = await stage.network.make({ purgePeers: [] })
  await picky.start()
  stage.network.linkAll()
  await stage.until(() => picky.purges.ready())
  picky.cache.put(URL_A, 'kept', picky.purges.generation())
  t.match(await stage.purge(first, A), { complete: false, degraded: false })
  await first.crash()
  await picky.crash()
  await picky.start()
  await first.start()
  stage.network.linkAll()
  await stage.network.clock.pass(20_000)
  t.equal(picky.cache.responses.size, 1)
  const [told] = await stage.reports(first)
  t.same(outcomes(told?.peers ?? []), { [first.id]: 'done', [picky.id]: 'waiting' })
})

test('a peer that runs far ahead of what is known is believed at the price of the cache', async (t) => {
  const stage = await PurgeRegionStage.make(t)
  const [first] = (await stage.network.mesh(1)) as [PurgePeer]
  const far = await strange(purgeLimits.aheadMax + 5)
  first.cache.put(URL_B, 'old')
  await stage.put(`entries/${far.name}`, far.value)
  await stage.until(() => first.cache.responses.size === 0)
  t.equal(await first.metric(GAPS, { reason: 'floor' }), 1)
})

test('a log that begins anew has the purges of its peers again', async (t) => {
  const stage = await PurgeRegionStage.make(t)
  const [first, second] = (await stage.network.mesh(2)) as [PurgePeer, PurgePeer]
  const { id } = await stage.purge(first, A)
  const then = [{ type: 'delete-prefix', prefix: '' }] as const
  await stage.result(stage.keyspace.transact({ then }))
  await stage.network.clock.pass(5_000)
  t.same(await stage.keys('entries/'), [`entries/${id}`])
  t.same(
    (await stage.keys('members/')).sort(),
    [first, second].map((p) => `members/${p.id}`).sort(),
  )
  t.match(await stage.reports(second), [{ id, complete: true }])
})

test('a peer that stops in order is waited for no more, one that is killed for a while', async (t) => {
  const ttlMs = 5_000
  const stage = await PurgeRegionStage.make(t, { memberTtlMs: ttlMs })
  const [first, second, third] = (await stage.network.mesh(3)) as [PurgePeer, PurgePeer, PurgePeer]
  const members = async () => (await stage.keys('members/')).map((key) => key.split('/')[1]).sort()
  t.same(await members(), [first, second, third].map(({ id }) => id).sort())
  await stage.result(second.purges.stop())
  second.isUp = false
  t.same(await members(), [first, third].map(({ id }) => id).sort())
  await third.crash()
  await stage.network.clock.pass(ttlMs / 2)
  t.same(await members(), [first, third].map(({ id }) => id).sort())
  await stage.network.clock.pass(ttlMs * 2)
  t.same(await members(), [first.id], 'its own lease is renewed')
})

test('a disk that was set back is noticed by the log', async (t) => {
  const stage = await PurgeRegionStage.make(t)
  const [first] = (await stage.network.mesh(1)) as [PurgePeer]
  const { bytes } = first.storage
  const before = await stage.purge(first, A)
  await first.crash()
  first.storage.bytes = bytes
  await first.start()
  // Before it has read the log, which would tell it of its own purge.
  const report = await stage.purge(first, B)
  t.same([report.id, report.degraded], [before.id, true], 'the number is given twice')
  await stage.until(() => first.purges.reports().some(({ selector }) => selector.by === 'url'))
  await stage.until(() => first.purges.reports().every(({ degraded }) => !degraded))
  const told = first.purges.reports()
  t.match(told, [{ id: before.id, selector: A }, { selector: B }])
  t.not(told[1]?.id, before.id)
  t.same(await stage.keys('entries/'), told.map(({ id }) => `entries/${id}`).sort())
})
