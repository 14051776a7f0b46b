/** A stream published at this peer: takes parts from the packager, stores them, signs the index and wakes who waits. */
import assert from 'node:assert/strict'
import type { Counter, Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import { KairoError } from '../../errors.ts'
import { contentLimits } from '../../limits.ts'
import { type Digest, digestOf } from '../digest.ts'
import { IndexWindow } from '../index/index-window.ts'
import { WindowedRendition } from '../index/live-rendition.ts'
import { sharedCounter } from '../metrics.ts'
import type { ServedStream } from '../served-stream.ts'
import type { ContentStore, PutOptions } from '../store/store.ts'
import type {
  FencingToken,
  IndexEntry,
  IndexHead,
  RenditionInfo,
  StreamRecord,
  UpstreamStatus,
} from '../stream.ts'
import type { StreamKey } from '../stream-key.ts'
import { OpenSegment, type SegmentListener } from './open-segment.ts'
import type { SequenceCursor, StreamNumbers } from './sequence-store.ts'

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
  /** Segments kept in the index. */
  readonly windowSegments: number
  /** Called when a session began or ended or its renditions changed; `sequence` and `expiresAtMs` are the directory's to set. */
  readonly onRecord?: (record: StreamRecord) => void
  /** Called when the stream goes on at another peer. */
  readonly onYield?: () => void
  /** Called with what a listener of segments or ends threw; it is not called any more then. */
  readonly onListenerError?: (error: unknown) => void
}

/** A rendition as the packager announces it. */
export interface RenditionSetup {
  readonly info: RenditionInfo
  /** What its parts are cut to, microseconds; a part may be longer where a picture stays longer. */
  readonly partTargetUs: number
  /** EXT-X-TARGETDURATION in seconds; only grows within a session. */
  readonly targetDurationS: number
  /** Discontinuities of the session before this rendition's first part: 0 for one that is there from the start. */
  readonly discontinuitiesBefore: number
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
  /** The init segment that the part needs; the same array as long as it is the same. Empty for captions, which need none. */
  readonly init: Uint8Array
  /** Decoding time of its first sample, microseconds of the stream's timeline; where it is absent the parts before say it. */
  readonly startUs?: number
}

interface Track {
  setup: RenditionSetup
  readonly rendition: WindowedRendition
  readonly segment: OpenSegment
  /** False until the first part of the present session. */
  begun: boolean
}

/** Where the present session's numbering began. */
interface Session {
  /** Segment number of its first part in any rendition; undefined until it came. */
  firstMsn: number | undefined
  /** Discontinuities before the session. */
  readonly discontinuities: number
  /** True when its first segment does not continue from anything published before. */
  readonly resumes: boolean
}

/** A stream of this peer, over all its sessions while the process lives. */
export class Publication implements ServedStream {
  readonly status: UpstreamStatus = 'origin'
  readonly #components: PublicationComponents
  readonly #init: PublicationInit
  readonly #parts: Counter
  readonly #tracks = new Map<string, Track>()
  readonly #listenerFailures: Counter
  readonly #segmentListeners = new Set<SegmentListener>()
  readonly #endListeners = new Set<() => void>()
  readonly #initDigests = new WeakMap<Uint8Array, Digest>()
  /** Its objects count for this stream and this peer. */
  readonly #stored: PutOptions
  #record: StreamRecord
  #session: Session | undefined
  #nextMsn: number
  #discontinuities: number

