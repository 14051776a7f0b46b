/**
 * A rendition's rolling index with the publisher's signature over the whole of it. Windows are values: a change makes a new
 * one, so a signature can be checked before anything that others see has changed. Encoded entries are kept as they came and
 * are never encoded again before verification.
 */
import { hash } from 'node:crypto'
import { KairoError } from '../../errors.ts'
import { contentLimits } from '../../limits.ts'
import type { IndexEntry, IndexHead } from '../stream.ts'
import type { StreamKey, StreamPublicKey } from '../stream-key.ts'
import { FramedEntries, frame } from './framed-entries.ts'
import { decodeEntry, decodeHead, encodeEntry, encodeHead } from './index-codec.ts'

const SIGNING_PREFIX = Buffer.from('kairo index v1\n')

/** A part's place in a rendition. */
export interface Position {
  readonly msn: number
  readonly part: number
}

/** A window as it is on the wire. */
export interface EncodedWindow {
  readonly head: Uint8Array
  readonly entries: readonly Uint8Array[]
  readonly signature: Uint8Array
}

interface Contents {
  readonly head: IndexHead
  readonly headBytes: Uint8Array
  readonly entries: readonly IndexEntry[]
  readonly framed: FramedEntries
}

/** One signed state of a rendition's index. */
export class IndexWindow {
  readonly head: IndexHead
  readonly headBytes: Uint8Array
  readonly entries: readonly IndexEntry[]
  readonly signature: Uint8Array
  readonly #framed: FramedEntries

  /** For this file: windows are made by {@link IndexWindow.create} and {@link IndexWindow.verify}. */
  constructor(contents: Contents, signature: Uint8Array) {
    this.head = contents.head
    this.headBytes = contents.headBytes
    this.entries = contents.entries
    this.signature = signature
    this.#framed = contents.framed
  }

  /** An empty window, signed. */
  static create(key: StreamKey, head: IndexHead): IndexWindow {
    return signed(key, {
      head,
      headBytes: encodeHead(head),
      entries: [],
      framed: FramedEntries.of([]),
    })
  }

  /**
   * A window from the wire.
   * @throws KairoError `ERR_PROTOCOL` when it is malformed, `ERR_VERIFICATION` when the signature is not the key's.
   */
  static verify(key: StreamPublicKey, encoded: EncodedWindow): IndexWindow {
    if (encoded.entries.length > contentLimits.windowEntriesMax) {
      throw new KairoError('ERR_PROTOCOL', 'an index window has too many entries')
    }
    const contents: Contents = {
      head: decodeHead(encoded.head),
      headBytes: encoded.head,
      entries: encoded.entries.map(decodeEntry),
      framed: FramedEntries.of(encoded.entries),
    }
    return verified(key, contents, encoded.signature)
  }

  /** The last part, or undefined in an empty window. */
  get last(): IndexEntry | undefined {
    return this.entries.at(-1)
  }

  /** The encoded entries. */
  get encodedEntries(): Uint8Array[] {
    return this.#framed.entries
  }

  /** The encoded form of the last entry; the window must not be empty. */
  get lastEncoded(): Uint8Array {
    const { last } = this.#framed
    if (last === undefined) throw new RangeError('the window is empty')
    return last
  }

