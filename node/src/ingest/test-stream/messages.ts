/** What the peer and the child that makes the test stream tell each other over the fork's channel. */

/** Shape of the stream the child makes. */
export interface TestStreamFormat {
  /** Pixels. */
  readonly width: number
  /** Pixels. */
  readonly height: number
  /** Whole frames a second. */
  readonly frameRate: number
  /** Video, bits a second. */
  readonly videoBitrateBps: number
  /** Sound, bits a second. */
  readonly audioBitrateBps: number
  /** Seconds from keyframe to keyframe. */
  readonly gopS: number
}

/**
 * To the child. The address carries the stream key, so it travels here and never in arguments or environment, where other
 * users of the machine could read it.
 */
export type ToChild =
  | { readonly type: 'start'; readonly rtmpUrl: string; readonly format: TestStreamFormat }
  | { readonly type: 'stop' }

/** From the child. */
export type FromChild =
  /** The first packet went out, `sinceForkMs` after the child's process began. */
  | { readonly type: 'publishing'; readonly sinceForkMs: number }
  /** Sent about once a second while frames go out. */
  | {
      readonly type: 'progress'
      /** Frames sent since the start. */
      readonly frames: number
      /** Frames left out because the machine or the receiver was late. */
      readonly skipped: number
      /** Processor time of the child, in seconds. */
      readonly cpuS: number
    }
  /** The child ends. `unavailable` means that trying again is of no use on this machine. */
  | { readonly type: 'failed'; readonly reason: string; readonly unavailable: boolean }
