/**
 * Peers with purges and a small cache each, on a network in memory: seeded, on a virtual clock, with faults on request. What a peer writes
 * to its log outlives a restart.
 */

import type { Coordination } from '@kairo/tracker'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { Registry } from 'prom-client'
import { PurgeService } from '../../src/cdn/purge/purge-service.ts'
import type { PurgeStorage } from '../../src/cdn/purge/purge-storage.ts'
import type { CancelTimer, Clock } from '../../src/clock.ts'
import { RegionLog } from '../../src/coordination/region-log.ts'
import { RegionLogMetrics } from '../../src/coordination/region-log-metrics.ts'
import type { PeerWatch } from '../../src/host/network.ts'
import { type PeerSigner, peerSigner } from '../../src/host/peer-signature.ts'
import type { Transport } from '../../src/host/transport.ts'
import { purgeLimits } from '../../src/limits/purge.ts'
import { silentLogger } from '../../src/logger.ts'
import { ManualClock } from './manual-clock.ts'
import { MemoryNet } from './memory-transport.ts'
import { matches, SmallCache } from './small-cache.ts'

/** A log that outlives a crash of its peer, and fails on request. */
export class MemoryPurgeStorage implements PurgeStorage {
  bytes: Buffer | undefined
  failure: Error | undefined
  /** Every write so far. */
  writes = 0

  async read(): Promise<Buffer | undefined> {
    return this.bytes
  }

  async replace(bytes: Uint8Array): Promise<void> {
    await this.#write()
    this.bytes = Buffer.from(bytes)
  }

  async append(bytes: Uint8Array): Promise<void> {
    await this.#write()
    this.bytes = Buffer.concat([this.bytes ?? Buffer.alloc(0), bytes])
  }

  async close(): Promise<void> {}

  async #write(): Promise<void> {
    this.writes += 1
    if (this.failure !== undefined) throw this.failure
  }
}

/** Time of a whole test. */
export interface PassingClock extends Clock {
  pass(ms: number): Promise<void>
}

/** A region of a test, for peers that keep their purges in its log: a real tracker in memory (tracker/test/support/groups-stage.ts). */
export interface PurgeTestRegion {
  readonly clock: PassingClock
  /** Default: as long as in the field. */
  readonly memberTtlMs?: number
  /** A line to the region for one life of a peer. */
  connect(): { readonly coordination: Coordination; cut(): void }
}

/** A clock whose timers wait while its peer is paused; time itself goes on, as for a stopped process. */
class PausableClock implements Clock {
  readonly #clock: Clock
  #paused: (() => void)[] | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  after(delayMs: number, callback: () => void): CancelTimer {
    let isCancelled = false
    const cancel = this.#clock.after(delayMs, () => {
      const run = (): void => {
        if (!isCancelled) callback()
      }
      if (this.#paused === undefined) run()
      else this.#paused.push(run)
    })
    return () => {
      isCancelled = true
      cancel()
    }
  }

  pause(): void {
    this.#paused ??= []
  }

  resume(): void {
    const late = this.#paused ?? []
    this.#paused = undefined
    for (const run of late) run()
  }
}

/** How a peer is made. */
export interface PurgePeerOptions {
  readonly purgePeers?: readonly string[]
  readonly expectsPeers?: boolean
}

/** How a network is made. */
export interface PurgeNetworkInit<Time extends PassingClock> {
  readonly clock: Time
  readonly random?: () => number
  readonly latencyMs?: number
  readonly region?: PurgeTestRegion
}

/** One peer: its cache and its log outlive {@link PurgePeer.crash}. */
export class PurgePeer implements PeerWatch {
  readonly cache = new SmallCache()
  readonly storage = new MemoryPurgeStorage()
  readonly network: AnyPurgeNetwork
  readonly signer: PeerSigner
  readonly options: PurgePeerOptions
  clock!: PausableClock
  purges!: PurgeService
  registry!: Registry
  /** Its line to the region, where there is one. */
  line: ReturnType<PurgeTestRegion['connect']> | undefined
  isUp = false
  isPaused = false
  /** Starts so far; what a process says after its crash counts for nothing. */
  lives = 0
  readonly #watchers = new Set<(peerId: string) => void>()

  constructor(network: AnyPurgeNetwork, signer: PeerSigner, options: PurgePeerOptions) {
    this.network = network
    this.signer = signer
    this.options = options
  }

  get id(): string {
    return this.signer.peerId
  }

  watch(_protocol: string, listener: (peerId: string) => void): () => void {
    this.#watchers.add(listener)
    for (const peerId of this.network.linkedTo(this.id)) listener(peerId)
    return () => this.#watchers.delete(listener)
  }

