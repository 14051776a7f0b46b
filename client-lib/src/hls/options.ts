/** What a page sets, and what of p2p-media-loader's settings is understood. */
import { protocolLimits } from '../protocol/limits.ts'
import type { KairoEngine } from './kairo-engine.ts'

/** Settings of a page. */
export interface KairoOptions {
  /** The nearest edge: `wss://edge.example/swarm`, or its address with another scheme or without the path. */
  readonly edge?: string
  /** Several, nearest first; when one cannot be reached the next one is tried. Without any the player loads as if there were no Kairo. */
  readonly edges?: readonly string[]
  /** What all viewers of the same media have in common, at most 256 characters. Default: the path of the playlist's URL, without host and query. */
  readonly swarm?: string
  /** Signed by whoever runs the edge, where it asks for one. */
  readonly ticket?: string
  /** The most that is sent to other pages, kbit/s. Default 10,000. 0: nothing. */
  readonly uploadKbps?: number
  /** Whether anything is sent to others on a cellular network. Default false. */
  readonly givesOnCellular?: boolean
  /** Media kept for other pages, MiB. Default 64. */
  readonly memoryMiB?: number
  /** Connects through the edge's relays only, so that no viewer learns another one's address. Default false. */
  readonly isRelayed?: boolean
  /** The viewer's switch, see `setSharing`. Default true. */
  readonly isSharing?: boolean
  /** Headers, credentials and the like for requests of media. Default: none, as a plain `fetch`. */
  readonly request?: (url: string) => RequestInit
  /** Called with the engine when a player of a class made by `injectMixin` was made. */
  readonly onReady?: (engine: KairoEngine) => void
}

/** Settings of p2p-media-loader 2.3.1 that mean something here; the others are ignored. docs/migrating.md has the table. */
export interface CoreOptions {
  /** `wss://edge.example/announce`: the edge is asked at `/swarm` instead. */
  readonly announceTrackers?: readonly string[]
  readonly swarmId?: string
  /** MiB. */
  readonly segmentMemoryStorageLimit?: number | undefined
  readonly isP2PDisabled?: boolean
  readonly isP2PUploadDisabled?: boolean
  readonly mainStream?: Omit<CoreOptions, 'mainStream'>
  readonly [other: string]: unknown
}

/** Everything, with what is not said filled in. */
export interface Settings {
  readonly edges: readonly string[]
  /** Addresses that are none. */
  readonly badEdges: readonly string[]
  readonly swarm: string | undefined
  readonly ticket: string | undefined
  /** Undefined: the default. */
  readonly uploadKbps: number | undefined
  readonly givesOnCellular: boolean | undefined
  readonly memoryBytesMax: number
  readonly isRelayed: boolean
  readonly isSharing: boolean
  readonly request: ((url: string) => RequestInit) | undefined
}

const memoryMiBDefault = 64

/** Reads what a page set. */
export function readOptions(options: KairoOptions & { readonly core?: CoreOptions }): Settings {
  const core: CoreOptions = { ...options.core, ...options.core?.mainStream }
  const { edge, edges = [], ticket, request } = options
  const trackers = core.announceTrackers ?? []
  const named = [...(edge === undefined ? [] : [edge]), ...edges, ...trackers]
  const read = named.map((text) => ({ text, url: edgeUrl(text) }))
  const memoryMiB = options.memoryMiB ?? core.segmentMemoryStorageLimit ?? memoryMiBDefault
  const mayUpload = core.isP2PUploadDisabled !== true
  return {
    edges: [...new Set(read.flatMap(({ url }) => (url === undefined ? [] : [url])))],
    badEdges: read.filter(({ url }) => url === undefined).map(({ text }) => text),
    swarm: (options.swarm ?? core.swarmId)?.slice(0, protocolLimits.swarmCharsMax),
    ticket,
    uploadKbps: mayUpload ? options.uploadKbps : 0,
    givesOnCellular: options.givesOnCellular,
    memoryBytesMax: Math.round(atLeast(memoryMiB, 1) * 1_048_576),
    isRelayed: options.isRelayed ?? false,
    isSharing: options.isSharing ?? core.isP2PDisabled !== true,
    request,
  }
}

/** Where an edge is asked: scheme and path are put right. Undefined for what is no address. */
export function edgeUrl(text: string): string | undefined {
  if (typeof text !== 'string' || !URL.canParse(text)) return undefined
  const url = new URL(text)
  url.protocol = url.protocol.replace(/^http/, 'ws')
  if (!/^wss?:$/.test(url.protocol)) return undefined
  if (/^\/(announce)?$/.test(url.pathname)) url.pathname = '/swarm'
  url.hash = ''
  return url.href
}

/** The name of a playlist's swarm: hosts and tokens differ between viewers of the same thing, paths do not. */
export function swarmOf(playlistUrl: string): string {
  const path = URL.canParse(playlistUrl) ? new URL(playlistUrl).pathname : playlistUrl
  return path.slice(-protocolLimits.swarmCharsMax)
}

function atLeast(value: number, least: number): number {
  return value > least ? value : least
}
