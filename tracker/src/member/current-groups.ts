/** The groups that are open now, behind one door: a peer may go over to another region while its lines and its answers to others stay. */
import type { GroupAccess, GroupStore, Leadership } from '../client/group-access.ts'
import type { MemberGroups } from '../client/member-groups.ts'
import { TrackerError } from '../errors.ts'

/** {@link GroupAccess} of whatever region this peer is in. */
export class CurrentGroups implements GroupAccess {
  #current: MemberGroups | undefined
  readonly #listeners = new Set<(group: number) => void>()

  /** These groups are the ones from now on; undefined for none. */
  switchTo(groups: MemberGroups | undefined): void {
    this.#current = groups
    groups?.onLeadership((group) => {
      if (groups !== this.#current) return
      for (const listener of this.#listeners) listener(group)
    })
  }

  /** Of the region that this peer is in; no region has 0. */
  get region(): number {
    return this.#current?.region ?? 0
  }

  get groups(): Iterable<number> {
    return this.#current?.groups ?? []
  }

  leaderPeerId(group: number): string | undefined {
    return this.#current?.leaderPeerId(group)
  }

  leadership(group: number): Leadership | undefined {
    return this.#current?.leadership(group)
  }

  onLeadership(listener: (group: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  propose(group: number, command: Uint8Array): Promise<unknown> {
    return this.#current?.propose(group, command) ?? Promise.reject(nowhere())
  }

  barrier(group: number): Promise<void> {
    return this.#current?.barrier(group) ?? Promise.reject(nowhere())
  }

  store(group: number): GroupStore | undefined {
    return this.#current?.store(group)
  }
}

function nowhere(): TrackerError {
  return new TrackerError('ERR_NOT_LEADER', 'this peer is in no region')
}
