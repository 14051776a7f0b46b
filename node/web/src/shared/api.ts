/** The peer's HTTP API as the pages use it. The shapes come from the routes' own declarations. */

import type { input, output } from 'zod'
import type {
  configSchema,
  doctorSchema,
  keysSchema,
  peerSchema,
  StreamView,
  statusSchema,
} from '../../../src/api/schemas.ts'
import type {
  hostRulesSchema,
  hostRuleViewSchema,
  newHostRuleSchema,
} from '../../../src/api/schemas-cdn.ts'
import type { fillListSchema } from '../../../src/api/schemas-fills.ts'
import type { pinsSchema } from '../../../src/api/schemas-ipfs.ts'
import type { knownPeersSchema, nearestSchema } from '../../../src/api/schemas-nearest.ts'
import type { pullsSchema } from '../../../src/api/schemas-pulls.ts'
import type { purgeReportSchema, purgesSchema } from '../../../src/api/schemas-purge.ts'
import type { recordingsSchema } from '../../../src/api/schemas-recordings.ts'
import type { ownersSchema, regionSchema } from '../../../src/api/schemas-region.ts'
import type { keptObjectSchema, keptSchema, storeSchema } from '../../../src/api/schemas-store.ts'
import type { presetsSchema, transcodingSchema } from '../../../src/api/schemas-transcode.ts'
import type { VodView, vodsSchema } from '../../../src/api/schemas-vod.ts'
import type { webhooksSchema } from '../../../src/api/schemas-webhooks.ts'
import { problemText } from './problem-text.ts'

/** A video of the library, whatever its state. */
export type Video = VodView
/** Every video of the peer, and who may add some. */
export type Library = output<typeof vodsSchema>
/** What is made of the live streams. */
export type Transcoding = output<typeof transcodingSchema>
/** A choice of renditions. */
export type Preset = output<typeof presetsSchema>['presets'][number]
/** A place that a stream is also sent to (`restreamingSchema` of the peer, whose file needs Node). */
export interface RestreamTarget {
  readonly name: string
  readonly host: string
  readonly enabled: boolean
  readonly state: 'connecting' | 'sending' | 'waiting' | 'failed' | 'off'
  readonly error: string | null
  readonly bytes: number
  readonly bitrateBps: number
  readonly dropped: number
  readonly retries: number
}
/** The targets of one stream. */
export interface Restreaming {
  readonly stream: string
  readonly live: boolean
  readonly targets: readonly RestreamTarget[]
}
/** A stream that this peer takes from elsewhere. */
export type Pull = output<typeof pullsSchema>['pulls'][number]
/** A recording under way. */
export type Recording = output<typeof recordingsSchema>['recordings'][number]
/** Somebody who is told of events. */
export type WebhookEndpoint = output<typeof webhooksSchema>['endpoints'][number]
/** What the owner of a stream chose for it (`streamOptionsSchema` of the peer, whose file needs Node). */
export interface StreamOptions {
  readonly quality?: string
  readonly record?: boolean
  readonly dvrWindowS?: number
  readonly srtPassphrase?: string
  readonly pullUrl?: string
}
/** A change of options: null takes a choice back. */
export type StreamOptionsPatch = { [K in keyof StreamOptions]: StreamOptions[K] | null }
/** One stream of the network. */
export type Stream = StreamView
/** One encoding of a stream. */
export type Rendition = Stream['renditions'][number]
/** Who this peer is. */
export type PeerInfo = output<typeof peerSchema>
/** All that an operator sees of a peer. */
export type Status = output<typeof statusSchema>
/** A stream key and what it opens. */
export type StreamKey = output<typeof keysSchema>['keys'][number]
/** One check of the doctor. */
export type Check = output<typeof doctorSchema>['checks'][number]
/** A site that this peer is a cache of; without secrets. */
export type HostRuleView = output<typeof hostRuleViewSchema>
/** A host rule as it is put, with the secrets that are to change. */
export type NewHostRule = input<typeof newHostRuleSchema>
/** The host rules, and how full the cache is. */
export type HostRules = output<typeof hostRulesSchema>
/** Which responses a purge takes. */
export type PurgeSelector = PurgeReport['selector']
/** What has become of a purge. */
export type PurgeReport = output<typeof purgeReportSchema>
/** The newest purges. */
export type Purges = output<typeof purgesSchema>
/** A part of the list of URLs that are to be read into the cache. */
export type FillList = output<typeof fillListSchema>
/** One of these URLs, and what became of it. */
export type Fill = FillList['fills'][number]
/** Whether the content store does all it should. */
export type StoreState = output<typeof storeSchema>
/** A part of the list of kept objects. */
export type KeptList = output<typeof keptSchema>
/** An object that stays. */
export type KeptObject = KeptList['objects'][number]
/** Who keeps objects. */
export type Keeper = KeptObject['by'][number]
/** A part of the list of IPFS trees. */
export type PinList = output<typeof pinsSchema>
/** A tree that stays. */
export type Pin = PinList['pins'][number]
/** Every peer that is known. */
export type KnownPeers = output<typeof knownPeersSchema>
/** The best peers for this browser, best first. */
export type Nearest = output<typeof nearestSchema>
/** The region that this peer is in. */
export type RegionAnswer = output<typeof regionSchema>
/** A part of the list of streams with their owners. */
export type StreamOwners = output<typeof ownersSchema>
/** Whose a stream is. */
export type StreamOwner = StreamOwners['streams'][number]
/** One effective setting. */
export type Setting = output<typeof configSchema>['settings'][number]

