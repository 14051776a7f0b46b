/** A stream published at this peer: takes parts from the packager, stores them, signs the index and wakes who waits. */
import assert from 'node:assert/strict'
import { createHash, type Hash } from 'node:crypto'
import type { Counter, Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import { contentLimits } from '../limits.ts'
import { type Digest, digestOf } from './digest.ts'
import { IndexWindow } from './index-window.ts'
import { WindowedRendition } from './live-rendition.ts'
import { sharedCounter } from './metrics.ts'
import type { SequenceCursor } from './sequence-store.ts'
import type { ServedStream } from './served-stream.ts'
import type { ContentStore } from './store.ts'
import type {
  IndexEntry,
  IndexHead,
  RenditionInfo,
  StreamRecord,
  UpstreamStatus,
} from './stream.ts'
import type { StreamKey } from './stream-key.ts'

/** What a publication works with. */
export interface PublicationComponents {
  readonly clock: Clock
  readonly registry: Registry
  readonly store: ContentStore
  /** Numbering of this stream over restarts. */
  readonly sequence: SequenceCursor
}

/** How a publication is set up. */
export interface PublicationInit {
  readonly key: StreamKey
  /** Readable name, `[a-z0-9][a-z0-9-]{0,63}`. */
  readonly alias: string
  readonly title: string
  /** This peer's id, base58. */
  readonly peerId: string
  /** Segments kept in the index (default 15). */
  readonly windowSegments?: number
  /** Declared before the first part says otherwise, microseconds (default 200,000). */
  readonly partTargetUs?: number
  /** Declared before the first part says otherwise, seconds (default 2). */
  readonly targetDurationS?: number
  /** Time a record holds without a refresh, milliseconds (default 60,000). */
  readonly recordTtlMs?: number
  /** Called when the record changed and should be announced. */
  readonly onRecord?: (record: StreamRecord) => void
}

/** One part as the packager made it. */
export interface PublishedPart {
  readonly rendition: string
  readonly msn: number
  readonly part: number
  readonly data: Uint8Array
  readonly durationUs: number
  readonly independent: boolean
  readonly endOfSegment: boolean
  /** On part 0: wall time of its first presentation, Unix milliseconds. */
  readonly programDateTimeMs: number | undefined
  readonly discontinuity: boolean
  /** The init segment that the part needs; the same array as long as it is the same. */
  readonly init: Uint8Array
  readonly partTargetUs: number
  readonly targetDurationS: number
}

interface Track {
  readonly rendition: WindowedRendition
  /** Hash over the parts of the segment that is open. */
  segmentHash: Hash
  /** False until the first part of the present session. */
  begun: boolean
}

const DEFAULT_WINDOW_SEGMENTS = 15
const DEFAULT_PART_TARGET_US = 200_000
const DEFAULT_TARGET_DURATION_S = 2
const DEFAULT_RECORD_TTL_MS = 60_000

/** A stream of this peer, over all its sessions while the process lives. */
export class Publication implements ServedStream {
  readonly status: UpstreamStatus = 'origin'
  readonly #clock: Clock
  readonly #registry: Registry
  readonly #store: ContentStore
  readonly #sequence: SequenceCursor
  readonly #init: PublicationInit
  readonly #parts: Counter
  readonly #tracks = new Map<string, Track>()
  readonly #initDigests = new WeakMap<Uint8Array, Digest>()
  #record: StreamRecord
  #nextMsn: number

  constructor(components: PublicationComponents, init: PublicationInit) {
    this.#clock = components.clock
    this.#registry = components.registry
    this.#store = components.store
    this.#sequence = components.sequence
    this.#init = init
    this.#parts = sharedCounter(
      components.registry,
      'kairo_content_published_parts_total',
      'Parts published at this peer',
    )
    this.#nextMsn = components.sequence.nextMsn
    const now = this.#clock.now()
    this.#record = {
      id: init.key.id,
      alias: init.alias,
      title: init.title,
      state: 'ended',
      sequence: now,
      renditions: [],
      originPeer: init.peerId,
      startedAtMs: now,
      expiresAtMs: now + (init.recordTtlMs ?? DEFAULT_RECORD_TTL_MS),
    }
  }

  get record(): StreamRecord {
    return this.#record
  }

  get sourcePeer(): string {
    return this.#init.peerId
  }

  /** The segment number at which the packager's next session begins, in every rendition. */
  get nextMsn(): number {
    return this.#nextMsn
  }

  route(): readonly string[] {
    return [this.#init.peerId]
  }

  touch(): void {}

  /** Begins a session, or tells that the renditions of the present one have changed. */
  setRenditions(infos: readonly RenditionInfo[]): void {
    assert(infos.length <= contentLimits.renditionsMax, 'too many renditions')
    const began = this.#record.state === 'ended'
    for (const info of infos) {
      const track = this.#tracks.get(info.name)
      if (track === undefined) this.#tracks.set(info.name, this.#newTrack(info))
      else {
        track.rendition.describe(info)
        if (began) track.begun = false
      }
    }
    this.#updateRecord({
      state: 'live',
      renditions: [...infos],
      ...(began ? { startedAtMs: this.#clock.now() } : {}),
    })
  }

  /**
   * Stores one part, adds it to its rendition's index, signs the index and wakes who waits. Parts of a rendition come in
   * order; the first of a session has number 0 in its segment.
   */
  addPart(part: PublishedPart): void {
    const track = this.#tracks.get(part.rendition)
    assert(track !== undefined, `unknown rendition ${part.rendition}`)
    assert(this.#record.state === 'live', 'a part after the end of the session')
    const { rendition } = track
    const data = toBuffer(part.data)
    const initDigest = this.#storeInit(part.init)
    const digest = digestOf(data)
    this.#store.put(digest, data)
    if (part.part === 0) track.segmentHash = createHash('sha256')
    track.segmentHash.update(data)
    const resumes = !track.begun && part.msn > 0
    const entry: IndexEntry = {
      msn: part.msn,
      part: part.part,
      digest,
      bytes: data.byteLength,
      durationUs: part.durationUs,
      independent: part.independent,
      endOfSegment: part.endOfSegment,
      segmentDigest: part.endOfSegment ? track.segmentHash.digest('hex') : undefined,
      programDateTimeMs: part.programDateTimeMs,
      discontinuity: part.discontinuity || resumes,
      initDigest,
    }
    const head = this.#headFor(track, part, entry)
    track.begun = true
    this.#nextMsn = Math.max(this.#nextMsn, part.msn + 1)
    rendition.apply(rendition.window.append(this.#init.key, head, entry), 'part')
    this.#sequence.note(this.#nextMsn, countDiscontinuities(rendition.window))
    this.#parts.inc()
  }

  /** Ends the session: players are told that nothing follows. A later {@link Publication.setRenditions} begins the next. */
  end(): void {
    if (this.#record.state === 'ended') return
    for (const { rendition } of this.#tracks.values()) {
      const head = { ...rendition.head, ended: true }
      rendition.apply(rendition.window.withHead(this.#init.key, head), 'head')
    }
    this.#updateRecord({ state: 'ended' })
  }

  /** Signs a new expiry into the record; to be called well before the old one. */
  refreshRecord(): void {
    this.#updateRecord({})
  }

  /** Ends the session and lets go of the stream's objects and numbering. */
  async close(): Promise<void> {
    this.end()
    for (const { rendition } of this.#tracks.values()) {
      rendition.release(new KairoError('ERR_STOPPED', 'the stream is closed'))
    }
    await this.#sequence.close()
  }

  async rendition(name: string): Promise<WindowedRendition> {
    const track = this.#tracks.get(name)
    if (track === undefined) {
      throw new KairoError('ERR_NOT_FOUND', `the stream has no rendition ${name}`)
    }
    return track.rendition
  }

  followed(): readonly WindowedRendition[] {
    return [...this.#tracks.values()].map((track) => track.rendition)
  }

  peek(digest: Digest): Buffer | undefined {
    return this.#store.peek(digest)
  }

  async read(digest: Digest, options: { readonly signal: AbortSignal }): Promise<Buffer> {
    const bytes = await this.#store.read(digest, options)
    if (bytes === undefined) {
      throw new KairoError('ERR_NOT_FOUND', 'the object is no longer kept here')
    }
    return bytes
  }

  #newTrack(info: RenditionInfo): Track {
    const head: IndexHead = {
      rendition: info.name,
      firstMsn: this.#nextMsn,
      discontinuitySequence: this.#sequence.discontinuitySequence,
      targetDurationS: this.#init.targetDurationS ?? DEFAULT_TARGET_DURATION_S,
      partTargetUs: this.#init.partTargetUs ?? DEFAULT_PART_TARGET_US,
      ended: false,
    }
    const rendition = new WindowedRendition(
      { pins: this.#store, registry: this.#registry },
      { info, window: IndexWindow.create(this.#init.key, head) },
    )
    return { rendition, segmentHash: createHash('sha256'), begun: false }
  }

  /** The head with which a part's window is signed: what leaves the window, and targets that only grow. */
  #headFor(track: Track, part: PublishedPart, entry: IndexEntry): IndexHead {
    const { window } = track.rendition
    const { head, entries } = window
    const segments = this.#init.windowSegments ?? DEFAULT_WINDOW_SEGMENTS
    const isJump =
      entry.part === 0 && window.last !== undefined && entry.msn !== window.last.msn + 1
    let firstMsn = Math.max(entries[0]?.msn ?? entry.msn, entry.msn - segments + 1)
    if (isJump) firstMsn = entry.msn
    while (
      entries.length - window.indexAtOrAfter({ msn: firstMsn, part: 0 }) >=
        contentLimits.windowEntriesMax &&
      firstMsn < entry.msn
    ) {
      firstMsn += 1
    }
    const gone = entries.slice(0, window.indexAtOrAfter({ msn: firstMsn, part: 0 }))
    return {
      rendition: head.rendition,
      firstMsn,
      discontinuitySequence:
        head.discontinuitySequence + gone.filter((old) => old.discontinuity).length,
      targetDurationS: Math.max(head.targetDurationS, part.targetDurationS),
      partTargetUs: Math.max(head.partTargetUs, part.partTargetUs, part.durationUs),
      ended: false,
    }
  }

  #storeInit(init: Uint8Array): Digest {
    const known = this.#initDigests.get(init)
    if (known !== undefined) return known
    const bytes = toBuffer(init)
    const digest = digestOf(bytes)
    this.#store.put(digest, bytes)
    this.#initDigests.set(init, digest)
    return digest
  }

  #updateRecord(changes: Partial<StreamRecord>): void {
    const now = this.#clock.now()
    this.#record = {
      ...this.#record,
      ...changes,
      sequence: Math.max(now, this.#record.sequence + 1),
      expiresAtMs: now + (this.#init.recordTtlMs ?? DEFAULT_RECORD_TTL_MS),
    }
    this.#init.onRecord?.(this.#record)
  }
}

/** Discontinuities up to the end of the window: the numbering that a next session must not fall behind. */
function countDiscontinuities(window: IndexWindow): number {
  const inWindow = window.entries.filter((entry) => entry.discontinuity).length
  return window.head.discontinuitySequence + inWindow
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
