/**
 * Plays one stream into one video element and keeps at it: a lost playlist, a broken part or a peer that restarts ends in a
 * new attempt after a growing wait, until the session is disposed. This layer owns the retries; hls.js's own short
 * ones below it only bridge single requests.
 */

import Hls, { type ErrorData, ErrorDetails, ErrorTypes, Events } from 'hls.js'
import { ReceivedBitrate } from './received-bitrate.ts'

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
  /** Called when the state changes, with a reason where there is one. */
  readonly onState: (state: SessionState, reason: string | undefined) => void
}

const retryMsMin = 500
const retryMsMax = 8_000
/** A second media error within this time of the first means that repairing in place does not help. */
const mediaErrorWindowMs = 8_000
/** Playback this far from the live edge without moving is brought back to it. */
const stallMsMax = 3_000
const watchdogMs = 500

/** One stream in one video element. */
export class HlsSession {
  readonly #init: HlsSessionInit
  readonly #events = new AbortController()
  #hls: Hls | undefined
  #bitrate = new ReceivedBitrate()
  #state: SessionState = 'connecting'
  #failures = 0
  #mediaErrorAtMs = Number.NEGATIVE_INFINITY
  #retryTimer: ReturnType<typeof setTimeout> | undefined
  #watchdog: ReturnType<typeof setInterval> | undefined
  #lastTime = -1
  #movedAtMs = 0
  /** False once the viewer paused: then being behind is what they chose, until playback is live again. */
  #followsEdge = true

