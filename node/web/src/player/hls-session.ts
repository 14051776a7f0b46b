/**
 * Plays one stream or video into one video element and keeps at it: a lost playlist, a broken part or a peer that restarts ends
 * in a new attempt after a growing wait, until the session is disposed. This layer owns the retries; hls.js's own short
 * ones below it only bridge single requests.
 */

import Hls, { type ErrorData, ErrorDetails, ErrorTypes, Events } from 'hls.js'
import { Captions } from './captions.ts'
import { describeError } from './describe-error.ts'
import { hlsSettings } from './hls-settings.ts'
import { LiveEdge } from './live-edge.ts'
import { playUnlessRefused } from './play.ts'
import { readTimeline } from './read-timeline.ts'
import { ReceivedBitrate } from './received-bitrate.ts'
import { Selection } from './selection.ts'
import { bufferedEnd, type Timeline } from './timeline.ts'

/** `connecting` until the first picture, `waiting` when it stops, `retrying` between attempts, `failed` for good. */
export type SessionState = 'connecting' | 'playing' | 'waiting' | 'retrying' | 'ended' | 'failed'

/** What a session tells of playback; a figure that the browser does not give is `undefined`. */
export interface SessionFigures {
  /** Behind the source, in seconds. */
  readonly latencyS: number | undefined
  /** Latency that the player aims at, in seconds. */
  readonly targetLatencyS: number | undefined
  /** Media ahead of the playhead, in seconds. */
  readonly bufferS: number
  /** Received, bits a second; 0 when unknown. */
  readonly bitrateBps: number
  readonly width: number
  readonly height: number
  readonly droppedFrames: number
  readonly totalFrames: number
}

/** How a session is made. */
export interface HlsSessionInit {
  readonly video: HTMLVideoElement
  /** Address of the multivariant playlist. */
  readonly url: string
  /** Whether it is a live stream; else a video with an end. */
  readonly live: boolean
  /** Where a video begins, in seconds of its own time. */
  readonly startS?: number
  /** Called when the state changes, with a reason where there is one. */
  readonly onState: (state: SessionState, reason: string | undefined) => void
  /** Called when there is something else to choose, or to read of what is chosen. */
  readonly onChoices: () => void
}

const retryMsMin = 500
const retryMsMax = 8_000
/** A second media error within this time of the first means that repairing in place does not help. */
const mediaErrorWindowMs = 8_000
const watchdogMs = 500

/** One stream in one video element. */
export class HlsSession {
  readonly captions = new Captions()
  /** What the viewer may choose, and has chosen. */
  readonly selection: Selection
  readonly #init: HlsSessionInit
  readonly #events = new AbortController()
  readonly #edge: LiveEdge
  #hls: Hls | undefined
  #bitrate = new ReceivedBitrate()
  #state: SessionState = 'connecting'
  #failures = 0
  #mediaErrorAtMs = Number.NEGATIVE_INFINITY
  #retryTimer: ReturnType<typeof setTimeout> | undefined
  #watchdog: ReturnType<typeof setInterval> | undefined
  #rate = 1

  constructor(init: HlsSessionInit) {
    this.#init = init
    this.#edge = new LiveEdge(init.video)
    this.selection = new Selection(this.captions, init.onChoices)
  }

  /** False in a browser that has neither MSE nor HLS of its own. */
  static isSupported(video: HTMLVideoElement): boolean {
    return Hls.isSupported() || video.canPlayType('application/vnd.apple.mpegurl') !== ''
  }

