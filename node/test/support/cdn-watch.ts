/**
 * Clients that ask all peers of a network all the time and look at each answer: whether every byte is of one version, and whether the
 * version is none from before a purge that this peer had done when it was asked.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { PurgeSelector } from '../../src/cdn/purge-selector.ts'
import {
  askSite,
  type CdnPeer,
  isHit,
  oneOf,
  type PurgeView,
  purgeAt,
  purgesOf,
} from './cdn-peers.ts'
import type { Answer } from './http-get.ts'
import { until } from './until.ts'
import { sizeOf, type VersionedOrigin, versionIn } from './versioned-origin.ts'

/** Between two requests of one client: peers, not clients, are to have the machine, and all of them together ask hundreds of times a second. */
const PAUSE_MS = 20

/** What was seen of a peer. */
export interface PeerTally {
  readonly answers: number
  readonly hits: number
  /** Requests that ended with an error that the client saw. */
  readonly errors: number
}

/** The clients, and what they know of purges. */
export class CdnWatch {
  /** What must not have happened, in words. */
  readonly violations: string[] = []
  readonly #origin: VersionedOrigin
  readonly #paths: readonly string[]
  /** Least version that a peer may serve, by its id and the path. */
  readonly #floors = new Map<string, number>()
  readonly #tallies = new Map<string, PeerTally>()
  /** Purges by id: what they took, and the version that came after. */
  readonly #purges = new Map<string, ReadonlyMap<string, number>>()
  readonly #clients: Promise<void>[] = []
  #isStopped = false

  constructor(origin: VersionedOrigin, paths: readonly string[]) {
    this.#origin = origin
    this.#paths = paths
  }

  /** Begins with so many clients of a peer. */
  watch(peer: CdnPeer, clients: number): void {
    for (let client = 0; client < clients; client += 1) this.#clients.push(this.#run(peer))
  }

  /** What was seen of a peer so far. */
  tally({ peerId }: Pick<CdnPeer, 'peerId'>): PeerTally {
    return this.#tallies.get(peerId) ?? { answers: 0, hits: 0, errors: 0 }
  }

  /** Changes the paths at the origin, then purges what they were at a peer; who has done it may not serve them again. */
  async purge(
    peer: CdnPeer,
    selector: PurgeSelector,
    paths: readonly string[],
  ): Promise<PurgeView> {
    const versions = new Map(paths.map((path) => [path, this.#origin.bump(path)]))
    const report = await purgeAt(peer, selector)
    this.#purges.set(report.id, versions)
    this.#learn(report)
    return report
  }

  /** Waits until every peer that was known has done all purges given to a peer; the error says which one has not. */
  async catchUp(peer: CdnPeer, what: string, timeoutMs?: number): Promise<void> {
    let open: readonly PurgeView[] = []
    const isDone = async (): Promise<boolean> => {
      const { purges } = await purgesOf(peer)
      for (const report of purges) this.#learn(report)
      open = purges.filter(({ complete }) => !complete)
      return open.length === 0
    }
    try {
      await until(isDone, what, timeoutMs)
    } catch (error) {
      throw new Error(`${String(error)}; open: ${JSON.stringify(open)}`, { cause: error })
    }
  }

  /** A peer is back that was away: from now on it may serve nothing from before any purge that some peer has done by now. */
  isBack({ peerId }: Pick<CdnPeer, 'peerId'>): void {
    for (const versions of this.#purges.values()) this.#raise(peerId, versions)
  }

  /** Ends all clients. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#clients)
  }

  #check(peer: CdnPeer, path: string, floor: number, answer: Answer): void {
    try {
      const version = versionIn(path, answer)
      if (version >= floor) return
      const status = answer.headers['cache-status']
      throw new Error(`${path}: version ${version} after a purge of all before ${floor}, ${status}`)
    } catch (error) {
      this.violations.push(`${peer.peerId.slice(-6)}: ${(error as Error).message}`)
    }
  }

  /** Least version that a peer may serve from now on. */
  floor({ peerId }: Pick<CdnPeer, 'peerId'>, path: string): number {
    return this.#floors.get(`${peerId} ${path}`) ?? 1
  }

  async #run(peer: CdnPeer): Promise<void> {
    while (!this.#isStopped) {
      const path = oneOf(this.#paths)
      const floor = this.floor(peer, path)
      try {
        const answer = await askSite(peer.http, path, rangeOf(path))
        const isAnswer = answer.status === 200 || answer.status === 206
        this.#count(peer, isAnswer ? (isHit(answer) ? 'hits' : 'answers') : 'errors')
        if (isAnswer) this.#check(peer, path, floor, answer)
      } catch {
        // Broken off, or nobody there: whoever asked knows it.
        this.#count(peer, 'errors')
      }
      await pause(PAUSE_MS)
    }
  }

  #count({ peerId }: CdnPeer, what: keyof PeerTally): void {
    const before = this.tally({ peerId })
    const tally = { ...before, [what]: before[what] + 1 }
    if (what === 'hits') tally.answers = before.answers + 1
    this.#tallies.set(peerId, tally)
  }

  #learn({ id, peers }: PurgeView): void {
    const versions = this.#purges.get(id)
    if (versions === undefined) return
    for (const { peerId, status } of peers) if (status === 'done') this.#raise(peerId, versions)
  }

  #raise(peerId: string, versions: ReadonlyMap<string, number>): void {
    for (const [path, version] of versions) {
      const floor = Math.max(version, this.floor({ peerId }, path))
      this.#floors.set(`${peerId} ${path}`, floor)
    }
  }
}

/** Of a long one, a part as often as the whole. */
function rangeOf(path: string): Record<string, string> {
  const bytes = sizeOf(path)
  if (bytes < 1_000_000 || oneOf([true, false])) return {}
  const first = oneOf([0, 1_000_000, bytes - 1_100_000])
  return { range: `bytes=${first}-${first + 1_048_575}` }
}
