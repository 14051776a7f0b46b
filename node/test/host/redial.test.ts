/** Rounds of dialling remembered peers: when, whom, and how the pauses grow. */
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { KairoError } from '../../src/errors.ts'
import type { RememberedPeer } from '../../src/host/peer-memory.ts'
import { Redial } from '../../src/host/redial.ts'
import { rememberedLimits } from '../../src/limits/reach.ts'
import { silentLogger } from '../../src/logger.ts'
import { ManualClock } from '../support/manual-clock.ts'

/** A host whose peers are up or down as the test says. */
class ScriptedHost {
  readonly connected = new Set<string>()
  readonly up = new Set<string>()
  readonly dialled: string[] = []
  remembered: RememberedPeer[] = []
  fails = false
  #listener: (peerId: string) => void = () => {}

  peers(): string[] {
    return [...this.connected]
  }

  async rememberedPeers(max: number): Promise<RememberedPeer[]> {
    if (this.fails) throw new KairoError('ERR_STORAGE', 'a broken disk')
    return this.remembered.filter(({ peerId }) => !this.connected.has(peerId)).slice(0, max)
  }

  async dial(addresses: readonly string[], options: { isHearsay?: boolean }): Promise<string> {
    if (options.isHearsay !== true) throw new Error('remembered addresses are hearsay')
    const peerId = addresses[0]?.split('/p2p/').at(-1) ?? ''
    this.dialled.push(peerId)
    if (!this.up.has(peerId)) throw new KairoError('ERR_NO_PROVIDER', 'down')
    this.connected.add(peerId)
    return peerId
  }

  onDisconnect(listener: (peerId: string) => void): () => void {
    this.#listener = listener
    return () => {
      this.#listener = () => {}
    }
  }

  lose(...ids: string[]): void {
    for (const id of ids) {
      this.connected.delete(id)
      this.#listener(id)
    }
  }

  remember(...ids: string[]): void {
    this.remembered = ids.map((peerId) => ({ peerId, addresses: ['/ip4/127.0.0.1/tcp/1'] }))
  }
}

function start(t: Test): {
  host: ScriptedHost
  clock: ManualClock
  pass: (ms: number) => Promise<void>
} {
  const host = new ScriptedHost()
  const clock = new ManualClock()
  const redial = new Redial({
    clock,
    logger: silentLogger,
    registry: new Registry(),
    host,
    random: () => 0,
  })
  t.teardown(() => redial.stop())
  redial.start()
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { host, clock, pass }
}

test('whom a lonely peer remembers is dialled at start', async (t) => {
  const { host, pass } = start(t)
  host.remember('a', 'b')
  host.up.add('b')
  await pass(0)
  t.same(host.dialled, ['a', 'b'])
  t.same(host.peers(), ['b'])
})

test('pauses of a lonely peer grow, to an end, and it never gives up', async (t) => {
  const { host, clock, pass } = start(t)
  host.remember('a')
  await pass(0)
  for (const pauseMs of [1, 2, 4, 8].map((factor) => factor * 2 * rememberedLimits.retryMsMin)) {
    const before = host.dialled.length
    await pass(pauseMs - 1)
    t.equal(host.dialled.length, before, `nothing before ${pauseMs} ms`)
    await pass(1)
    t.equal(host.dialled.length, before + 1, `a round at ${pauseMs} ms`)
  }
  const days = 5 * 24 * 3_600_000
  for (let ms = 0; ms < days; ms += 3_600_000) await pass(3_600_000)
  const before = host.dialled.length
  await pass(rememberedLimits.retryMsMax)
  t.ok(host.dialled.length > before, 'days later it is still tried')
  t.equal(clock.timers, 1, 'one timer')
})

test('each round takes others first, so that everybody is tried', async (t) => {
  const { host, pass } = start(t)
  const ids = Array.from(
    { length: rememberedLimits.dialsPerRoundMax + 3 },
    (_, index) => `p${index}`,
  )
  host.remember(...ids)
  await pass(0)
  t.equal(host.dialled.length, rememberedLimits.dialsPerRoundMax)
  await pass(rememberedLimits.retryMsMin * 2)
  t.same(new Set(host.dialled), new Set(ids))
})

test('a peer with enough neighbours still tries those it lost, until they come back', async (t) => {
  const { host, pass } = start(t)
  const here = ['a', 'b', 'c']
  const there = ['d', 'e']
  for (const id of [...here, ...there]) host.connected.add(id)
  host.remember(...here, ...there, 'never-met')
  await pass(0)
  t.same(host.dialled, [], 'nobody is dialled without need')
  host.lose(...there)
  await pass(rememberedLimits.lostRetryMsMin)
  t.same(host.dialled, there, 'only those that were lost')
  await pass(24 * 3_600_000)
  for (const id of there) host.up.add(id)
  await pass(rememberedLimits.lostRetryMsMax)
  t.same(host.peers(), [...here, ...there])
  const dials = host.dialled.length
  await pass(24 * 3_600_000)
  t.equal(host.dialled.length, dials, 'then there is nothing to do')
})

test('whoever is lost for longer than a week is left alone', async (t) => {
  const { host, pass } = start(t)
  for (const id of ['a', 'b', 'c', 'd']) host.connected.add(id)
  host.remember('d')
  await pass(0)
  host.lose('d')
  await pass(rememberedLimits.lostRetryMsMin)
  t.same(host.dialled, ['d'])
  await pass(rememberedLimits.lostMsMax)
  const dials = host.dialled.length
  await pass(rememberedLimits.lostMsMax)
  t.equal(host.dialled.length, dials)
})

test('a memory that cannot be read is tried again', async (t) => {
  const { host, pass } = start(t)
  host.fails = true
  await pass(0)
  host.fails = false
  host.remember('a')
  await pass(rememberedLimits.retryMsMin * 2)
  t.same(host.dialled, ['a'])
})
