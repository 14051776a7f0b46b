/** Words of a region's log: what is in it, and what whoever follows it is told. */

/** One entry. */
export interface RegionEntry {
  readonly name: string
  readonly value: Uint8Array
  /** Its place: larger than that of every entry before. */
  readonly revision: number
  /** Monotonic milliseconds at which this peer first saw it. */
  readonly seenMs: number
}

/** The log as it was read whole. */
export interface WholeLog {
  readonly id: string
  /** Entries up to here may be missing; 0 when none was trimmed. */
  readonly horizon: number
  /** All up to here is in the log's entries. */
  readonly revision: number
  /** Monotonic milliseconds at which it was asked for: whatever was acknowledged before is in it. */
  readonly askedMs: number
}

/** Whoever follows the log; calls are made one after the other. What they throw has the log read whole again. */
export interface RegionFollower {
  /** The log was read whole: at the start, and after this peer may have missed something. */
  onWhole(whole: WholeLog): Promise<void>
  /** From now on changes are told, and entries can be added. */
  onFollowing(): void
  /** These came, in order; all up to `revision` has come now. */
  onNews(entries: readonly RegionEntry[], revision: number): Promise<void>
  /** A peer has said anew how far it is. */
  onMember(peerId: string): void
  /** Up to which revision this peer has taken all; 0 when it must not say so. */
  taken(): number
  /** Milliseconds for which an entry has been in the log, as far as is known. */
  ageMs(entry: RegionEntry): number
}
