/** The page of one video: player, what the video is, downloads; it goes on where this browser left it. */

import type { Video } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { clockTime, describeRenditions } from '../shared/format.ts'
import { createDownloadMenu } from './download-menu.ts'
import type { SessionState } from './hls-session.ts'
import { isSoundOnly, videoMessage } from './messages.ts'
import { createPlayer } from './player.ts'
import { storedPosition, storePosition } from './resume.ts'
import { shareButton } from './share.ts'

/** What the page is told at each poll. */
export interface VideoData {
  /** The video as the peer knows it; `undefined` when it does not. */
  readonly video: Video | undefined
  /** Whether the list of videos has arrived at least once. */
  readonly known: boolean
  /** Whether this peer answers at present. */
  readonly reachable: boolean
}

/** Creates the page of the video with this id; it plays as soon as the peer says that it is ready. */
export function createVideoView(id: string): Component<VideoData> {
  let data: VideoData = { video: undefined, known: false, reachable: true }
  let state: SessionState = 'connecting'
  let reason: string | undefined
  let started = false
  const base = `/vod/${encodeURIComponent(id)}`
  const startS = storedPosition(id)
  const player = createPlayer({
    live: false,
    url: `${base}/master.m3u8`,
    storyboardUrl: `${base}/storyboard.vtt`,
    ...(startS === undefined ? {} : { startS }),
    onState: (next, why) => {
      state = next
      reason = why
      if (next === 'ended') keepPosition()
      show()
    },
    onTick: () => {
      if (!player.video.paused) keepPosition()
      show()
    },
  })
  const keepPosition = () => {
    const { positionS, endS } = player.session.timeline
    if (endS > 0 && (positionS > 0 || state === 'ended')) storePosition(id, positionS, endS)
  }
  const head = createHead(id)
  const element = h('article', { class: 'player' }, player.element, head.element)
  const show = () => {
    const { video } = data
    player.update({
      message: videoMessage({ state, reason, ...data }),
      soundOnly: isSoundOnly(video?.state === 'ready' ? video : undefined),
      renditions: [...(video?.renditions ?? []), ...(video?.captions ?? [])].map(
        ({ name }) => name,
      ),
      captions: (video?.captions.length ?? 0) > 0,
      live: false,
    })
    head.update(video)
  }
  show()
  return {
    element,
    update: (next) => {
      data = next
      if (!started && next.video?.state === 'ready') {
        started = true
        player.start()
      }
      show()
    },
    dispose: () => {
      if (started) keepPosition()
      player.dispose()
      head.dispose()
    },
  }
}

/** Title, facts, downloads and the share button. */
function createHead(id: string): Component<Video | undefined> {
  const title = h('h1', {}, 'Video')
  const facts = h('p', { class: 'card-facts' })
  const downloads = createDownloadMenu()
  const element = h(
    'div',
    { class: 'player-head' },
    h('div', { class: 'player-title' }, h('div', {}, title), facts),
    h(
      'div',
      { class: 'player-actions' },
      downloads.element,
      shareButton(() => title.textContent ?? id),
    ),
  )
  return {
    element,
    update: (video) => {
      setText(title, video?.title || 'Video')
      document.title = `${video?.title || 'Video'} · Kairo`
      setText(facts, video === undefined ? '' : describe(video))
      downloads.update(video)
    },
    dispose: downloads.dispose,
  }
}

function describe(video: Video): string {
  const date = new Date(video.createdAt).toLocaleDateString(undefined, { dateStyle: 'medium' })
  return [
    video.durationS > 0 ? clockTime(video.durationS) : '',
    describeRenditions(video),
    `${video.origin === 'recording' ? 'recorded' : 'added'} ${date}`,
  ]
    .filter((text) => text !== '')
    .join(' · ')
}
