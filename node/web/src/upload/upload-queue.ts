/**
 * The files that are uploaded, one after the other, by the tus protocol: each goes on where it was after a pause, a broken line or
 * a reload of the page. The client library is loaded with the first file.
 */

import type { Upload } from 'tus-js-client'
import type { Library, Video } from '../shared/api.ts'
import { SentRate } from './sent-rate.ts'
import { failureWords, refusalOf } from './upload-words.ts'

/** `unfinished` was left by an earlier visit, whose file the browser does not hold any more. */
export type UploadState =
  | 'waiting'
  | 'uploading'
  | 'paused'
  | 'failed'
  | 'making'
  | 'ready'
  | 'unfinished'

/** One file. */
export interface UploadItem {
  readonly key: string
  readonly name: string
  readonly bytes: number
  readonly state: UploadState
  readonly sentBytes: number
  /** Bytes a second; 0 when unknown. */
  readonly rate: number
  /** What went wrong, in words. */
  readonly problem: string | undefined
  /** What it has become, once the peer says. */
  readonly video: Video | undefined
}

/** How a queue is made. */
export interface UploadQueueInit {
  readonly token: () => string | undefined
  /** What the peer says of uploads. */
  readonly uploads: () => Library['uploads'] | undefined
  readonly onChange: () => void
  /** A file has become a video. */
  readonly onUploaded: () => void
}

interface Entry {
  readonly key: string
  readonly name: string
  readonly bytes: number
  file: File | undefined
  state: UploadState
  sentBytes: number
  problem: string | undefined
  videoId: string | undefined
  video: Video | undefined
  upload: Upload | undefined
  /** Of an upload that an earlier visit began. */
  earlier: { readonly url: string; readonly storageKey: string } | undefined
  readonly rate: SentRate
}

const endpoint = '/api/uploads'
/** Waits before the tries of one request, in milliseconds; after the last the person is told. */
const retryDelays = [0, 1_000, 3_000, 5_000, 10_000, 20_000]
/** Files in the list at once; the peer has a limit of its own. */
const entriesMax = 200
const client = () => import('tus-js-client')

/** The queue of one page. */
export class UploadQueue {
  readonly #init: UploadQueueInit
  #entries: Entry[] = []
  #nextKey = 0

  constructor(init: UploadQueueInit) {
    this.#init = init
  }

