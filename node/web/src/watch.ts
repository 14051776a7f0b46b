/** Entry of the watch page: polls the peer and shows the wall or the player, as the address says. */

import { Api, ApiError, type PeerInfo, type Stream } from './shared/api.ts'
import { byId, type Component, h } from './shared/dom.ts'
import { poll } from './shared/poll.ts'
import { createHeader } from './watch/header.ts'
import { type Route, readRoute } from './watch/route.ts'
import { createCardList } from './watch/stream-card.ts'
import { createWall } from './watch/wall.ts'

const pollMs = 2_000

/** What all views are drawn from. */
interface PageState {
  peer: PeerInfo | undefined
  streams: readonly Stream[] | undefined
  failure: string | undefined
}

const api = new Api()
const main = byId('main')
const header = createHeader(byId('header'))
const state: PageState = { peer: undefined, streams: undefined, failure: undefined }
let view: Component | undefined
let shown: Route | undefined

const streamsPoll = poll({
  intervalMs: pollMs,
  ask: () => Promise.all([api.streams(), api.peer()]),
  onData: ([streams, peer]) => {
    state.streams = streams
    state.peer = peer
    state.failure = undefined
    draw()
  },
  onError: (error) => {
    state.failure = error instanceof ApiError ? error.message : 'This peer gave a strange answer.'
    // Another peer may answer at this address when it comes back.
    state.peer = undefined
    draw()
  },
})

function draw(): void {
  header.update({
    peer: state.peer,
    streams: state.streams,
    reachable: state.failure === undefined,
  })
  view?.update()
}

/** Replaces the view when the address asks for another. */
async function navigate(): Promise<void> {
  const route = readRoute(location)
  if (view !== undefined && JSON.stringify(route) === JSON.stringify(shown)) return
  shown = route
  view?.dispose()
  view = undefined
  main.replaceChildren()
  document.body.classList.toggle('watching', route.view === 'player')
  const next = route.view === 'wall' ? createWallView() : await createPlayerView(route.name)
  if (shown !== route) {
    // The address changed while the player's code was loading.
    next.dispose()
    return
  }
  view = next
  main.replaceChildren(next.element)
  draw()
}

function createWallView(): Component {
  document.title = 'Kairo'
  const wall = createWall(() => streamsPoll.now())
  return {
    ...wall,
    update: () => {
      // A list that was there stays on the screen through a short outage; the header tells of it.
      const { streams, peer } = state
      if (streams !== undefined) wall.update({ state: 'ready', streams, rtmpPort: peer?.rtmpPort })
      else if (state.failure !== undefined) wall.update({ state: 'failed', reason: state.failure })
      else wall.update({ state: 'loading' })
    },
  }
}

async function createPlayerView(name: string): Promise<Component> {
  // hls.js is most of the page's code and the wall does not need it.
  const { createPlayer } = await import('./player/player-view.ts')
  const player = createPlayer(name)
  const others = createCardList()
  const also = h(
    'section',
    { class: 'also', hidden: true },
    h('h2', {}, 'Also live'),
    others.element,
  )
  return {
    element: h('div', {}, player.element, also),
    update: () => {
      const streams = state.streams ?? []
      player.update({
        stream: streams.find((stream) => stream.name === name),
        known: state.streams !== undefined,
        reachable: state.failure === undefined,
      })
      const rest = streams.filter((stream) => stream.name !== name && stream.state === 'live')
      also.hidden = rest.length === 0
      others.update(rest)
    },
    dispose: () => {
      player.dispose()
      others.dispose()
    },
  }
}

window.addEventListener('hashchange', () => {
  scrollTo(0, 0)
  main.focus({ preventScroll: true })
  void navigate()
})
void navigate()
// The player's code is fetched while the visitor looks at the wall.
if (shown?.view === 'wall') {
  setTimeout(() => void import('./player/player-view.ts'), 1_500)
}