/** A request that waits longer is given up; the next poll tries again. */
const requestTimeoutMs = 8_000
/** The peer asks all members of its region, and waits for those that are slow. */
const regionTimeoutMs = 15_000
/** The peer asks others for an object for half a minute. */
const keepTimeoutMs = 40_000

/** A refusal by the peer (RFC 9457 problem) or a peer that does not answer (`status` 0). */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  /** HTTP status; 0 when no answer came. */
  readonly status: number

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.status = status
  }
}

/** Asks the API of the peer that served the page. */
export class Api {
  readonly #token: string | undefined

  /** `token` is the operator's; without it only the public routes answer. */
  constructor(token?: string) {
    this.#token = token
  }

  async streams(): Promise<readonly Stream[]> {
    return (await this.#request<{ streams: Stream[] }>('GET', 'streams')).streams
  }

  peer(): Promise<PeerInfo> {
    return this.#request('GET', 'peer')
  }

  status(): Promise<Status> {
    return this.#request('GET', 'status')
  }

  async keys(): Promise<readonly StreamKey[]> {
    return (await this.#request<{ keys: StreamKey[] }>('GET', 'keys')).keys
  }

  async createKey(name: string, title: string): Promise<void> {
    await this.#request('POST', 'keys', title === '' ? { name } : { name, title })
  }

  async deleteKey(name: string): Promise<void> {
    await this.#request('DELETE', `keys/${encodeURIComponent(name)}`)
  }

  /** Ends the connection of the stream's publisher. */
  async disconnect(name: string): Promise<void> {
    await this.#request('POST', `keys/${encodeURIComponent(name)}/disconnect`)
  }

  library(): Promise<Library> {
    return this.#request('GET', 'vods')
  }

  async renameVideo(id: string, title: string): Promise<void> {
    await this.#request('PATCH', `vods/${encodeURIComponent(id)}`, { title })
  }

  async deleteVideo(id: string): Promise<void> {
    await this.#request('DELETE', `vods/${encodeURIComponent(id)}`)
  }

  /** Makes a video that failed again. */
  async retryVideo(id: string): Promise<void> {
    await this.#request('POST', `vods/${encodeURIComponent(id)}/retry`)
  }

  /** Adds a WebVTT file to a video. */
  async addCaptions(id: string, language: string, label: string, file: Blob): Promise<void> {
    const query = new URLSearchParams({ language, label })
    await this.#request('POST', `vods/${encodeURIComponent(id)}/captions?${query}`, file)
  }

  transcoding(): Promise<Transcoding> {
    return this.#request('GET', 'transcoding')
  }

  async presets(): Promise<readonly Preset[]> {
    return (await this.#request<{ presets: Preset[] }>('GET', 'presets')).presets
  }

  async options(name: string): Promise<StreamOptions> {
    const path = `keys/${encodeURIComponent(name)}/options`
    return (await this.#request<{ options: StreamOptions }>('GET', path)).options
  }

  async changeOptions(name: string, patch: StreamOptionsPatch): Promise<StreamOptions> {
    const path = `keys/${encodeURIComponent(name)}/options`
    return (await this.#request<{ options: StreamOptions }>('PATCH', path, patch)).options
  }

  async restreaming(): Promise<readonly Restreaming[]> {
    return (await this.#request<{ streams: Restreaming[] }>('GET', 'restream')).streams
  }

  /** Adds a place that a stream is also sent to. */
  async addTarget(stream: string, name: string, url: string): Promise<void> {
    const path = `keys/${encodeURIComponent(stream)}/restream`
    await this.#request('POST', path, { name, url, enabled: true })
  }

  async enableTarget(stream: string, name: string, enabled: boolean): Promise<void> {
    await this.#request('PATCH', targetPath(stream, name), { enabled })
  }

  async removeTarget(stream: string, name: string): Promise<void> {
    await this.#request('DELETE', targetPath(stream, name))
  }

  /** Tries a target again at once. */
  async retryTarget(stream: string, name: string): Promise<void> {
    await this.#request('POST', `${targetPath(stream, name)}/retry`)
  }

  async pulls(): Promise<readonly Pull[]> {
    return (await this.#request<{ pulls: Pull[] }>('GET', 'pulls')).pulls
  }

  async recordings(): Promise<readonly Recording[]> {
    return (await this.#request<{ recordings: Recording[] }>('GET', 'recordings')).recordings
  }

  /** Starts or stops the recording of a live stream. */
  async record(stream: string, action: 'start' | 'stop'): Promise<void> {
    await this.#request('POST', `keys/${encodeURIComponent(stream)}/recording`, { action })
  }

  async webhooks(): Promise<readonly WebhookEndpoint[]> {
    return (await this.#request<{ endpoints: WebhookEndpoint[] }>('GET', 'webhooks')).endpoints
  }

  async testWebhooks(): Promise<void> {
    await this.#request('POST', 'webhooks/test')
  }

  async doctor(): Promise<readonly Check[]> {
    return (await this.#request<{ checks: Check[] }>('GET', 'doctor')).checks
  }

  async config(): Promise<readonly Setting[]> {
    return (await this.#request<{ settings: Setting[] }>('GET', 'config')).settings
  }

  hostRules(): Promise<HostRules> {
    return this.#request('GET', 'cdn/rules')
  }

  /** Adds a host rule or replaces the one of that name. */
  async putHostRule(name: string, rule: NewHostRule): Promise<void> {
    await this.#request('PUT', `cdn/rules/${encodeURIComponent(name)}`, rule)
  }

  async removeHostRule(name: string): Promise<void> {
    await this.#request('DELETE', `cdn/rules/${encodeURIComponent(name)}`)
  }

  purges(): Promise<Purges> {
    return this.#request('GET', 'cdn/purges')
  }

  /** Purges cached responses at every peer; resolves when each has answered or was waited for long enough. */
  purge(selector: PurgeSelector, mode: PurgeReport['mode']): Promise<PurgeReport> {
    return this.#request('POST', 'cdn/purge', { selector, mode })
  }

  /** URLs that were ordered to be read into the cache, the last ordered first. */
  fills(query: { limit: number; skip: number; state?: Fill['state'] }): Promise<FillList> {
    return this.#request('GET', `cdn/fills?${queryText({ ...query, order: 'newest' })}`)
  }

  /** Has URLs read into the cache; `between` is a daily time in UTC such as `01:00-06:00`, empty for at once. */
  async orderFills(urls: readonly string[], between: string): Promise<void> {
    await this.#request('POST', 'cdn/fills', { urls, between })
  }

  /** Takes everything off the list that is not being read now. */
  async clearFills(): Promise<void> {
    await this.#request('DELETE', 'cdn/fills')
  }

  store(): Promise<StoreState> {
    return this.#request('GET', 'store')
  }

  /** Objects that stay, in the order of their names, those behind `after`. */
  kept(query: { limit: number; after?: string; by?: Keeper }): Promise<KeptList> {
    return this.#request('GET', `store/kept?${queryText(query)}`)
  }

  /** Keeps an object for the operator; resolves once it is here. */
  keep(cid: string): Promise<output<typeof keptObjectSchema>> {
    return this.#request('PUT', `store/kept/${cid}`, undefined, keepTimeoutMs)
  }

  async release(cid: string): Promise<void> {
    await this.#request('DELETE', `store/kept/${cid}`)
  }

  /** IPFS trees that stay; undefined where IPFS is off. */
  async pins(query: { limit: number; skip: number }): Promise<PinList | undefined> {
    try {
      return await this.#request('GET', `ipfs/pins?${queryText(query)}`)
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined
      throw error
    }
  }

  async removePin(cid: string): Promise<void> {
    await this.#request('DELETE', `ipfs/pins/${encodeURIComponent(cid)}`)
  }

  knownPeers(): Promise<KnownPeers> {
    return this.#request('GET', 'nearest/peers')
  }

  nearest(): Promise<Nearest> {
    return this.#request('GET', 'nearest')
  }

  region(): Promise<RegionAnswer> {
    return this.#request('GET', 'region', undefined, regionTimeoutMs)
  }

  /** Live streams and who owns each, by name. */
  streamOwners(query: { limit: number; skip: number }): Promise<StreamOwners> {
    return this.#request('GET', `region/streams?${queryText(query)}`)
  }

  /** Moves this peer to another region of the name; resolves when it begins to. */
  async mergeRegion(regionId: string): Promise<void> {
    await this.#request('POST', 'region/merge', { regionId }, regionTimeoutMs)
  }

  /** All metrics in the Prometheus text format. */
  async metrics(): Promise<string> {
    return this.#read(await this.#send('GET', '/metrics'))
  }

  async #request<T>(
    method: string,
    path: string,
    body?: object,
    timeoutMs = requestTimeoutMs,
  ): Promise<T> {
    const text = await this.#read(await this.#send(method, `/api/${path}`, body, timeoutMs))
    return (text === '' ? undefined : JSON.parse(text)) as T
  }

  async #send(
    method: string,
    path: string,
    body?: object,
    timeoutMs = requestTimeoutMs,
  ): Promise<Response> {
    const headers: Record<string, string> = { accept: 'application/json, text/plain;q=0.9' }
    if (this.#token !== undefined) headers.authorization = `Bearer ${this.#token}`
    const isFile = body instanceof Blob
    if (body !== undefined) headers['content-type'] = isFile ? 'text/vtt' : 'application/json'
    try {
      return await fetch(path, {
        method,
        headers,
        cache: 'no-store',
        signal: AbortSignal.timeout(timeoutMs),
        ...(body === undefined ? {} : { body: isFile ? body : JSON.stringify(body) }),
      })
    } catch (cause) {
      throw new ApiError(0, 'This peer does not answer.', { cause })
    }
  }

  async #read(response: Response): Promise<string> {
    const text = await response.text()
    if (!response.ok) throw new ApiError(response.status, problemText(text, response.status))
    return text
  }
}

/** Fields as a query; what is undefined is left out. */
function queryText(fields: Readonly<Record<string, unknown>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) query.set(name, String(value))
  }
  return query.toString()
}

function targetPath(stream: string, name: string): string {
  return `keys/${encodeURIComponent(stream)}/restream/${encodeURIComponent(name)}`
}
