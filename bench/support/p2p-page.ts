/** The page of the `p2p` bench: one player, of one of three sides, that reports what it did. */
import type { P2pSide } from './p2p-run.ts'

/** What a page is told to play. */
export interface PageInit {
  readonly url: string
  /** Settings of hls.js. */
  readonly hls: object
  /** WebSocket URL of the edge. */
  readonly edge: string
  /** WebSocket URL of the WebTorrent tracker. */
  readonly tracker: string
  /** Settings of p2p-media-loader's core. */
  readonly core: object
}

/** What a page did. */
export interface PageReading {
  readonly httpBytes: number
  readonly peerBytes: number
  readonly sentBytes: number
  /** Other pages that it was connected with. */
  readonly peers: number
  /** Null: none came. */
  readonly firstFrameMs: number | null
  readonly stalls: number
  readonly stallMs: number
  /** Median of hls.js's own figure in the last ten seconds. Null: not live. */
  readonly latencyS: number | null
  readonly positionS: number
  readonly segments: number
  /** SHA-256 of what the player was handed, hex, by the URL's path, and the range. */
  readonly digests: Readonly<Record<string, string>>
  readonly errors: readonly string[]
  /** Why P2P does what it does; only ours says so. */
  readonly diagnosis: string
}

/** The page of a side. */
export function pageOf(side: P2pSide): string {
  const scripts = {
    plain: '',
    ours: '<script src="/kairo.js"></script>',
    p2pml: `<script type="importmap">{ "imports": { "p2p-media-loader-core": "/core.js", "p2p-media-loader-hlsjs": "/engine.js" } }</script>
<script type="module">import { HlsJsP2PEngine } from 'p2p-media-loader-hlsjs'; window.HlsJsP2PEngine = HlsJsP2PEngine</script>`,
  }
  return `<!doctype html><video muted playsinline></video>
<script src="/hls.js"></script>${scripts[side]}
<script>window.side = '${side}'</script><script src="/watch.js"></script>`
}

/** Its script: `begin(init)` starts the player, `reading()` says what it did. */
export const pageScript = `
const video = document.querySelector('video')
const state = {
  http: 0, p2p: 0, sent: 0, peers: new Set(), firstFrameMs: null, stalls: 0, stallMs: 0,
  waitingMs: null, latencies: [], segments: 0, digests: {}, errors: [],
}
let hls
window.begin = ({ hls: settings, ...told }) => {
  // p2p-media-loader 2.3.1 goes on using buffers that hls.js 1.7 gives away to its worker: no side has one.
  const init = { ...told, hls: { ...settings, enableWorker: false } }
  const beganMs = performance.now()
  video.requestVideoFrameCallback(() => { state.firstFrameMs = performance.now() - beganMs })
  video.addEventListener('waiting', () => {
    if (state.firstFrameMs === null || state.waitingMs !== null || video.seeking) return
    state.stalls += 1
    state.waitingMs = performance.now()
  })
  video.addEventListener('playing', () => {
    if (state.waitingMs !== null) state.stallMs += performance.now() - state.waitingMs
    state.waitingMs = null
  })
  hls = make[side](init)
  hls.on(Hls.Events.ERROR, (_, { details, fatal, error }) => {
    if (state.errors.length < 8) state.errors.push(details + (fatal ? ' (fatal)' : '') + ' ' + error?.message)
  })
  // Where the player gets its bytes: by its events they are on their way to a worker already.
  hls.config.fLoader = class extends (hls.config.fLoader ?? hls.config.loader) {
    load(context, config, callbacks) {
      const onSuccess = (response, ...more) => {
        void got(context, response.data)
        callbacks.onSuccess(response, ...more)
      }
      super.load(context, config, { ...callbacks, onSuccess })
    }
  }
  setInterval(() => {
    if (state.firstFrameMs !== null && hls.latestLevelDetails?.live) state.latencies.push(hls.latency)
  }, 250)
  hls.loadSource(init.url)
  hls.attachMedia(video)
  video.play().catch((error) => state.errors.push('play: ' + error.message))
}
async function got({ frag, url, rangeStart, rangeEnd }, data) {
  if (typeof frag.sn !== 'number') return
  state.segments += 1
  if (side === 'plain') state.http += data.byteLength
  const name = new URL(url).pathname + (rangeEnd ? ' ' + rangeStart + '-' + rangeEnd : '')
  const digest = await crypto.subtle.digest('SHA-256', data)
  state.digests[name] = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
const make = {
  plain: (init) => new Hls(init.hls),
  ours: (init) => {
    const HlsWithKairo = Kairo.KairoEngine.injectMixin(Hls)
    const player = new HlsWithKairo({ ...init.hls, kairo: { edge: init.edge } })
    player.kairoEngine.addEventListener('onPeerConnect', ({ peerId }) => state.peers.add(peerId))
    return player
  },
  p2pml: (init) => {
    const HlsWithP2P = HlsJsP2PEngine.injectMixin(Hls)
    const core = { announceTrackers: [init.tracker], rtcConfig: { iceServers: [] }, ...init.core }
    const player = new HlsWithP2P({ ...init.hls, p2p: { core } })
    const engine = player.p2pEngine
    engine.addEventListener('onChunkDownloaded', (bytes, source) => { state[source] += bytes })
    engine.addEventListener('onChunkUploaded', (bytes) => { state.sent += bytes })
    engine.addEventListener('onPeerConnect', ({ peerId }) => state.peers.add(peerId))
    return player
  },
}
window.reading = () => {
  const stats = hls.kairoEngine?.stats()
  if (stats) Object.assign(state, { http: stats.httpBytes, p2p: stats.peerBytes, sent: stats.sentBytes })
  const last = state.latencies.slice(-40).sort((a, b) => a - b)
  return {
    httpBytes: state.http, peerBytes: state.p2p, sentBytes: state.sent, peers: state.peers.size,
    firstFrameMs: state.firstFrameMs, stalls: state.stalls,
    stallMs: state.stallMs + (state.waitingMs === null ? 0 : performance.now() - state.waitingMs),
    latencyS: last.length === 0 ? null : last[last.length >> 1],
    positionS: video.currentTime, segments: state.segments, digests: state.digests, errors: state.errors,
    diagnosis: hls.kairoEngine?.diagnose() ?? '',
  }
}
`
