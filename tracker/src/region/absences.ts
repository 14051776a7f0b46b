/** Since when members are absent, as this peer saw it: whoever begins to lead the region group knows it already. */
import type { RegionMember } from './region-members.ts'

/** The absences of a region's members. */
export class Absences {
  readonly #sinceMs = new Map<number, number>()

  /** Takes in who is there. @param atMs monotonic */
  note(members: readonly RegionMember[], atMs: number): void {
    const ids = new Set(members.map(({ memberId }) => memberId))
    for (const id of this.#sinceMs.keys()) if (!ids.has(id)) this.#sinceMs.delete(id)
    for (const { memberId, presence } of members) {
      if (presence !== undefined) this.#sinceMs.delete(memberId)
      else if (!this.#sinceMs.has(memberId)) this.#sinceMs.set(memberId, atMs)
    }
  }

  /** How long a member has been absent; 0 while it is there. */
  absentMs(memberId: number, atMs: number): number {
    return atMs - (this.#sinceMs.get(memberId) ?? atMs)
  }
}
