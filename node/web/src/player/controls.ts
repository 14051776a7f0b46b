/** The bar under the picture: time, play, sound, the way back to live, captions, settings, windows; each has its key. */

import { announce, type Component, h, setText } from '../shared/dom.ts'
import { clockTime } from '../shared/format.ts'
import { readStored, writeStored } from '../shared/stored.ts'
import type { Choices } from './choices.ts'
import { controlButton, setControl } from './control-button.ts'
import { fullScreenButton, pictureInPictureButton } from './full-screen.ts'
import type { HlsSession } from './hls-session.ts'
import { bindKeys } from './keys.ts'
import { createMenu } from './menu.ts'
import { createSeekBar } from './seek-bar.ts'
import { playerSettings, rates, rateText } from './settings-menu.ts'
import type { StoryboardPicture } from './storyboard.ts'
import { isSeekable, type Timeline, timeAt } from './timeline.ts'
import { createVolume } from './volume.ts'

/** What the bar works on. */
export interface ControlsInit {
  readonly video: HTMLVideoElement
  /** The element that goes full screen. */
  readonly stage: HTMLElement
  readonly session: HlsSession
  readonly togglePlay: () => void
  /** Shows a few words over the picture for a moment, as after a key. */
  readonly flash: (text: string) => void
  readonly pictureAt: (timeS: number, timeline: Timeline) => StoryboardPicture | undefined
  /** Called before the settings open. */
  readonly onSettings: () => void
  /** Called with the new setting, and at first with the stored one. */
  readonly onTheatre: (on: boolean) => void
}

/** What the bar shows. */
export interface ControlsData {
  /** Whether there is a live edge to go to. */
  readonly live: boolean
  /** Whether playback is at the live edge, give or take a moment. */
  readonly atEdge: boolean
  /** Whether the peer has captions that the player may not know of yet. */
  readonly captions: boolean
}

/** The bar, and the moves that others than its buttons make. */
export interface Controls extends Component<ControlsData> {
  /** Moves by seconds. */
  skip(seconds: number): void
  /** Shows the choices anew. */
  showChoices(): void
}

const theatreKey = 'kairo.theatre'
const local = () => localStorage

/** Creates the bar and listens for its keys on the document. */
export function createControls(init: ControlsInit): Controls {
  const { video, stage, session, flash } = init
  const events = new AbortController()
  const { signal } = events
  const actions = createActions(init)
  const play = controlButton('pause', 'Pause (k)', init.togglePlay)
  const volume = createVolume(video)
  const seek = createSeekBar({
    timeline: () => session.timeline,
    seek: (timeS) => session.seek(timeS),
    pictureAt: init.pictureAt,
  })
  const clock = h('span', { class: 'clock' })
  const liveText = h('span', {}, 'LIVE')
  const live = h(
    'button',
    { class: 'go-live', type: 'button', onclick: () => session.goLive() },
    liveText,
  )
  const captions = controlButton('captions', 'Captions (c)', actions.captions)
  const menu = createMenu(init.onSettings)
  const theatre = createTheatre(init.onTheatre)
  const small = pictureInPictureButton(video, signal)
  const full = fullScreenButton(stage, video, signal)
  for (const button of [theatre, small]) button.classList.add('wide-only')
  const row = [play, volume.element, live, clock, h('span', { class: 'controls-gap' })]
  const element = h(
    'div',
    { class: 'controls', role: 'group', 'aria-label': 'Player controls' },
    seek.element,
    h('div', { class: 'controls-row' }, ...row, captions, menu.button, small, theatre, full),
    menu.element,
  )
  const showPlay = () => {
    const [name, label] = video.ended
      ? (['replay', 'Play again (k)'] as const)
      : video.paused
        ? (['play', 'Play (k)'] as const)
        : (['pause', 'Pause (k)'] as const)
    setControl(play, name, label)
  }
  const showChoices = () => {
    const { rate } = session
    const { choices } = session.selection
    menu.update(playerSettings(choices, rate, actions.settings))
    showCaptions(captions, choices)
  }
  for (const event of ['play', 'pause', 'ended', 'seeked'] as const) {
    video.addEventListener(event, showPlay, { signal })
  }
  video.addEventListener('timeupdate', () => seek.update(), { signal })
  bindKeys(
    {
      ...actions,
      togglePlay: init.togglePlay,
      volume: (by) => flash(`Volume ${Math.round(volume.change(by) * 100)} %`),
      toggleMute: () => {
        volume.toggleMute()
        flash(video.muted ? 'Sound off' : 'Sound on')
      },
      fullScreen: () => full.click(),
      theatre: () => theatre.click(),
      pictureInPicture: () => small.click(),
    },
    signal,
  )
  showPlay()
  return {
    element,
    skip: actions.skip,
    showChoices,
    update: (data) => {
      seek.update()
      showChoices()
      captions.hidden = !data.captions && session.selection.choices.captions.length === 0
      showTime(data, session.timeline, { live, liveText, clock })
    },
    dispose: () => {
      events.abort()
      menu.dispose()
      volume.dispose()
    },
  }
}

