/** The catalog of peers in a network in memory: who is heard of, believed, forgotten, and found to be gone. */
import { type Test, test } from 'tap'
import type { Clock } from '../../src/clock.ts'
import type { ConnectionInfo } from '../../src/host/libp2p-host.ts'
import { PEERS_PROTOCOL, PEERS_TOPIC } from '../../src/host/protocols.ts'
import { coordinateLimits, nearestLimits } from '../../src/limits/nearest.ts'
import { encodeSignedAdvert } from '../../src/nearest/signed-advert.ts'
import { advertOf, newSigner } from '../support/adverts.ts'
import { type CatalogPeer, catalogNetwork } from '../support/catalog-peer.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { metricOf } from '../support/registry-value.ts'

async function startPeers(t: Test, count: number) {
  const clock = new ManualClock()
  const make = catalogNetwork(clock)
  const peers: CatalogPeer[] = []
  for (let index = 0; index < count; index++) {
    const peer = await make()
    await peer.catalog.start()
    t.teardown(() => peer.catalog.stop())
    peers.push(peer)
  }
  return { clock, make, peers: peers as [CatalogPeer, CatalogPeer, CatalogPeer] }
}

/** Publishes an advert of its own making to all that are connected with `from`. */
function gossip(from: CatalogPeer, bytes: Uint8Array) {
  return from.peer.publish(PEERS_TOPIC, bytes)
}

test('a new neighbour is told of every peer at once', async (t) => {
  const { peers } = await startPeers(t, 3)
  const [a, b, c] = peers
  a.own.clientUrls = ['http://192.0.2.7:80/', 'https://edge.example:8443']
  await a.catalog.drain()
  a.peer.connect(b.peer)
  await settle()
  const urls = ['http://192.0.2.7', 'https://edge.example:8443']
  t.same(b.catalog.get(a.id)?.clientUrls, urls, 'as a browser would write them')
  b.peer.connect(c.peer)
  await settle()
  t.same(new Set(c.catalog.list().map(({ peerId }) => peerId)), new Set([a.id, b.id]))
  t.equal(c.catalog.get(c.id), undefined, 'itself is not among them')
})

test('changes of what a peer says come by gossip, at once where its load class changes', async (t) => {
  const { clock, peers } = await startPeers(t, 2)
  const [a, b] = peers
  a.peer.connect(b.peer)
  await settle()
  await clock.pass(nearestLimits.newcomerMs + nearestLimits.announceIntervalMsMin)
  a.load.load = 0.9
  a.changeClass()
  await settle()
  t.equal(b.catalog.get(a.id)?.load, 0.9)
  a.load.load = 0.4
  a.changeClass()
  await settle()
  t.equal(b.catalog.get(a.id)?.load, 0.9, 'not twice in a moment')
  await clock.pass(nearestLimits.announceIntervalMsMin)
  t.equal(b.catalog.get(a.id)?.load, 0.4, 'but soon')
})

test('who serves from now on is announced at once, however young the last announcement is', async (t) => {
  const { peers } = await startPeers(t, 2)
  const [a, b] = peers
  a.peer.connect(b.peer)
  await settle()
  a.load.load = 0.7
  t.not(b.catalog.get(a.id)?.load, 0.7)
  a.catalog.serve()
  await settle()
  t.equal(b.catalog.get(a.id)?.load, 0.7)
})

test('a newcomer tells of itself more often, since few have heard of it', async (t) => {
  const { clock, peers } = await startPeers(t, 2)
  const [a, b] = peers
  let heard = 0
  b.peer.subscribe(PEERS_TOPIC, () => {
    heard += 1
    return 'accept'
  })
  a.peer.connect(b.peer)
  const { newcomerMs, newcomerIntervalMs, announceIntervalMs } = nearestLimits
  await clock.pass(newcomerMs)
  t.equal(heard, newcomerMs / newcomerIntervalMs)
  await clock.pass(announceIntervalMs * 3)
  t.equal(heard, newcomerMs / newcomerIntervalMs + 3)
})

