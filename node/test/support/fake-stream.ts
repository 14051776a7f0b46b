/**
 * An in-memory stream behind the views that delivery and feeds read (content/stream.ts), for tests that drive its index by
 * hand. Waiting behaves as the contract says; nothing else is clever.
 */
import type { Digest } from '../../src/content/digest.ts'
import { digestOf } from '../../src/content/digest.ts'
import type {
  IndexEntry,
  IndexHead,
  LiveRendition,
  LiveStream,
  RenditionInfo,
  StreamRecord,
  StreamSource,
  UpstreamStatus,
} from '../../src/content/stream.ts'
import { KairoError } from '../../src/errors.ts'

/** A plausible 720p video rendition. */
export const videoInfo: RenditionInfo = {
  name: 'source',
  kind: 'video',
  codecs: 'avc1.64001f',
  bandwidthBps: 2_500_000,
  width: 1280,
  height: 720,
  frameRate: 30,
  channels: 0,
}

/** A plausible stereo sound rendition. */
export const audioInfo: RenditionInfo = {
  name: 'audio',
  kind: 'audio',
  codecs: 'mp4a.40.2',
  bandwidthBps: 128_000,
  width: 0,
  height: 0,
  frameRate: 0,
  channels: 2,
}

/** English captions. */
export const captionsInfo: RenditionInfo = {
  name: 'captions-en',
  kind: 'captions',
  codecs: 'wvtt',
  bandwidthBps: 1_000,
  width: 0,
  height: 0,
  frameRate: 0,
  channels: 0,
  language: 'en',
}

/** What a pushed part may say; the rest follows from the parts before it. */
export interface PartInit {
  readonly durationUs?: number
  readonly independent?: boolean
  /** Ends the segment. */
  readonly last?: boolean
  readonly discontinuity?: boolean
  readonly bytes?: Buffer
  readonly init?: Buffer
}

interface Waiter {
  readonly msn: number
  readonly part: number | undefined
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** One rendition, moved by {@link FakeRendition.push}, {@link FakeRendition.evict} and {@link FakeRendition.end}. */
export class FakeRendition implements LiveRendition {
  readonly info: RenditionInfo
  head: IndexHead
  entries: IndexEntry[] = []
  version = 1
  /** Calls of {@link FakeRendition.wait} so far. */
  waitCalls = 0
  readonly #objects: Map<Digest, Buffer>
  readonly #waiters = new Set<Waiter>()
  #init: Buffer
  /** Wall time of the next part, Unix milliseconds. */
  clockMs = Date.UTC(2026, 0, 1)

  constructor(info: RenditionInfo, objects: Map<Digest, Buffer>, head: Partial<IndexHead> = {}) {
    this.info = info
    this.#objects = objects
    this.head = {
      rendition: info.name,
      firstMsn: 100,
      discontinuitySequence: 0,
      targetDurationS: 2,
      partTargetUs: 200_000,
      ended: false,
      ...head,
    }
    this.#init = this.#store(Buffer.from(`init of ${info.name}`))
  }

  get signature(): Uint8Array {
    return Buffer.alloc(64, this.version % 256)
  }

  /** Waits now open. */
  get waiting(): number {
    return this.#waiters.size
  }

  entry(msn: number, part: number): IndexEntry | undefined {
    return this.entries.find((entry) => entry.msn === msn && entry.part === part)
  }

  segment(msn: number): readonly IndexEntry[] {
    return this.entries.filter((entry) => entry.msn === msn)
  }

