/**
 * What the scheduler hears and what it wants done. It is a pure state machine: each event brings actions, and the time at which it wants to be
 * asked again. It never sees bytes, only which there are.
 */
import type { StripePlace } from '../protocol/edge-messages.ts'
import type { PartKey } from '../protocol/part-key.ts'

/** Id of another page. */
export type PeerId = string

/** Something happened. */
export type SchedulerEvent =
  /**
   * The player wants a part until a moment (the scheduler's clock), after which its buffer is in danger. `isUrgent`: there is nothing to play yet, or
   * nearly: HTTP begins at once, whoever else may have it. Told again when the deadline changes.
   */
  | {
      readonly type: 'want'
      readonly key: PartKey
      readonly deadlineMs: number
      readonly isUrgent: boolean
    }
  /** The player wants it no more: another level, a seek, the end. */
  | { readonly type: 'unwant'; readonly key: PartKey }
  /** Live parts that the playlist lists from now on, oldest first: they can be fetched, whether the player has asked yet or not. */
  | { readonly type: 'published'; readonly keys: readonly PartKey[] }
  /** The trees of the live rendition, and the place of this page in them; no stripes: none. */
  | {
      readonly type: 'tree'
      readonly rendition: string
      readonly stripes: readonly StripePlace[]
    }
  /** `isTried`: none listens yet, but one is being called. */
  | { readonly type: 'edge'; readonly isOpen: boolean; readonly isTried?: boolean }
  /** The edge lets this page fetch a part, for all, until then. */
  | { readonly type: 'grant'; readonly key: PartKey; readonly untilMs: number }
  /** The edge says who has a part, or fetches it; not all of them need be connected. */
  | {
      readonly type: 'from'
      readonly key: PartKey
      readonly peers: readonly PeerId[]
      readonly isWhole: boolean
      readonly untilMs: number
    }
  | { readonly type: 'peer-up'; readonly peer: PeerId; readonly rttMs: number }
  | { readonly type: 'peer-rtt'; readonly peer: PeerId; readonly rttMs: number }
  | { readonly type: 'peer-down'; readonly peer: PeerId }
  /** A peer has a part, or it is coming in there. */
  | {
      readonly type: 'peer-has'
      readonly peer: PeerId
      readonly key: PartKey
      readonly bytes: number | undefined
      readonly isWhole: boolean
    }
  | { readonly type: 'peer-lost'; readonly peer: PeerId; readonly key: PartKey }
  /** A peer began to push a part. */
  | { readonly type: 'push'; readonly peer: PeerId; readonly key: PartKey }
  /** New bytes of a part are in memory: `from` up to, not with, `to`. `peer` absent: by HTTP. */
  | {
      readonly type: 'bytes'
      readonly key: PartKey
      readonly from: number
      readonly to: number
      readonly peer?: PeerId
    }
  /** How long a part is has become known. */
  | { readonly type: 'length'; readonly key: PartKey; readonly bytes: number }
  /** A peer has sent all that it will of an ask or push. */
  | {
      readonly type: 'peer-end'
      readonly peer: PeerId
      readonly key: PartKey
      readonly isCut: boolean
    }
  /** HTTP brought all that was asked for, or ended before. */
  | { readonly type: 'fetched'; readonly key: PartKey }
  | { readonly type: 'fetch-failed'; readonly key: PartKey }
  /** The part is what its digest says. */
  | { readonly type: 'verified'; readonly key: PartKey }
  /** It is not: its bytes are thrown away already. `peers`: who brought some of them. */
  | { readonly type: 'refused'; readonly key: PartKey; readonly peers: readonly PeerId[] }
  /** A part left the memory. */
  | { readonly type: 'evicted'; readonly key: PartKey }
  /** Whether this page takes from peers, and gives to them. */
  | { readonly type: 'manners'; readonly mayTake: boolean; readonly mayGive: boolean }
  /** The moment that was asked for has come. */
  | { readonly type: 'time' }

/** Something is to be done. */
export type SchedulerAction =
  /** HTTP from a byte on, to the end of the part or up to `to` where what lies behind is there already; there is one request a part at a time. */
  | {
      readonly type: 'fetch'
      readonly key: PartKey
      readonly from: number
      readonly to?: number
    }
  /** End it; what has come stays. */
  | { readonly type: 'stop-fetch'; readonly key: PartKey }
  | {
      readonly type: 'ask-peer'
      readonly peer: PeerId
      readonly key: PartKey
      readonly from: number
      readonly to: number | undefined
    }
  /** No more of a part from a peer, asked for or pushed. */
  | { readonly type: 'cancel-peer'; readonly peer: PeerId; readonly key: PartKey }
  /** Pass a part on to a child of the tree, from its first byte, as it comes in. */
  | { readonly type: 'push'; readonly peer: PeerId; readonly key: PartKey }
  | {
      readonly type: 'ask-edge'
      readonly parts: readonly { readonly key: PartKey; readonly withinMs: number }[]
    }
  /** A lease is given back unused. */
  | { readonly type: 'return-lease'; readonly key: PartKey }
  /** All bytes are there: check them. */
  | { readonly type: 'verify'; readonly key: PartKey }
  /** HTTP has failed and nobody else has it: the player is to be told. */
  | { readonly type: 'give-up'; readonly key: PartKey }
  /** A peer did harm, or is of no use: end the connection, and tell the edge when it is named a reason. */
  | {
      readonly type: 'drop-peer'
      readonly peer: PeerId
      readonly reason: 'bytes' | 'silent' | 'slow'
      readonly key: PartKey
    }
