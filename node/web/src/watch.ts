/** Entry of the watch page: polls the peer and shows the wall or the player, as the address says. */

import { createVideoList } from './library/video-card.ts'
import { Api, ApiError, type Library, type PeerInfo, type Stream } from './shared/api.ts'
import { byId, type Component, h } from './shared/dom.ts'
import { poll } from './shared/poll.ts'
import { storedToken } from './shared/token.ts'
import { createDropZone } from './upload/drop-zone.ts'
import { createUploadPanel } from './upload/upload-panel.ts'
import { UploadQueue } from './upload/upload-queue.ts'
import { mayUpload } from './upload/upload-words.ts'
import { createHeader } from './watch/header.ts'
import { type Route, readRoute } from './watch/route.ts'
import { createCardList } from './watch/stream-card.ts'
import { createWall } from './watch/wall.ts'

const pollMs = 2_000
/** Videos below the one that is watched. */
const moreVideosMax = 12

/** What all views are drawn from. */
interface PageState {
  peer: PeerInfo | undefined
  streams: readonly Stream[] | undefined
  library: Library | undefined
  failure: string | undefined
}

const api = new Api()
const main = byId('main')
const header = createHeader(byId('header'))
const state: PageState = {
  ...{ peer: undefined, streams: undefined, library: undefined, failure: undefined },
}
let view: Component | undefined
let shown: Route | undefined

const pagePoll = poll({
  intervalMs: pollMs,
  ask: () => Promise.all([api.streams(), api.peer(), api.library()]),
  onData: ([streams, peer, library]) => {
    state.streams = streams
    state.peer = peer
    state.library = library
    state.failure = undefined
    uploads.follow(library.videos)
    draw()
  },
  onError: (error) => {
    state.failure = error instanceof ApiError ? error.message : 'This peer gave a strange answer.'
    // Another peer may answer at this address when it comes back.
    state.peer = undefined
    draw()
  },
})

const mayAdd = () => mayUpload(state.library?.uploads, location.hostname, storedToken())
const uploads = new UploadQueue({
  token: storedToken,
  uploads: () => state.library?.uploads,
  onChange: () => panel.update(),
  onUploaded: () => pagePoll.now(),
})
const dropZone = createDropZone(mayAdd, (files) => uploads.add(files))
const panel = createUploadPanel(uploads, dropZone.choose)
document.body.append(panel.element)
void uploads.recall()
window.addEventListener('beforeunload', (event) => {
  if (uploads.isBusy) event.preventDefault()
})

function draw(): void {
  header.update({
    peer: state.peer,
    streams: state.streams,
    reachable: state.failure === undefined,
  })
  panel.update()
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
  document.body.classList.toggle('watching', route.view !== 'wall')
  const next = await createView(route)
  if (shown !== route) {
    // The address changed while the player's code was loading.
    next.dispose()
    return
  }
  view = next
  main.replaceChildren(next.element)
  draw()
}

function createView(route: Route): Component | Promise<Component> {
  if (route.view === 'player') return createLivePage(route.name)
  return route.view === 'video' ? createVideoPage(route.id) : createWallPage()
}

function createWallPage(): Component {
  document.title = 'Kairo'
  const wall = createWall({ retry: () => pagePoll.now(), choose: dropZone.choose })
  return {
    ...wall,
    update: () => {
      // A list that was there stays on the screen through a short outage; the header tells of it.
      const { streams, peer, library, failure } = state
      if (streams !== undefined) {
        const videos = library?.videos ?? []
        wall.update({ state: 'ready', streams, videos, mayUpload: mayAdd(), ports: peer })
      } else if (failure !== undefined) wall.update({ state: 'failed', reason: failure })
      else wall.update({ state: 'loading' })
    },
  }
}

/** A player with more of its kind below it. */
function withOthers<T>(
  player: Component,
  others: Component<readonly T[]>,
  title: string,
  rest: () => readonly T[],
): Component {
  const also = h('section', { class: 'also', hidden: true }, h('h2', {}, title), others.element)
  return {
    element: h('div', {}, player.element, also),
    update: () => {
      player.update()
      const items = rest()
      also.hidden = items.length === 0
      others.update(items)
    },
    dispose: () => {
      player.dispose()
      others.dispose()
    },
  }
}

async function createLivePage(name: string): Promise<Component> {
  // hls.js is most of the page's code and the wall does not need it.
  const { createLiveView } = await import('./player/live-view.ts')
  const player = createLiveView(name)
  const update = () => {
    player.update({
      stream: state.streams?.find((stream) => stream.name === name),
      known: state.streams !== undefined,
      reachable: state.failure === undefined,
    })
  }
  return withOthers({ ...player, update }, createCardList(), 'Also live', () =>
    (state.streams ?? []).filter((stream) => stream.name !== name && stream.state === 'live'),
  )
}

async function createVideoPage(id: string): Promise<Component> {
  const { createVideoView } = await import('./player/video-view.ts')
  const player = createVideoView(id)
  const update = () => {
    player.update({
      video: state.library?.videos.find((video) => video.id === id),
      known: state.library !== undefined,
      reachable: state.failure === undefined,
    })
  }
  return withOthers({ ...player, update }, createVideoList(), 'More videos', () =>
    (state.library?.videos ?? [])
      .filter((video) => video.id !== id && video.state === 'ready')
      .slice(0, moreVideosMax),
  )
}

window.addEventListener('hashchange', () => {
  scrollTo(0, 0)
  main.focus({ preventScroll: true })
  void navigate()
})
void navigate()
// The player's code is fetched while the visitor looks at the wall.
if (shown?.view === 'wall') {
  setTimeout(() => void import('./player/live-view.ts'), 1_500)
}
