/** The swarm of one player of hls.js: what a page makes, binds to its player, and asks how it is doing. */
import type Hls from 'hls.js'
import type { FragmentLoaderContext, HlsConfig, Loader } from 'hls.js'
import type { Clock } from '../clock.ts'
import type { SwarmEngine, SwarmEngineInit } from '../engine/engine.ts'
import type { BrowserObjects } from '../manners/browser-objects.ts'
import { mannersLimits } from '../manners/limits.ts'
import { Manners } from '../manners/manners.ts'
import { diagnose } from '../seeing/diagnose.ts'
import { type KairoStats, newCounters, offloadOf } from '../seeing/stats.ts'
import { browserComponents } from './browser.ts'
import {
  type CoreOptions,
  type KairoOptions,
  readOptions,
  type Settings,
  swarmOf,
} from './options.ts'
import { Listeners, type PageEvents } from './page-events.ts'
import { type LoaderHost, PartLoader } from './part-loader.ts'
import { Player } from './player.ts'
import { playlistLoaderClass } from './playlist-loader.ts'
import { SegmentEvents } from './segment-events.ts'
import { UploadWatch } from './upload-watch.ts'

/** What of the engine behind is used. */
export type Swarm = Pick<
  SwarmEngine,
  'start' | 'stop' | 'load' | 'hasten' | 'published' | 'playing' | 'setManners' | 'figures'
>

/** What of the browser is used. */
export interface KairoComponents {
  readonly clock: Clock
  /** Undefined where pages cannot connect to one another. */
  readonly createSwarm: ((init: SwarmEngineInit) => Swarm) | undefined
  /** What tells of the device and its network. */
  readonly browser: BrowserObjects
}

/** Settings: this library's, and those of p2p-media-loader that are understood. */
export type KairoConfig = KairoOptions & { readonly core?: CoreOptions }

/** A swarm for a player. */
export class HlsEngine {
  readonly #components: KairoComponents
  readonly #config: KairoConfig
  readonly #settings: Settings
  readonly #listeners = new Listeners()
  readonly #manners: Manners
  readonly #uploads: UploadWatch
  #counters = newCounters()
  #getHls: (() => Hls) | undefined
  #player: Player | undefined
  #swarm: Swarm | undefined
  #swarmName: string | undefined
  readonly #host: LoaderHost

