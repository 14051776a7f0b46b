/**
 * Random networks under random faults on a virtual clock: crashes, pauses, partitions, broken streams, an origin that changes and purges
 * for it. After a purge was acknowledged by a peer, and after a peer came back to one that has carried it out, nothing stored before
 * is served; and when the faults end, all peers know the same purges. A failing seed can be run alone: KAIRO_SEED=<seed>.
 */
import { t as root, test } from 'tap'
import type { PurgeReport } from '../../../src/cdn/purge/purge-report.ts'
import { purgeLimits } from '../../../src/limits/purge.ts'
import { seededRandom } from '../../support/content-peer.ts'
import { PurgeNetwork, type PurgePeer } from '../../support/purge-network.ts'
import type { CachedResponse } from '../../support/small-cache.ts'

root.setTimeout(180_000)

const PEERS = 5
const STEPS = 120
const URLS = ['https://cdn.example/0', 'https://cdn.example/1', 'https://cdn.example/2']

interface Issued {
  readonly issuer: PurgePeer
  readonly life: number
  /** Versions of URLs below this must not be served after it. */
  readonly versions: ReadonlyMap<string, number>
  readonly work: Promise<PurgeReport>
  /** Peers that have carried it out, since when. */
  readonly doneMs: Map<PurgePeer, number>
}

class Simulation {
  readonly random: () => number
  readonly network: PurgeNetwork
  readonly versions = new Map(URLS.map((url) => [url, 1]))
  readonly issued: Issued[] = []
  /** When each pair was last connected, and when each peer last came back from a pause. */
  readonly linkedMs = new Map<string, number>()
  readonly resumedMs = new Map<PurgePeer, number>()
  readonly #pausedMs = new Map<PurgePeer, number>()
  /** Caches as they were a step ago: a crash may find them so on disk. */
  readonly #before = new Map<PurgePeer, [string, CachedResponse][]>()
  readonly #starting: Promise<void>[] = []
  served = 0
  revalidated = 0
  acknowledged = 0

  constructor(seed: number) {
    this.random = seededRandom(seed)
    const latencyMs = 1 + Math.floor(this.random() * 40)
    this.network = PurgeNetwork.plain({ random: this.random, latencyMs })
  }

  get peers(): readonly PurgePeer[] {
    return this.network.peers
  }

  async start(): Promise<void> {
    await this.network.mesh(PEERS)
    for (const a of this.peers) for (const b of this.peers) this.#noteLink(a, b)
  }

  async step(): Promise<void> {
    for (const peer of this.peers) this.#before.set(peer, [...peer.cache.responses])
    if (this.random() < 0.25) this.#purge()
    if (this.random() < 0.3) await this.#fault()
    if (this.random() < 0.3) this.#heal()
    await this.network.clock.pass(Math.floor(this.random() ** 3 * 4_000))
    this.#noteDone()
    this.browse()
  }

  /** Viewers everywhere. */
  browse(): void {
    for (const peer of this.peers) {
      if (!peer.isUp || peer.isPaused) continue
      for (const url of URLS) this.#request(peer, url)
    }
  }

  async end(): Promise<void> {
    await Promise.all(this.#starting)
    for (const peer of this.peers) {
      if (peer.isPaused) this.#resume(peer)
      if (!peer.isUp) await peer.start()
    }
    this.#linkAll()
    await this.network.clock.pass(60_000)
    this.#noteDone()
    this.browse()
    await Promise.allSettled(this.issued.map(({ work }) => work))
  }

  #request(peer: PurgePeer, url: string): void {
    const { cache, purges } = peer
    const cached = cache.responses.get(url)
    if (cached !== undefined && !cached.soft && purges.ready()) {
      this.served += 1
      this.#expectFresh(peer, url, Number(cached.body))
      return
    }
    // A copy of a neighbour saves the origin the request, if the neighbour is as far with purges as this peer.
    const neighbour = this.peers.find((other) => this.#mayAsk(peer, other, url))
    const version = neighbour?.cache.responses.get(url)?.body ?? String(this.versions.get(url))
    this.revalidated += 1
    cache.put(url, version, purges.generation())
  }

  #mayAsk(peer: PurgePeer, other: PurgePeer, url: string): boolean {
    if (!this.network.isLinked(peer, other) || !other.isUp || other.isPaused) return false
    const cached = other.cache.responses.get(url)
    if (cached === undefined || cached.soft || !other.purges.ready()) return false
    return other.purges.covers(peer.purges.stamp())
  }