/** What keys and menu lines do, with a word over the picture. */
function createActions({ session, flash, onSettings }: ControlsInit) {
  const setRate = (rate: number) => {
    session.setRate(rate)
    flash(`Speed ${rateText(rate)}`)
  }
  return {
    skip: (seconds: number) => {
      const timeline = session.timeline
      if (!isSeekable(timeline)) return
      session.seek(timeline.positionS + seconds)
      flash(`${seconds < 0 ? '−' : '+'}${Math.abs(seconds)} s`)
    },
    jump: (share: number) => {
      const { timeline } = session
      if (isSeekable(timeline)) session.seek(timeAt(timeline, share))
    },
    captions: () => {
      if (session.selection.choices.captions.length === 0) onSettings()
      const on = session.captions.toggle()
      flash(on === undefined ? 'Captions off' : `Captions: ${on.label}`)
    },
    rate: (step: 1 | -1) => {
      const at = rates.indexOf(session.rate)
      const next = rates[at + step]
      if (next !== undefined) setRate(next)
    },
    settings: {
      quality: (id: string) => session.selection.chooseQuality(id),
      rate: setRate,
      sound: (id: string) => session.selection.chooseSound(id),
      captions: (id: string | undefined) => session.captions.choose(id),
    },
  }
}

/** The button that makes the stage as wide as the window; the choice is remembered. */
function createTheatre(onTheatre: (on: boolean) => void): HTMLButtonElement {
  let isTheatre = false
  const set = (on: boolean) => {
    isTheatre = on
    writeStored(local, theatreKey, on ? '1' : undefined)
    setControl(button, on ? 'theatreOff' : 'theatre', on ? 'Leave theatre (t)' : 'Theatre (t)')
    onTheatre(on)
  }
  const button = controlButton('theatre', 'Theatre (t)', () => set(!isTheatre))
  set(readStored(local, theatreKey) === '1')
  return button
}

function showCaptions(button: HTMLButtonElement, { captions }: Choices): void {
  const isOn = captions.some(({ selected }) => selected)
  if (button.getAttribute('aria-pressed') === String(isOn)) return
  button.setAttribute('aria-pressed', String(isOn))
  if (isOn) announce('Captions on')
}

interface TimeParts {
  readonly live: HTMLElement
  readonly liveText: HTMLElement
  readonly clock: HTMLElement
}

function showTime(data: ControlsData, timeline: Timeline, { live, liveText, clock }: TimeParts) {
  live.hidden = !data.live
  live.classList.toggle('at-edge', data.atEdge)
  const behindS = timeline.endS - timeline.positionS
  const isBehind = timeline.live && !data.atEdge
  setText(liveText, isBehind ? 'Go live' : 'LIVE')
  live.setAttribute('aria-label', isBehind ? 'Go to the live edge' : 'Playing live')
  if (timeline.live) setText(clock, isBehind && behindS >= 1 ? `−${clockTime(behindS)}` : '')
  else if (timeline.endS > 0) {
    setText(clock, `${clockTime(timeline.positionS)} / ${clockTime(timeline.endS)}`)
  }
}
