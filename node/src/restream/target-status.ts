/** Where a restream target stands, as pages and commands show it. */

/**
 * `connecting`: its child is connecting. `sending`: it takes the stream. `waiting`: for a keyframe, or for the next attempt.
 * `failed`: it cannot take this stream, and trying again would change nothing. `off`: disabled, or the stream is not live.
 */
export type TargetState = 'connecting' | 'sending' | 'waiting' | 'failed' | 'off'

/** Every state. */
export const targetStates: readonly TargetState[] = [
  'connecting',
  'sending',
  'waiting',
  'failed',
  'off',
]

/** One target, without its secrets. */
export interface TargetStatus {
  readonly name: string
  /** Scheme, host and port. */
  readonly host: string
  readonly enabled: boolean
  readonly state: TargetState
  /** What went wrong last; undefined while all is well. */
  readonly error: string | undefined
  /** Wall milliseconds of the last change of state; undefined before the first. */
  readonly sinceMs: number | undefined
  /** Media that it took since the stream began. */
  readonly bytes: number
  readonly bitrateBps: number
  /** Units that it was too slow for since the stream began. */
  readonly dropped: number
  /** Attempts after failures since the stream began. */
  readonly retries: number
}