test('draining is told before anything else happens', async (t) => {
  const { peers } = await startPeers(t, 2)
  const [a, b] = peers
  a.peer.connect(b.peer)
  await settle()
  const changed: string[] = []
  b.catalog.onChange((peerId) => changed.push(peerId))
  await a.catalog.drain()
  t.equal(b.catalog.get(a.id)?.state, 'draining')
  t.same(changed, [a.id])
  t.equal(a.catalog.self().state, 'draining')
})

test('a peer that is not heard of any more is forgotten, and old news of it is not taken again', async (t) => {
  const { clock, peers } = await startPeers(t, 3)
  const [a, b, c] = peers
  a.peer.connect(b.peer)
  await settle()
  let old: Uint8Array | undefined
  c.peer.subscribe(PEERS_TOPIC, (data) => {
    old = data
    return 'accept'
  })
  a.peer.connect(c.peer)
  await clock.pass(nearestLimits.announceIntervalMs)
  await a.catalog.stop()
  const changed: string[] = []
  b.catalog.onChange((peerId) => changed.push(peerId))
  await clock.pass(nearestLimits.advertTtlMs)
  t.equal(b.catalog.get(a.id), undefined)
  t.notOk(b.catalog.list().some(({ peerId }) => peerId === a.id))
  t.same(changed, [a.id])
  t.ok(old, 'the third peer kept an advert')
  c.peer.connect(b.peer)
  await gossip(c, old as Uint8Array)
  t.equal(b.catalog.get(a.id), undefined, 'within the skew of clocks too')
  t.equal(c.peer.verdicts.at(-1), 'ignore')
})

test('a lost connection is made again; where that fails the peer is unreachable at once', async (t) => {
  const { clock, peers } = await startPeers(t, 2)
  const [a, b] = peers
  a.peer.connect(b.peer)
  await settle()
  b.disconnect(a.id)
  await settle()
  t.equal(b.catalog.get(a.id)?.reachable, true, 'it answers')
  const changed: string[] = []
  b.catalog.onChange((peerId) => changed.push(peerId))
  const answering = a.peer.handler(PEERS_PROTOCOL) as () => Promise<void>
  const open = b.peer.open
  b.peer.open = async () => {
    throw new Error('refused')
  }
  b.disconnect(a.id)
  await settle()
  t.equal(b.catalog.get(a.id)?.reachable, false)
  t.same(changed, [a.id], 'whoever chooses by it is told')
  await a.peer.handle(PEERS_PROTOCOL, answering)
  b.peer.open = open
  await clock.pass(nearestLimits.retryMsMin)
  t.equal(b.catalog.get(a.id)?.reachable, true, 'it is tried again')
  t.equal(await metricOf(b.registry, 'kairo_nearest_peers'), 1)
})

test('a peer that is reached through a relay alone is known, and not reachable', async (t) => {
  const { peers } = await startPeers(t, 2)
  const [a, b] = peers
  const connection = (multiaddr: string) => ({ peerId: a.id, multiaddr }) as ConnectionInfo
  b.connections.push(connection('/ip4/192.0.2.2/tcp/4001/p2p/x/p2p-circuit'))
  b.peer.connect(a.peer)
  await settle()
  t.equal(b.catalog.get(a.id)?.reachable, false)
  b.connections.push(connection('/ip4/192.0.2.3/tcp/4001'))
  b.peer.connect(a.peer)
  await settle()
  t.equal(b.catalog.get(a.id)?.reachable, true, 'once a hole is punched')
})

test('unreachable peers are not handed on, and are tried ever more seldom', async (t) => {
  const { clock, peers } = await startPeers(t, 3)
  const [a, b, c] = peers
  a.peer.connect(b.peer)
  await settle()
  let tries = 0
  const open = b.peer.open.bind(b.peer)
  b.peer.open = async (peerId, protocol) => {
    if (peerId !== a.id) return await open(peerId, protocol)
    tries += 1
    throw new Error('refused')
  }
  b.disconnect(a.id)
  await settle()
  t.equal(tries, 1)
  await clock.pass(nearestLimits.retryMsMin * 3)
  t.equal(tries, 3)
  b.peer.connect(c.peer)
  await settle()
  t.equal(c.catalog.get(a.id), undefined)
})

