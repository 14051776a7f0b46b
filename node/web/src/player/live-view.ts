/** The page of one live stream: player, what the stream is, and figures. */

import type { Stream } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { count, describeRenditions, shortPeerId } from '../shared/format.ts'
import { showBadge } from '../shared/live-badge.ts'
import type { SessionState } from './hls-session.ts'
import { isSoundOnly, liveMessage } from './messages.ts'
import { createPlayer } from './player.ts'
import { shareButton } from './share.ts'
import { createStats } from './stats.ts'

/** What the page is told at each poll. */
export interface LiveData {
  /** The stream as the network knows it; `undefined` when it does not. */
  readonly stream: Stream | undefined
  /** Whether the list of streams has arrived at least once. */
  readonly known: boolean
  /** Whether this peer answers at present. */
  readonly reachable: boolean
}

/** Creates the page of the stream called `name` and begins to play. */
export function createLiveView(name: string): Component<LiveData> {
  let data: LiveData = { stream: undefined, known: false, reachable: true }
  let state: SessionState = 'connecting'
  let reason: string | undefined
  const base = `/live/${encodeURIComponent(name)}`
  const player = createPlayer({
    live: true,
    url: `${base}/master.m3u8`,
    storyboardUrl: `${base}/storyboard.vtt`,
    onState: (next, why) => {
      state = next
      reason = why
      show()
    },
    onTick: () => {
      stats.update({ figures: player.session.figures, stream: data.stream })
      show()
    },
  })
  const stats = createStats()
  const head = createHead(name)
  const element = h('article', { class: 'player' }, player.element, head.element, stats.element)
  const show = () => {
    const { stream } = data
    const renditions = stream?.renditions ?? []
    player.update({
      message: liveMessage({ state, reason, ...data }),
      soundOnly: isSoundOnly(stream),
      renditions: renditions.map((each) => each.name),
      captions: renditions.some((each) => each.kind === 'captions' || each.closedCaptions === true),
      live: stream?.state === 'live' || state === 'playing',
    })
    head.update(stream)
  }
  player.start()
  show()
  return {
    element,
    update: (next) => {
      const cameBack = data.known && data.stream?.state !== 'live' && next.stream?.state === 'live'
      data = next
      // A playlist that has ended is not asked again, and a long wait between attempts is cut short.
      if (cameBack && state !== 'playing' && state !== 'connecting') player.session.reopen()
      show()
    },
    dispose: player.dispose,
  }
}

/** Title, description and the share button. */
function createHead(name: string): Component<Stream | undefined> {
  const title = h('h1', {}, name)
  const badge = h('span', { class: 'badge-live', hidden: true }, 'LIVE')
  const facts = h('p', { class: 'card-facts' })
  const element = h(
    'div',
    { class: 'player-head' },
    h('div', { class: 'player-title' }, h('div', {}, badge, title), facts),
    shareButton(() => title.textContent ?? name),
  )
  return {
    element,
    update: (stream) => {
      setText(title, stream?.title || name)
      document.title = `${stream?.title || name} · Kairo`
      badge.hidden = stream === undefined
      if (stream !== undefined) showBadge(badge, stream)
      setText(facts, stream === undefined ? '' : describe(stream))
    },
    dispose: () => {},
  }
}

function describe(stream: Stream): string {
  return [
    describeRenditions(stream),
    stream.status === 'origin'
      ? 'published at this peer'
      : `published at ${shortPeerId(stream.originPeer)}`,
    stream.viewers > 0 ? `${count(stream.viewers, 'viewer')} here` : '',
  ]
    .filter((text) => text !== '')
    .join(' · ')
}
