/**
 * Peers that nobody can dial: hosts that listen on nothing, with a relay between them and the others.
 */
import { generateKeyPair } from '@libp2p/crypto/keys'
import { Registry } from 'prom-client'
import { type Test, t, test } from 'tap'
import type { Libp2pHost } from '../../../src/host/libp2p-host.ts'
import { FEED_PROTOCOL, RECORDS_PROTOCOL } from '../../../src/host/protocols.ts'
import type { PeerStream } from '../../../src/host/transport.ts'
import { startHost } from '../../support/hosts.ts'
import { metricOf } from '../../support/registry-value.ts'
import { freePort } from '../../support/restream-partners.ts'
import { until } from '../../support/until.ts'

// Real hosts share the machine with whatever else runs there.
t.setTimeout(180_000)
// A node that has stopped now and then leaves a dial behind that nothing ends; peers end with their process, and so does this file.
t.teardown(() => {
  setTimeout(() => process.exit(), 10_000).unref()
})

function signal(): AbortSignal {
  return AbortSignal.timeout(60_000)
}

async function collect(stream: PeerStream): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream.incoming) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/** Answers what it is sent. */
async function echo(host: Libp2pHost, protocol: string): Promise<void> {
  await host.handle(protocol, async (stream) =>
    stream.write(Buffer.from(`you said ${await collect(stream)}`)),
  )
}

async function ask(host: Libp2pHost, peerId: string, protocol: string): Promise<string> {
  const stream = await host.open(peerId, protocol, { signal: signal() })
  await stream.write(Buffer.from('hello'))
  await stream.close()
  return await collect(stream)
}

/** A relay, and a peer that listens on nothing and has a place there. */
async function relayAndHidden(t: Test): Promise<{ relay: Libp2pHost; hidden: Libp2pHost }> {
  const relay = await startHost(t, { relay: true })
  await until(() => relay.reach().relaying !== undefined, 'the relay')
  const hidden = await startHost(t, { listen: [], join: [relay] })
  await until(() => hidden.multiaddrs().length > 0, 'a place at the relay')
  return { relay, hidden }
}

test('a peer that listens on nothing is reached through a relay, and says so', async (t) => {
  const { relay, hidden } = await relayAndHidden(t)
  t.match(hidden.reach(), { nat: 'private', relays: [relay.peerId], relaying: undefined })
  t.match(relay.reach(), { nat: 'local', relays: [], relaying: { reservations: 1 } })
  for (const address of hidden.multiaddrs()) {
    t.match(address, `/p2p/${relay.peerId}/p2p-circuit/p2p/${hidden.peerId}`)
  }
  await echo(hidden, RECORDS_PROTOCOL)
  const caller = await startHost(t, { listen: [] })
  await caller.dial(hidden.multiaddrs(), { signal: signal() })
  t.equal(await ask(caller, hidden.peerId, RECORDS_PROTOCOL), 'you said hello')
  t.ok(caller.reach().connections.relayed > 0)
  // One at least: the DHT may have dialled at the same moment.
  t.ok((relay.reach().relaying?.connections ?? 0) > 0, 'the relay counts what runs through it')
})

test('media never pass a relay', async (t) => {
  const { hidden } = await relayAndHidden(t)
  await echo(hidden, FEED_PROTOCOL)
  const caller = await startHost(t, { listen: [] })
  await caller.dial(hidden.multiaddrs(), { signal: signal() })
  await t.rejects(ask(caller, hidden.peerId, FEED_PROTOCOL), {
    code: 'ERR_NO_PROVIDER',
    message: /through a relay only/,
  })
})

test('a hidden peer that is called dials back, and media flow directly', async (t) => {
  const { hidden } = await relayAndHidden(t)
  await echo(hidden, FEED_PROTOCOL)
  const registry = new Registry()
  const caller = await startHost(t, { registry })
  await caller.dial(hidden.multiaddrs(), { signal: signal() })
  t.equal(await ask(caller, hidden.peerId, FEED_PROTOCOL), 'you said hello')
  const { tried, succeeded } = caller.reach().holePunches
  // None where the DHT of the hidden peer dialled before the relayed connection was there.
  t.ok(tried <= 1)
  t.equal(succeeded, tried)
  t.equal(await metricOf(registry, 'kairo_host_hole_punches_total', { outcome: 'ok' }), tried)
  await until(() => caller.reach().connections.relayed === 0, 'the end of the relayed connection')
})

test('DCUtR makes the direct connection where a public address is known', async (t) => {
  const { hidden } = await relayAndHidden(t)
  await echo(hidden, FEED_PROTOCOL)
  const port = await freePort()
  const caller = await startHost(t, {
    listen: [`/ip4/127.0.0.1/tcp/${port}`],
    // A name counts as public, whatever it resolves to.
    announce: [`/dns4/localhost/tcp/${port}`],
  })
  t.equal(caller.reach().nat === 'unknown' || caller.reach().nat === 'public', true)
  await caller.dial(hidden.multiaddrs(), { signal: signal() })
  t.equal(await ask(caller, hidden.peerId, FEED_PROTOCOL), 'you said hello')
})

test('a place is taken again after the relay restarts', async (t) => {
  const privateKey = await generateKeyPair('Ed25519')
  const listen = [`/ip4/127.0.0.1/tcp/${await freePort()}`]
  const relay = await startHost(t, { privateKey, listen, relay: true })
  const hidden = await startHost(t, { listen: [], join: [relay] })
  await until(() => hidden.reach().relays.length === 1, 'a place at the relay')
  await relay.stop()
  await until(() => hidden.multiaddrs().length === 0, 'the loss of the place')
  const again = await startHost(t, { privateKey, listen, relay: true })
  // Nobody dials the relay for it but the watchdog.
  await until(() => hidden.reach().relays.includes(again.peerId), 'the place at the same relay')
  await until(() => hidden.multiaddrs().length > 0, 'its address')
})

test('another relay takes the place of one that is gone', async (t) => {
  const relays = await Promise.all([1, 2, 3].map(() => startHost(t, { relay: true })))
  await until(() => relays.every((relay) => relay.reach().relaying !== undefined), 'the relays')
  const hidden = await startHost(t, { listen: [], join: relays })
  await until(() => hidden.reach().relays.length === 2, 'two places')
  const [used] = hidden.reach().relays
  const [gone] = relays.filter(({ peerId }) => peerId === used)
  await gone?.stop()
  await until(() => {
    const { relays: held } = hidden.reach()
    return held.length === 2 && !held.includes(used ?? '')
  }, 'the third relay')
})

test('whoever does not relay gives no place, and peers that can be dialled take none', async (t) => {
  const plain = await startHost(t)
  const listener = await startHost(t, { join: [plain] })
  const hidden = await startHost(t, { listen: [], join: [plain, listener] })
  await until(() => hidden.reach().nat === 'private', 'the verdict')
  await until(() => listener.reach().nat === 'local', 'the verdict')
  t.same(
    [plain, listener, hidden].map((host) => host.reach().relays),
    [[], [], []],
  )
})
