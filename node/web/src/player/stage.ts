/** The picture and what lies over it: a spinner, messages about lost and ended streams, the button that turns sound on. */

import { announce, type Component, h, setText } from '../shared/dom.ts'
import { icon } from '../shared/icon.ts'
import type { SessionState } from './hls-session.ts'

/** Words over the picture. */
export interface StageMessage {
  readonly title: string
  readonly detail: string
  /** Whether something is being done about it. */
  readonly busy: boolean
}

/** What the stage shows. */
export interface StageData {
  readonly state: SessionState
  readonly message: StageMessage | undefined
  /** Whether there is no picture to be expected. */
  readonly soundOnly: boolean
}

/** What a touch on the stage does. */
export interface StageInit {
  readonly togglePlay: () => void
  readonly unmute: () => void
  /** Moves by seconds. */
  readonly skip: (seconds: number) => void
}

/** The stage with the parts that others work on. */
export interface Stage extends Component<StageData> {
  readonly video: HTMLVideoElement
  /** Shows a few words for a moment. */
  flash(text: string): void
}

/** Controls fade after this time without a movement. */
const idleMs = 2_600
/** Words of a key or a touch stay this long. */
const flashMs = 900
/** Two presses within this time are one double press. */
const doublePressMs = 320
/** A wait shorter than this shows no spinner. */
const spinnerMs = 400

/** Creates the stage with its video element. */
export function createStage(init: StageInit): Stage {
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
  const flashed = createFlash()
  const element = h('div', { class: 'stage' }, video, soundOnly, spinner, message, resume, sound)
  element.append(flashed.element)
  let spinnerTimer: ReturnType<typeof setTimeout> | undefined
  let touched = false

  const showSound = () => {
    if (!video.muted) touched = true
    sound.hidden = touched || !video.muted || video.paused
  }
  const showResume = () => {
    // Under a message there is nothing to go on with, and the two would lie over one another.
    resume.hidden = !video.paused || video.ended || video.readyState < 2 || !message.hidden
  }
  for (const event of ['volumechange', 'playing', 'pause'] as const) {
    video.addEventListener(event, showSound, { signal })
  }
  for (const event of ['pause', 'play', 'loadeddata', 'emptied'] as const) {
    video.addEventListener(event, showResume, { signal })
  }
  bindPress(element, video, init)
  trackIdle(element, video, signal)
  return {
    element,
    video,
    flash: flashed.update,
    update: (data) => {
      clearTimeout(spinnerTimer)
      const text = data.message
      if (message.hidden !== (text === undefined)) announce(text?.title ?? 'It plays again')
      message.hidden = text === undefined
      showResume()
      soundOnly.hidden = !data.soundOnly
      setText(title, text?.title ?? '')
      setText(detail, text?.detail ?? '')
      message.classList.toggle('with-spinner', text?.busy === true)
      const waits = text === undefined && (data.state === 'connecting' || data.state === 'waiting')
      if (!waits || video.paused) spinner.hidden = true
      else if (spinner.hidden) {
        spinnerTimer = setTimeout(() => {
          spinner.hidden = false
        }, spinnerMs)
      }
    },
    dispose: () => {
      clearTimeout(spinnerTimer)
      flashed.dispose()
      events.abort()
    },
  }
}

/**
 * A press on the picture: with a mouse it pauses; on a touch screen it brings and hides the controls,
 * and twice at a side moves ten seconds.
 */
function bindPress(element: HTMLElement, video: HTMLVideoElement, init: StageInit): void {
  let lastMs = Number.NEGATIVE_INFINITY
  let lastX = 0
  let wasIdle = false
  // The press itself wakes the stage before it is a click.
  video.addEventListener('pointerdown', () => {
    wasIdle = element.classList.contains('idle')
  })
  video.addEventListener('click', (event) => {
    if (!matchMedia('(pointer: coarse)').matches) return init.togglePlay()
    const { left, width } = element.getBoundingClientRect()
    const x = (event.clientX - left) / width
    const isDouble = event.timeStamp - lastMs < doublePressMs && Math.abs(x - lastX) < 0.25
    lastMs = event.timeStamp
    lastX = x
    if (isDouble && (x < 0.35 || x > 0.65)) init.skip(x < 0.5 ? -10 : 10)
    else element.classList.toggle('idle', !wasIdle && !video.paused)
  })
}

/** A few words over the picture that go by themselves. */
function createFlash(): Component<string> {
  const element = h('div', { class: 'flash', 'aria-hidden': 'true', hidden: true })
  let timer: ReturnType<typeof setTimeout> | undefined
  return {
    element,
    update: (text) => {
      setText(element, text)
      announce(text)
      element.hidden = false
      clearTimeout(timer)
      timer = setTimeout(() => {
        element.hidden = true
      }, flashMs)
    },
    dispose: () => clearTimeout(timer),
  }
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
  element.addEventListener(
    'pointerleave',
    ({ pointerType }) => {
      // A finger leaves when it is lifted, before its press is a click: hiding now would take the button from under it.
      if (pointerType === 'mouse') element.classList.toggle('idle', !video.paused)
    },
    { signal },
  )
  video.addEventListener('play', wake, { signal })
  video.addEventListener('pause', () => element.classList.remove('idle'), { signal })
  signal.addEventListener('abort', () => clearTimeout(timer))
}