  /** Appends a part to the open segment, or opens a new one. */
  push(init: PartInit = {}): IndexEntry {
    const before = this.entries.at(-1)
    const opens = before === undefined || before.endOfSegment
    const msn = before === undefined ? this.head.firstMsn : before.msn + (opens ? 1 : 0)
    const part = opens ? 0 : before.part + 1
    if (init.init !== undefined) this.#init = this.#store(init.init)
    const bytes = this.#store(init.bytes ?? Buffer.from(`${this.info.name} ${msn}.${part}`))
    const durationUs = init.durationUs ?? this.head.partTargetUs
    const entry: IndexEntry = {
      msn,
      part,
      digest: digestOf(bytes),
      bytes: bytes.byteLength,
      durationUs,
      independent: init.independent ?? (part === 0 || this.info.kind === 'audio'),
      endOfSegment: init.last ?? false,
      segmentDigest: init.last === true ? this.#segmentDigest(msn, bytes) : undefined,
      programDateTimeMs: part === 0 ? Math.round(this.clockMs) : undefined,
      discontinuity: part === 0 && (init.discontinuity ?? false),
      initDigest: digestOf(this.#init),
    }
    this.clockMs += durationUs / 1_000
    this.entries = [...this.entries, entry]
    this.#changed()
    return entry
  }

  /** Appends a whole segment of equal parts. */
  pushSegment(parts = 10, init: PartInit = {}): void {
    for (let part = 0; part < parts; part += 1) {
      this.push({ ...init, last: part === parts - 1, discontinuity: init.discontinuity === true })
    }
  }

  /** Drops the oldest segment from the window. */
  evict(): void {
    const firstMsn = this.head.firstMsn
    const left = this.segment(firstMsn).some((entry) => entry.discontinuity) ? 1 : 0
    this.entries = this.entries.filter((entry) => entry.msn !== firstMsn)
    this.setHead({
      firstMsn: firstMsn + 1,
      discontinuitySequence: this.head.discontinuitySequence + left,
    })
  }

  /** Changes what holds for the window. */
  setHead(head: Partial<IndexHead>): void {
    this.head = { ...this.head, ...head }
    this.#changed()
  }

  /** The publisher ends. */
  end(): void {
    this.setHead({ ended: true })
  }

  /** The upstream is lost: all who wait are told. */
  fail(error: Error): void {
    for (const waiter of this.#waiters) waiter.reject(error)
    this.#waiters.clear()
  }

  wait(msn: number, part: number | undefined, options: { signal: AbortSignal }): Promise<void> {
    this.waitCalls += 1
    return new Promise((resolve, reject) => {
      const waiter = { msn, part, resolve, reject }
      if (this.#satisfied(waiter)) {
        resolve()
        return
      }
      this.#waiters.add(waiter)
      options.signal.addEventListener('abort', () => {
        this.#waiters.delete(waiter)
        reject(new KairoError('ERR_TIMEOUT', 'the wait was given up'))
      })
    })
  }

  #satisfied({ msn, part }: Waiter): boolean {
    if (this.head.ended) return true
    const last = this.entries.at(-1)
    if (last === undefined) return false
    if (last.msn > msn) return true
    return last.msn === msn && (part === undefined ? last.endOfSegment : last.part >= part)
  }

  #changed(): void {
    this.version += 1
    for (const waiter of this.#waiters) {
      if (!this.#satisfied(waiter)) continue
      this.#waiters.delete(waiter)
      waiter.resolve()
    }
  }

  #segmentDigest(msn: number, last: Buffer): Digest {
    const parts = this.segment(msn).map((entry) => this.#objects.get(entry.digest) as Buffer)
    return digestOf(Buffer.concat([...parts, last]))
  }

  #store(bytes: Buffer): Buffer {
    this.#objects.set(digestOf(bytes), bytes)
    return bytes
  }
}

/** A stream of {@link FakeRendition}s, which is also a source of just itself. */
export class FakeStream implements LiveStream, StreamSource {
  readonly alias: string
  readonly objects = new Map<Digest, Buffer>()
  readonly renditions: FakeRendition[] = []
  /** Renditions that {@link FakeStream.followed} does not name until they are asked for. */
  readonly unfollowed = new Set<string>()
  /** Objects that are "on disk": {@link FakeStream.peek} does not see them. */
  readonly cold = new Set<Digest>()
  /** Names that were touched, in order. */
  readonly touched: string[] = []
  /** False: {@link FakeStream.get} does not know the stream, it must be opened. */
  known = true
  record: StreamRecord
  status: UpstreamStatus = 'origin'
  sourcePeer: string | undefined = 'this peer'

  constructor(alias: string, infos: readonly RenditionInfo[], head: Partial<IndexHead> = {}) {
    this.alias = alias
    this.record = {
      id: 'k51fake',
      alias,
      title: alias,
      state: 'live',
      sequence: 1,
      renditions: infos,
      originPeer: 'this peer',
      startedAtMs: 0,
      expiresAtMs: 0,
    }
    for (const info of infos) this.renditions.push(new FakeRendition(info, this.objects, head))
  }

  /** The rendition at this place in the record. */
  at(index: number): FakeRendition {
    const rendition = this.renditions[index]
    if (rendition === undefined) throw new Error('no such rendition in the test')
    return rendition
  }

  async rendition(name: string, options: { signal: AbortSignal }): Promise<LiveRendition> {
    options.signal.throwIfAborted()
    this.unfollowed.delete(name)
    const found = this.renditions.find((rendition) => rendition.info.name === name)
    if (found === undefined) throw new KairoError('ERR_NOT_FOUND', 'no such rendition')
    return found
  }

  followed(): readonly LiveRendition[] {
    return this.renditions.filter((rendition) => !this.unfollowed.has(rendition.info.name))
  }

  peek(digest: Digest): Buffer | undefined {
    return this.cold.has(digest) ? undefined : this.objects.get(digest)
  }

  async read(digest: Digest, options: { signal: AbortSignal }): Promise<Buffer> {
    options.signal.throwIfAborted()
    const bytes = this.objects.get(digest)
    if (bytes === undefined) throw new KairoError('ERR_NO_PROVIDER', 'nobody has the object')
    return bytes
  }

  get(name: string): LiveStream | undefined {
    return this.known && name === this.alias ? this : undefined
  }

  async open(name: string, options: { signal: AbortSignal }): Promise<LiveStream> {
    options.signal.throwIfAborted()
    if (name !== this.alias) throw new KairoError('ERR_NOT_FOUND', 'no such stream')
    this.known = true
    return this
  }

  touch(name: string): void {
    this.touched.push(name)
  }
}
