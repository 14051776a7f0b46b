/**
 * Uploads by the tus protocol, version 1.0 (https://tus.io/protocols/resumable-upload): a file comes in as many pieces as the
 * line breaks it into, goes on after a restart of the peer, and becomes a video of the library when it is whole.
 */
import { mkdir, statfs } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { Server, type Upload } from '@tus/server'
import type { Registry } from 'prom-client'
import { addressGroup } from '../../address-group.ts'
import type { CancelTimer, Clock } from '../../clock.ts'
import { type ErrorCode, errorStatus, isKairoError, KairoError } from '../../errors.ts'
import { uploadLimits } from '../../limits/upload.ts'
import type { Logger } from '../../logger.ts'
import { UploadLocks } from './upload-locks.ts'
import { keptMetadata, titleOf } from './upload-metadata.ts'
import { UploadMetrics } from './upload-metrics.ts'
import { type StoredUpload, storageError, UploadStore, uploadId } from './upload-store.ts'

/** Where finished uploads go. */
export interface UploadLibrary {
  /** Takes a file by moving it; a file that it did not take stays where it is. */
  addFile(file: {
    readonly path: string
    readonly title: string
    readonly mode: 'move'
  }): Promise<{ readonly id: string }>
}

/** What the server works with. */
export interface UploadServerComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly library: UploadLibrary
  /** True when the quota leaves room for so many bytes more than what all uploads have received (see `usage`). */
  readonly roomFor: (bytes: number) => boolean
}

/** How the server is set up. */
export interface UploadServerInit {
  /** Folder of uploads under way. */
  readonly directory: string
  /** Path of the API's route, `/api/uploads`. */
  readonly basePath: string
}

/** A request as the API hands it over. */
export interface UploadRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readable
  /** Address of the client. */
  readonly address: string
}

/** What the API answers. */
export interface UploadAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Why not, for a problem document; absent when all went well. */
  readonly refusal?: { readonly code: ErrorCode; readonly detail: string }
}

interface OpenUpload {
  readonly size: number
  offset: number
  readonly address: string
  touchedMs: number
  readonly metadata: Record<string, string | null>
}

interface Finished {
  readonly size: number
  readonly video: string
  readonly atMs: number
}

interface Exchange {
  readonly address: string
  /** Id of the upload that the request made. */
  created?: string
  /** A failure that is no answer of the protocol. */
  failure?: unknown
}

/** Header fields of requests that the protocol knows, for preflight answers. */
export const tusRequestHeaders = [
  ...['Tus-Resumable', 'Upload-Length', 'Upload-Metadata', 'Upload-Offset'],
  'X-Requested-With',
] as const

/** Name of the header field that carries the id of the video that an upload has become. */
const VIDEO_FIELD = 'kairo-video'
/** Fields of answers that pages may read. */
const EXPOSED =
  'Location, Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Upload-Offset, Upload-Length, Upload-Expires, Kairo-Video'

/** The tus server of one peer. */
export class UploadServer {
  readonly #components: UploadServerComponents
  readonly #init: UploadServerInit
  readonly #logger: Logger
  readonly #metrics: UploadMetrics
  readonly #locks: UploadLocks
  readonly #open = new Map<string, OpenUpload>()
  readonly #finished = new Map<string, Finished>()
  readonly #finishing = new Map<string, Promise<string>>()
  /** What the hooks of the tus library are told of a request, and what they tell back. */
  readonly #exchanges = new WeakMap<object, Exchange>()
  #store: UploadStore | undefined
  #tus: Server | undefined
  #cancelSweep: CancelTimer | undefined

  constructor(components: UploadServerComponents, init: UploadServerInit) {
    this.#components = components
    this.#init = init
    this.#logger = components.logger.child({ name: 'kairo:uploads' })
    this.#metrics = new UploadMetrics(components.registry, () => this.#open.size)
    this.#locks = new UploadLocks({ clock: components.clock, metrics: this.#metrics })
  }

