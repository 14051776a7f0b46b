/** Whom a relay serves, and how much. */
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { connectionRefusal, reservationRefusal } from '../../../src/host/reach/relay-policy.ts'
import { relayLimits } from '../../../src/limits/reach.ts'
import { startHost } from '../../support/hosts.ts'
import { metricOf } from '../../support/registry-value.ts'
import { until } from '../../support/until.ts'

const view = {
  isOn: true,
  isOfThisNetwork: true,
  isRenewal: false,
  from: multiaddr('/ip4/5.5.5.5/tcp/1'),
  held: [],
}

test('places are for peers of this network, so many in all and of one address', async (t) => {
  t.equal(reservationRefusal(view), undefined)
  t.equal(reservationRefusal({ ...view, isOn: false }), 'off')
  t.equal(reservationRefusal({ ...view, isOfThisNetwork: false }), 'stranger')
  const of = (address: string, count: number) =>
    Array.from({ length: count }, () => multiaddr(`/ip4/${address}/tcp/1`))
  const { reservationsMax, reservationsPerAddressMax } = relayLimits
  const shared = of('5.5.5.5', reservationsPerAddressMax)
  t.equal(reservationRefusal({ ...view, held: shared }), 'address')
  t.equal(reservationRefusal({ ...view, held: shared, isRenewal: true }), undefined)
  t.equal(
    reservationRefusal({ ...view, held: of('5.5.5.6', reservationsPerAddressMax) }),
    undefined,
  )
  const inside = { ...view, from: multiaddr('/ip4/10.0.0.1/tcp/1') }
  t.equal(reservationRefusal({ ...inside, held: of('10.0.0.1', reservationsMax - 1) }), undefined)
  t.equal(reservationRefusal({ ...inside, held: of('10.0.0.1', reservationsMax) }), 'full')
})

test('connections are bounded by caller, by target, and in all', async (t) => {
  const few = { ofSource: 1, toTarget: 0, all: 0 }
  const { connectionsPerSourceMax, connectionsPerTargetMax, connectionsMax } = relayLimits
  t.equal(connectionRefusal(few), undefined)
  t.equal(connectionRefusal({ ...few, ofSource: connectionsPerSourceMax }), undefined)
  t.equal(connectionRefusal({ ...few, ofSource: connectionsPerSourceMax + 1 }), 'source')
  t.equal(connectionRefusal({ ...few, toTarget: connectionsPerTargetMax }), 'target')
  t.equal(connectionRefusal({ ...few, all: connectionsMax }), 'connections')
})

test('another libp2p program gets no place', { timeout: 120_000 }, async (t) => {
  const registry = new Registry()
  const relay = await startHost(t, { relay: true, registry })
  await until(() => relay.reach().relaying !== undefined, 'the relay')
  const stranger = await createLibp2p({
    addresses: { listen: ['/p2p-circuit'] },
    transports: [tcp(), circuitRelayTransport()],
    connectionEncrypters: [tls()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
  })
  t.teardown(() => stranger.stop())
  await stranger.dial(relay.multiaddrs().map((address) => multiaddr(address)))
  await until(
    async () =>
      (await metricOf(registry, 'kairo_host_relay_refusals_total', { reason: 'stranger' })) > 0,
    'the refusal',
  )
  t.same(stranger.getMultiaddrs(), [])
  t.equal(relay.reach().relaying?.reservations, 0)
})
