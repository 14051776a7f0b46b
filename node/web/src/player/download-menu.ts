/** The button that saves a video: one MP4 for each size, and its sound alone. */

import type { Video } from '../shared/api.ts'
import { type Component, h } from '../shared/dom.ts'
import { bitrate, bytes, linesText } from '../shared/format.ts'
import { icon } from '../shared/icon.ts'

/** Creates the menu; it is hidden while there is nothing to save. */
export function createDownloadMenu(): Component<Video | undefined> {
  const list = h('ul', { class: 'drop-list' })
  const summary = h('summary', { class: 'button' })
  summary.append(icon('download'), 'Download')
  const element = h('details', { class: 'drop', hidden: true }, summary, list)
  const events = new AbortController()
  document.addEventListener(
    'pointerdown',
    ({ target }) => {
      if (target instanceof Node && !element.contains(target)) element.open = false
    },
    { signal: events.signal },
  )
  element.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return
    element.open = false
    summary.focus()
  })
  let shown = ''
  return {
    element,
    update: (video) => {
      element.hidden = video?.urls == null
      const wanted = JSON.stringify([video?.urls, video?.renditions])
      if (video?.urls == null || wanted === shown) return
      shown = wanted
      const { download, sound } = video.urls
      const pictures = video.renditions
        .filter(({ kind }) => kind === 'video')
        .toSorted((a, b) => b.height - a.height || b.bandwidthBps - a.bandwidthBps)
      list.replaceChildren(
        ...pictures.map(({ name, width, height, bandwidthBps }) =>
          link(
            `${download}?rendition=${encodeURIComponent(name)}`,
            linesText({ width, height }),
            `${width}×${height} · ${sizeText(bandwidthBps, video.durationS)} · MP4`,
          ),
        ),
        ...(sound === null ? [] : [link(sound, 'Sound only', 'M4A')]),
      )
    },
    dispose: () => events.abort(),
  }
}

function link(href: string, label: string, detail: string): HTMLElement {
  // The server names the file.
  return h(
    'li',
    {},
    h(
      'a',
      { href, download: true },
      h('span', {}, label),
      h('span', { class: 'menu-value' }, detail),
    ),
  )
}

function sizeText(bandwidthBps: number, durationS: number): string {
  return durationS > 0 ? `about ${bytes((bandwidthBps * durationS) / 8)}` : bitrate(bandwidthBps)
}
