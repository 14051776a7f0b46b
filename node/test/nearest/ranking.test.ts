/** The order of peers for a client: who is left out, what counts for how much, and that better is never worse. */
import fc from 'fast-check'
import { test } from 'tap'
import { rankingLimits } from '../../src/limits/nearest.ts'
import type { KnownPeer, PeerAdvert } from '../../src/nearest/peer-advert.ts'
import { type RankingClient, rankPeers } from '../../src/nearest/ranking.ts'
import { advertOf, knownPeer } from '../support/adverts.ts'

const nowMs = 1_700_000_001_000
const berlin = { latitude: 52.52, longitude: 13.4 }
const paris = { latitude: 48.86, longitude: 2.35 }
const tokyo = { latitude: 35.68, longitude: 139.69 }
const self = advertOf('self', { state: 'draining' })

function order(client: RankingClient, peers: readonly KnownPeer[], own: PeerAdvert = self) {
  return rankPeers(client, peers, own, nowMs).map(({ peerId }) => peerId)
}

test('peers that cannot serve are left out', (t) => {
  const peers = [
    knownPeer('serving', { rttMs: 100 }),
    knownPeer('draining', { state: 'draining' }),
    knownPeer('unreachable', { reachable: false }),
    knownPeer('full', { load: rankingLimits.fullLoad }),
    knownPeer('nowhere', { clientUrls: [] }),
    knownPeer('expired', { expiresAtMs: nowMs - 3_600_000 }),
  ]
  t.same(order({}, peers), ['serving'])
  t.same(order({}, peers.slice(1)), ['full'], 'a full peer rather than none')
  t.same(order({}, []), [])
  t.end()
})

test('the nearest by geography comes first, whatever the round trips from here', (t) => {
  const peers = [
    knownPeer('tokyo', { ...tokyo, rttMs: 1 }),
    knownPeer('berlin', { ...berlin, rttMs: 250 }),
    knownPeer('paris', { ...paris, rttMs: 20 }),
  ]
  t.same(order({ location: berlin }, peers), ['berlin', 'paris', 'tokyo'])
  t.same(order({}, peers), ['tokyo', 'paris', 'berlin'], 'from here where the client is not placed')
  const rttMs = new Map([
    ['paris', 3],
    ['tokyo', 90],
    ['berlin', 30],
  ])
  t.same(order({ location: tokyo, rttMs }, peers), ['paris', 'berlin', 'tokyo'], 'as it measured')
  t.end()
})

test("a client's region comes before distance within it", (t) => {
  const peers = [
    knownPeer('near', { region: 'us', rttMs: 10 }),
    knownPeer('far', { region: 'eu', rttMs: 90 }),
  ]
  t.same(order({ region: 'eu' }, peers), ['far', 'near'])
  t.same(order({ region: 'us' }, peers), ['near', 'far'])
  t.same(order({}, peers, { ...self, region: 'eu' }), ['far', 'near'], 'the region of who is asked')
  t.end()
})

test('loaded peers and full uplinks come later', (t) => {
  const peers = [
    knownPeer('busy', { load: 0.9, rttMs: 10 }),
    knownPeer('idle', { load: 0.1, rttMs: 40 }),
  ]
  t.same(order({}, peers), ['idle', 'busy'])
  const uplinks = [
    knownPeer('narrow', { freeBitsPerSecond: 1_000_000, rttMs: 10 }),
    knownPeer('wide', { rttMs: 20 }),
  ]
  t.same(order({}, uplinks), ['wide', 'narrow'])
  t.end()
})

test('coordinates stand in for round trips that were not measured', (t) => {
  const at = (x: number) => ({ position: [x, 0, 0], height: 1, error: 0.1 })
  const peers = [
    knownPeer('far', { coordinate: at(200) }),
    knownPeer('near', { coordinate: at(20) }),
    knownPeer('unknown', { coordinate: { ...at(0), error: 1 } }),
  ]
  t.same(order({}, peers, { ...self, coordinate: at(0) }), ['near', 'unknown', 'far'])
  t.end()
})

