/** The groups of this member: the driver that runs them and the states that it applies commands to, as one. */
import { TrackerError } from '../errors.ts'
import type { GroupAccess, GroupStore, Leadership } from './group-access.ts'

/** What a driver offers of its groups. */
export interface GroupDriver {
  propose(group: number, command: Uint8Array): Promise<unknown>
  barrier(group: number): Promise<void>
  leaderPeerId(group: number): string | undefined
  /** @throws TrackerError when the group is not here */
  status(group: number): { readonly term: number }
  onLeadership(group: number, listener: (term: number | undefined) => void): () => void
}

/** {@link GroupAccess} of a driver. */
export class MemberGroups implements GroupAccess {
  readonly region: number
  readonly #driver: GroupDriver
  readonly #stores = new Map<number, { store: GroupStore; stopListening: () => void }>()
  readonly #listeners = new Set<(group: number) => void>()

  /** @param init `region`: number of the region that the groups are of */
  constructor(
    components: { readonly driver: GroupDriver },
    init: { readonly region?: number } = {},
  ) {
    this.#driver = components.driver
    this.region = init.region ?? 0
  }

  get groups(): Iterable<number> {
    return this.#stores.keys()
  }

  /** The driver runs a group from now on, with this state. */
  add(group: number, store: GroupStore): void {
    this.remove(group)
    const entry = { store, stopListening: () => {} }
    this.#stores.set(group, entry)
    entry.stopListening = this.#driver.onLeadership(group, () => this.#tell(group))
  }

  /** The driver runs a group no longer. */
  remove(group: number): void {
    const entry = this.#stores.get(group)
    if (entry === undefined) return
    this.#stores.delete(group)
    entry.stopListening()
    this.#tell(group)
  }

  leaderPeerId(group: number): string | undefined {
    return this.#stores.has(group) ? this.#driver.leaderPeerId(group) : undefined
  }

  leadership(group: number): Leadership | undefined {
    if (!this.#stores.has(group)) return undefined
    try {
      return { term: this.#driver.status(group).term, peerId: this.#driver.leaderPeerId(group) }
    } catch (error) {
      // The driver was stopped: nothing is led here.
      if (error instanceof TrackerError) return undefined
      throw error
    }
  }

  onLeadership(listener: (group: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  propose(group: number, command: Uint8Array): Promise<unknown> {
    if (!this.#stores.has(group)) return Promise.reject(notHere())
    return this.#driver.propose(group, command)
  }

  barrier(group: number): Promise<void> {
    if (!this.#stores.has(group)) return Promise.reject(notHere())
    return this.#driver.barrier(group)
  }

  store(group: number): GroupStore | undefined {
    return this.#stores.get(group)?.store
  }

  #tell(group: number): void {
    for (const listener of this.#listeners) listener(group)
  }
}

function notHere(): TrackerError {
  return new TrackerError('ERR_NOT_LEADER', 'this peer has no part in the group')
}
