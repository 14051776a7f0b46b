/**
 * What placement remembers from round to round: who did not take a seat, which leaders were moved, and what is under way.
 * All of it is in memory: a new leader of the region group begins carefully.
 */
import type { Absences } from './absences.ts'
import type { PlacementGroup, PlacementMember, PlacementSettings } from './placement-types.ts'
import type { RegionMember } from './region-members.ts'
import type { LeaderReport } from './region-reports.ts'

/** The memory of one term of leading the region group. */
export class PlacementMemory {
  readonly #settings: PlacementSettings
  readonly #absences: Absences
  readonly #startedAtMs: number
  /** By group and member, until when it is not asked again to take a seat. */
  readonly #barredUntilMs = new Map<number, Map<number, number>>()
  readonly #transferredMs = new Map<number, number>()
  readonly #busy = new Set<number>()

  /** @param startedAtMs monotonic */
  constructor(settings: PlacementSettings, absences: Absences, startedAtMs: number) {
    this.#settings = settings
    this.#absences = absences
    this.#startedAtMs = startedAtMs
  }

  /** The members as placement wants them. @param wallMs the time that members date their presence by */
  members(found: readonly RegionMember[], atMs: number, wallMs: number): PlacementMember[] {
    this.#absences.note(found, atMs)
    return found.map(({ memberId, presence }) => ({
      memberId,
      // A clock that is ahead of ours makes nobody absent.
      presentMs: presence === undefined ? undefined : Math.max(0, wallMs - presence.sinceMs),
      absentMs: this.#absences.absentMs(memberId, atMs),
      isReachable: presence?.isReachable ?? false,
      isLeaving: presence?.isLeaving ?? false,
      load: presence?.load ?? 0,
    }))
  }

  /** A group as placement wants it. */
  group(report: LeaderReport, atMs: number): PlacementGroup {
    const { group, memberId: leader, members, commit, progress } = report
    const barred = this.#barredUntilMs.get(group)
    for (const [id, untilMs] of barred ?? []) if (untilMs <= atMs) barred?.delete(id)
    // What another one moved just before is not known here.
    const transferredMs = this.#transferredMs.get(group) ?? this.#startedAtMs
    return {
      ...{ group, leader, members, commit, progress },
      isBusy: this.#busy.has(group),
      mayTransfer: atMs - transferredMs >= this.#settings.transferMs,
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
}
