/**
 * What placement remembers from round to round: since when members are absent, who did not take a seat, which leaders were
 * moved, and what is under way. All of it is in memory: a new leader of the region group begins carefully.
 */
import type { PlacementGroup, PlacementMember, PlacementSettings } from './placement-types.ts'
import type { RegionMember } from './region-members.ts'
import type { LeaderReport } from './region-reports.ts'

/** The memory of one term of leading the region group. */
export class PlacementMemory {
  readonly #settings: PlacementSettings
  readonly #absentSinceMs = new Map<number, number>()
  /** By group and member, until when it is not asked again to take a seat. */
  readonly #barredUntilMs = new Map<number, Map<number, number>>()
  readonly #transferredMs = new Map<number, number>()
  readonly #busy = new Set<number>()

  constructor(settings: PlacementSettings) {
    this.#settings = settings
  }

  /** The members as placement wants them. @param wallMs the time that members date their presence by */
  members(found: readonly RegionMember[], atMs: number, wallMs: number): PlacementMember[] {
    const ids = new Set(found.map(({ memberId }) => memberId))
    for (const id of this.#absentSinceMs.keys()) if (!ids.has(id)) this.#absentSinceMs.delete(id)
    return found.map(({ memberId, presence }) => {
      if (presence !== undefined) this.#absentSinceMs.delete(memberId)
      else if (!this.#absentSinceMs.has(memberId)) this.#absentSinceMs.set(memberId, atMs)
      const absentMs = atMs - (this.#absentSinceMs.get(memberId) ?? atMs)
      // A clock that is ahead of ours makes nobody absent.
      const presentMs = presence === undefined ? undefined : Math.max(0, wallMs - presence.sinceMs)
      return {
        ...{ memberId, presentMs, absentMs },
        isReachable: presence?.isReachable ?? false,
        isLeaving: presence?.isLeaving ?? false,
        load: presence?.load ?? 0,
      }
    })
  }

  /** A group as placement wants it. */
  group(report: LeaderReport, atMs: number): PlacementGroup {
    const { group, memberId: leader, members, commit, progress } = report
    const barred = this.#barredUntilMs.get(group)
    for (const [id, untilMs] of barred ?? []) if (untilMs <= atMs) barred?.delete(id)
    const transferredMs = this.#transferredMs.get(group)
    return {
      ...{ group, leader, members, commit, progress },
      isBusy: this.#busy.has(group),
      mayTransfer:
        transferredMs === undefined || atMs - transferredMs >= this.#settings.transferMs,
      barred: new Set(barred?.keys()),
    }
  }

  /** A member did not take a seat: for a while others are asked. */
  notSeated(group: number, memberId: number, atMs: number): void {
    const barred = this.#barredUntilMs.get(group) ?? new Map<number, number>()
    this.#barredUntilMs.set(group, barred.set(memberId, atMs + this.#settings.returnMs))
  }

  isBusy(group: number): boolean {
    return this.#busy.has(group)
  }

  /** A step of a group begins, or is settled. */
  setBusy(group: number, isBusy: boolean): void {
    if (isBusy) this.#busy.add(group)
    else this.#busy.delete(group)
  }

  transferred(group: number, atMs: number): void {
    this.#transferredMs.set(group, atMs)
  }

  /** How long a member has been absent. */
  absentMs(memberId: number, atMs: number): number {
    return atMs - (this.#absentSinceMs.get(memberId) ?? atMs)
  }
}
