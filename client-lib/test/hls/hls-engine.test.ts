// The engine of a player, with hls.js's own player as far as Node has it.
import Hls, { type HlsConfig, type LevelDetails } from 'hls.js'
import { test } from 'tap'
import { HlsJsP2PEngine } from '../../src/compat.ts'
import { HlsEngine, type KairoConfig } from '../../src/hls/hls-engine.ts'
import { KairoEngine } from '../../src/hls/kairo-engine.ts'
import type { PartLoader } from '../../src/hls/part-loader.ts'
import { contextOf, defaults, detailsOf, loaderConfig } from '../support/hls-parts.ts'
import { arrival } from '../support/told-engine.ts'
import {
  bePage,
  listed,
  silently,
  type ToldSwarm,
  toldComponents,
  Video,
} from '../support/told-swarm.ts'

bePage()
const edge = 'wss://e.example/swarm'

function setUp(config: KairoConfig = { edge }, canConnect = true) {
  const { components, swarms, clock } = toldComponents(canConnect)
  const engine = new HlsEngine(config, components)
  const hls = new Hls({ ...silently, ...engine.getConfigForHlsJs() })
  // hls.js's own listeners would take made-up playlists for real ones.
  hls.removeAllListeners()
  engine.bindHls(hls)
  const load = (): PartLoader => {
    const loaderClass = hls.config.fLoader as unknown as new (config: HlsConfig) => PartLoader
    const loader = new loaderClass({ ...defaults, ...silently } as HlsConfig)
    loader.load(contextOf({ sn: 12, start: 48 }), loaderConfig, {
      onSuccess: () => {},
      onError: () => {},
      onTimeout: () => {},
    })
    return loader
  }
  return { engine, hls, swarms, clock, load, swarm: () => swarms.at(-1) as ToldSwarm }
}

test('a swarm begins with the source, named after its path, and ends with the player', async (t) => {
  const { hls, swarms, swarm } = setUp({ edge, ticket: 'x', memoryMiB: 2, uploadKbps: 500 })
  t.same(swarms, [])
  hls.loadSource('https://cdn.example/live/a/master.m3u8?token=1')
  t.match(swarm().init, {
    ...{ edges: [edge], swarm: '/live/a/master.m3u8', ticket: 'x' },
    ...{ memoryBytesMax: 2 * 1_048_576, uploadBps: 500_000, isRelayed: false },
  })
  t.same(swarm().calls, ['start'])
  t.same(swarm().manners, [{ mayTake: true, uploadBps: 500_000 }])
  hls.loadSource('https://cdn2.example/live/a/master.m3u8')
  t.equal(swarms.length, 1, 'the same once more')
  hls.loadSource('https://cdn2.example/live/b/master.m3u8')
  t.same(swarms[0]?.calls, ['start', 'stop'])
  t.equal(swarms.length, 2)
  hls.destroy()
  t.same(swarm().calls, ['start', 'stop'])
})

test('bound by a function: with the first playlist', async (t) => {
  const { components, swarms } = toldComponents()
  const engine = new KairoEngine({ edge, swarm: 's' }, components)
  let hls: Hls | undefined
  engine.bindHls(() => hls as Hls)
  hls = new Hls({ ...silently, ...engine.getConfigForHlsJs() })
  t.equal(swarms.length, 0)
  hls.loadSource('/live/a.m3u8')
  t.equal(swarms[0]?.init.swarm, 's')
  engine.destroy()
  t.same(swarms[0]?.calls, ['start', 'stop'])
  hls.loadSource('/live/b.m3u8')
  t.equal(swarms.length, 1, 'it was let go for good')
  hls.destroy()
})

test('without an edge, or a way to connect, hls.js loads by itself', async (t) => {
  for (const { hls, swarms, engine, load } of [setUp({}), setUp({ edge }, false)]) {
    hls.loadSource('/a.m3u8')
    const loader = load()
    t.same(swarms, [])
    t.equal(loader.stats.loading.start, 0, 'this loader began nothing')
    t.match(engine.diagnose(), /No P2P: (no edge is named|this browser has no WebRTC)/)
    hls.destroy()
  }
})

test('the player’s loads go to the swarm, and are told to the page', async (t) => {
  const { hls, engine, swarm, load } = setUp()
  const told: string[] = []
  engine.addEventListener('onSegmentStart', ({ segment }) =>
    told.push(`start ${segment.externalId}`),
  )
  engine.addEventListener('onSegmentLoaded', ({ downloadSource, bytesLength, streamType }) =>
    told.push(`${streamType} loaded ${bytesLength} ${downloadSource}`),
  )
  engine.addEventListener('onSegmentAbort', ({ segment }) => told.push(`abort ${segment.url}`))
  engine.addEventListener('onSegmentError', ({ error }) => told.push(error.message))
  hls.loadSource('/a.m3u8')
  listed(hls)
  t.match(swarm().played, [{ rendition: /^m/, sequence: 14, isLive: true, partMs: 4_000 }])
  load()
  const bytes = new Uint8Array(10)
  swarm().last.callbacks.onArrival(arrival({ bytes, httpBytes: 2, peerBytes: 8 }))
  load().abort()
  load()
  swarm().last.callbacks.onFailure(503, 'Busy')
  t.same(told, [
    ...['start 12', 'main loaded 10 p2p'],
    ...['start 12', 'abort https://origin.example/v/12.m4s', 'start 12', '503 Busy'],
  ])
  hls.destroy()
})

