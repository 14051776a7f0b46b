/**
 * The picture on a card: the stream's newest keyframe, which the peer serves as a film of one frame, so that no encoder is
 * needed for it. A new one replaces the old only when it has loaded; without any there is a coloured blank.
 */

import type { Stream } from '../shared/api.ts'
import { type Component, h } from '../shared/dom.ts'
import { mainVideo } from '../shared/format.ts'
import { blankPicture } from './blank-picture.ts'

/** A still is renewed this often while its card is on the screen. */
const refreshMs = 15_000

/** A stream whose still could not be had is asked again this soon. */
const retryMs = 4_000

/** Creates the still of `stream`; one that is sound alone keeps the blank. */
export function createStill(stream: Stream): Component<Stream> {
  const { name } = stream
  let hasPicture = mainVideo(stream) !== undefined
  const element = h('div', {}, blankPicture(name))
  let shown: HTMLVideoElement | undefined
  let loading: HTMLVideoElement | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let onScreen = false

  const settle = (waitMs: number) => {
    loading = undefined
    clearTimeout(timer)
    timer = setTimeout(load, waitMs)
  }
  const load = () => {
    if (!onScreen || !hasPicture || document.hidden || loading !== undefined) return settleLater()
    const video = h('video', {
      playsinline: true,
      preload: 'auto',
      tabindex: -1,
      'aria-hidden': 'true',
    })
    loading = video
    video.muted = true
    video.addEventListener('loadeddata', () => {
      element.append(video)
      const before = shown
      shown = video
      // The old picture goes once the new one is painted, or the card would flash.
      requestAnimationFrame(() => requestAnimationFrame(() => release(before)))
      settle(refreshMs)
    })
    video.addEventListener('error', () => settle(retryMs))
    video.src = `/live/${encodeURIComponent(name)}/still.mp4?t=${Date.now()}`
  }
  const settleLater = () => {
    clearTimeout(timer)
    timer = setTimeout(load, retryMs)
  }
  const observer = new IntersectionObserver((entries) => {
    onScreen = entries.some((entry) => entry.isIntersecting)
    if (onScreen && shown === undefined) load()
  })
  observer.observe(element)
  return {
    element,
    update: (next) => {
      hasPicture = mainVideo(next) !== undefined
    },
    dispose: () => {
      observer.disconnect()
      clearTimeout(timer)
      release(shown)
      release(loading)
    },
  }
}

/** Frees a video's decoder and connection at once instead of at the next garbage collection. */
function release(video: HTMLVideoElement | undefined): void {
  if (video === undefined) return
  video.remove()
  video.removeAttribute('src')
  video.load()
}
