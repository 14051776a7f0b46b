/** The sound's button and slider. */

import { type Component, h } from '../shared/dom.ts'
import { readStored, writeStored } from '../shared/stored.ts'
import { controlButton, setControl } from './control-button.ts'

const volumeKey = 'kairo.volume'
const local = () => localStorage

/** The sound of one video element. */
export interface Volume extends Component {
  toggleMute(): void
  /** Louder or quieter by a share of the whole; the new volume, 0 to 1. */
  change(by: number): number
}

/** Creates both, and takes the volume of last time. */
export function createVolume(video: HTMLVideoElement): Volume {
  const events = new AbortController()
  const toggleMute = () => {
    video.muted = !video.muted
    if (!video.muted && video.volume === 0) video.volume = 0.5
  }
  const mute = controlButton('volume', 'Mute (m)', toggleMute)
  const slider = h('input', {
    class: 'volume',
    type: 'range',
    min: 0,
    max: 1,
    step: 0.05,
    'aria-label': 'Volume',
  })
  const set = (volume: number) => {
    video.volume = volume
    video.muted = volume === 0
    if (volume > 0) writeStored(local, volumeKey, String(volume))
  }
  const show = () => {
    const silent = video.muted || video.volume === 0
    setControl(mute, silent ? 'muted' : 'volume', silent ? 'Unmute (m)' : 'Mute (m)')
    slider.value = String(video.muted ? 0 : video.volume)
    slider.setAttribute('aria-valuetext', `${Math.round(Number(slider.value) * 100)} %`)
    slider.style.setProperty('--filled', `${Number(slider.value) * 100}%`)
  }
  const stored = Number(readStored(local, volumeKey))
  if (stored > 0 && stored <= 1) video.volume = stored
  slider.addEventListener('input', () => set(Number(slider.value)))
  video.addEventListener('volumechange', show, { signal: events.signal })
  show()
  return {
    element: h('div', { class: 'sound' }, mute, slider),
    toggleMute,
    change: (by) => {
      const volume = Math.min(1, Math.max(0, (video.muted ? 0 : video.volume) + by))
      set(Math.round(volume * 100) / 100)
      return video.volume
    },
    update: show,
    dispose: () => events.abort(),
  }
}
