/** When a relayed connection ends, and who waits for a direct one; connections are told, time is the test's. */
import type { Connection, PeerId } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { test } from 'tap'
import { DirectUpgrade } from '../../../src/host/reach/direct-upgrade.ts'
import { ReachMetrics } from '../../../src/host/reach/reach-metrics.ts'
import { reachLimits } from '../../../src/limits/reach.ts'
import { silentLogger } from '../../../src/logger.ts'
import { createRegistry } from '../../../src/metrics/registry.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const peer = { toString: () => '12D3KooWPeer' } as PeerId

/** As much of a connection as the upgrade looks at, and whether it was closed. */
class ToldConnection {
  readonly remotePeer = peer
  readonly direction: 'inbound' | 'outbound'
  readonly limits: { readonly seconds: number } | undefined
  status = 'open'
  isAborted = false
  readonly #mayClose: boolean

  constructor(isRelayed: boolean, { direction = 'inbound', mayClose = true } = {}) {
    this.limits = isRelayed ? { seconds: 120 } : undefined
    this.direction = direction as 'inbound'
    this.#mayClose = mayClose
  }

  get asConnection(): Connection {
    return this as unknown as Connection
  }

  async close(): Promise<void> {
    if (!this.#mayClose) throw new Error('the other side does not answer')
    this.status = 'closed'
  }

  abort(): void {
    this.status = 'closed'
    this.isAborted = true
  }
}

function stage() {
  const clock = new ManualClock()
  const connections: ToldConnection[] = []
  const dialled: string[][] = []
  const upgrade = new DirectUpgrade(
    {
      ...{ clock, logger: silentLogger },
      metrics: new ReachMetrics(createRegistry(), () => ({ reservations: 0 }) as never),
      node: {
        getConnections: () => connections.map(({ asConnection }) => asConnection),
        dial: async (addresses) => {
          dialled.push(addresses.map(String))
          throw new Error('nobody is there')
        },
      },
    },
    new AbortController().signal,
  )
  const open = (connection: ToldConnection): ToldConnection => {
    connections.push(connection)
    upgrade.onOpen(connection.asConnection)
    return connection
  }
  return { clock, upgrade, open, dialled, connections }
}

test('a relayed connection that comes beside a direct one is closed', async (t) => {
  const { clock, open, upgrade } = stage()
  const direct = open(new ToldConnection(false))
  const relayed = open(new ToldConnection(true))
  await clock.pass(reachLimits.relayedGraceMs - 1)
  t.equal(relayed.status, 'open', 'what runs on it may end')
  await clock.pass(1)
  t.equal(relayed.status, 'closed')
  t.equal(direct.status, 'open')
  t.same(upgrade.counts(), { tried: 0, succeeded: 0 }, 'nothing was to become direct')
})

test('a relayed connection ends when a direct one opens, and is kept when none does', async (t) => {
  const { clock, open, upgrade } = stage()
  const relayed = open(new ToldConnection(true))
  await clock.pass(reachLimits.directWaitMs - 1)
  open(new ToldConnection(false))
  t.same(upgrade.counts(), { tried: 1, succeeded: 1 })
  await clock.pass(reachLimits.relayedGraceMs)
  t.equal(relayed.status, 'closed')

  const lonely = stage()
  const kept = lonely.open(new ToldConnection(true))
  await lonely.clock.pass(reachLimits.directWaitMs * 2)
  t.equal(kept.status, 'open')
  t.same(lonely.upgrade.counts(), { tried: 1, succeeded: 0 })
})

test('a direct connection that closed meanwhile is none', async (t) => {
  const { clock, open } = stage()
  const direct = open(new ToldConnection(false))
  direct.status = 'closed'
  const relayed = open(new ToldConnection(true))
  await clock.pass(reachLimits.relayedGraceMs * 2)
  t.equal(relayed.status, 'open', 'it is the only way to the peer')
})

test('one that does not close is cut', async (t) => {
  const { clock, open } = stage()
  open(new ToldConnection(false))
  const relayed = open(new ToldConnection(true, { mayClose: false }))
  await clock.pass(reachLimits.relayedGraceMs)
  t.ok(relayed.isAborted)
})

test('a stop leaves relayed connections to the host', async (t) => {
  const { clock, open, upgrade } = stage()
  open(new ToldConnection(false))
  const relayed = open(new ToldConnection(true))
  upgrade.stop()
  t.equal(clock.timers, 0)
  await clock.pass(reachLimits.relayedGraceMs)
  t.equal(relayed.status, 'open')
})

test('whoever waits for a direct connection has it when it opens, or hears that there is none', async (t) => {
  const { open, upgrade } = stage()
  const { signal } = new AbortController()
  open(new ToldConnection(true))
  const waiting = upgrade.direct(peer, signal)
  const direct = open(new ToldConnection(false))
  t.equal((await waiting) as unknown, direct)

  const lonely = stage()
  lonely.open(new ToldConnection(true))
  const hopeless = lonely.upgrade.direct(peer, signal)
  const refused = t.rejects(hopeless, { code: 'ERR_NO_PROVIDER' })
  await lonely.clock.pass(reachLimits.directWaitMs)
  await refused
})

test('the side that was called dials back where no public address is known', async (t) => {
  const { open, upgrade, dialled, clock } = stage()
  const called = open(new ToldConnection(true))
  const within = multiaddr('/ip4/192.168.1.7/tcp/4001')
  upgrade.onIdentify(called.asConnection, [within, multiaddr('/ip4/8.8.8.8/tcp/4001')])
  await clock.pass(0)
  t.same(dialled, [['/ip4/192.168.1.7/tcp/4001/p2p/12D3KooWPeer']])
  const caller = open(new ToldConnection(true, { direction: 'outbound' }))
  upgrade.onIdentify(caller.asConnection, [within])
  await clock.pass(0)
  t.equal(dialled.length, 1, 'the caller does not')
})
