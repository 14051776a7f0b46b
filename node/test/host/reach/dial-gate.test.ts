/** Which addresses are dialled for strangers. */
import { multiaddr } from '@multiformats/multiaddr'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { isPublic, privateNetworkOf } from '../../../src/host/reach/address-kind.ts'
import { DialGate } from '../../../src/host/reach/dial-gate.ts'
import { ReachMetrics } from '../../../src/host/reach/reach-metrics.ts'
import { reachUnknown } from '../../../src/host/reach/reach-status.ts'
import { metricOf } from '../../support/registry-value.ts'

const PEER = '12D3KooWLxFaUbhMrtHhjXCsmqGHch9ZLdTFRNHXJiwF3xCWpUap'
const PUBLIC = '/ip4/5.5.5.5/tcp/4001'

function gateWith(view: { connections?: string[]; addresses?: string[] }) {
  const registry = new Registry()
  const { dialsDenied } = new ReachMetrics(registry, () => reachUnknown)
  const names: Record<string, string[]> = {
    'inside.example': ['5.5.5.6', '10.0.0.8'],
    'outside.example': ['5.5.5.6'],
  }
  const gate = new DialGate({
    connections: () => (view.connections ?? []).map((address) => multiaddr(address)),
    addresses: () => (view.addresses ?? []).map((address) => multiaddr(address)),
    denied: dialsDenied,
    resolve: async (name) => {
      const addresses = names[name]
      if (addresses === undefined) throw new Error('no such name')
      return addresses
    },
  })
  return { registry, gate, denies: (address: string) => gate.denies(multiaddr(address)) }
}

test('addresses are public, or lie in a private network', async (t) => {
  const networks: [string, string | undefined][] = [
    ['127.9.9.9', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['10.1.2.3', '10.1.2'],
    ['172.31.0.1', '172.31.0'],
    ['192.168.7.9', '192.168.7'],
    ['100.64.1.1', '100.64.1'],
    ['169.254.169.254', '169.254.169'],
    ['0.0.0.0', '0.0.0'],
    ['255.255.255.255', '255.255.255'],
    ['::ffff:10.0.0.1', '10.0.0'],
    ['fd00:1:2:3::9', 'fd00:1:2:3'],
    ['fe80::1', 'fe80:0:0:0'],
    ['64:ff9b::7f00:1', '64:ff9b:0:0'],
    ['5.5.5.5', undefined],
    ['172.32.0.1', undefined],
    ['2a00:1450::1', undefined],
    ['localhost', undefined],
  ]
  for (const [host, network] of networks) t.equal(privateNetworkOf(host), network, host)
  t.ok(isPublic(multiaddr(PUBLIC)))
  t.ok(isPublic(multiaddr('/dns4/example.org/tcp/1')))
  t.notOk(isPublic(multiaddr('/ip6zone/eth0/ip6/fe80::1/tcp/1')))
  t.notOk(isPublic(multiaddr(`${PUBLIC}/p2p/${PEER}/p2p-circuit/p2p/${PEER}`)))
  t.notOk(isPublic(multiaddr(`/p2p/${PEER}`)))
})

test('in a network that is private altogether every address is dialled', async (t) => {
  for (const connections of [[], ['/ip4/10.0.0.7/tcp/1']]) {
    const { denies } = gateWith({ connections, addresses: ['/ip4/10.0.0.1/tcp/4001'] })
    t.notOk(await denies('/ip4/127.0.0.1/tcp/1'))
    t.notOk(await denies('/ip4/192.168.1.1/tcp/80'))
  }
})

test('a peer of the public network dials no private address for strangers', async (t) => {
  for (const view of [{ connections: [PUBLIC] }, { addresses: [PUBLIC] }]) {
    const { denies, registry } = gateWith(view)
    t.ok(await denies('/ip4/127.0.0.1/tcp/5432'))
    t.ok(await denies('/ip4/169.254.169.254/tcp/80'))
    t.ok(await denies('/ip6/::ffff:10.0.0.1/tcp/80'))
    t.notOk(await denies('/ip4/5.5.5.6/tcp/4001'))
    t.equal(await metricOf(registry, 'kairo_host_dials_denied_total'), 3)
  }
})

test('private networks in which peers live are dialled, others are not', async (t) => {
  const { denies } = gateWith({ connections: [PUBLIC, '/ip4/10.0.0.7/tcp/4001'] })
  t.notOk(await denies('/ip4/10.0.0.9/tcp/4001'))
  t.ok(await denies('/ip4/10.0.1.9/tcp/4001'))
  t.ok(await denies('/ip4/127.0.0.1/tcp/4001'))
})

test('a connection through a relay proves nothing of the networks it passes', async (t) => {
  const relayed = `/ip4/10.0.0.7/tcp/4001/p2p/${PEER}/p2p-circuit/p2p/${PEER}`
  const { denies } = gateWith({ connections: [PUBLIC, relayed] })
  t.ok(await denies('/ip4/10.0.0.9/tcp/4001'))
})

test('names that lead inside are as good as the addresses behind them', async (t) => {
  const { denies } = gateWith({ connections: [PUBLIC] })
  t.ok(await denies('/dns4/inside.example/tcp/1'), 'one address is enough')
  t.notOk(await denies('/dns4/outside.example/tcp/1'))
  t.notOk(await denies('/dns4/nowhere.example/tcp/1'), 'fails by itself')
})

test("the operator's word counts while it is dialled", async (t) => {
  const { gate, denies } = gateWith({ connections: [PUBLIC] })
  const address = '/ip4/10.0.0.9/tcp/4001'
  const [first, second] = [gate.trust([multiaddr(address)]), gate.trust([multiaddr(address)])]
  t.notOk(await denies(address))
  t.notOk(await denies(`${address}/p2p/${PEER}`), 'with the id that libp2p adds')
  t.ok(await denies('/ip4/10.0.0.9/tcp/4002'))
  first()
  t.notOk(await denies(address), 'the other dial goes on')
  second()
  t.ok(await denies(address))
  const done = gate.trust([multiaddr(`${address}/p2p/${PEER}/p2p-circuit/p2p/${PEER}`)])
  t.notOk(await denies(`${address}/p2p/${PEER}`), 'the relay on the way')
  done()
})