  /**
   * Takes over what an earlier run left; uploads that were whole become videos now.
   * @throws KairoError `ERR_STORAGE` when the folder cannot be used.
   */
  async start(): Promise<void> {
    const { directory } = this.#init
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      this.#store = new UploadStore(directory)
      for (const upload of await this.#store.load()) await this.#takeOver(upload)
    } catch (error) {
      throw isKairoError(error) ? error : storageError(error)
    }
    this.#tus = this.#createTus(this.#store)
    this.#sweepLater()
    for (const [id, { offset, size }] of this.#open) {
      if (offset === size) this.#finishLater(id)
    }
  }

  /** Waits for videos being handed over; uploads stay on disk for the next start. */
  async stop(): Promise<void> {
    this.#cancelSweep?.()
    this.#tus = undefined
    await Promise.allSettled(this.#finishing.values())
  }

  /**
   * Bytes that uploads have on disk, for the quota; one that is being handed over does not count, since the library looks for
   * room for it then.
   */
  usage(): number {
    let bytes = 0
    for (const [id, { offset }] of this.#open) {
      if (!this.#finishing.has(id)) bytes += offset
    }
    return bytes
  }

  /** Fields of the answer to `OPTIONS` (tus 1.0, protocol discovery). */
  optionsHeaders(): Readonly<Record<string, string>> {
    return {
      'tus-version': '1.0.0',
      'tus-extension': 'creation,creation-with-upload,termination,expiration',
      'tus-max-size': String(uploadLimits.fileBytesMax),
    }
  }

  /**
   * Answers one request of the protocol.
   * @throws KairoError `ERR_STOPPED`; whatever nobody planned.
   */
  async handle(request: UploadRequest): Promise<UploadAnswer> {
    const tus = this.#tus
    if (tus === undefined) throw new KairoError('ERR_STOPPED', 'uploads have stopped')
    const id = /\/([^/?]+)(?:\?.*)?$/.exec(request.url.slice(this.#init.basePath.length))?.[1]
    const finished = await this.#finishedAnswer(request, id)
    if (finished !== undefined) return finished
    const message = webRequest(request)
    const exchange: Exchange = { address: addressGroup(request.address) }
    this.#exchanges.set(message, exchange)
    const response = await tus.handleWeb(message)
    const answer = await this.#note(request, exchange.created ?? id ?? '', response)
    if (answer.status < 400) return answer
    if (exchange.failure !== undefined && !isKairoError(exchange.failure)) throw exchange.failure
    return { ...answer, refusal: await refusalOf(response, exchange.failure) }
  }

  /** What a client is told that asks for an upload which is a video by now: its last answer may have been lost. */
  async #finishedAnswer(
    { method, headers }: UploadRequest,
    id: string | undefined,
  ): Promise<UploadAnswer | undefined> {
    if (id === undefined || method !== 'HEAD' || headers['tus-resumable'] !== '1.0.0')
      return undefined
    const open = this.#open.get(id)
    if (open !== undefined && open.offset === open.size) await this.#finish(id)
    const finished = this.#finished.get(id)
    if (finished === undefined) return undefined
    return {
      status: 200,
      headers: {
        'tus-resumable': '1.0.0',
        'cache-control': 'no-store',
        'upload-offset': String(finished.size),
        'upload-length': String(finished.size),
        [VIDEO_FIELD]: finished.video,
      },
    }
  }

  #createTus(store: UploadStore): Server {
    const fileId = (_request: unknown, last?: string): string | undefined =>
      last !== undefined && uploadId.test(last) ? last : undefined
    return new Server({
      path: this.#init.basePath,
      datastore: store,
      locker: this.#locks,
      lockDrainTimeout: uploadLimits.lockDrainMs,
      relativeLocation: true,
      maxSize: uploadLimits.fileBytesMax,
      // The HTTP room decides which pages may read answers.
      allowedOrigins: () => false,
      getFileIdFromRequest: fileId,
      onUploadCreate: (request, upload) => this.#create(request, upload),
      onUploadFinish: async (_request, upload) => {
        const open = this.#open.get(upload.id)
        if (open !== undefined) await this.#advance(upload.id, open)
        return { headers: { [VIDEO_FIELD]: await this.#finish(upload.id) } }
      },
      onResponseError: (request, error) => {
        const exchange = this.#exchanges.get(request)
        // Planned by the library are its own answers, which carry a status.
        const isPlanned = 'status_code' in error
        if (exchange !== undefined && !isPlanned) exchange.failure = error
        return isKairoError(error)
          ? { status_code: errorStatus[error.code], body: error.message }
          : undefined
      },
    })
  }

  /** @throws KairoError when there is no room for the upload, or there are too many. */
  async #create(request: object, upload: Upload): Promise<{ metadata: Record<string, string> }> {
    const exchange = this.#exchanges.get(request)
    const address = exchange?.address ?? ''
    const size = upload.size ?? 0
    if (size === 0) throw new KairoError('ERR_INVALID_INPUT', 'the file is empty')
    const mine = [...this.#open.values()].filter((one) => one.address === address).length
    if (this.#open.size >= uploadLimits.uploadsMax) {
      this.#refuse('refused-uploads', 'ERR_LIMIT', 'too many uploads are unfinished at this peer')
    }
    if (mine >= uploadLimits.uploadsPerAddressMax) {
      this.#refuse('refused-address', 'ERR_LIMIT', 'too many uploads of yours are unfinished')
    }
    const metadata = keptMetadata(upload.metadata)
    // From here on the place and the room are taken, so that others who come at once find them gone.
    const touchedMs = this.#components.clock.now()
    this.#open.set(upload.id, { size, offset: 0, address, touchedMs, metadata })
    try {
      await this.#checkRoom()
    } catch (error) {
      this.#open.delete(upload.id)
      throw error
    }
    if (exchange !== undefined) exchange.created = upload.id
    this.#metrics.uploads.inc({ outcome: 'created' })
    return { metadata }
  }

  async #checkRoom(): Promise<void> {
    let outstanding = 0
    for (const { size, offset } of this.#open.values()) outstanding += size - offset
    if (!this.#components.roomFor(outstanding)) {
      this.#refuse(
        'refused-room',
        'ERR_STORAGE',
        'there is no room for this file; remove videos, or give the library more with --vod-bytes-max',
      )
    }
    const { bavail, bsize } = await statfs(this.#init.directory)
    if (bavail * bsize < outstanding + uploadLimits.diskReserveBytes) {
      this.#refuse('refused-room', 'ERR_STORAGE', "the peer's disk has no room for this file")
    }
  }

  #refuse(
    outcome: 'refused-uploads' | 'refused-address' | 'refused-room',
    code: ErrorCode,
    message: string,
  ): never {
    this.#metrics.uploads.inc({ outcome })
    throw new KairoError(code, message)
  }

  /** Keeps up with what a request has changed. */
  async #note({ method }: UploadRequest, id: string, response: Response): Promise<UploadAnswer> {
    const headers: Record<string, string> = {}
    for (const [name, value] of response.headers) {
      if (!['content-length', 'content-type', 'connection'].includes(name)) headers[name] = value
    }
    headers['access-control-expose-headers'] = EXPOSED
    const { status } = response
    const upload = this.#open.get(id)
    if (method === 'DELETE' && response.ok) {
      this.#open.delete(id)
      this.#metrics.uploads.inc({ outcome: 'terminated' })
    } else if (method === 'POST' && !response.ok && upload !== undefined) {
      // Its client has not been told of it, so nobody would ever go on with it.
      await this.#drop(id, 'failed')
    } else if (upload !== undefined) {
      await this.#advance(id, upload)
      if (response.ok && upload.offset < upload.size && method !== 'HEAD') {
        const expires = new Date(upload.touchedMs + uploadLimits.staleMs)
        headers['upload-expires'] = expires.toUTCString()
      }
    }
    return { status, headers }
  }

  /** Looks how far an upload has come; a request that broke off has brought something too. */
  async #advance(id: string, upload: OpenUpload): Promise<void> {
    const { offset } = (await this.#store?.state(id)) ?? upload
    this.#metrics.bytes.inc(Math.max(0, offset - upload.offset))
    upload.offset = offset
    upload.touchedMs = this.#components.clock.now()
  }

  /** One hand-over for all who ask for it. */
  async #finish(id: string): Promise<string> {
    const finished = this.#finished.get(id)
    if (finished !== undefined) return finished.video
    const running = this.#finishing.get(id) ?? this.#handOver(id)
    this.#finishing.set(id, running)
    try {
      return await running
    } finally {
      this.#finishing.delete(id)
    }
  }

  /** @throws KairoError of the library; the upload stays and can be handed over later. */
  async #handOver(id: string): Promise<string> {
    const upload = this.#open.get(id)
    const store = this.#store
    if (upload === undefined || store === undefined) {
      throw new KairoError('ERR_NOT_FOUND', 'there is no such upload')
    }
    const { size, metadata } = upload
    const title = titleOf(metadata)
    let video: string
    try {
      await store.sync(id)
      video = (
        await this.#components.library.addFile({ path: store.path(id), title, mode: 'move' })
      ).id
    } catch (error) {
      this.#metrics.uploads.inc({ outcome: 'failed' })
      this.#logger.error({ err: error, upload: id }, 'a finished upload was not taken')
      throw error
    }
    const atMs = this.#components.clock.now()
    this.#open.delete(id)
    this.#finished.set(id, { size, video, atMs })
    if (this.#finished.size > uploadLimits.finishedMax) {
      const [oldest] = this.#finished.keys()
      if (oldest !== undefined) {
        this.#metrics.uploads.inc({ outcome: 'forgotten' })
        await this.#forget(oldest)
      }
    }
    await store.finish({ id, size, metadata, finished: { video, atMs } })
    this.#metrics.uploads.inc({ outcome: 'finished' })
    this.#logger.info({ upload: id, video, bytes: size }, 'an upload has become a video')
    return video
  }