  constructor(components: PublicationComponents, init: PublicationInit) {
    this.#components = components
    this.#init = init
    this.#parts = sharedCounter(
      components.registry,
      'kairo_content_published_parts_total',
      'Parts published at this peer',
    )
    this.#listenerFailures = sharedCounter(
      components.registry,
      'kairo_content_listener_failures_total',
      'Listeners of published segments that failed and are not told any more',
    )
    this.#stored = { owner: { tenant: init.peerId, stream: init.key.id }, isLive: true }
    this.#nextMsn = components.sequence.nextMsn
    this.#discontinuities = components.sequence.discontinuitySequence
    this.#record = {
      id: init.key.id,
      alias: init.alias,
      title: init.title,
      state: 'ended',
      sequence: 0,
      renditions: [],
      originPeer: init.peerId,
      startedAtMs: 0,
      expiresAtMs: 0,
    }
  }

  get record(): StreamRecord {
    return this.#record
  }

  get sourcePeer(): string {
    return this.#init.peerId
  }

  /** Where the stream's numbering stands: what no session has used. */
  get numbers(): StreamNumbers {
    return { nextMsn: this.#nextMsn, discontinuitySequence: this.#discontinuities }
  }

  /** The segment number at which the packager's next session begins, in every rendition. */
  get nextMsn(): number {
    return this.#nextMsn
  }

  route(): readonly string[] {
    return [this.#init.peerId]
  }

  touch(): void {}

  /**
   * Another peer may have used the numbers below these: the next session begins at them at least. What was published here is not what
   * comes before that session any more, so a present one is given up.
   */
  continueFrom(numbers: StreamNumbers): void {
    const isAhead = numbers.nextMsn > this.#nextMsn
    this.#discontinuities = Math.max(this.#discontinuities, numbers.discontinuitySequence)
    if (!isAhead) return
    this.#nextMsn = numbers.nextMsn
    this.#giveUp()
    this.#components.sequence.note(this.#nextMsn, this.#discontinuities)
  }

  /** Proves to whoever hears of the stream that this peer came later to own it; undefined where no region has said so. */
  setToken(token: FencingToken | undefined): void {
    const { token: _, ...record } = this.#record
    this.#record = token === undefined ? record : { ...record, token }
    if (this.#session !== undefined) this.#updateRecord({ state: 'live' })
  }

  /** Ends the session here without an end of the stream: it goes on at another peer, and whoever waits here asks again. */
  yield(): void {
    if (this.#session === undefined) return
    this.#giveUp()
    this.#record = { ...this.#record, state: 'ended' }
    this.#init.onYield?.()
    this.#tellEnd()
  }

  /** Begins a session, or tells that the renditions of the present one have changed. */
  setRenditions(setups: readonly RenditionSetup[]): void {
    assert(setups.length <= contentLimits.renditionsMax, 'too many renditions')
    if (this.#session === undefined) this.#begin()
    for (const setup of setups) {
      const track = this.#tracks.get(setup.info.name)
      if (track === undefined) this.#tracks.set(setup.info.name, this.#newTrack(setup))
      else {
        track.setup = setup
        track.rendition.describe(setup.info)
      }
    }
    this.#updateRecord({ state: 'live', renditions: setups.map(({ info }) => info) })
  }

  /**
   * Stores one part, adds it to its rendition's index, signs the index and wakes who waits. Parts of a rendition come in
   * order; the first of a session has number 0 in its segment.
   */
  addPart(part: PublishedPart): void {
    const track = this.#tracks.get(part.rendition)
    const session = this.#session
    assert(track !== undefined, `unknown rendition ${part.rendition}`)
    assert(session !== undefined, 'a part outside a session')
    const { store, sequence } = this.#components
    const { rendition } = track
    const data = toBuffer(part.data)
    const initDigest = this.#storeInit(part.init)
    const digest = digestOf(data)
    store.put(digest, data, this.#stored)
    track.segment.take(part, data)
    session.firstMsn ??= part.msn
    const opensSession = !track.begun && part.part === 0 && part.msn === session.firstMsn
    track.begun = true
    const entry: IndexEntry = {
      msn: part.msn,
      part: part.part,
      digest,
      bytes: data.byteLength,
      durationUs: part.durationUs,
      independent: part.independent,
      endOfSegment: part.endOfSegment,
      segmentDigest: part.endOfSegment ? track.segment.digest() : undefined,
      programDateTimeMs: part.programDateTimeMs,
      discontinuity: part.discontinuity || (opensSession && session.resumes),
      initDigest,
    }
    const head = this.#headFor(track, session, entry)
    this.#nextMsn = Math.max(this.#nextMsn, part.msn + 1)
    rendition.apply(rendition.window.append(this.#init.key, head, entry), 'part')
    // What leaves the window moves into the head's count, so the sum changes only with a discontinuity or a window begun anew.
    if (entry.discontinuity || rendition.entries.length === 1) {
      const discontinuities = discontinuitiesUpTo(rendition.window, entry.msn)
      this.#discontinuities = Math.max(this.#discontinuities, discontinuities)
    }
    sequence.note(this.#nextMsn, this.#discontinuities)
    this.#parts.inc()
    track.segment.add(entry)
    if (entry.endOfSegment) this.#noticeSegment(track, toBuffer(part.init))
  }

  /**
   * Calls `listener` once for each segment of a rendition that is whole, after players were woken, until the function returned
   * is called. A listener that throws is told of no more segments.
   */
  onSegment(listener: SegmentListener): () => void {
    this.#segmentListeners.add(listener)
    return () => this.#segmentListeners.delete(listener)
  }

  /** Calls `listener` when a session has ended for good, after the notices of its segments. */
  onEnded(listener: () => void): () => void {
    this.#endListeners.add(listener)
    return () => this.#endListeners.delete(listener)
  }

  /**
   * Takes a rendition off the stream: who waits for its parts, and who asks later, gets `ERR_NOT_FOUND`. Nothing happens when
   * there is none of that name.
   */
  dropRendition(name: string): void {
    const track = this.#tracks.get(name)
    if (track === undefined) return
    this.#tracks.delete(name)
    track.rendition.release(noRendition(name))
    if (this.#session === undefined) return
    const renditions = this.#record.renditions.filter((info) => info.name !== name)
    this.#updateRecord({ state: 'live', renditions })
  }

  /** Ends the session: players are told that nothing follows. A later {@link Publication.setRenditions} begins the next. */
  end(): void {
    if (this.#session === undefined) return
    this.#session = undefined
    for (const { rendition } of this.#tracks.values()) {
      const head = { ...rendition.head, ended: true }
      rendition.apply(rendition.window.withHead(this.#init.key, head), 'head')
    }
    this.#updateRecord({ state: 'ended' })
    this.#tellEnd()
  }

  /** Ends the session and lets go of the stream's objects and numbering. */
  async close(): Promise<void> {
    this.end()
    for (const { rendition } of this.#tracks.values()) {
      rendition.release(new KairoError('ERR_STOPPED', 'the stream is closed'))
    }
    await this.#components.sequence.close()
  }

  async rendition(name: string): Promise<WindowedRendition> {
    const track = this.#tracks.get(name)
    if (track === undefined) throw noRendition(name)
    return track.rendition
  }

  followed(): readonly WindowedRendition[] {
    return [...this.#tracks.values()].map((track) => track.rendition)
  }

  peek(digest: Digest): Buffer | undefined {
    return this.#components.store.peek(digest)
  }

  async read(digest: Digest, options: { readonly signal: AbortSignal }): Promise<Buffer> {
    const bytes = await this.#components.store.read(digest, options)
    if (bytes === undefined) {
      throw new KairoError('ERR_NOT_FOUND', 'the object is no longer kept here')
    }
    return bytes
  }

  /** No session and no renditions any more; feeds and players are sent away rather than told of an end. */
  #giveUp(): void {
    this.#session = undefined
    const elsewhere = new KairoError('ERR_NO_PROVIDER', 'the stream goes on at another peer')
    for (const { rendition } of this.#tracks.values()) rendition.release(elsewhere)
    this.#tracks.clear()
    this.#record = { ...this.#record, renditions: [] }
  }

  #tellEnd(): void {
    setImmediate(() => {
      for (const listener of this.#endListeners) {
        this.#isolate(
          () => listener(),
          () => this.#endListeners.delete(listener),
        )
      }
    })
  }

  #noticeSegment(track: Track, init: Buffer): void {
    if (this.#segmentListeners.size === 0) return
    const { info } = track.rendition
    const notice = track.segment.notice({
      info,
      init,
      targetDurationS: track.rendition.head.targetDurationS,
    })
    if (notice === undefined) return
    // A turn later: players that wait for the part are answered before anything is archived.
    setImmediate(() => {
      for (const listener of this.#segmentListeners) {
        this.#isolate(
          () => listener(notice),
          () => this.#segmentListeners.delete(listener),
        )
      }
    })
  }

  /** A listener that fails is nobody else's trouble: it is counted, and not called again. */
  #isolate(call: () => void, remove: () => void): void {
    try {
      call()
    } catch (error) {
      remove()
      this.#listenerFailures.inc()
      this.#init.onListenerError?.(error)
    }
  }

  #begin(): void {
    this.#record = { ...this.#record, startedAtMs: Math.floor(this.#components.clock.now()) }
    this.#session = {
      firstMsn: undefined,
      discontinuities: this.#discontinuities,
      resumes: this.#nextMsn > 0,
    }
    for (const track of this.#tracks.values()) track.begun = false
  }

  #newTrack(setup: RenditionSetup): Track {
    const head: IndexHead = {
      rendition: setup.info.name,
      // The other rendition may be ahead in the very segment with which a late one begins.
      firstMsn: this.#session?.firstMsn ?? this.#nextMsn,
      discontinuitySequence: this.#session?.discontinuities ?? this.#discontinuities,
      targetDurationS: setup.targetDurationS,
      partTargetUs: setup.partTargetUs,
      ended: false,
    }
    const { store, registry } = this.#components
    const rendition = new WindowedRendition(
      { pins: store, registry },
      { info: setup.info, window: IndexWindow.create(this.#init.key, head) },
    )
    return { setup, rendition, segment: new OpenSegment(), begun: false }
  }

  /** The head with which a part's window is signed: what leaves the window, and a target duration that only grows. */
  #headFor(track: Track, session: Session, entry: IndexEntry): IndexHead {
    const { setup, rendition } = track
    const { head, last } = rendition.window
    const continues = last !== undefined && entry.msn <= last.msn + 1
    const firstMsn = continues ? this.#firstMsn(rendition.window, entry) : entry.msn
    const discontinuitySequence = continues
      ? head.discontinuitySequence + discontinuitiesBefore(rendition.window, firstMsn)
      : this.#discontinuitiesBefore(track, session, entry)
    return {
      rendition: head.rendition,
      firstMsn,
      discontinuitySequence: Math.max(head.discontinuitySequence, discontinuitySequence),
      targetDurationS: Math.max(head.targetDurationS, setup.targetDurationS),
      partTargetUs: setup.partTargetUs,
      ended: false,
    }
  }

  #firstMsn(window: IndexWindow, entry: IndexEntry): number {
    let firstMsn = Math.max(window.head.firstMsn, entry.msn - this.#init.windowSegments + 1)
    const kept = (): number =>
      window.entries.length - window.indexAtOrAfter({ msn: firstMsn, part: 0 })
    if (window.entries.length < contentLimits.windowEntriesMax) return firstMsn
    while (kept() >= contentLimits.windowEntriesMax && firstMsn < entry.msn) firstMsn += 1
    return firstMsn
  }

  /**
   * Discontinuities before the first segment of a window that begins anew, so that all renditions count alike
   * (RFC 8216 6.2.4). One that appears late takes the count of those that are there.
   */
  #discontinuitiesBefore(track: Track, session: Session, entry: IndexEntry): number {
    if (entry.msn === session.firstMsn) return session.discontinuities
    const atSegment = [...this.#tracks.values()]
      .filter((other) => other !== track && other.begun)
      .map((other) => discontinuitiesUpTo(other.rendition.window, entry.msn))
    const announced =
      session.discontinuities + (session.resumes ? 1 : 0) + track.setup.discontinuitiesBefore
    return Math.max(announced, ...atSegment) - (entry.discontinuity ? 1 : 0)
  }

  #updateRecord(changes: Pick<Partial<StreamRecord>, 'state' | 'renditions'>): void {
    const now = Math.floor(this.#components.clock.now())
    this.#record = {
      ...this.#record,
      ...changes,
      sequence: Math.max(now, this.#record.sequence + 1),
    }
    this.#init.onRecord?.(this.#record)
  }

  #storeInit(init: Uint8Array): Digest {
    const known = this.#initDigests.get(init)
    if (known !== undefined) return known
    const bytes = toBuffer(init)
    const digest = digestOf(bytes)
    this.#components.store.put(digest, bytes, this.#stored)
    this.#initDigests.set(init, digest)
    return digest
  }
}

/** Discontinuities of the window's entries before a segment; looks at no others, since it is asked with every part. */
function discontinuitiesBefore(window: IndexWindow, msn: number): number {
  let count = 0
  for (const entry of window.entries) {
    if (entry.msn >= msn) break
    if (entry.discontinuity) count += 1
  }
  return count
}

/** Discontinuities up to and with a segment: its discontinuity sequence number (RFC 8216 6.2.1). */
function discontinuitiesUpTo(window: IndexWindow, msn: number): number {
  const inWindow = window.entries.filter((entry) => entry.discontinuity && entry.msn <= msn).length
  return window.head.discontinuitySequence + inWindow
}

function noRendition(name: string): KairoError {
  return new KairoError('ERR_NOT_FOUND', `the stream has no rendition ${name}`)
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
