/** Where playback is: a span of media that can be played, and the playhead in it. Live and finished media look the same here. */

/** All in seconds of the video element's own time. */
export interface Timeline {
  readonly live: boolean
  /** The oldest that can be played. */
  readonly startS: number
  /** The newest that can be played: the live edge, or the end. */
  readonly endS: number
  readonly positionS: number
  /** End of what is loaded around the playhead. */
  readonly bufferedS: number
  /** Wall time at `endS`, in milliseconds; undefined for finished media and where the playlist does not say. */
  readonly endDateMs: number | undefined
}

/** A live window shorter than this is a buffer, nothing to go back in. */
const rewindableS = 20

/** Whether there is a span to move in. */
export function isSeekable({ live, startS, endS }: Timeline): boolean {
  return endS - startS >= (live ? rewindableS : 0.5)
}

/** The playhead's place as a share of the span, 0 to 1. */
export function shareOf({ startS, endS }: Timeline, timeS: number): number {
  return endS <= startS ? 0 : Math.min(1, Math.max(0, (timeS - startS) / (endS - startS)))
}

/** The time at a share of the span. */
export function timeAt({ startS, endS }: Timeline, share: number): number {
  return startS + Math.min(1, Math.max(0, share)) * (endS - startS)
}

/** End of the buffered range that holds the playhead. */
export function bufferedEnd(video: HTMLVideoElement): number | undefined {
  const { buffered, currentTime } = video
  for (let i = 0; i < buffered.length; i++) {
    if (buffered.start(i) <= currentTime + 0.1 && currentTime <= buffered.end(i))
      return buffered.end(i)
  }
  return undefined
}