  #expectFresh(peer: PurgePeer, url: string, version: number): void {
    for (const { versions, doneMs } of this.issued) {
      const least = versions.get(url)
      if (least === undefined || version >= least) continue
      if (doneMs.has(peer)) throw new Error(`served ${version} of ${url} after it was purged`)
      for (const [other, atMs] of doneMs) {
        if (!other.isUp || other.isPaused || !this.network.isLinked(peer, other)) continue
        const cameBackMs = Math.max(
          this.linkedMs.get(pairOf(peer, other)) ?? 0,
          this.resumedMs.get(peer) ?? 0,
        )
        if (cameBackMs > atMs) throw new Error(`served ${version} of ${url} after it came back`)
      }
    }
  }

  #purge(): void {
    const up = this.peers.filter(({ isUp, isPaused }) => isUp && !isPaused)
    const issuer = up[Math.floor(this.random() * up.length)]
    if (issuer === undefined) return
    const url = URLS[Math.floor(this.random() * URLS.length)] ?? ''
    const isAll = this.random() < 0.2
    const changed = isAll ? URLS : [url]
    for (const each of changed) this.versions.set(each, (this.versions.get(each) ?? 0) + 1)
    const versions = new Map(changed.map((each) => [each, this.versions.get(each) ?? 0]))
    const selector = isAll ? ({ by: 'everything' } as const) : ({ by: 'url', url } as const)
    const doneMs = new Map<PurgePeer, number>()
    const work = issuer.purges.purge(selector, 'hard')
    const issued = { issuer, life: issuer.lives, versions, work, doneMs }
    this.issued.push(issued)
    work.then(
      (report) => this.#noteReport(report, issued),
      () => {},
    )
  }

  #noteReport(report: PurgeReport, { issuer, life, doneMs }: Issued): void {
    if (!issuer.isUp || issuer.lives !== life) return
    for (const { peerId, status } of report.peers) {
      const peer = this.peers.find(({ id }) => id === peerId)
      if (status !== 'done' || peer === undefined || doneMs.has(peer)) continue
      this.acknowledged += 1
      doneMs.set(peer, this.network.clock.monotonicMs())
    }
  }

  /** Reports go on after the callers' wait. */
  #noteDone(): void {
    for (const issued of this.issued) {
      const { issuer, work } = issued
      work.then(
        ({ id }) => {
          const report = issuer.purges.reports().find((each) => each.id === id)
          if (report !== undefined) this.#noteReport(report, issued)
        },
        () => {},
      )
    }
  }

  async #fault(): Promise<void> {
    const peer = this.peers[Math.floor(this.random() * PEERS)]
    if (peer === undefined) return
    const kind = this.random()
    if (kind < 0.25) {
      if (peer.isUp) await this.#crash(peer)
    } else if (kind < 0.45) {
      if (peer.isUp && !peer.isPaused) {
        this.#pausedMs.set(peer, this.network.clock.monotonicMs())
        peer.pause()
      }
    } else if (kind < 0.75) {
      const cut = Math.floor(this.random() * (PEERS - 1)) + 1
      for (const a of this.peers.slice(0, cut)) {
        for (const b of this.peers.slice(cut)) this.network.unlink(a, b)
      }
    } else this.network.net.cut(() => this.random() < 0.5)
  }

  async #crash(peer: PurgePeer): Promise<void> {
    await Promise.all(this.#starting)
    await peer.crash()
    if (this.random() < 0.5) return
    peer.cache.responses.clear()
    for (const [url, response] of this.#before.get(peer) ?? []) {
      peer.cache.responses.set(url, response)
    }
  }

  #heal(): void {
    const peer = this.peers[Math.floor(this.random() * PEERS)]
    if (peer?.isPaused === true) this.#resume(peer)
    if (peer?.isUp === false) {
      this.#starting.push(peer.start())
      return
    }
    if (this.random() < 0.5) this.#linkAll()
  }

  #resume(peer: PurgePeer): void {
    const nowMs = this.network.clock.monotonicMs()
    peer.resume()
    // Shorter pauses are not told from a busy machine.
    if (nowMs - (this.#pausedMs.get(peer) ?? nowMs) > purgeLimits.pauseMs) {
      this.resumedMs.set(peer, nowMs)
    }
  }

  #linkAll(): void {
    for (const a of this.peers) {
      for (const b of this.peers) {
        if (a === b || this.network.isLinked(a, b) || !a.isUp || !b.isUp) continue
        if (a.isPaused || b.isPaused) continue
        this.network.link(a, b)
        this.#noteLink(a, b)
      }
    }
  }

  #noteLink(a: PurgePeer, b: PurgePeer): void {
    this.linkedMs.set(pairOf(a, b), this.network.clock.monotonicMs())
  }
}

function pairOf(a: PurgePeer, b: PurgePeer): string {
  return a.id < b.id ? `${a.id}|${b.id}` : `${b.id}|${a.id}`
}

const seeds =
  process.env.KAIRO_SEED === undefined
    ? Array.from({ length: Number(process.env.KAIRO_SEEDS ?? 6) }, (_, index) => index + 1)
    : [Number(process.env.KAIRO_SEED)]

test('purges under random faults', async (t) => {
  let served = 0
  let acknowledged = 0
  for (const seed of seeds) {
    const simulation = new Simulation(seed)
    try {
      await simulation.start()
      for (let step = 0; step < STEPS; step += 1) await simulation.step()
      await simulation.end()
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
    }
    const { peers } = simulation
    const stamps = new Set(peers.map(({ purges }) => purges.stamp().split('_').sort().join('_')))
    t.equal(stamps.size, 1, `seed ${seed}: all know the same purges`)
    t.ok(
      peers.every(({ purges }) => purges.ready()),
      `seed ${seed}: all serve`,
    )
    served += simulation.served
    acknowledged += simulation.acknowledged
    await simulation.network.stop()
  }
  t.ok(served > 100, 'caches served')
  t.ok(acknowledged > 150, 'purges were acknowledged')
})
