/** The bar under the picture: play, sound, the way back to live, theatre and full screen; each has its key. */

import { type Component, h, setText } from '../shared/dom.ts'
import { type IconName, icon } from '../shared/icon.ts'
import { readStored, writeStored } from '../shared/stored.ts'

/** What the bar works on. */
export interface ControlsInit {
  readonly video: HTMLVideoElement
  /** The element that goes full screen. */
  readonly stage: HTMLElement
  readonly goLive: () => void
  readonly togglePlay: () => void
  /** Called with the new setting, and at first with the stored one. */
  readonly onTheatre: (on: boolean) => void
}

/** What the bar shows. */
export interface ControlsData {
  /** Whether there is a live edge to go to. */
  readonly live: boolean
  /** Whether playback is at the live edge, give or take a moment. */
  readonly atEdge: boolean
  /** Seconds behind the live edge; `undefined` when unknown. */
  readonly behindS: number | undefined
}

const volumeKey = 'kairo.volume'
const theatreKey = 'kairo.theatre'
const local = () => localStorage

/** Creates the bar and listens for its keys on the document. */
export function createControls(init: ControlsInit): Component<ControlsData> {
  const { video, stage } = init
  const events = new AbortController()
  const { signal } = events
  const play = control('pause', 'Pause (k)', init.togglePlay)
  const mute = control('volume', 'Mute (m)', () => {
    video.muted = !video.muted
  })
  const volume = h('input', {
    class: 'volume',
    type: 'range',
    min: 0,
    max: 1,
    step: 0.05,
    'aria-label': 'Volume',
  })
  const liveText = h('span', {}, 'LIVE')
  const live = h('button', { class: 'go-live', type: 'button', onclick: init.goLive }, liveText)
  const theatre = control('theatre', 'Theatre (t)', () => setTheatre(!isTheatre))
  theatre.classList.add('wide-only')
  const full = control('expand', 'Full screen (f)', () => toggleFullScreen(stage, video))
  const element = h(
    'div',
    { class: 'controls', role: 'group', 'aria-label': 'Player controls' },
    play,
    mute,
    volume,
    live,
    h('span', { class: 'controls-gap' }),
    theatre,
    full,
  )

  let isTheatre = false
  const setTheatre = (on: boolean) => {
    isTheatre = on
    writeStored(local, theatreKey, on ? '1' : undefined)
    setIcon(theatre, on ? 'theatreOff' : 'theatre', on ? 'Leave theatre (t)' : 'Theatre (t)')
    init.onTheatre(on)
  }
  const showVolume = () => {
    const silent = video.muted || video.volume === 0
    setIcon(mute, silent ? 'muted' : 'volume', silent ? 'Unmute (m)' : 'Mute (m)')
    volume.value = String(video.muted ? 0 : video.volume)
    volume.style.setProperty('--filled', `${Number(volume.value) * 100}%`)
  }
  const showPlay = () =>
    setIcon(play, video.paused ? 'play' : 'pause', video.paused ? 'Play (k)' : 'Pause (k)')

  bindVolume(volume, video)
  video.addEventListener('volumechange', showVolume, { signal })
  video.addEventListener('play', showPlay, { signal })
  video.addEventListener('pause', showPlay, { signal })
  document.addEventListener('fullscreenchange', () => showFullScreen(full, stage), { signal })
  const keys: Readonly<Record<string, () => void>> = {
    k: init.togglePlay,
    ' ': init.togglePlay,
    m: () => mute.click(),
    t: () => theatre.click(),
    f: () => full.click(),
    l: init.goLive,
  }
  document.addEventListener('keydown', (event) => onKey(event, keys), { signal })
  showVolume()
  showPlay()
  setTheatre(readStored(local, theatreKey) === '1')
  return {
    element,
    update: ({ live: isLive, atEdge, behindS }) => {
      live.hidden = !isLive
      live.classList.toggle('at-edge', atEdge)
      setText(liveText, atEdge || behindS === undefined ? 'LIVE' : goLiveText(behindS))
      live.setAttribute('aria-label', atEdge ? 'Playing live' : 'Go to the live edge (l)')
    },
    dispose: () => events.abort(),
  }
}

function goLiveText(behindS: number): string {
  return behindS < 1 ? 'Go live' : `−${Math.round(behindS)} s · Go live`
}

/** Takes the stored volume, and stores what the slider sets. */
function bindVolume(slider: HTMLInputElement, video: HTMLVideoElement): void {
  const stored = Number(readStored(local, volumeKey))
  if (stored > 0 && stored <= 1) video.volume = stored
  slider.addEventListener('input', () => {
    video.volume = Number(slider.value)
    video.muted = video.volume === 0
    if (video.volume > 0) writeStored(local, volumeKey, String(video.volume))
  })
}

function control(name: IconName, label: string, onclick: () => void): HTMLButtonElement {
  const button = h('button', { class: 'control', type: 'button', onclick })
  setIcon(button, name, label)
  return button
}

function setIcon(button: HTMLButtonElement, name: IconName, label: string): void {
  if (button.title === label) return
  button.replaceChildren(icon(name))
  button.title = label
  button.setAttribute('aria-label', label.replace(/ \(.\)$/, ''))
}

function showFullScreen(button: HTMLButtonElement, stage: HTMLElement): void {
  const on = document.fullscreenElement === stage
  setIcon(button, on ? 'shrink' : 'expand', on ? 'Leave full screen (f)' : 'Full screen (f)')
}

/** Full screen of the stage with its bar; phones that allow it for video only get the video. */
function toggleFullScreen(stage: HTMLElement, video: HTMLVideoElement): void {
  const ignore = () => {
    // Refused by the browser or the person: the page stays as it is.
  }
  if (document.fullscreenElement !== null) {
    document.exitFullscreen().catch(ignore)
    return
  }
  if (typeof stage.requestFullscreen === 'function') {
    stage.requestFullscreen().catch(ignore)
    return
  }
  const { webkitEnterFullscreen } = video as { webkitEnterFullscreen?: () => void }
  webkitEnterFullscreen?.call(video)
}

/** Runs a key's action unless the key belongs to a field, a button or a browser shortcut. */
function onKey(event: KeyboardEvent, keys: Readonly<Record<string, () => void>>): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return
  const target = event.target
  if (target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement) return
  const onControl = target instanceof HTMLButtonElement || target instanceof HTMLAnchorElement
  if (event.key === ' ' && onControl) return
  const action = keys[event.key.toLowerCase()]
  if (action === undefined) return
  event.preventDefault()
  action()
}