  constructor(init: HlsSessionInit) {
    this.#init = init
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
    video.addEventListener('pause', () => this.#onPause(), { signal })
    video.addEventListener('ended', () => this.#setState('ended'), { signal })
    if (!Hls.isSupported()) {
      video.addEventListener('error', () => this.#retry('the stream could not be loaded'), {
        signal,
      })
    }
    this.#watchdog = setInterval(() => this.#watch(), watchdogMs)
    this.#open()
  }

  /** Ends playback and frees the element. */
  dispose(): void {
    this.#events.abort()
    clearTimeout(this.#retryTimer)
    clearInterval(this.#watchdog)
    this.#close()
  }

  /** Starts anew at once, as after the stream came back. */
  reopen(): void {
    this.#failures = 0
    clearTimeout(this.#retryTimer)
    this.#setState('connecting')
    this.#open()
  }

  /** Jumps to the live edge and plays. */
  goLive(): void {
    const { video } = this.#init
    const edge = this.#hls?.liveSyncPosition ?? lastOf(video.seekable)
    if (edge !== undefined && edge !== null) video.currentTime = edge
    this.#followsEdge = true
    void this.play()
  }

  /** Plays; a browser that allows no sound before a touch plays without, and false is returned. */
  async play(): Promise<boolean> {
    const { video } = this.#init
    try {
      await video.play()
      return true
    } catch (error) {
      // AbortError: a newer load took this one's place and plays by itself.
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return true
      if (video.muted) return false
      video.muted = true
      return this.play().then(() => false)
    }
  }

  /** The figures of this moment. */
  get figures(): SessionFigures {
    const { video } = this.#init
    const quality = video.getVideoPlaybackQuality?.()
    const latency = this.#hls?.latency
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

  #open(): void {
    this.#close()
    this.#bitrate = new ReceivedBitrate()
    this.#movedAtMs = performance.now()
    this.#followsEdge = true
    const { video, url } = this.#init
    if (!Hls.isSupported()) {
      video.src = url
      void this.play()
      return
    }
    const hls = new Hls({
      lowLatencyMode: true,
      // Parts need no transmuxing, so a worker would only add its start to the first picture.
      enableWorker: false,
      backBufferLength: 30,
      maxLiveSyncPlaybackRate: 1.08,
      // hls.js moves a whole second away from the edge at each stall; the hold-back of low latency is about as long.
      liveSyncOnStallIncrease: 0.3,
    })
    this.#hls = hls
    hls.on(Events.ERROR, (_event, data) => this.#onError(hls, data))
    hls.on(Events.FRAG_LOADED, (_event, { frag, part, payload }) => {
      this.#bitrate.add(frag.type, payload.byteLength, part?.duration ?? frag.duration)
    })
    hls.on(Events.MANIFEST_PARSED, () => void this.play())
    hls.loadSource(url)
    hls.attachMedia(video)
  }

  #close(): void {
    this.#hls?.destroy()
    this.#hls = undefined
  }

  #onPlaying(): void {
    this.#failures = 0
    this.#movedAtMs = performance.now()
    this.#setState('playing')
  }

  #onPause(): void {
    this.#followsEdge = false
  }

  #onWaiting(): void {
    if (this.#state === 'playing') this.#setState('waiting')
  }

  #onError(hls: Hls, data: ErrorData): void {
    if (!data.fatal) return
    if (data.details === ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR) {
      this.#close()
      this.#setState('failed', 'This browser cannot decode the stream’s codecs.')
      return
    }
    const nowMs = performance.now()
    if (data.type === ErrorTypes.MEDIA_ERROR && nowMs - this.#mediaErrorAtMs > mediaErrorWindowMs) {
      this.#mediaErrorAtMs = nowMs
      hls.recoverMediaError()
      return
    }
    this.#retry(describeError(data))
  }

  #retry(reason: string): void {
    this.#close()
    const waitMs = Math.min(retryMsMax, retryMsMin * 2 ** this.#failures)
    this.#failures++
    this.#setState('retrying', reason)
    clearTimeout(this.#retryTimer)
    this.#retryTimer = setTimeout(() => this.#open(), waitMs)
  }

  /** Notices a playhead that stands although newer media is there: after an outage the old position may be gone for good. */
  #watch(): void {
    const { video } = this.#init
    const nowMs = performance.now()
    if (video.currentTime !== this.#lastTime || video.paused || video.seeking) {
      this.#lastTime = video.currentTime
      this.#movedAtMs = nowMs
      this.#keepUp()
      return
    }
    const edge = this.#hls?.liveSyncPosition
    if (nowMs - this.#movedAtMs < stallMsMax || edge === undefined || edge === null) return
    if (edge - video.currentTime > 1) {
      this.#movedAtMs = nowMs
      video.currentTime = edge
    }
  }

  /**
   * hls.js plays faster to make up for a lag, but only for one below its target latency and a target duration together;
   * a publisher that was gone for some seconds leaves more, and playback would stay behind for good.
   */
  #keepUp(): void {
    const { video } = this.#init
    const hls = this.#hls
    const targetS = hls?.targetLatency
    const details = hls?.latestLevelDetails
    if (!hls || !targetS || !details?.live || this.#state !== 'playing' || video.paused) return
    const isNear = hls.latency - targetS < targetS + details.targetduration
    const edge = hls.liveSyncPosition
    if (isNear) this.#followsEdge = true
    else if (this.#followsEdge && edge !== null && edge > video.currentTime) {
      video.currentTime = edge
    }
  }

  #setState(state: SessionState, reason?: string): void {
    if (state === this.#state && reason === undefined) return
    this.#state = state
    this.#init.onState(state, reason)
  }
}

/** An error of hls.js in words for a viewer. */
function describeError(data: ErrorData): string {
  const status = data.response?.code
  if (status === 404) return 'This peer does not know the stream.'
  if (status === 503 || status === 504) return 'No peer that has the stream answers.'
  if (data.type === ErrorTypes.NETWORK_ERROR) return 'The connection to this peer is broken.'
  return 'Playback failed.'
}

/** End of the buffered range that holds the playhead. */
function bufferedEnd(video: HTMLVideoElement): number | undefined {
  const { buffered, currentTime } = video
  for (let i = 0; i < buffered.length; i++) {
    if (buffered.start(i) <= currentTime + 0.1 && currentTime <= buffered.end(i))
      return buffered.end(i)
  }
  return undefined
}

function lastOf(ranges: TimeRanges): number | undefined {
  return ranges.length === 0 ? undefined : ranges.end(ranges.length - 1)
}
