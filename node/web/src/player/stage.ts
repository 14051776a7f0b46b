/** The picture and what lies over it: a spinner, messages about lost and ended streams, the button that turns sound on. */

import type { Stream } from '../shared/api.ts'
import { announce, type Component, h, setText } from '../shared/dom.ts'
import { icon } from '../shared/icon.ts'
import type { SessionState } from './hls-session.ts'

/** What the stage shows. */
export interface StageData {
  readonly state: SessionState
  readonly reason: string | undefined
  readonly stream: Stream | undefined
  readonly known: boolean
  /** Whether this peer answers at present. */
  readonly reachable: boolean
  readonly paused: boolean
}

/** What a touch on the stage does. */
export interface StageInit {
  readonly togglePlay: () => void
  readonly unmute: () => void
}

/** Controls fade after this time without a movement. */
const idleMs = 2_600
/** A wait shorter than this shows no spinner. */
const spinnerMs = 400

/** Creates the stage with its video element. */
export function createStage(
  init: StageInit,
): Component<StageData> & { readonly video: HTMLVideoElement } {
  const events = new AbortController()
  const { signal } = events
  const video = h('video', { playsinline: true, tabindex: -1 })
  const spinner = h('div', { class: 'spinner', hidden: true })
  const title = h('strong')
  const detail = h('span')
  const message = h(
    'div',
    { class: 'stage-message', role: 'status', hidden: true },
    spinnerOf(),
    h('div', {}, title, detail),
  )
  const sound = h('button', {
    class: 'sound-on',
    type: 'button',
    hidden: true,
    onclick: init.unmute,
  })
  sound.append(icon('muted'), 'Turn sound on')
  const resume = h('button', {
    class: 'resume',
    type: 'button',
    hidden: true,
    'aria-label': 'Play',
    onclick: init.togglePlay,
  })
  resume.append(icon('play'))
  const soundOnly = h('div', { class: 'sound-only', hidden: true }, 'Sound only')
  soundOnly.prepend(icon('volume'))
  const element = h('div', { class: 'stage' }, video, soundOnly, spinner, message, resume, sound)
  let spinnerTimer: ReturnType<typeof setTimeout> | undefined
  let touched = false

  const showSound = () => {
    if (!video.muted) touched = true
    sound.hidden = touched || !video.muted || video.paused
  }
  const showResume = () => {
    // Under a message there is nothing to go on with, and the two would lie over one another.
    resume.hidden = !video.paused || video.readyState < 2 || !message.hidden
  }
  for (const event of ['volumechange', 'playing', 'pause'] as const) {
    video.addEventListener(event, showSound, { signal })
  }
  for (const event of ['pause', 'play', 'loadeddata', 'emptied'] as const) {
    video.addEventListener(event, showResume, { signal })
  }
  video.addEventListener('click', () => onPress(element, init), { signal })
  trackIdle(element, video, signal)
  return {
    element,
    video,
    update: (data) => {
      clearTimeout(spinnerTimer)
      const text = messageOf(data)
      if (message.hidden !== (text === undefined)) announce(text?.title ?? 'The stream plays again')
      message.hidden = text === undefined
      showResume()
      soundOnly.hidden = !isSoundOnly(data.stream)
      setText(title, text?.title ?? '')
      setText(detail, text?.detail ?? '')
      message.classList.toggle('with-spinner', text?.busy === true)
      const waits = text === undefined && (data.state === 'connecting' || data.state === 'waiting')
      if (!waits || data.paused) spinner.hidden = true
      else if (spinner.hidden) {
        spinnerTimer = setTimeout(() => {
          spinner.hidden = false
        }, spinnerMs)
      }
    },
    dispose: () => {
      clearTimeout(spinnerTimer)
      events.abort()
    },
  }
}

/** A press on the picture: with a mouse it pauses; on a touch screen it only brings the controls. */
function onPress(element: HTMLElement, init: StageInit): void {
  if (matchMedia('(pointer: coarse)').matches) element.classList.toggle('idle')
  else init.togglePlay()
}

function spinnerOf(): HTMLElement {
  return h('div', { class: 'spinner-small' })
}

/** Marks the stage `idle` while it plays and nothing moves over it. */
function trackIdle(element: HTMLElement, video: HTMLVideoElement, signal: AbortSignal): void {
  let timer: ReturnType<typeof setTimeout> | undefined
  const wake = () => {
    element.classList.remove('idle')
    clearTimeout(timer)
    timer = setTimeout(() => element.classList.toggle('idle', !video.paused), idleMs)
  }
  for (const event of ['pointermove', 'pointerdown', 'keydown', 'focusin'] as const) {
    element.addEventListener(event, wake, { signal })
  }
  element.addEventListener('pointerleave', () => element.classList.toggle('idle', !video.paused), {
    signal,
  })
  video.addEventListener('play', wake, { signal })
  video.addEventListener('pause', () => element.classList.remove('idle'), { signal })
  signal.addEventListener('abort', () => clearTimeout(timer))
}

/** True for a stream that says what it has, and has no picture. */
function isSoundOnly(stream: Stream | undefined): boolean {
  const kinds = new Set(stream?.renditions.map(({ kind }) => kind))
  return kinds.has('audio') && !kinds.has('video')
}

/** The words over the picture; `undefined` while all is well. */
function messageOf(
  data: StageData,
): { readonly title: string; readonly detail: string; readonly busy: boolean } | undefined {
  const { state, stream } = data
  if (state === 'failed')
    return { title: 'Cannot play here', detail: data.reason ?? '', busy: false }
  const plays = state === 'playing'
  if (!data.reachable && !plays) {
    return {
      title: 'No answer from this peer',
      detail: 'It may be restarting. This page keeps trying.',
      busy: true,
    }
  }
  if (data.known && stream === undefined && !plays) {
    return {
      title: 'This stream is not live',
      detail: 'It starts here by itself when somebody publishes it.',
      busy: true,
    }
  }
  if (stream?.state === 'ended' && !plays) {
    return {
      title: 'The stream has ended',
      detail: 'It goes on here by itself when it comes back.',
      busy: false,
    }
  }
  if (stream?.status === 'connecting' && !plays && state !== 'connecting') {
    return {
      title: 'The source peer does not answer',
      detail: 'Trying it again, and others that have the stream.',
      busy: true,
    }
  }
  if (stream?.status === 'lost' && !plays) {
    return {
      title: 'The source peer is gone',
      detail: 'Looking for another peer that has the stream.',
      busy: true,
    }
  }
  if (state === 'retrying') {
    return { title: 'Reconnecting', detail: data.reason ?? '', busy: true }
  }
  return undefined
}
