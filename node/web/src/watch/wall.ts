/** The wall of live streams with its loading, empty and failed states. */

import { createLibrarySection } from '../library/library-section.ts'
import type { Stream, Video } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { count } from '../shared/format.ts'
import { icon } from '../shared/icon.ts'
import { createEmptyState } from './empty-state.ts'
import { createPublishingHelp, type IngestPorts } from './publishing-help.ts'
import { createCardList } from './stream-card.ts'

/** What the wall is told: the streams, that they are not known yet, or that they cannot be had. */
export type WallData =
  | { readonly state: 'loading' }
  | {
      readonly state: 'ready'
      readonly streams: readonly Stream[]
      readonly videos: readonly Video[]
      readonly mayUpload: boolean
      readonly ports: IngestPorts
    }
  | { readonly state: 'failed'; readonly reason: string }

/** What the visitor may ask of the wall. */
export interface WallInit {
  /** Asks the peer again. */
  readonly retry: () => void
  /** Picks files to upload. */
  readonly choose: () => void
}

/** Creates the wall: live streams, then videos. */
export function createWall({ retry, choose }: WallInit): Component<WallData> {
  const summary = h('p')
  const list = createCardList()
  const help = createPublishingHelp(location.hostname)
  const library = createLibrarySection(choose)
  const cards = h(
    'div',
    {},
    h(
      'section',
      { class: 'wall', 'aria-label': 'Live streams' },
      h('div', { class: 'wall-head' }, h('h1', {}, 'Live now'), summary),
      list.element,
    ),
    library.element,
    h('details', { class: 'publish' }, h('summary', {}, 'Publish to this network'), help.element),
  )
  const loading = createLoading()
  const empty = createEmptyState(location.hostname, choose)
  const reason = h('p')
  const failed = createFailed(reason, retry)
  const element = h('div', {}, loading)
  const show = (part: HTMLElement) => {
    if (element.firstElementChild !== part) element.replaceChildren(part)
  }
  return {
    element,
    update: (data) => {
      if (data.state === 'loading') return show(loading)
      if (data.state === 'failed') {
        setText(reason, data.reason)
        return show(failed)
      }
      // Streams that have ended stay at the end for those who missed them by a moment.
      const streams = [...data.streams].sort(
        (a, b) =>
          Number(b.state === 'live') - Number(a.state === 'live') || a.name.localeCompare(b.name),
      )
      list.update(streams)
      library.update(data)
      help.update(data.ports)
      empty.update(data)
      const live = streams.filter(({ state }) => state === 'live').length
      setText(
        summary,
        live === 0 ? 'Nothing at present' : `${count(live, 'stream')} in this network`,
      )
      show(streams.length === 0 && data.videos.length === 0 ? empty.element : cards)
    },
    dispose: () => {
      list.dispose()
      library.dispose()
    },
  }
}

function createLoading(): HTMLElement {
  const skeleton = () =>
    h(
      'li',
      { class: 'card-skeleton' },
      h('div', { class: 'still' }),
      h('div', { class: 'line' }),
      h('div', { class: 'line' }),
    )
  return h(
    'section',
    { 'aria-busy': 'true', 'aria-label': 'Loading streams' },
    h('div', { class: 'wall-head' }, h('h1', {}, 'Live now')),
    h('ul', { class: 'cards' }, skeleton(), skeleton(), skeleton()),
  )
}

function createFailed(reason: HTMLElement, retry: () => void): HTMLElement {
  const element = h('section', { class: 'fail', role: 'alert' })
  element.append(
    icon('alert'),
    h('h1', {}, 'No answer from this peer'),
    reason,
    h('p', {}, 'It may be restarting. This page keeps trying.'),
    h('button', { class: 'button', type: 'button', onclick: retry }, 'Try now'),
  )
  return element
}
