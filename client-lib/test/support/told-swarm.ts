/** A swarm whose answers a test gives, players of hls.js as they are in Node, and what they have of a page. */
import Hls, { type HlsConfig, type LevelDetails } from 'hls.js'
import type { SwarmEngineFigures, SwarmEngineInit } from '../../src/engine/engine.ts'
import type { KairoComponents, Swarm } from '../../src/hls/hls-engine.ts'
import { newStats } from '../../src/hls/load-stats.ts'
import type { BrowserObjects } from '../../src/manners/browser-objects.ts'
import { detailsOf, levelOf } from './hls-parts.ts'
import { ManualClock } from './manual-clock.ts'
import { ToldEngine } from './told-engine.ts'

/** The swarm. */
export class ToldSwarm extends ToldEngine implements Swarm {
  readonly init: SwarmEngineInit
  readonly calls: string[] = []
  readonly manners: { mayTake: boolean; uploadBps: number }[] = []
  peers: SwarmEngineFigures['peers'] = []
  off: string | undefined
  isEdgeOpen = true

  constructor(init: SwarmEngineInit) {
    super()
    this.init = init
  }

  start(): void {
    this.calls.push('start')
  }

  stop(): void {
    this.calls.push('stop')
  }

  setManners({ mayTake, uploadBps }: { mayTake: boolean; uploadBps: number }): void {
    this.manners.push({ mayTake, uploadBps })
  }

  figures(): SwarmEngineFigures {
    const { peers, off, isEdgeOpen } = this
    return {
      ...{ peers, off, isEdgeOpen, edge: this.init.edges[0], memoryBytes: 7, httpBps: 5_000_000 },
      scheduler: {} as SwarmEngineFigures['scheduler'],
    }
  }
}

/** Components whose swarms can be told. */
export function toldComponents(canConnect = true, browser: BrowserObjects = {}) {
  const swarms: ToldSwarm[] = []
  const clock = new ManualClock()
  const components: KairoComponents = {
    ...{ clock, browser },
    createSwarm: canConnect
      ? (init) => {
          const swarm = new ToldSwarm(init)
          swarms.push(swarm)
          return swarm
        }
      : undefined,
  }
  return { components, swarms, clock }
}

/** As hls.js's own, but nothing ever comes. */
class SilentLoader {
  context = null
  stats = newStats()
  load(): void {}
  abort(): void {}
  destroy(): void {}
}

/** Settings with which a player needs no network. */
export const silently = { loader: SilentLoader } as unknown as Partial<HlsConfig>

/** hls.js looks for the page's address where browsers have it. */
export function bePage(): void {
  Object.assign(globalThis, {
    self: globalThis,
    location: { href: 'https://page.example/a/b.html' },
  })
}

/** What a player of hls.js is given to play, as if its playlists had come. */
export function listed(
  hls: Hls,
  details: LevelDetails = detailsOf({ first: 10, segments: 5 }),
): void {
  const level = { ...levelOf({ BANDWIDTH: '2000000' }), details }
  Object.defineProperty(hls, 'levels', { value: [level], configurable: true })
  Object.defineProperty(hls, 'allAudioTracks', { value: [], configurable: true })
  Object.defineProperty(hls, 'loadLevel', { value: 0, configurable: true })
  hls.emit(Hls.Events.LEVEL_UPDATED, Hls.Events.LEVEL_UPDATED, { details, level: 0 })
}

/** A media element, as far as it is listened to. */
export class Video extends EventTarget {
  currentTime = 40
  playbackRate = 1
  readyState = 4
  seeking = false
  buffered = { length: 1, start: () => 30, end: () => 48 }
}
