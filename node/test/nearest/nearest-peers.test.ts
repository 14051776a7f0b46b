/** The best peers for a client: which addresses it is given, and for how long a choice is remembered. */
import { test } from 'tap'
import { rankingLimits } from '../../src/limits/nearest.ts'
import {
  clientGroup,
  clientSubnet,
  isInternal,
  isLoopback,
  plainAddress,
} from '../../src/nearest/client-subnet.ts'
import { knownPeer } from '../support/adverts.ts'
import { nearestStage } from '../support/nearest-stage.ts'
import { metricOf } from '../support/registry-value.ts'

const client = { address: '198.51.100.7' }

test('this peer is one of them', (t) => {
  const { nearest, stage } = nearestStage()
  stage.peers = [knownPeer('other', { rttMs: 50, clientUrls: ['http://192.0.2.9:8080'] })]
  t.match(nearest.rank(client), [
    { peerId: 'self', isSelf: true, urls: ['http://192.0.2.1:8080'] },
    { peerId: 'other', isSelf: false, urls: ['http://192.0.2.9:8080'] },
  ])
  t.end()
})

test('a client is given addresses that it can use, its own family first', (t) => {
  const { nearest, stage } = nearestStage()
  stage.self = { ...stage.self, state: 'draining' }
  const clientUrls = ['http://127.0.0.1:80', 'http://192.0.2.9:80', 'http://[2001:db8::9]:80']
  stage.peers = [
    knownPeer('both', { clientUrls: [...clientUrls, 'https://edge.example'] }),
    knownPeer('local', { clientUrls: ['http://127.0.0.1:80', 'http://[::1]:80'] }),
  ]
  const urls = (address: string) => nearest.rank({ address }).map((peer) => peer.urls)
  t.same(urls('198.51.100.7'), [
    ['http://192.0.2.9:80', 'https://edge.example', 'http://[2001:db8::9]:80'],
  ])
  t.same(urls('2001:db8::77')[0]?.[0], 'http://[2001:db8::9]:80')
  t.same(urls('::ffff:198.51.100.7')[0]?.[0], 'http://192.0.2.9:80')
  t.equal(urls('127.0.0.1').length, 2, 'on this machine loopback addresses are as good')
  stage.peers = [knownPeer('inside', { clientUrls: ['http://10.0.0.9:80', 'http://[fd00::9]:80'] })]
  t.equal(urls('203.0.113.1').length, 0, 'the Internet does not lead to a local network')
  t.equal(urls('192.168.1.7').length, 1, 'another one may')
  t.end()
})

test('a choice is remembered for a subnet, until a peer changes or time is up', async (t) => {
  const { nearest, stage, changed, clock, registry } = nearestStage()
  stage.self = { ...stage.self, state: 'draining' }
  stage.peers = [knownPeer('a')]
  t.equal(nearest.rank(client)[0]?.peerId, 'a')
  stage.peers = [knownPeer('b')]
  t.equal(nearest.rank({ address: '198.51.100.200' })[0]?.peerId, 'a', 'of the same subnet')
  t.equal(nearest.rank({ address: '2001:db8::1' })[0]?.peerId, 'b', 'of another')
  changed()
  t.equal(nearest.rank(client)[0]?.peerId, 'b', 'at once')
  stage.peers = [knownPeer('c')]
  clock.advance(rankingLimits.rememberedMs)
  t.equal(nearest.rank(client)[0]?.peerId, 'c')
  stage.peers = [knownPeer('d')]
  t.equal(nearest.rank({ ...client, rttMs: new Map() })[0]?.peerId, 'd', 'who measured itself')
  const name = 'kairo_nearest_rankings_total'
  t.equal(await metricOf(registry, name, { source: 'remembered' }), 1)
  nearest.stop()
})

test('strangers with many addresses and places cost a bounded number of rankings', async (t) => {
  const { nearest, stage, registry, clock } = nearestStage()
  const { rankingsPerSecondMax, spreadGroups } = rankingLimits
  stage.peers = [knownPeer('a')]
  const ask = (index: number) => {
    const address = `10.${index >> 8}.${index & 255}.1`
    stage.places.set(address, { latitude: (index % 170) - 85, longitude: index % 180 })
    return nearest.rank({ address })
  }
  for (let index = 0; index < 5_000; index++) ask(index)
  const made = () => metricOf(registry, 'kairo_nearest_rankings_total', { source: 'made' })
  const first = await made()
  t.ok(first > rankingsPerSecondMax && first <= rankingsPerSecondMax + spreadGroups, `${first}`)
  clock.advance(1_000)
  t.equal(ask(4_999)[0]?.reasons[0], 'the peer that was asked', 'the next second is another')
  t.equal(await made(), first + 1)
})

test('clients are placed by the database, and only sent where the operator allows', (t) => {
  const { nearest, stage } = nearestStage({ mayServe: ({ peerId }) => peerId !== 'stranger' })
  const berlin = { latitude: 52.52, longitude: 13.4 }
  stage.places.set('198.51.100.7', berlin)
  stage.self = { ...stage.self, latitude: -33.87, longitude: 151.21 }
  stage.peers = [knownPeer('berlin', berlin), knownPeer('stranger', berlin)]
  t.same(
    nearest.rank(client).map(({ peerId }) => peerId),
    ['berlin', 'self'],
  )
  t.end()
})

test('subnets of clients', (t) => {
  t.equal(clientSubnet('192.0.2.77'), '192.0.2.0/24')
  t.equal(clientSubnet('::ffff:192.0.2.77'), '192.0.2.0/24')
  t.equal(clientSubnet('2001:db8:1:2ff::1'), clientSubnet('2001:db8:1:201:5::'))
  t.not(clientSubnet('2001:db8:1:2ff::1'), clientSubnet('2001:db8:1:3ff::1'))
  t.equal(clientSubnet('junk'), '')
  t.equal(clientGroup('192.0.2.1', 64), clientGroup('192.0.2.200', 64))
  t.equal(plainAddress('::ffff:192.0.2.1'), '192.0.2.1')
  t.equal(plainAddress('2001:db8::1'), '2001:db8::1')
  const internal = ['10.1.2.3', '172.16.0.1', '192.168.1.1', '100.64.0.1', '169.254.1.1', 'fd00::1']
  t.ok([...internal, 'fe80::1', '::ffff:10.0.0.1'].every(isInternal))
  t.notOk(['192.0.2.1', '172.32.0.1', '100.63.0.1', '2001:db8::1', '11.0.0.1'].some(isInternal))
  t.same(['127.0.0.9', '::1', '::ffff:127.0.0.1', '128.0.0.1'].map(isLoopback), [
    ...[true, true, true, false],
  ])
  t.end()
})