test('adverts that are not sound are refused, and not passed on', async (t) => {
  const { clock, peers } = await startPeers(t, 2)
  const [a, b] = peers
  a.peer.connect(b.peer)
  await settle()
  const other = await newSigner()
  const now = clock.now()
  const verdict = async (bytes: Uint8Array) => {
    await gossip(a, bytes)
    return a.peer.verdicts.at(-1)
  }
  const sequence = now
  const forged = encodeSignedAdvert(a.signer, advertOf(other.peerId, { sequence }))
  t.equal(await verdict(forged), 'reject', 'signed by another')
  t.equal(await verdict(Buffer.from('junk')), 'reject', 'junk')
  t.equal(await verdict(Buffer.alloc(nearestLimits.advertBytesMax + 1)), 'reject', 'too large')
  const skew = nearestLimits.clockSkewMsMax
  const early = encodeSignedAdvert(other, advertOf(other.peerId, { sequence: now + skew + 1 }))
  t.equal(await verdict(early), 'ignore', 'from the future')
  const expired = advertOf(other.peerId, { sequence: now - skew - 40_000 })
  t.equal(await verdict(encodeSignedAdvert(other, expired)), 'ignore', 'expired')
  t.equal(b.catalog.get(other.peerId), undefined)
  const good = encodeSignedAdvert(other, advertOf(other.peerId, { sequence }))
  t.equal(await verdict(good), 'accept')
  t.equal(await verdict(good), 'ignore', 'a second time')
  t.equal(b.catalog.get(other.peerId)?.peerId, other.peerId)
})

test('a peer that announces without end is not passed on', async (t) => {
  const { clock, peers } = await startPeers(t, 2)
  const [a, b] = peers
  a.peer.connect(b.peer)
  await settle()
  const other = await newSigner()
  for (let index = 0; index < nearestLimits.advertBurstMax + 5; index++) {
    const sequence = clock.now() + index
    await gossip(a, encodeSignedAdvert(other, advertOf(other.peerId, { sequence })))
  }
  const taken = a.peer.verdicts.filter((verdict) => verdict === 'accept').length
  t.equal(taken, nearestLimits.advertBurstMax)
  t.ok(b.catalog.get(other.peerId))
})

test('a peer whose clock went back over a restart is heard again at its next advert', async (t) => {
  const { clock, peers } = await startPeers(t, 2)
  const [a, b] = peers
  // What it said before it started again, a minute in the future of its clock now.
  const sequence = clock.now() + 60_000
  a.peer.connect(b.peer)
  await settle()
  const before = advertOf(a.id, { sequence, region: 'before' })
  await gossip(a, encodeSignedAdvert(a.signer, before))
  t.equal(b.catalog.get(a.id)?.region, 'before')
  b.peer.connect(a.peer)
  await settle()
  a.own.region = 'after'
  await clock.pass(nearestLimits.announceIntervalMs)
  t.equal(b.catalog.get(a.id)?.region, 'after')
})

test('wall clocks that jump while peers run make nobody mute and forget nobody', async (t) => {
  const clock = new ManualClock()
  const make = catalogNetwork(clock)
  // The clock of one of them is set, and set back.
  let jumpMs = 0
  const jumping: Clock = {
    now: () => clock.now() + jumpMs,
    monotonicMs: () => clock.monotonicMs(),
    after: (ms, callback) => clock.after(ms, callback),
  }
  const [a, b, c] = [await make(), await make(jumping), await make()] as const
  const peers = [a, b, c]
  for (const { catalog } of peers) {
    await catalog.start()
    t.teardown(() => catalog.stop())
  }
  a.peer.connect(b.peer)
  b.peer.connect(c.peer)
  a.peer.connect(c.peer)
  await settle()
  const hour = 3_600_000
  for (const ms of [hour, -hour, 0]) {
    jumpMs = ms
    await clock.pass(nearestLimits.advertTtlMs + 2 * nearestLimits.announceIntervalMs)
    for (const { catalog } of peers) t.equal(catalog.list().length, 2, `all know all at ${ms}`)
  }
})