  /** Begins to load and play. */
  start(): void {
    const { video } = this.#init
    const { signal } = this.#events
    video.addEventListener('playing', () => this.#onPlaying(), { signal })
    video.addEventListener('waiting', () => this.#onWaiting(), { signal })
    video.addEventListener('pause', () => this.#edge.leave(), { signal })
    video.addEventListener('ended', () => this.#setState('ended'), { signal })
    if (!Hls.isSupported()) {
      video.addEventListener('error', () => this.#retry('it could not be loaded'), { signal })
    }
    if (this.#init.live) {
      this.#watchdog = setInterval(
        () => this.#edge.watch(this.#hls, this.#state === 'playing'),
        watchdogMs,
      )
    }
    this.#open(this.#init.startS)
  }

  /** Ends playback and frees the element. */
  dispose(): void {
    this.#events.abort()
    clearTimeout(this.#retryTimer)
    clearInterval(this.#watchdog)
    this.#close()
  }

  /** Starts anew at once, as after the stream came back, or to learn of renditions that came later. */
  reopen(): void {
    this.#failures = 0
    clearTimeout(this.#retryTimer)
    const positionS = this.#resumeS()
    this.#setState('connecting')
    this.#open(positionS)
  }

  /** Jumps to the live edge and plays. */
  goLive(): void {
    const { video, live } = this.#init
    if (live) {
      const { endS } = this.timeline
      if (endS > 0) video.currentTime = endS
      this.#edge.follow()
      this.setRate(1)
    }
    void this.play()
  }

  /** Moves the playhead, in the video element's own seconds; what lies past the live edge is the live edge. */
  seek(timeS: number): void {
    const { video, live } = this.#init
    const timeline = this.timeline
    if (timeline.endS <= timeline.startS) return
    const atEdge = live && timeS >= timeline.endS - 0.5
    if (atEdge) {
      this.goLive()
      return
    }
    this.#edge.leave()
    video.currentTime = Math.min(Math.max(timeS, timeline.startS), timeline.endS)
    if (this.#state === 'ended') this.#setState('waiting')
  }

  /** Plays faster or slower; at the live edge nobody can be faster, so it goes back to 1 there. */
  setRate(rate: number): void {
    this.#rate = rate
    this.#init.video.playbackRate = rate
    // hls.js sets the rate by itself while this is above 1.
    const { maxLiveSyncPlaybackRate } = hlsSettings(this.#init)
    if (this.#hls !== undefined) {
      this.#hls.config.maxLiveSyncPlaybackRate = rate === 1 ? (maxLiveSyncPlaybackRate ?? 1) : 1
    }
    this.#init.onChoices()
  }

  /** What {@link setRate} was told last. */
  get rate(): number {
    return this.#rate
  }

  /** Plays; a browser that allows no sound before a touch plays without, and false is returned. */
  play(): Promise<boolean> {
    return playUnlessRefused(this.#init.video)
  }

  /** The span that can be played, and the playhead. */
  get timeline(): Timeline {
    return readTimeline(this.#init.video, this.#hls, this.#init.live)
  }

  /** The figures of this moment. */
  get figures(): SessionFigures {
    const { video } = this.#init
    const quality = video.getVideoPlaybackQuality?.()
    const latency = this.#init.live ? this.#hls?.latency : undefined
    return {
      latencyS: latency === undefined || latency <= 0 ? undefined : latency,
      targetLatencyS: this.#hls?.targetLatency ?? undefined,
      bufferS: Math.max(0, (bufferedEnd(video) ?? video.currentTime) - video.currentTime),
      bitrateBps: this.#bitrate.bps,
      width: video.videoWidth,
      height: video.videoHeight,
      droppedFrames: quality?.droppedVideoFrames ?? 0,
      totalFrames: quality?.totalVideoFrames ?? 0,
    }
  }

  /** Where to go on after a new start: at the edge for those who followed it, for others where they were. */
  #resumeS(): number | undefined {
    const { video, live } = this.#init
    if (live) return undefined
    return video.currentTime > 0 ? video.currentTime : this.#init.startS
  }

  #open(startS?: number): void {
    this.#close()
    this.#bitrate = new ReceivedBitrate()
    this.#edge.follow()
    const { video, url } = this.#init
    if (!Hls.isSupported()) {
      video.src = url
      if (startS !== undefined) video.currentTime = startS
      void this.play()
      return
    }
    const hls = new Hls({
      ...hlsSettings(this.#init),
      ...this.selection.settings,
      ...(startS === undefined ? {} : { startPosition: startS }),
    })
    this.#hls = hls
    this.captions.attach(hls)
    this.selection.attach(hls)
    hls.on(Events.ERROR, (_event, data) => this.#onError(hls, data))
    hls.on(Events.FRAG_LOADED, (_event, { frag, part, payload }) => {
      this.#bitrate.add(frag.type, payload.byteLength, part?.duration ?? frag.duration)
    })
    hls.on(Events.MANIFEST_PARSED, () => void this.play())
    hls.loadSource(url)
    hls.attachMedia(video)
  }

  #close(): void {
    this.captions.detach()
    this.selection.detach()
    this.#hls?.destroy()
    this.#hls = undefined
  }

  #onPlaying(): void {
    this.#failures = 0
    this.#edge.moved()
    if (this.#init.video.playbackRate !== this.#rate && this.#rate !== 1) this.setRate(this.#rate)
    this.#setState('playing')
  }

  #onWaiting(): void {
    if (this.#state === 'playing') this.#setState('waiting')
  }

  #onError(hls: Hls, data: ErrorData): void {
    if (!data.fatal) return
    if (data.details === ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR) {
      this.#close()
      this.#setState('failed', 'This browser cannot decode its codecs.')
      return
    }
    const nowMs = performance.now()
    if (data.type === ErrorTypes.MEDIA_ERROR && nowMs - this.#mediaErrorAtMs > mediaErrorWindowMs) {
      this.#mediaErrorAtMs = nowMs
      hls.recoverMediaError()
      return
    }
    this.#retry(describeError(data, this.#init.live))
  }

  #retry(reason: string): void {
    const positionS = this.#resumeS()
    this.#close()
    const waitMs = Math.min(retryMsMax, retryMsMin * 2 ** this.#failures)
    this.#failures++
    this.#setState('retrying', reason)
    clearTimeout(this.#retryTimer)
    this.#retryTimer = setTimeout(() => this.#open(positionS), waitMs)
  }

  #setState(state: SessionState, reason?: string): void {
    if (state === this.#state && reason === undefined) return
    this.#state = state
    this.#init.onState(state, reason)
  }
}
