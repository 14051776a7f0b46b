/** Keeps those who watch live at the live edge, and lets those who went back alone. */

import type Hls from 'hls.js'

/** Playback that stands this long although newer media is there is brought to it. */
const stallMsMax = 3_000

/** The live edge of one video element. */
export class LiveEdge {
  readonly #video: HTMLVideoElement
  #lastTime = -1
  #movedAtMs = 0
  /** False once the viewer paused or went back: then being behind is what they chose, until playback is live again. */
  #follows = true

  constructor(video: HTMLVideoElement) {
    this.#video = video
  }

  /** The viewer wants what is newest. */
  follow(): void {
    this.#follows = true
    this.moved()
  }

  /** The viewer paused or went back. */
  leave(): void {
    this.#follows = false
  }

  /** Playback goes on as of now. */
  moved(): void {
    this.#movedAtMs = performance.now()
  }

  /** Notices a playhead that stands although newer media is there: after an outage the old position may be gone for good. */
  watch(hls: Hls | undefined, playing: boolean): void {
    const video = this.#video
    if (video.currentTime !== this.#lastTime || video.paused || video.seeking) {
      this.#lastTime = video.currentTime
      this.moved()
      if (playing && !video.paused) this.#keepUp(hls)
      return
    }
    const edge = hls?.liveSyncPosition
    const startS = hls?.latestLevelDetails?.fragmentStart
    if (performance.now() - this.#movedAtMs < stallMsMax || edge === undefined || edge === null)
      return
    // Whoever went back waits for old media, unless it has left the window.
    const isGone = startS !== undefined && video.currentTime < startS
    if (!this.#follows && !isGone) return
    if (edge - video.currentTime > 1) {
      this.moved()
      video.currentTime = isGone && !this.#follows ? (startS ?? edge) : edge
    }
  }

  /**
   * hls.js plays faster to make up for a lag, but only for one below its target latency and a target duration together;
   * a publisher that was gone for some seconds leaves more, and playback would stay behind for good.
   */
  #keepUp(hls: Hls | undefined): void {
    const video = this.#video
    const targetS = hls?.targetLatency
    const details = hls?.latestLevelDetails
    if (!hls || !targetS || !details?.live) return
    const isNear = hls.latency - targetS < targetS + details.targetduration
    const edge = hls.liveSyncPosition
    if (isNear) this.#follows = true
    else if (this.#follows && edge !== null && edge > video.currentTime) video.currentTime = edge
  }
}