test('a clock that was wrong at the start and is set right is believed', async (t) => {
  for (const wrongMs of [3_600_000, -3_600_000]) {
    const clock = new ManualClock()
    const make = catalogNetwork(clock)
    let offMs = wrongMs
    const wrong: Clock = {
      now: () => clock.now() + offMs,
      monotonicMs: () => clock.monotonicMs(),
      after: (ms, callback) => clock.after(ms, callback),
    }
    // Two were wrong together, and had heard of each other so; a third one is right.
    const peers = [await make(wrong), await make(wrong), await make()] as const
    for (const { catalog } of peers) {
      await catalog.start()
      t.teardown(() => catalog.stop())
    }
    const [a, b, c] = peers
    a.peer.connect(b.peer)
    await settle()
    a.peer.connect(c.peer)
    b.peer.connect(c.peer)
    await clock.pass(nearestLimits.advertTtlMs)
    t.equal(a.catalog.list().length, 1)
    t.equal(c.catalog.list().length, 0)
    offMs = 0
    // Longer than what was taken by the wrong time lives.
    await clock.pass(nearestLimits.advertTtlMs + 2 * nearestLimits.announceIntervalMs)
    for (const { catalog } of peers) t.equal(catalog.list().length, 2, `after ${wrongMs}`)
  }
})

test('round trips to neighbours move the own coordinate; unconnected peers are connected to', async (t) => {
  const { clock, peers } = await startPeers(t, 3)
  const [a, b, c] = peers
  a.pings.set(b.id, 40)
  a.peer.connect(b.peer)
  await settle()
  t.equal(a.catalog.get(b.id)?.rttMs, 40)
  const { position, error } = a.catalog.self().coordinate
  t.ok(Math.hypot(...position) > 0 && error <= 1, 'it stands somewhere now')
  b.peer.connect(c.peer)
  await settle()
  const opened: string[] = []
  const open = a.peer.open.bind(a.peer)
  a.peer.open = async (peerId, protocol) => {
    opened.push(peerId)
    return await open(peerId, protocol)
  }
  const connection = (peerId: string, rttMs: number, multiaddr: string) =>
    ({ peerId, rttMs, multiaddr }) as ConnectionInfo
  a.connections.push(connection(b.id, 60, '/ip4/192.0.2.2/tcp/4001'))
  a.connections.push(connection(c.id, 9, '/ip4/192.0.2.2/tcp/4001/p2p/x/p2p-circuit'))
  await gossip(b, encodeSignedAdvert(c.signer, advertOf(c.id, { sequence: clock.now() + 1 })))
  await clock.pass(nearestLimits.announceIntervalMs)
  t.same(opened, [c.id], 'a relay is no connection')
  t.equal(a.catalog.get(c.id)?.rttMs, undefined, 'nor does it measure anything')
  t.equal(a.catalog.get(b.id)?.rttMs, 40, 'the median of 40, 40, 40, 60')
  t.ok(a.catalog.self().coordinate.height >= coordinateLimits.heightMsMin)
})

test('a peer that cannot describe itself says so and goes on', async (t) => {
  const { peers } = await startPeers(t, 2)
  const [a, b] = peers
  a.own.region = 'Not A Region'
  await a.catalog.drain()
  a.peer.connect(b.peer)
  await settle()
  t.equal(b.catalog.get(a.id)?.state, 'serving', 'the last one that was sound')
  const name = 'kairo_nearest_announcements_total'
  t.match(await a.registry.metrics(), new RegExp(`${name}{outcome="failed"} 1`))
})