  /** The files, those of this visit in the order in which they came. */
  get items(): readonly UploadItem[] {
    return this.#entries.map(({ file, upload, earlier, videoId, rate, ...item }) => ({
      ...item,
      rate: item.state === 'uploading' ? rate.bytesPerSecond(performance.now()) : 0,
    }))
  }

  /** Whether leaving the page would break something off. */
  get isBusy(): boolean {
    return this.#entries.some(({ state }) => state === 'uploading' || state === 'waiting')
  }

  /** Puts files in the queue. One that an earlier visit began goes on there. */
  add(files: Iterable<File>): void {
    for (const file of files) {
      if (this.#entries.length >= entriesMax) break
      this.#entries = this.#entries.filter(
        ({ state, name, bytes }) =>
          state !== 'unfinished' || name !== file.name || bytes !== file.size,
      )
      const refusal = refusalOf(file, this.#init.uploads()?.fileBytesMax ?? Infinity)
      this.#entries.push({
        ...newEntry(this.#key(), file.name, file.size),
        file,
        state: refusal === undefined ? 'waiting' : 'failed',
        problem: refusal,
      })
    }
    this.#next()
  }

  /** Lists what earlier visits have begun and not finished. */
  async recall(): Promise<void> {
    // The library's own keys; without any there is no reason to load it.
    if (!hasStoredUploads()) return
    const { defaultOptions } = await client()
    const earlier = await defaultOptions.urlStorage.findAllUploads()
    for (const { size, metadata, uploadUrl, urlStorageKey } of earlier) {
      const name = metadata.filename
      if (uploadUrl === null || name === undefined || size === null) continue
      if (this.#entries.some((entry) => entry.name === name && entry.bytes === size)) continue
      this.#entries.push({
        ...newEntry(this.#key(), name, size),
        state: 'unfinished',
        earlier: { url: uploadUrl, storageKey: urlStorageKey },
      })
    }
    this.#init.onChange()
  }

  /** Stops sending; what the peer has stays there. */
  pause(key: string): void {
    const entry = this.#entry(key)
    if (entry === undefined) return
    void entry.upload?.abort()
    this.#set(entry, 'paused')
    this.#next()
  }

  /** Goes on after a pause or a failure. */
  resume(key: string): void {
    const entry = this.#entry(key)
    if (entry?.file === undefined) return
    entry.problem = undefined
    this.#set(entry, 'waiting')
    this.#next()
  }

  /** Takes a file off the list; what the peer has of an unfinished one is removed there. */
  async remove(key: string): Promise<void> {
    const entry = this.#entry(key)
    if (entry === undefined) return
    this.#entries = this.#entries.filter((other) => other !== entry)
    this.#next()
    const isDone = entry.state === 'making' || entry.state === 'ready'
    if (isDone) return
    try {
      await entry.upload?.abort(entry.upload.url !== null)
      if (entry.earlier !== undefined) {
        const { Upload, defaultOptions } = await client()
        await defaultOptions.urlStorage.removeUpload(entry.earlier.storageKey)
        await Upload.terminate(entry.earlier.url, { endpoint, headers: this.#headers() })
      }
    } catch {
      // The peer removes what nobody goes on with by itself after a day.
    }
  }

  /** Takes what the peer says of its videos. */
  follow(videos: readonly Video[]): void {
    for (const entry of this.#entries) {
      if (entry.videoId === undefined) continue
      const video = videos.find(({ id }) => id === entry.videoId)
      if (video === undefined) continue
      entry.video = video
      if (video.state === 'ready') entry.state = 'ready'
      if (video.state === 'failed') {
        entry.state = 'failed'
        entry.file = undefined
        entry.problem = video.error?.message ?? 'It could not be read as a video.'
      }
    }
  }

  #entry(key: string): Entry | undefined {
    return this.#entries.find((entry) => entry.key === key)
  }

  #key(): string {
    return `upload-${this.#nextKey++}`
  }

  #headers(): Record<string, string> {
    const token = this.#init.token()
    return token === undefined ? {} : { authorization: `Bearer ${token}` }
  }

  #set(entry: Entry, state: UploadState, problem?: string): void {
    entry.state = state
    entry.problem = problem
    this.#init.onChange()
  }

  /** Starts the next file that waits, when none is on its way. */
  #next(): void {
    this.#init.onChange()
    if (this.#entries.some(({ state }) => state === 'uploading')) return
    const entry = this.#entries.find(({ state }) => state === 'waiting')
    if (entry === undefined) return
    this.#set(entry, 'uploading')
    this.#send(entry).catch(() => {
      this.#set(entry, 'failed', 'The file could not be read. It may have been moved or changed.')
      this.#next()
    })
  }

  async #send(entry: Entry): Promise<void> {
    const { file } = entry
    if (file === undefined) return
    const tus = await client()
    const upload = new tus.Upload(file, {
      endpoint,
      retryDelays,
      headers: this.#headers(),
      metadata: { filename: file.name },
      removeFingerprintOnSuccess: true,
      onShouldRetry: ({ originalResponse }) => isTemporary(originalResponse?.getStatus() ?? 0),
      onProgress: (sent) => {
        entry.sentBytes = sent
        entry.rate.add(sent, performance.now())
        this.#init.onChange()
      },
      onSuccess: ({ lastResponse }) => {
        entry.sentBytes = entry.bytes
        entry.videoId = lastResponse.getHeader('Kairo-Video')
        this.#set(entry, 'making')
        this.#init.onUploaded()
        this.#next()
      },
      onError: (error) => {
        const response = 'originalResponse' in error ? error.originalResponse : null
        const words = failureWords(response?.getStatus() ?? 0, response?.getBody() ?? '')
        this.#set(entry, 'failed', words)
        this.#next()
      },
    })
    entry.upload = upload
    const [previous] = await upload.findPreviousUploads()
    if (previous !== undefined) upload.resumeFromPreviousUpload(previous)
    // A pause or a removal may have come while the library was loading.
    if (entry.state === 'uploading' && this.#entries.includes(entry)) upload.start()
  }
}

function newEntry(key: string, name: string, bytes: number): Entry {
  return {
    ...{ key, name, bytes, file: undefined, state: 'waiting', sentBytes: 0, problem: undefined },
    ...{ videoId: undefined, video: undefined, upload: undefined, earlier: undefined },
    rate: new SentRate(),
  }
}

/** Answers after which another try may help: none at all, a busy upload, a peer that restarts; not a full disk. */
function isTemporary(status: number): boolean {
  return status === 0 || status === 409 || status === 423 || (status >= 500 && status !== 507)
}

function hasStoredUploads(): boolean {
  try {
    return Object.keys(localStorage).some((key) => key.startsWith('tus::'))
  } catch {
    return false
  }
}
