/** What a broken file is, and what must become of it. */
import type { ErrorCode } from '../../../src/errors.ts'
import type { Clips } from './clips.ts'

/** The end of a case: a reason, or a video that plays. */
export type Ending = RefusedEnding | RepairedEnding

/** The file is refused. */
export interface RefusedEnding {
  readonly error: ErrorCode
  /** What the reason must say. */
  readonly says: RegExp
}

/** The file becomes a video. */
export interface RepairedEnding {
  /** Its length, least and most, seconds. */
  readonly seconds: readonly [number, number]
  /** Its renditions, in their order; undefined where the damage decides which, but one there must be. */
  readonly renditions?: readonly string[]
  /** Renditions whose pictures or sound are damaged inside, so that a decoder complains; their containers are whole all the same. */
  readonly damaged?: readonly string[]
  /** Rules of the segment checker that it may break. */
  readonly allowed?: readonly string[]
}

/** One case. */
export interface BrokenFile {
  /** Name of the file, unique in the corpus. */
  readonly name: string
  /** What is wrong with it, a clause. */
  readonly about: string
  /** Its bytes. */
  readonly make: (clips: Clips) => Promise<Buffer | string>
  /** Also encodes a rung, which decodes every picture. Default: only what cannot be copied is encoded. */
  readonly encode?: boolean
  readonly ends: Ending
}