  meet(peerId: string): void {
    for (const watcher of this.#watchers) watcher(peerId)
  }

  /** Starts a service over what is on disk, and applies to the cache what was purged since it was stored. */
  async start(): Promise<void> {
    const transport: Transport = this.network.net.peer(this.id)
    this.clock = new PausableClock(this.network.clock)
    this.registry = new Registry()
    this.purges = new PurgeService(
      {
        ...{ clock: this.clock, logger: silentLogger, registry: this.registry, transport },
        ...{ peers: this, signer: this.signer, purgeable: this.cache },
        members: () => this.network.linkedTo(this.id),
        hasLeft: (peerId) => this.network.left.has(peerId),
        random: this.network.random,
        ...this.#regionLog(),
      },
      {
        purgePeers: this.options.purgePeers ?? ['network'],
        storage: this.storage,
        expectsPeers: () => this.options.expectsPeers ?? true,
      },
    )
    this.isUp = true
    this.lives += 1
    await this.purges.start()
    for (const [url, { generation, tags }] of [...this.cache.responses]) {
      const { everything, purges } = this.purges.since(generation)
      const isGone = purges.some(
        ({ selector, mode }) => mode === 'hard' && matches(selector, url, tags),
      )
      if (everything || isGone) this.cache.responses.delete(url)
    }
  }

  #regionLog() {
    this.line = this.network.region?.connect()
    if (this.line === undefined) return {}
    const { clock, id: peerId } = this
    const { coordination } = this.line
    const metrics = new RegionLogMetrics(this.registry)
    const regionLog = new RegionLog(
      { clock, logger: silentLogger, peerId, coordination, metrics },
      {
        keyspace: 'purges',
        valueBytesMax: purgeLimits.signedBytesMax,
        ageMsMax: purgeLimits.logAgeMsMax,
        memberTtlMs: this.network.region?.memberTtlMs ?? purgeLimits.awayMsMax,
      },
    )
    return { regionLog }
  }

  /** As `kill -9`: nothing more is written; a cache on disk keeps its responses, also those that were purged in memory only. */
  async crash(): Promise<void> {
    this.isUp = false
    this.isPaused = false
    this.line?.cut()
    this.network.unlinkAll(this.id)
    this.network.net.kill(this.id)
    const { bytes } = this.storage
    this.#watchers.clear()
    await this.network.until(this.purges.stop())
    this.storage.bytes = bytes
    this.network.net.revive(this.id)
  }

  pause(): void {
    this.isPaused = true
    this.clock.pause()
    this.network.net.silence(this.id)
  }

  resume(): void {
    this.isPaused = false
    this.network.net.revive(this.id)
    this.clock.resume()
  }

  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const values = (await this.registry.getSingleMetric(name)?.get())?.values ?? []
    return values
      .filter((value) =>
        Object.entries(labels).every(
          ([label, wanted]) => (value.labels as Record<string, unknown>)[label] === wanted,
        ),
      )
      .reduce((sum, { value }) => sum + value, 0)
  }
}

/** Whatever its clock is. */
type AnyPurgeNetwork = PurgeNetwork<PassingClock>

/** All peers and who is connected to whom. */
export class PurgeNetwork<Time extends PassingClock = ManualClock> {
  readonly clock: Time
  readonly region: PurgeTestRegion | undefined
  readonly random: () => number
  readonly net: MemoryNet
  readonly peers: PurgePeer[] = []
  /** Ids of peers that have said goodbye. */
  readonly left = new Set<string>()
  readonly #links = new Set<string>()

  constructor({ clock, random = Math.random, latencyMs = 5, region }: PurgeNetworkInit<Time>) {
    this.clock = clock
    this.region = region
    this.random = random
    this.net = new MemoryNet({ clock, latencyMs, random })
  }

  /** One without a region, whose time a test passes. */
  static plain(init: Partial<PurgeNetworkInit<ManualClock>> = {}): PurgeNetwork {
    return new PurgeNetwork({ clock: new ManualClock(), ...init })
  }

  /** A peer that is not started yet. */
  async make(options: PurgePeerOptions = {}): Promise<PurgePeer> {
    const peer = new PurgePeer(this, peerSigner(await generateKeyPair('Ed25519')), options)
    this.peers.push(peer)
    return peer
  }

  /** Started peers, all connected, caught up. */
  async mesh(count: number, options: PurgePeerOptions = {}): Promise<PurgePeer[]> {
    const peers: PurgePeer[] = []
    for (let index = 0; index < count; index += 1) peers.push(await this.make(options))
    for (const peer of peers) await peer.start()
    this.linkAll()
    // Time of a region costs the most, and all have heard each other long before.
    await this.clock.pass(this.region === undefined ? 10_000 : 4_000)
    // A peer without a log begins by forgetting everything.
    for (const { cache } of peers) cache.purges.length = 0
    return peers
  }

  linkedTo(peerId: string): string[] {
    return [...this.#links]
      .map((link) => link.split('|') as [string, string])
      .filter((pair) => pair.includes(peerId))
      .map(([a, b]) => (a === peerId ? b : a))
  }

  isLinked(a: PurgePeer, b: PurgePeer): boolean {
    return this.#links.has(linkOf(a.id, b.id))
  }

  /** Connects two peers, and tells both. */
  link(a: PurgePeer, b: PurgePeer): void {
    if (this.isLinked(a, b) || !a.isUp || !b.isUp) return
    this.net.join(a.id, b.id)
    this.#links.add(linkOf(a.id, b.id))
    a.meet(b.id)
    b.meet(a.id)
  }

  linkAll(): void {
    for (const a of this.peers) for (const b of this.peers) if (a !== b) this.link(a, b)
  }

  /** They cannot reach each other until they are linked again. */
  unlink(a: PurgePeer, b: PurgePeer): void {
    this.#links.delete(linkOf(a.id, b.id))
    this.net.separate(a.id, b.id)
  }

  unlinkAll(peerId: string): void {
    for (const link of [...this.#links])
      if (link.split('|').includes(peerId)) this.#links.delete(link)
  }

  async stop(): Promise<void> {
    for (const peer of this.peers) {
      if (peer.isPaused) peer.resume()
      if (peer.isUp) await this.until(peer.purges.stop())
    }
  }

  /** Lets time pass until the work is done. */
  async until<Value>(work: Promise<Value>): Promise<Value> {
    let isDone = false
    const settled = work.finally(() => {
      isDone = true
    })
    settled.catch(() => {})
    while (!isDone) await this.clock.pass(10)
    return await settled
  }
}

function linkOf(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`
}