  #finishLater(id: string): void {
    // The failure is logged and counted where it happens; the next sweep tries again.
    this.#finish(id).catch(() => {})
  }

  async #takeOver({ record, offset, touchedMs }: StoredUpload): Promise<void> {
    const { id, size, metadata = {}, finished } = record
    if (finished !== undefined) {
      this.#finished.set(id, { size, ...finished })
    } else if (offset === undefined || offset > size) {
      // The library took the file just before the peer ended, or somebody else wrote into ours.
      await this.#store?.discard(id)
    } else {
      this.#open.set(id, { size, offset, address: '', touchedMs, metadata })
    }
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#components.clock.after(uploadLimits.sweepMs, () => {
      this.#sweepLater()
      this.#sweep().catch((error: unknown) => {
        this.#logger.error({ err: error }, 'stale uploads could not be removed')
      })
    })
  }

  async #sweep(): Promise<void> {
    const nowMs = this.#components.clock.now()
    for (const [id, { touchedMs, offset, size }] of this.#open) {
      if (this.#locks.isHeld(id)) continue
      if (offset === size) this.#finishLater(id)
      else if (nowMs - touchedMs > uploadLimits.staleMs) await this.#drop(id, 'expired')
    }
    for (const [id, { atMs }] of this.#finished) {
      if (nowMs - atMs > uploadLimits.finishedMs) await this.#forget(id)
    }
  }

  async #drop(id: string, outcome: 'failed' | 'expired'): Promise<void> {
    this.#open.delete(id)
    this.#metrics.uploads.inc({ outcome })
    await this.#store?.discard(id)
  }

  async #forget(id: string): Promise<void> {
    this.#finished.delete(id)
    await this.#store?.discard(id)
  }
}

/** The request in the form that the tus library takes everywhere. */
function webRequest({ method, url, headers, body }: UploadRequest): Request {
  const fields = new Headers()
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === 'string') fields.set(name, value)
  }
  const hasBody = method === 'POST' || method === 'PATCH'
  return new Request(`http://kairo${url}`, {
    method,
    headers: fields,
    ...(hasBody ? { body: Readable.toWeb(body) as ReadableStream, duplex: 'half' } : {}),
  } as RequestInit)
}

const codeOfStatus: Readonly<Record<number, ErrorCode>> = {
  404: 'ERR_NOT_FOUND',
  409: 'ERR_UPLOAD_OFFSET',
  410: 'ERR_NOT_FOUND',
  412: 'ERR_PROTOCOL',
  413: 'ERR_TOO_LARGE',
  423: 'ERR_LOCKED',
}

async function refusalOf(
  response: Response,
  failure: unknown,
): Promise<NonNullable<UploadAnswer['refusal']>> {
  if (isKairoError(failure)) return { code: failure.code, detail: failure.message }
  const code = codeOfStatus[response.status] ?? 'ERR_INVALID_INPUT'
  return { code, detail: (await response.text()).trim() }
}
