/** The words of placement: what it looks at, and what it asks for. */
import type { ConfChangeSingle } from '../raft/types.ts'
import type { placementLimits } from './region-limits.ts'
import type { GroupMembers, MemberProgress } from './region-messages.ts'

/** Settings of placement; every default is the one of {@link placementLimits}. */
export type PlacementSettings = {
  readonly [Name in keyof typeof placementLimits]: number
}

/** One member of the region, alive or not. Who was struck off, or said goodbye, is not in the list. */
export interface PlacementMember {
  readonly memberId: number
  /** For how long it has been there without a lapse, milliseconds; undefined while it is absent. */
  readonly presentMs: number | undefined
  /** For how long it has been absent, milliseconds; 0 while it is there. */
  readonly absentMs: number
  readonly isReachable: boolean
  /** It is about to go for good. */
  readonly isLeaving: boolean
  /** From 0 to 1. */
  readonly load: number
}

/** One group as its leader reported it. */
export interface PlacementGroup {
  readonly group: number
  /** Member id of the leader that reported. */
  readonly leader: number
  readonly members: GroupMembers
  readonly commit: number
  readonly progress: readonly MemberProgress[]
  /** A step that was asked for is not settled yet. */
  readonly isBusy: boolean
  /** Its leader was not moved for a while. */
  readonly mayTransfer: boolean
  /** Members that did not take a seat here lately: they could not be reached, or have only just lost one. */
  readonly barred: ReadonlySet<number>
}

/** Who is to make up a group. */
export interface GroupTarget {
  readonly voters: readonly number[]
  /** Standing learners, beside those that are about to vote. */
  readonly learners: readonly number[]
}

/** What the leader of a group is to do. */
export type PlacementStep =
  /** To change its membership; `invited` are to hold the group before. */
  | {
      readonly type: 'change'
      readonly group: number
      readonly leader: number
      readonly changes: readonly ConfChangeSingle[]
      readonly invited: readonly number[]
    }
  /** To hand over: because it goes (`removal`), or because it leads more groups than others (`balance`). */
  | {
      readonly type: 'transfer'
      readonly group: number
      readonly leader: number
      readonly to: number
      readonly why: 'removal' | 'balance'
    }
