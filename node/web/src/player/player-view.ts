/** The player of one stream: picture, messages over it, controls, what the stream is, and figures. */

import type { Stream } from '../shared/api.ts'
import { copyText } from '../shared/copy.ts'
import { announce, type Component, h, setText } from '../shared/dom.ts'
import { count, describeRenditions, shortPeerId } from '../shared/format.ts'
import { icon } from '../shared/icon.ts'
import { showBadge } from '../shared/live-badge.ts'
import { createControls } from './controls.ts'
import { HlsSession, type SessionState } from './hls-session.ts'
import { createStage } from './stage.ts'
import { createStats } from './stats.ts'

/** What the player is told at each poll. */
export interface PlayerData {
  /** The stream as the network knows it; `undefined` when it does not. */
  readonly stream: Stream | undefined
  /** Whether the list of streams has arrived at least once. */
  readonly known: boolean
  /** Whether this peer answers at present. */
  readonly reachable: boolean
}

const figuresMs = 500
/** Farther behind the aimed latency than this is not live any more. */
const edgeToleranceS = 3

/** Creates the player of the stream called `name` and begins to play. */
export function createPlayer(name: string): Component<PlayerData> {
  let stream: Stream | undefined
  let known = false
  let reachable = true
  let state: SessionState = 'connecting'
  let reason: string | undefined
  const stage = createStage({ togglePlay: () => togglePlay(), unmute: () => unmute() })
  const { video } = stage
  const session = new HlsSession({
    video,
    url: `/live/${encodeURIComponent(name)}/master.m3u8`,
    onState: (next, why) => {
      state = next
      reason = why
      show()
    },
  })
  const togglePlay = () => {
    if (!video.paused) video.pause()
    else session.goLive()
  }
  const unmute = () => {
    video.muted = false
    void session.play()
  }
  const controls = createControls({
    video,
    stage: stage.element,
    goLive: () => session.goLive(),
    togglePlay,
    onTheatre: (on) => document.body.classList.toggle('theatre', on),
  })
  stage.element.append(controls.element)
  const stats = createStats()
  const head = createHead(name)
  const element = h('article', { class: 'player' }, stage.element, head.element, stats.element)

  const show = () => {
    stage.update({ state, reason, stream, known, reachable, paused: video.paused })
    head.update(stream)
  }
  const timer = setInterval(() => {
    const { figures } = session
    const target = figures.targetLatencyS ?? 2
    const behindS = figures.latencyS === undefined ? undefined : figures.latencyS - target
    controls.update({
      live: stream?.state === 'live' || state === 'playing',
      atEdge: !video.paused && (behindS ?? 0) < edgeToleranceS,
      behindS,
    })
    stats.update({ figures, stream })
  }, figuresMs)
  if (HlsSession.isSupported(video)) session.start()
  else {
    state = 'failed'
    reason = 'This browser can play neither HLS nor Media Source Extensions.'
  }
  show()
  return {
    element,
    update: (data) => {
      const cameBack = known && stream?.state !== 'live' && data.stream?.state === 'live'
      stream = data.stream
      known = data.known
      reachable = data.reachable
      // A playlist that has ended is not asked again, and a long wait between attempts is cut short.
      if (cameBack && state !== 'playing' && state !== 'connecting') session.reopen()
      show()
    },
    dispose: () => {
      clearInterval(timer)
      controls.dispose()
      session.dispose()
      stage.dispose()
      document.body.classList.remove('theatre')
    },
  }
}

/** Title, description and the share button. */
function createHead(name: string): Component<Stream | undefined> {
  const title = h('h1', {}, name)
  const badge = h('span', { class: 'badge-live', hidden: true }, 'LIVE')
  const facts = h('p', { class: 'card-facts' })
  const shareText = h('span', {}, 'Share')
  const share = h('button', { class: 'button', type: 'button' })
  share.append(icon('share'), shareText)
  share.addEventListener('click', async () => {
    const shared = await shareLink(title.textContent ?? name, location.href)
    if (!shared) return
    setText(shareText, 'Link copied')
    announce('Link copied')
    setTimeout(() => setText(shareText, 'Share'), 1_800)
  })
  const element = h(
    'div',
    { class: 'player-head' },
    h('div', { class: 'player-title' }, h('div', {}, badge, title), facts),
    share,
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

/** Shares by the device's own sheet on phones, else copies; true when it copied. */
async function shareLink(title: string, url: string): Promise<boolean> {
  const touch = matchMedia('(pointer: coarse)').matches
  if (touch && typeof navigator.share === 'function') {
    try {
      await navigator.share({ title, url })
      return false
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') return false
    }
  }
  return copyText(url)
}
