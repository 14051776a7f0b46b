/** The player that live streams and videos share: stage, session, captions, pictures for scrubbing, and the bar. */

import type { Component } from '../shared/dom.ts'
import { createCaptionOverlay } from './caption-overlay.ts'
import { createControls } from './controls.ts'
import { HlsSession, type SessionState } from './hls-session.ts'
import { createStage, type StageMessage } from './stage.ts'
import { Thumbnails } from './thumbnails.ts'

/** What is played. */
export interface PlayerInit {
  readonly live: boolean
  /** Address of the multivariant playlist. */
  readonly url: string
  /** Address of the pictures for scrubbing. */
  readonly storyboardUrl: string
  /** Where a video begins, in seconds. */
  readonly startS?: number
  /** Called when playback changes, with a reason where there is one. */
  readonly onState: (state: SessionState, reason: string | undefined) => void
  /** Called twice a second. */
  readonly onTick: () => void
}

/** What the player is told. */
export interface PlayerUpdate {
  readonly message: StageMessage | undefined
  readonly soundOnly: boolean
  /** Names of the renditions that the stream has now. */
  readonly renditions: readonly string[]
  /** Whether there are captions among them. */
  readonly captions: boolean
  /** Whether there is a live edge to go to. */
  readonly live: boolean
}

/** The player, its session for those who show figures. */
export interface Player extends Component<PlayerUpdate> {
  readonly session: HlsSession
  readonly video: HTMLVideoElement
  /** Begins to play, where the browser can; says so by `onState` where not. */
  start(): void
}

const tickMs = 500
/** Farther behind the live edge than this is not live any more. */
const edgeToleranceS = 3

/** Creates the player, which waits for its start. */
export function createPlayer(init: PlayerInit): Player {
  let state: SessionState = 'connecting'
  let shown: PlayerUpdate = {
    ...{ message: undefined, soundOnly: false, renditions: [], captions: false, live: false },
  }
  const stage = createStage({
    togglePlay: () => togglePlay(),
    unmute: () => {
      video.muted = false
      void session.play()
    },
    skip: (seconds) => controls.skip(seconds),
  })
  const { video } = stage
  const session: HlsSession = new HlsSession({
    ...{ video, url: init.url, live: init.live },
    ...(init.startS === undefined ? {} : { startS: init.startS }),
    onState: (next, reason) => {
      state = next
      init.onState(next, reason)
    },
    onChoices: () => controls.showChoices(),
  })
  const togglePlay = () => {
    if (!video.paused) return video.pause()
    if (video.ended && !init.live) session.seek(0)
    // What a live stream played when it was paused may have left the window.
    const { startS, positionS } = session.timeline
    if (init.live && positionS < startS) session.goLive()
    else void session.play()
  }
  const thumbnails = new Thumbnails(init.storyboardUrl, init.live, () => tick())
  const overlay = createCaptionOverlay(video, (timeS) => session.captions.at(timeS))
  const controls = createControls({
    ...{ video, stage: stage.element, session, togglePlay },
    flash: (text) => stage.flash(text),
    pictureAt: (timeS, timeline) => thumbnails.at(timeS, timeline),
    onSettings: () => {
      // Renditions that came after the playlist was loaded are learned when somebody wants to choose, not by a break in the picture.
      if (session.selection.isOutdated(shown.renditions)) session.reopen()
    },
    onTheatre: (on) => document.body.classList.toggle('theatre', on),
  })
  video.after(overlay.element)
  stage.element.append(controls.element)
  const tick = () => {
    const { endS, positionS } = session.timeline
    const atEdge = !video.paused && endS - positionS < edgeToleranceS
    if (atEdge && init.live && session.rate > 1) session.setRate(1)
    controls.update({ live: shown.live, atEdge, captions: shown.captions })
    init.onTick()
  }
  const timer = setInterval(tick, tickMs)
  return {
    element: stage.element,
    session,
    video,
    start: () => {
      if (HlsSession.isSupported(video)) return session.start()
      init.onState('failed', 'This browser can play neither HLS nor Media Source Extensions.')
    },
    update: (data) => {
      shown = data
      stage.update({ state, message: data.message, soundOnly: data.soundOnly })
    },
    dispose: () => {
      clearInterval(timer)
      thumbnails.stop()
      overlay.dispose()
      controls.dispose()
      session.dispose()
      stage.dispose()
      document.body.classList.remove('theatre')
    },
  }
}