  /**
   * @param config settings; without an edge everything is loaded as if there were no engine
   * @param components of the browser; others only in tests
   */
  constructor(config: KairoConfig = {}, components: KairoComponents = browserComponents()) {
    this.#components = components
    this.#config = config
    this.#settings = readOptions(config)
    const { uploadKbps, isSharing, givesOnCellular } = this.#settings
    this.#manners = new Manners(components.browser, {
      ...{ uploadKbps, isSharing, givesOnCellular },
      onChange: (allowed) => this.#swarm?.setManners(allowed),
    })
    this.#uploads = new UploadWatch(components.clock, (bytes, peer) => {
      this.#counters.sentBytes += bytes
      this.#listeners.tell('onChunkUploaded', bytes, peer)
    })
    this.#host = this.#createHost()
  }

  /** What goes into the settings of a player of hls.js, which is to be bound with {@link bindHls}. */
  getConfigForHlsJs(): Pick<HlsConfig, 'fLoader' | 'pLoader'> {
    const host = this.#host
    const fLoader = class extends PartLoader {
      constructor(config: HlsConfig) {
        super(host, config)
      }
    }
    const pLoader = playlistLoaderClass(() => this.#bind())
    return { fLoader: fLoader as new (config: HlsConfig) => Loader<FragmentLoaderContext>, pLoader }
  }

  /** Binds a player, or a function that returns it as soon as it loads something. One that was bound before is let go. */
  bindHls(hls: Hls | (() => Hls)): void {
    this.#getHls = typeof hls === 'function' ? hls : () => hls
    // A function may return nothing as long as the player is being made.
    if (typeof hls !== 'function') this.#bind()
  }

  addEventListener<Name extends keyof PageEvents>(name: Name, listener: PageEvents[Name]): void {
    this.#listeners.add(name, listener)
  }

  removeEventListener<Name extends keyof PageEvents>(name: Name, listener: PageEvents[Name]): void {
    this.#listeners.remove(name, listener)
  }

  /** What was set. */
  getConfig(): KairoConfig {
    return this.#config
  }

  /** The viewer's switch: off, everything comes by HTTP and nothing is sent to others. */
  setSharing(isOn: boolean): void {
    this.#manners.setSharing(isOn)
  }

  /** The most that is sent to other pages from now on, kbit/s; 0: nothing. Default: what was set at first. */
  setUpload(uploadKbps = this.#config.uploadKbps ?? mannersLimits.uploadKbpsDefault): void {
    this.#manners.setUpload(uploadKbps)
  }

  /** What was done since the source was loaded. */
  stats(): KairoStats {
    this.#uploads.look()
    const figures = this.#swarm?.figures()
    return {
      ...this.#counters,
      offload: offloadOf(this.#counters),
      peers: (figures?.peers ?? []).map(({ peer, rttMs, gotBytes, sentBytes, downBps, upBps }) => ({
        ...{ id: peer, rttMs, receivedBytes: gotBytes, sentBytes },
        ...{ downKbps: Math.round(downBps / 1_000), upKbps: Math.round(upBps / 1_000) },
      })),
      httpKbps: Math.round((figures?.httpBps ?? 0) / 1_000),
      memoryBytes: figures?.memoryBytes ?? 0,
      edge: figures?.edge,
      isEdgeOpen: figures?.isEdgeOpen ?? false,
      latencyMs: this.#player?.latencyMs(),
    }
  }

  /** Why P2P does what it does, or nothing, in a sentence for who embeds the player. */
  diagnose(): string {
    const { edges, badEdges } = this.#settings
    return diagnose({
      ...{ edges: edges.length, badEdges, allowed: this.#manners.allowed },
      hasSource: this.#swarmName !== undefined,
      canConnect: this.#components.createSwarm !== undefined,
      swarm: this.#swarmName,
      off: this.#swarm?.figures().off,
      stats: this.stats(),
    })
  }

  /** Ends the swarm and lets the player go, which loads by itself from then on. Done by itself when the player is destroyed. */
  destroy(): void {
    // A playlist that the player loads later does not bind it again.
    this.#getHls = undefined
    this.#letGo()
  }

  #letGo(): void {
    this.#player?.unbind()
    this.#player = undefined
    this.#endSwarm()
  }

  #bind(): void {
    const hls = this.#getHls?.()
    if (hls === undefined || hls === this.#player?.hls) return
    this.#letGo()
    this.#player = new Player(hls, {
      engine: () => this.#swarm,
      onSource: (url) => this.#begin(this.#settings.swarm ?? swarmOf(url)),
      onMove: () => {
        for (const loader of [...this.#host.loaders]) loader.retime()
      },
      onPlaying: (isPlaying) => this.#manners.setPlaying(isPlaying),
      onDestroy: () => this.#letGo(),
    })
    this.#player.bind()
  }

  #begin(swarm: string): void {
    // The same once more: its parts and pages are there already.
    if (swarm === this.#swarmName && this.#swarm !== undefined) return
    this.#endSwarm()
    this.#swarmName = swarm
    this.#counters = newCounters()
    const { createSwarm } = this.#components
    if (createSwarm === undefined || this.#settings.edges.length === 0) return
    const created = createSwarm(this.#swarmInit(swarm))
    this.#swarm = created
    this.#uploads.start(() => created.figures().peers)
    this.#manners.start()
    created.setManners(this.#manners.allowed)
    created.start()
  }

  #endSwarm(): void {
    this.#manners.stop()
    this.#uploads.stop()
    const ended = this.#swarm
    this.#swarm = undefined
    this.#swarmName = undefined
    ended?.stop()
  }

  #swarmInit(swarm: string): SwarmEngineInit {
    const { edges, ticket, request, memoryBytesMax, isRelayed } = this.#settings
    return {
      ...{ edges, swarm, memoryBytesMax, uploadBps: this.#manners.allowed.uploadBps, isRelayed },
      ...(ticket !== undefined && { ticket }),
      ...(request !== undefined && { request }),
      events: {
        onPeer: (peerId, isUp) => {
          this.#listeners.tell(isUp ? 'onPeerConnect' : 'onPeerClose', {
            peerId,
            streamType: 'main',
          })
        },
        onBytes: (key, bytes, peer) => this.#came(key, bytes, peer),
        onPart: (_, by) => {
          this.#counters.parts += 1
          if (by.http === 0) this.#counters.peerParts += 1
        },
        onRefused: (_, peers) => this.#refused(peers),
        onOff: (detail) => {
          this.#listeners.tell('onTrackerError', { streamType: 'main', error: new Error(detail) })
        },
      },
    }
  }

  #came(key: string, bytes: number, peer: string | undefined): void {
    this.#counters[peer === undefined ? 'httpBytes' : 'peerBytes'] += bytes
    for (const loader of [...this.#host.loaders]) loader.came(key, bytes, peer === undefined)
    this.#listeners.tell('onChunkDownloaded', bytes, peer === undefined ? 'http' : 'p2p', peer)
  }

  #refused(peers: readonly string[]): void {
    if (peers.length === 0) return
    this.#counters.refusedParts += 1
    for (const peerId of peers) {
      const error = new Error('other bytes than they should be')
      this.#listeners.tell('onPeerError', { peerId, streamType: 'main', error })
    }
  }

  #createHost(): LoaderHost {
    const { clock } = this.#components
    const engine = (): Swarm | undefined => this.#swarm
    const told = new SegmentEvents(this.#listeners)
    return {
      clock,
      get engine() {
        return engine()
      },
      locate: (context) => this.#player?.locate(context),
      playhead: () => this.#player?.playhead(),
      loaders: new Set(),
      onLoad: (context, outcome) => told.tell(context, outcome),
      onPlain: (bytes) => this.#came('', bytes, undefined),
    }
  }
}
