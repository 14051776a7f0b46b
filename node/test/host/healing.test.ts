/** Networks whose first peers are gone: real hosts that remember each other. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { Registry } from 'prom-client'
import { type Test, t, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { Join } from '../../src/host/join.ts'
import type { Libp2pHost } from '../../src/host/libp2p-host.ts'
import { rememberedLimits } from '../../src/limits/reach.ts'
import { silentLogger } from '../../src/logger.ts'
import { startHost } from '../support/hosts.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { until } from '../support/until.ts'

// Real hosts share the machine with whatever else runs there.
t.setTimeout(180_000)

/** A peer that can be stopped and started again with what it remembers, at the same address. */
class Member {
  readonly #t: Test
  readonly #targets: string[]
  readonly #datastorePath: string
  readonly #privateKey: PrivateKey
  #listen = '/ip4/127.0.0.1/tcp/0'
  #host: Libp2pHost | undefined
  #join: Join | undefined

  constructor(t: Test, init: { datastorePath: string; privateKey: PrivateKey; targets: string[] }) {
    this.#t = t
    this.#datastorePath = init.datastorePath
    this.#privateKey = init.privateKey
    this.#targets = init.targets
  }

  get host(): Libp2pHost {
    if (this.#host === undefined) throw new Error('not started')
    return this.#host
  }

  async start(): Promise<void> {
    this.#host = await startHost(this.#t, {
      privateKey: this.#privateKey,
      datastorePath: this.#datastorePath,
      listen: [this.#listen],
    })
    this.#listen = (this.#host.multiaddrs()[0] ?? '').replace(/\/p2p\/.*/, '')
    this.#join = new Join(
      {
        clock: systemClock,
        logger: silentLogger,
        registry: new Registry(),
        host: this.#host,
        random: () => 0.5,
      },
      { targets: this.#targets },
    )
    this.#join.start()
    const join = this.#join
    this.#t.teardown(() => join.stop())
  }

  async stop(): Promise<void> {
    await this.#join?.stop()
    await this.#host?.stop()
  }
}

async function startMembers(t: Test, count: number, bootstrap: Libp2pHost): Promise<Member[]> {
  const home = t.testdir()
  const members: Member[] = []
  for (let index = 0; index < count; index++) {
    const privateKey = await generateKeyPair('Ed25519')
    const member = new Member(t, {
      datastorePath: `${home}/${index}`,
      privateKey,
      targets: bootstrap.multiaddrs(),
    })
    await member.start()
    members.push(member)
  }
  return members
}

function areConnected(members: readonly Member[]): boolean {
  const ids = members.map(({ host }) => host.peerId)
  return members.every(({ host }) => {
    const peers = host.peers()
    return ids.every((id) => id === host.peerId || peers.includes(id))
  })
}

test('a network whose bootstrap peer is gone heals when a peer restarts', async (t) => {
  const bootstrap = await startHost(t)
  const members = await startMembers(t, 3, bootstrap)
  await until(() => areConnected(members), 'the network')
  await bootstrap.stop()
  const [, restarting] = members
  await restarting?.stop()
  await restarting?.start()
  await until(() => areConnected(members), 'the healed network')
})

test('a network heals whose bootstrap peer is gone and whose peers all restart', async (t) => {
  const bootstrap = await startHost(t)
  const members = await startMembers(t, 3, bootstrap)
  await until(() => areConnected(members), 'the network')
  await bootstrap.stop()
  await Promise.all(members.map((member) => member.stop()))
  for (const member of members) await member.start()
  await until(() => areConnected(members), 'the healed network')
})

test('peers are forgotten by when they were last seen', async (t) => {
  const clock = new ManualClock(Date.now())
  const other = await startHost(t)
  const host = await startHost(t, { clock, join: [other] })
  await until(() => host.observedAddresses().length > 0, 'the identification')
  await other.stop()
  await until(() => host.peers().length === 0, 'the loss')
  await until(async () => (await host.rememberedPeers(8)).length === 1, 'the memory of the other')
  clock.advance(rememberedLimits.memoryMsMax - rememberedLimits.pruneIntervalMs)
  await new Promise((resolve) => setImmediate(resolve))
  t.match(await host.rememberedPeers(8), [{ peerId: other.peerId }], 'weeks later')
  clock.advance(rememberedLimits.pruneIntervalMs * 2)
  await until(async () => (await host.rememberedPeers(8)).length === 0, 'the forgetting')
})
