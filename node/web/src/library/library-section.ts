/** The videos on the wall, and the way to add some. */

import type { Video } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { count } from '../shared/format.ts'
import { icon } from '../shared/icon.ts'
import { createVideoList } from './video-card.ts'

/** What the section shows. */
export interface LibraryData {
  readonly videos: readonly Video[]
  /** Whether the visitor may add some. */
  readonly mayUpload: boolean
}

/** Creates the section; it is hidden while there is nothing to show or do. `choose` lets the visitor pick files. */
export function createLibrarySection(choose: () => void): Component<LibraryData> {
  const summary = h('p')
  const upload = h('button', { class: 'button', type: 'button', onclick: choose })
  upload.append(icon('upload'), 'Upload')
  const hint = h('button', { class: 'drop-hint', type: 'button', onclick: choose })
  hint.append(
    icon('film'),
    h('strong', {}, 'Drop a video here'),
    h('span', {}, 'or choose files. They play in every browser, in several sizes.'),
  )
  const list = createVideoList()
  const element = h(
    'section',
    { class: 'library', 'aria-label': 'Videos', hidden: true },
    h('div', { class: 'wall-head' }, h('h2', {}, 'Videos'), summary, upload),
    hint,
    list.element,
  )
  return {
    element,
    update: ({ videos, mayUpload }) => {
      element.hidden = videos.length === 0 && !mayUpload
      upload.hidden = !mayUpload || videos.length === 0
      hint.hidden = !mayUpload || videos.length > 0
      setText(summary, videos.length === 0 ? '' : summaryOf(videos))
      list.update(videos)
    },
    dispose: list.dispose,
  }
}

function summaryOf(videos: readonly Video[]): string {
  const others = videos.filter(({ status }) => status !== 'origin').length
  const own = videos.length - others
  const words = [
    own === 0 ? '' : `${count(own, 'video')} at this peer`,
    others === 0 ? '' : `${own === 0 ? count(others, 'video') : others} of other peers`,
  ]
  return words.filter(Boolean).join(', ')
}
