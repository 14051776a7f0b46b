/**
 * How far each peer of the region is with the purges in its log, without a word a purge: from what peers wrote when they came, and from the
 * states that they exchange anyway.
 */
import type { RegionEntry } from '../../coordination/region-follower.ts'
import type { RegionLog } from '../../coordination/region-log.ts'
import { knownBy, type OriginState, type PurgeLedger } from './purge-ledger.ts'
import { originKey, purgeNamed } from './purge-message.ts'
import type { PurgeTrust } from './purge-trust.ts'

/** What progress is read from. */
export interface PurgeProgressComponents {
  readonly log: Pick<RegionLog, 'entries' | 'members'>
  readonly ledger: PurgeLedger
  readonly trust: PurgeTrust
  /** This peer's id. */
  readonly peerId: string
}

/** What a peer is known to have carried out: all up to a revision, but for those of issuers that it does not believe. */
interface Progress {
  readonly through: number
  readonly ignored: ReadonlySet<string>
}

/** The progress of all peers. */
export class PurgeProgress {
  readonly #components: PurgeProgressComponents
  /** By peer; only of those that follow the log. */
  readonly #told = new Map<string, Progress>()

  constructor(components: PurgeProgressComponents) {
    this.#components = components
  }

  /** True when a peer is known to have carried out what an entry says. */
  hasDone(peerId: string, { name, revision }: Pick<RegionEntry, 'name' | 'revision'>): boolean {
    const { log, ledger } = this.#components
    const purge = purgeNamed(name)
    // Nobody carries out what is no purge, nor waits for it.
    if (purge === undefined || purge.issuer === peerId) return true
    if (peerId === this.#components.peerId) return ledger.has(purge)
    if (revision <= (log.members.get(peerId) ?? 0)) return true
    const told = this.#told.get(peerId)
    return told !== undefined && revision <= told.through && !told.ignored.has(originKey(purge))
  }

  /** It is another log: revisions of the one before say nothing in it. */
  clear(): void {
    this.#told.clear()
  }

  /** A peer says what it knows. @param revision up to which this peer itself has read the log. */
  note(peerId: string, state: readonly OriginState[] | 'same', revision: number): void {
    const { members } = this.#components.log
    for (const known of this.#told.keys()) if (!members.has(known)) this.#told.delete(known)
    if (!members.has(peerId)) return
    const ignored = this.ignored()
    // Whoever knows the same has left the same out.
    const told = state === 'same' ? { through: revision, ignored } : this.#read(state, revision)
    this.#told.set(peerId, told)
  }

  /** Origins in the log whose purges are not carried out here. */
  ignored(): Set<string> {
    const { log, trust } = this.#components
    const ignored = new Set<string>()
    for (const { name } of log.entries()) {
      const purge = purgeNamed(name)
      if (purge !== undefined && !trust.believes(purge.issuer)) ignored.add(originKey(purge))
    }
    return ignored
  }

  #read(state: readonly OriginState[], revision: number): Progress {
    const origins = new Map(state.map((origin) => [originKey(origin), origin]))
    const ignored = new Set<string>()
    let through = 0
    for (const entry of this.#components.log.entries()) {
      const purge = purgeNamed(entry.name)
      if (purge !== undefined) {
        const origin = origins.get(originKey(purge))
        if (origin?.ignored === true) ignored.add(originKey(purge))
        else if (origin === undefined || !knownBy(origin)(purge.sequence)) {
          return { through, ignored }
        }
      }
      through = entry.revision
    }
    return { through: Math.max(through, revision), ignored }
  }
}