test('new live parts, and what plays, are told', async (t) => {
  const { hls, swarm } = setUp()
  hls.loadSource('/a.m3u8')
  listed(hls, detailsOf({ first: 10, segments: 5, parts: { 15: 1 } }))
  listed(hls, detailsOf({ first: 10, segments: 5, parts: { 15: 2 } }))
  t.match(swarm().listed, [[{ key: /\/15\.1$/ }]])
  hls.emit(Hls.Events.FRAG_CHANGED, Hls.Events.FRAG_CHANGED, { frag: { sn: 13 } } as never)
  t.equal(swarm().played.at(-1)?.sequence, 13)
  hls.destroy()
  t.equal(swarm().played.at(-1), undefined)
})

test('parts of sound are left to hls.js', async (t) => {
  const { hls, swarm } = setUp()
  hls.loadSource('/a.m3u8')
  listed(hls)
  Object.defineProperty(hls, 'allAudioTracks', { value: [{ id: 0, attrs: {} }] })
  const tell = (details: LevelDetails): void => {
    hls.emit(Hls.Events.AUDIO_TRACK_UPDATED, Hls.Events.AUDIO_TRACK_UPDATED, {
      ...{ details, id: 0, groupId: 'a' },
    })
  }
  tell(detailsOf({ first: 10, segments: 5, parts: { 15: 1 } }))
  tell(detailsOf({ first: 10, segments: 5, parts: { 15: 2 } }))
  t.same(swarm().listed, [])
  tell(detailsOf({ first: 10, segments: 5 }))
  tell(detailsOf({ first: 10, segments: 6 }))
  t.match(swarm().listed, [[{ key: /^a_.*\/15$/ }]])
  hls.destroy()
})

test('the media element moves deadlines, and says whether it plays', async (t) => {
  const { hls, swarm, load } = setUp()
  const video = new Video()
  hls.loadSource('/a.m3u8')
  listed(hls)
  hls.emit(Hls.Events.MEDIA_ATTACHED, Hls.Events.MEDIA_ATTACHED, { media: video as never })
  load()
  t.equal(swarm().last.isUrgent, false)
  video.currentTime = 200
  video.dispatchEvent(new Event('seeking'))
  t.match(swarm().hastened, [{ isUrgent: true }])
  video.dispatchEvent(new Event('seeked'))
  hls.emit(Hls.Events.MEDIA_DETACHING, Hls.Events.MEDIA_DETACHING, {})
  video.currentTime = 40
  video.dispatchEvent(new Event('seeking'))
  t.equal(swarm().hastened.length, 1, 'after it was detached it says nothing')
  hls.destroy()
})

test('figures: bytes by who brought them, parts, uploads', async (t) => {
  const { hls, engine, swarm, clock } = setUp()
  const told: unknown[][] = []
  engine.addEventListener('onChunkDownloaded', (...args) => told.push(args))
  engine.addEventListener('onChunkUploaded', (...args) => told.push(args))
  hls.loadSource('/a.m3u8')
  const { events } = swarm().init
  events.onBytes('m/1', 100, undefined)
  events.onBytes('m/1', 300, 'peer')
  events.onPart('m/1', { http: 100, peers: 300 })
  events.onPart('m/2', { http: 0, peers: 300 })
  events.onRefused('m/3', ['peer', 'other'])
  events.onRefused('m/4', [])
  const peer = { peer: 'peer', rttMs: 5, upBps: 8_000, downBps: 16_000, gotBytes: 300, asks: 0 }
  swarm().peers = [{ ...peer, sentBytes: 40 } as never]
  clock.advance(1_000)
  swarm().peers = [{ ...peer, sentBytes: 100 } as never]
  t.match(engine.stats(), {
    ...{ httpBytes: 100, peerBytes: 300, sentBytes: 100, offload: 0.75, parts: 2, peerParts: 1 },
    ...{ refusedParts: 1, httpKbps: 5_000, memoryBytes: 7, edge, isEdgeOpen: true },
    peers: [{ id: 'peer', rttMs: 5, receivedBytes: 300, sentBytes: 100, downKbps: 16, upKbps: 8 }],
  })
  t.same(told, [
    [100, 'http', undefined],
    [300, 'p2p', 'peer'],
    [40, 'peer'],
    [60, 'peer'],
  ])
  t.match(engine.diagnose(), /75 % of/)
  swarm().peers = [{ ...peer, sentBytes: 30 } as never]
  t.equal(engine.stats().sentBytes, 130, 'who came back begins anew')
  hls.loadSource('/b.m3u8')
  t.equal(engine.stats().peerBytes, 0, 'another source, other figures')
  hls.destroy()
  t.equal(clock.timers, 0)
})

