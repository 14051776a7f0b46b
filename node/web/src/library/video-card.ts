/** One video on the wall: picture, duration, title, and how far it is while it is made. */

import type { Video } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { clockTime, describeRenditions, duration } from '../shared/format.ts'
import { icon } from '../shared/icon.ts'
import { createKeyedList } from '../shared/keyed-list.ts'
import { videoHref } from '../watch/route.ts'
import { createVideoPoster } from './video-poster.ts'

/** Creates an empty list of cards. */
export function createVideoList(): Component<readonly Video[]> {
  return createKeyedList(h('ul', { class: 'cards cards-videos' }), {
    key: (video: Video) => video.id,
    create: createVideoCard,
  })
}

/** Creates the card of `video`, which stays the card of this id. */
function createVideoCard(video: Video): Component<Video> {
  const poster = createVideoPoster(video)
  const badge = h('span', { class: 'badge-live badge-quiet' })
  const time = h('span', { class: 'chip' })
  const filled = h('div')
  const bar = h('div', { class: 'bar', role: 'progressbar', hidden: true }, filled)
  const title = h('h3', { class: 'card-title' })
  const facts = h('p', { class: 'card-facts' })
  const play = h('span', { class: 'still-play' })
  play.append(icon('play'))
  const link = h(
    'a',
    { class: 'card', href: videoHref(video.id) },
    h(
      'div',
      { class: 'still' },
      poster.element,
      play,
      h('div', { class: 'still-top' }, badge),
      h('div', { class: 'still-bottom' }, h('span'), time),
      bar,
    ),
    h('div', { class: 'card-text' }, title, facts),
  )
  const update = (next: Video) => {
    poster.update(next)
    const isMade = next.state === 'ready'
    const isAway = next.status === 'away'
    badge.hidden = isMade && next.origin !== 'recording' && !isAway
    setText(badge, isAway ? 'AWAY' : isMade ? 'RECORDED' : stateWord(next))
    badge.title = isAway ? 'Its peer cannot be reached now; it may play all the same.' : ''
    badge.classList.toggle('badge-fail', next.state === 'failed')
    time.hidden = next.durationS <= 0
    setText(time, clockTime(next.durationS))
    bar.hidden = isMade || next.state === 'failed'
    bar.setAttribute('aria-label', `${next.title}, being made`)
    bar.setAttribute('aria-valuenow', String(Math.floor(next.progress * 100)))
    filled.style.setProperty('width', `${next.progress * 100}%`)
    setText(title, next.title)
    title.title = next.title
    setText(facts, factsOf(next))
  }
  return { element: h('li', {}, link), update, dispose: poster.dispose }
}

function stateWord(video: Video): string {
  const words: Readonly<Record<Video['state'], string>> = {
    queued: 'WAITING',
    probing: 'READING',
    transcoding: `${Math.floor(video.progress * 100)} %`,
    ready: 'READY',
    failed: 'FAILED',
  }
  return words[video.state]
}

function factsOf(video: Video): string {
  if (video.state === 'failed') return video.error?.message ?? 'It could not be read as a video.'
  if (video.state === 'ready') {
    const ageS = (Date.now() - Date.parse(video.createdAt)) / 1_000
    const age = ageS < 60 ? 'just now' : `${duration(ageS).split(' ').slice(0, 2).join(' ')} ago`
    const where = video.status === 'origin' ? '' : 'another peer'
    return [describeRenditions(video), age, where].filter(Boolean).join(' · ')
  }
  return video.etaS === null ? 'Being made' : `Being made · ${duration(video.etaS)} left`
}