  /** The window after one more part (publisher). Segments before the head's first one leave it. */
  append(key: StreamKey, head: IndexHead, entry: IndexEntry): IndexWindow {
    return signed(key, this.#next(head, encodeHead(head), entry, encodeEntry(entry)))
  }

  /** The window with another head (publisher). */
  withHead(key: StreamKey, head: IndexHead): IndexWindow {
    return signed(key, this.#next(head, encodeHead(head), undefined, undefined))
  }

  /**
   * The window after one more part, from the wire (follower).
   * @throws KairoError `ERR_PROTOCOL`, `ERR_VERIFICATION`.
   */
  appendVerified(
    key: StreamPublicKey,
    encoded: {
      readonly head: Uint8Array
      readonly entry: Uint8Array
      readonly signature: Uint8Array
    },
  ): IndexWindow {
    const head = decodeHead(encoded.head)
    const entry = decodeEntry(encoded.entry)
    const contents = this.#next(head, encoded.head, entry, encoded.entry)
    return verified(key, contents, encoded.signature)
  }

  /**
   * The window with another head, from the wire (follower).
   * @throws KairoError `ERR_PROTOCOL`, `ERR_VERIFICATION`.
   */
  withHeadVerified(
    key: StreamPublicKey,
    encoded: { readonly head: Uint8Array; readonly signature: Uint8Array },
  ): IndexWindow {
    const contents = this.#next(decodeHead(encoded.head), encoded.head, undefined, undefined)
    return verified(key, contents, encoded.signature)
  }

  /** The entry of a part in the window. */
  entry(msn: number, part: number): IndexEntry | undefined {
    const found = this.entries[this.indexAtOrAfter({ msn, part })]
    return found?.msn === msn && found.part === part ? found : undefined
  }

  /** The entries of a segment in the window, in order. */
  segment(msn: number): readonly IndexEntry[] {
    const from = this.indexAtOrAfter({ msn, part: 0 })
    return this.entries.slice(from, this.indexAtOrAfter({ msn: msn + 1, part: 0 }))
  }

  /** Index of the first entry at or after a position; the number of entries when all are before it. */
  indexAtOrAfter(position: Position): number {
    let low = 0
    let high = this.entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const entry = this.entries[middle]
      if (entry !== undefined && comparePositions(entry, position) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #next(
    head: IndexHead,
    headBytes: Uint8Array,
    entry: IndexEntry | undefined,
    entryBytes: Uint8Array | undefined,
  ): Contents {
    const entries = entry === undefined ? this.entries : [...this.entries, entry]
    const beginsAnew = entry !== undefined && (entry.discontinuity || head.firstMsn === entry.msn)
    if (this.head.ended && !head.ended && !beginsAnew) {
      throw new KairoError(
        'ERR_PROTOCOL',
        'a rendition that ended continues without a discontinuity or a new window',
      )
    }
    if (
      head.rendition !== this.head.rendition ||
      head.firstMsn < this.head.firstMsn ||
      head.discontinuitySequence < this.head.discontinuitySequence
    ) {
      throw new KairoError('ERR_PROTOCOL', 'an index window went back')
    }
    let gone = 0
    while (gone < entries.length && (entries[gone]?.msn ?? 0) < head.firstMsn) gone += 1
    const framed = entryBytes === undefined ? this.#framed : this.#framed.append(entryBytes)
    return { head, headBytes, entries: entries.slice(gone), framed: framed.without(gone) }
  }
}

/** Negative when `a` is before `b`, 0 when they are the same place, positive when it is after. */
export function comparePositions(a: Position, b: Position): number {
  return a.msn === b.msn ? a.part - b.part : a.msn - b.msn
}

/**
 * The bytes that a publisher signs: prefix, raw public key, the head behind its length, and the SHA-256 of all entries, each
 * behind its length (docs/protocol.md).
 */
function signingMessage(key: StreamPublicKey, contents: Contents): Uint8Array {
  const entriesHash = hash('sha256', contents.framed.bytes, 'buffer')
  return Buffer.concat([SIGNING_PREFIX, key.raw, frame(contents.headBytes), entriesHash])
}

function signed(key: StreamKey, contents: Contents): IndexWindow {
  checkContents(contents)
  return new IndexWindow(contents, key.sign(signingMessage(key, contents)))
}

function verified(key: StreamPublicKey, contents: Contents, signature: Uint8Array): IndexWindow {
  checkContents(contents)
  if (!key.verify(signingMessage(key, contents), signature)) {
    throw new KairoError(
      'ERR_VERIFICATION',
      'the signature of an index window is not the stream key\u2019s',
    )
  }
  return new IndexWindow(contents, signature)
}

function checkContents({ head, entries }: Contents): void {
  if (entries.length > contentLimits.windowEntriesMax) {
    throw new KairoError('ERR_PROTOCOL', 'an index window has too many entries')
  }
  const first = entries[0]
  if (first !== undefined && (first.msn !== head.firstMsn || first.part !== 0)) {
    throw new KairoError('ERR_PROTOCOL', 'an index window does not begin with its first segment')
  }
  let previous: IndexEntry | undefined
  for (const entry of entries) {
    if (previous !== undefined && !follows(previous, entry)) {
      throw new KairoError('ERR_PROTOCOL', 'the parts of an index window do not follow each other')
    }
    previous = entry
  }
}

function follows(previous: IndexEntry, entry: IndexEntry): boolean {
  if (entry.msn === previous.msn) return !previous.endOfSegment && entry.part === previous.part + 1
  const closed = previous.endOfSegment || entry.discontinuity
  return entry.msn === previous.msn + 1 && entry.part === 0 && closed
}