test('peers and refusals are told; a listener that throws harms nobody', async (t) => {
  const { hls, engine, swarm } = setUp()
  const told: string[] = []
  const reported: unknown[] = []
  Object.assign(globalThis, { reportError: (error: unknown) => reported.push(error) })
  const throws = (): void => {
    throw new Error('the page’s own')
  }
  engine.addEventListener('onPeerConnect', throws)
  engine.addEventListener('onPeerConnect', ({ peerId }) => told.push(`+${peerId}`))
  engine.addEventListener('onPeerClose', ({ peerId }) => told.push(`-${peerId}`))
  engine.addEventListener('onPeerError', ({ peerId }) => told.push(`!${peerId}`))
  engine.addEventListener('onTrackerError', ({ error }) => told.push(error.message))
  hls.loadSource('/a.m3u8')
  const { events } = swarm().init
  events.onPeer('a', true)
  engine.removeEventListener('onPeerConnect', throws)
  events.onPeer('b', true)
  events.onPeer('a', false)
  events.onRefused('m/1', ['b'])
  events.onOff('full')
  t.same(told, ['+a', '+b', '-a', '!b', 'full'])
  t.equal(reported.length, 1)
  hls.destroy()
})

test('the viewer’s switch, and the cap', async (t) => {
  const { hls, engine, swarm } = setUp({ edge, uploadKbps: 800 })
  hls.loadSource('/a.m3u8')
  engine.setSharing(false)
  t.match(engine.diagnose(), /sharing is switched off/)
  engine.setSharing(true)
  engine.setUpload(0)
  engine.setUpload()
  t.same(swarm().manners, [
    ...[
      { mayTake: true, uploadBps: 800_000 },
      { mayTake: false, uploadBps: 0 },
    ],
    ...[
      { mayTake: true, uploadBps: 800_000 },
      { mayTake: true, uploadBps: 0 },
    ],
    { mayTake: true, uploadBps: 800_000 },
  ])
  t.same(engine.getConfig(), { edge, uploadKbps: 800 })
  hls.destroy()
})

test('the browser is listened to as long as there is a swarm', async (t) => {
  const listening = new Set<string>()
  const document = {
    visibilityState: 'visible',
    addEventListener: (name: string) => listening.add(name),
    removeEventListener: (name: string) => listening.delete(name),
  }
  const { components } = toldComponents(true, { document })
  const engine = new HlsEngine({ edge }, components)
  const hls = new Hls({ ...silently, ...engine.getConfigForHlsJs() })
  engine.bindHls(hls)
  t.equal(listening.size, 0)
  hls.loadSource('/a.m3u8')
  t.equal(listening.size, 1)
  hls.destroy()
  t.equal(listening.size, 0)
})

test('a class of players with an engine each', async (t) => {
  const HlsWithKairo = KairoEngine.injectMixin(Hls)
  let ready: KairoEngine | undefined
  const kairo = { onReady: (engine: KairoEngine) => (ready = engine) }
  const hls = new HlsWithKairo({ ...silently, startLevel: 2, kairo })
  t.ok(hls instanceof Hls)
  t.equal(hls.kairoEngine, ready)
  t.equal(hls.config.startLevel, 2)
  t.notOk('kairo' in hls.userConfig, 'hls.js does not see what is not its own')
  t.equal(HlsWithKairo.version, Hls.version, 'what the class has is there')
  t.match(hls.kairoEngine.diagnose(), /has loaded anything/)
  hls.destroy()
  t.ok(new HlsWithKairo().kairoEngine, 'without settings, too')
})

test('p2p-media-loader’s names', async (t) => {
  const HlsWithP2P = HlsJsP2PEngine.injectMixin(Hls)
  let created: InstanceType<typeof HlsWithP2P> | undefined
  const hls = new HlsWithP2P({
    ...silently,
    p2p: {
      core: { announceTrackers: ['wss://e.example/announce'], swarmId: 's', isP2PDisabled: true },
      onHlsJsCreated: (player) => (created = player as typeof created),
    },
  })
  t.equal(created, hls)
  t.ok(hls.p2pEngine instanceof HlsJsP2PEngine)
  hls.destroy()
  const { components, swarms } = toldComponents()
  const core = { announceTrackers: ['wss://e.example/announce'], isP2PUploadDisabled: true }
  const engine = new HlsJsP2PEngine({ core }, components)
  const player = new Hls({ ...silently, ...engine.getConfigForHlsJs() })
  engine.bindHls(player)
  player.loadSource('/a.m3u8')
  t.same(swarms[0]?.init.edges, ['wss://e.example/swarm'])
  t.same(swarms[0]?.manners, [{ mayTake: true, uploadBps: 0 }])
  engine.applyDynamicConfig({ core: { isP2PUploadDisabled: false } })
  engine.applyDynamicConfig({ core: { mainStream: { isP2PDisabled: true } } })
  engine.applyDynamicConfig({})
  t.same(swarms[0]?.manners.slice(1), [
    { mayTake: true, uploadBps: 10_000_000 },
    { mayTake: false, uploadBps: 0 },
  ])
  player.destroy()
})
