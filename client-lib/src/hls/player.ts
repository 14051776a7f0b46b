/** One player of hls.js as the engine sees it: its events, its media element, its renditions. */
import type Hls from 'hls.js'
import type { Events, Fragment, FragmentLoaderContext, HlsListeners, LevelDetails } from 'hls.js'
import type { PartEngine, PartSource } from '../engine/part-request.ts'
import { type Playhead, readPlayhead } from './deadline.ts'
import { PlaylistWatch } from './playlist-watch.ts'
import { hasParts, renditionOf, sourceOfContext } from './renditions.ts'

/** Who is told. */
export interface PlayerInit {
  readonly engine: () => PartEngine | undefined
  /** The player loads a source, from the beginning. */
  readonly onSource: (url: string) => void
  /** The playhead is elsewhere, or moves at another rate. */
  readonly onMove: () => void
  readonly onPlaying: (isPlaying: boolean) => void
  readonly onDestroy: () => void
}

/** What of the media element moves deadlines. */
const moves = ['seeking', 'seeked', 'ratechange', 'timeupdate', 'waiting', 'play', 'pause'] as const

/** A player. */
export class Player {
  readonly #hls: Hls
  readonly #init: PlayerInit
  readonly #watch = new PlaylistWatch()
  readonly #takeBack: (() => void)[] = []
  #media: HTMLMediaElement | undefined
  #frag: Fragment | undefined

  constructor(hls: Hls, init: PlayerInit) {
    this.#hls = hls
    this.#init = init
  }

  get hls(): Hls {
    return this.#hls
  }

  /** Begins to listen. A source that is being loaded already counts as loaded now. */
  bind(): void {
    const { url, media } = this.#hls
    // The names of events are a value of hls.js, which is not to be a part of this library.
    this.#on('hlsManifestLoading' as Events.MANIFEST_LOADING, () => this.#sourced())
    this.#on('hlsLevelUpdated' as Events.LEVEL_UPDATED, (_, { details, level }) =>
      this.#listed('main', level, details),
    )
    this.#on('hlsAudioTrackUpdated' as Events.AUDIO_TRACK_UPDATED, (_, { details, id }) =>
      this.#listed('audio', id, details),
    )
    this.#on('hlsLevelSwitching' as Events.LEVEL_SWITCHING, () => this.#plays())
    this.#on('hlsFragChanged' as Events.FRAG_CHANGED, (_, { frag }) => {
      this.#frag = frag
      this.#plays()
    })
    this.#on('hlsMediaAttached' as Events.MEDIA_ATTACHED, (_, data) => this.#attach(data.media))
    this.#on('hlsMediaDetaching' as Events.MEDIA_DETACHING, () => this.#detach())
    this.#on('hlsDestroying' as Events.DESTROYING, () => this.#init.onDestroy())
    if (media) this.#attach(media)
    if (url) this.#sourced()
  }

  /** Ends listening; tells the engine that nothing plays. */
  unbind(): void {
    this.#detach()
    this.#watch.ends(this.#init.engine())
    for (const takeBack of this.#takeBack.splice(0)) takeBack()
  }

  /** Undefined without a media element. */
  playhead(): Playhead | undefined {
    return this.#media && readPlayhead(this.#media)
  }

  /** Where lies what a loader was asked for. */
  locate(context: FragmentLoaderContext): PartSource | undefined {
    return sourceOfContext(this.#hls, context)
  }

  /** Behind the live edge; undefined when what plays is not live. */
  latencyMs(): number | undefined {
    const { latency, latestLevelDetails } = this.#hls
    return latestLevelDetails?.live && latency > 0 ? Math.round(latency * 1_000) : undefined
  }

  #on<Name extends keyof HlsListeners>(name: Name, listener: HlsListeners[Name]): void {
    this.#hls.on(name, listener)
    this.#takeBack.push(() => this.#hls.off(name, listener))
  }

  #sourced(): void {
    this.#watch.ends(this.#init.engine())
    this.#frag = undefined
    const { url } = this.#hls
    if (url) this.#init.onSource(url)
  }

  #listed(type: 'main' | 'audio', number: number, details: LevelDetails): void {
    const engine = this.#init.engine()
    const rendition = renditionOf(this.#hls, type, number)
    if (engine === undefined || rendition === undefined) return
    const { lowLatencyMode } = this.#hls.config
    if (type === 'audio' && hasParts(details, lowLatencyMode)) return
    // First what plays: a part that is new may be this page's to fetch only since it plays there.
    this.#plays()
    this.#watch.listed(engine, rendition, details, lowLatencyMode)
  }

  #plays(): void {
    const engine = this.#init.engine()
    if (engine === undefined) return
    const { loadLevel, levels, targetLatency, config } = this.#hls
    const media = this.#media
    const hasPicture = (media?.readyState ?? 0) >= 2
    this.#watch.plays(engine, {
      rendition: renditionOf(this.#hls, 'main', loadLevel),
      details: levels[loadLevel]?.details,
      frag: this.#frag,
      positionS: hasPicture ? media?.currentTime : undefined,
      targetLatencyS: targetLatency ?? undefined,
      isLowLatency: config.lowLatencyMode,
    })
  }

  #attach(media: HTMLMediaElement): void {
    this.#detach()
    this.#media = media
    for (const name of moves) media.addEventListener(name, this.#moved)
  }

  #detach(): void {
    for (const name of moves) this.#media?.removeEventListener(name, this.#moved)
    this.#media = undefined
  }

  readonly #moved = (event: Event): void => {
    this.#init.onMove()
    if (event.type === 'seeked') this.#plays()
    if (event.type === 'play') this.#init.onPlaying(true)
    if (event.type === 'pause') this.#init.onPlaying(false)
  }
}