test('reasons can be read', (t) => {
  const [first] = rankPeers(
    { location: berlin, region: 'eu' },
    [knownPeer('a', { ...paris, region: 'eu', load: 0.234, freeBitsPerSecond: 940_000_000 })],
    self,
    nowMs,
  )
  t.same(first?.reasons, [
    '877 km from the client',
    'in region eu',
    '23 % loaded',
    '940 Mbit/s free',
  ])
  const [own] = rankPeers({}, [], advertOf('self', { region: 'eu' }), nowMs)
  t.match(own?.reasons, ['the peer that was asked', 'in region eu'])
  t.end()
})

test('clients are spread over equal peers, each subnet always alike', (t) => {
  const peers = Array.from({ length: 5 }, (_, index) => knownPeer(`peer${index}`, { rttMs: 10 }))
  const firsts = new Map<string, number>()
  for (let subnet = 0; subnet < 250; subnet++) {
    const [first = ''] = order({ address: `10.0.${subnet}.1` }, peers)
    firsts.set(first, (firsts.get(first) ?? 0) + 1)
    t.same(order({ address: `10.0.${subnet}.200` }, peers.toReversed())[0], first)
  }
  t.equal(firsts.size, 5)
  for (const count of firsts.values()) t.ok(count > 15 && count < 110, `${count} of 250`)
  t.end()
})

test('a subnet moves only when its own peer goes', (t) => {
  const peers = Array.from({ length: 6 }, (_, index) => knownPeer(`peer${index}`, { rttMs: 10 }))
  for (let subnet = 0; subnet < 100; subnet++) {
    const client = { address: `10.1.${subnet}.1` }
    const [first] = order(client, peers)
    if (first === 'peer3') continue
    t.equal(
      order(
        client,
        peers.filter(({ peerId }) => peerId !== 'peer3'),
      )[0],
      first,
    )
  }
  t.end()
})

const figures = fc.record({
  rttMs: fc.double({ min: 0, max: 1_000, noNaN: true }),
  load: fc.double({ min: 0, max: 0.94, noNaN: true }),
  freeBitsPerSecond: fc.nat(1_000_000_000),
  region: fc.constantFrom('eu', 'us'),
})

test('a peer that is better in everything never ranks below, by more than counts as equal', (t) => {
  const gap = fc.record({
    rttMs: fc.double({ min: rankingLimits.equalCostMs, max: 500, noNaN: true }),
    load: fc.double({ min: 0, max: 0.5, noNaN: true }),
    freeBitsPerSecond: fc.nat(1_000_000_000),
  })
  fc.assert(
    fc.property(figures, gap, fc.ipV4(), (good, worse, address) => {
      const better = knownPeer('better', good)
      const other = knownPeer('other', {
        rttMs: good.rttMs + worse.rttMs,
        load: Math.min(0.94, good.load + worse.load),
        freeBitsPerSecond: Math.max(0, good.freeBitsPerSecond - worse.freeBitsPerSecond),
        region: good.region,
      })
      return order({ address, region: 'eu' }, [other, better])[0] === 'better'
    }),
  )
  t.end()
})

test('scores are those of the figures, and rise with each that gets worse', (t) => {
  const score = (fields: Partial<KnownPeer>) =>
    rankPeers({ region: 'eu' }, [knownPeer('peer', fields)], self, nowMs)[0]?.score as number
  fc.assert(
    fc.property(figures, fc.double({ min: 0, max: 1, noNaN: true }), (fields, share) => {
      const base = score(fields)
      const worse = [
        { ...fields, rttMs: fields.rttMs + share },
        { ...fields, load: fields.load + (0.94 - fields.load) * share },
        { ...fields, freeBitsPerSecond: fields.freeBitsPerSecond * share },
      ]
      return Number.isFinite(base) && base >= 0 && worse.every((other) => score(other) >= base)
    }),
  )
  t.end()
})
