/** One live stream on the wall: still, title, and what it is and where it comes from. */

import type { Stream } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { count, describeRenditions, shortPeerId } from '../shared/format.ts'
import { icon } from '../shared/icon.ts'
import { createKeyedList } from '../shared/keyed-list.ts'
import { showBadge } from '../shared/live-badge.ts'
import { watchHref } from './route.ts'
import { createStill } from './still.ts'

/** Creates an empty list of cards. */
export function createCardList(): Component<readonly Stream[]> {
  return createKeyedList(h('ul', { class: 'cards' }), {
    key: (stream: Stream) => stream.name,
    create: createStreamCard,
  })
}

/** Creates the card of `stream`, which stays the card of this name. */
function createStreamCard(stream: Stream): Component<Stream> {
  const still = createStill(stream)
  const badge = h('span')
  const viewers = h('span')
  const viewersChip = h('span', { class: 'chip', hidden: true })
  viewersChip.append(icon('viewers'), viewers)
  const title = h('h2', { class: 'card-title' })
  const format = h('p', { class: 'card-facts' })
  const source = h('p', { class: 'card-facts' })
  const play = h('span', { class: 'still-play' })
  play.append(icon('play'))
  const link = h(
    'a',
    { class: 'card', href: watchHref(stream.name) },
    h(
      'div',
      { class: 'still' },
      still.element,
      play,
      h('div', { class: 'still-top' }, badge, viewersChip),
    ),
    h('div', { class: 'card-text' }, title, format, source),
  )
  const update = (next: Stream) => {
    showBadge(badge, next)
    still.update(next)
    viewersChip.hidden = next.viewers === 0
    setText(viewers, String(next.viewers))
    viewersChip.title = `${count(next.viewers, 'viewer')} at this peer`
    setText(title, next.title || next.name)
    title.title = next.title || next.name
    setText(format, describeRenditions(next) || next.name)
    setText(source, sourceOf(next))
    source.title = next.originPeer
  }
  return { element: h('li', {}, link), update, dispose: still.dispose }
}

/** Where a stream comes from, in a few words. */
function sourceOf(stream: Stream): string {
  if (stream.status === 'origin') return 'published here'
  if (stream.status === 'lost') return 'source lost'
  return `from ${shortPeerId(stream.sourcePeer ?? stream.originPeer)}`
}
