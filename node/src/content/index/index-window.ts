/**
 * A rendition's rolling index with the publisher's signature over the whole of it. Windows are values: a change makes a new
 * one, so a signature can be checked before anything that others see has changed. Encoded entries are kept as they came and
 * are never encoded again before verification. A publisher's own window is encoded and signed when someone first asks for that,
 * and only then, because a window is replaced with every part and signing costs more than all else that is done with one.
 */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { KairoError } from '../../errors.ts'
import { contentLimits } from '../../limits.ts'
import type { IndexEntry, IndexHead } from '../stream.ts'
import type { StreamKey, StreamPublicKey } from '../stream-key.ts'
import { FramedEntries, frame } from './framed-entries.ts'
import {
  assertEntry,
  assertHead,
  decodeEntry,
  decodeHead,
  encodeEntry,
  encodeHead,
} from './index-codec.ts'

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

/** What a window says. */
interface Contents {
  readonly head: IndexHead
  readonly entries: readonly IndexEntry[]
}

/** The same as it is on the wire. */
interface Sealed {
  readonly headBytes: Uint8Array
  readonly framed: FramedEntries
  readonly signature: Uint8Array
}

/** What a publisher's window is sealed with. */
interface Seal {
  readonly key: StreamKey
  /**
   * Entries that were encoded for the window before: those of this window but `appended` at its end, behind `gone` that have left.
   * Undefined where nobody asked for that window; then all are encoded.
   */
  readonly before: FramedEntries | undefined
  readonly gone: number
  readonly appended: boolean
}

/** One signed state of a rendition's index. */
export class IndexWindow {
  readonly head: IndexHead
  readonly entries: readonly IndexEntry[]
  #sealed: Sealed | undefined
  #seal: Seal | undefined

  /** For this file: windows are made by {@link IndexWindow.create} and {@link IndexWindow.verify}. */
  constructor(contents: Contents, form: { readonly sealed: Sealed } | { readonly seal: Seal }) {
    this.head = contents.head
    this.entries = contents.entries
    if ('sealed' in form) this.#sealed = form.sealed
    else this.#seal = form.seal
  }

  /** An empty window, signed. */
  static create(key: StreamKey, head: IndexHead): IndexWindow {
    assertHead(head)
    const seal: Seal = { key, before: FramedEntries.of([]), gone: 0, appended: false }
    return new IndexWindow({ head, entries: [] }, { seal })
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
      entries: encoded.entries.map(decodeEntry),
    }
    checkWindow(contents)
    return verified(key, contents, {
      headBytes: encoded.head,
      framed: FramedEntries.of(encoded.entries),
      signature: encoded.signature,
    })
  }

  /** The last part, or undefined in an empty window. */
  get last(): IndexEntry | undefined {
    return this.entries.at(-1)
  }

  /** The encoded head. */
  get headBytes(): Uint8Array {
    return this.#asSealed().headBytes
  }

  /** The signature over head and entries. */
  get signature(): Uint8Array {
    return this.#asSealed().signature
  }

  /** The encoded entries. */
  get encodedEntries(): Uint8Array[] {
    return this.#asSealed().framed.entries
  }

  /** The encoded form of the last entry; the window must not be empty. */
  get lastEncoded(): Uint8Array {
    const { last } = this.#asSealed().framed
    if (last === undefined) throw new RangeError('the window is empty')
    return last
  }

  /** The window after one more part (publisher). Segments before the head's first one leave it. */
  append(key: StreamKey, head: IndexHead, entry: IndexEntry): IndexWindow {
    assertHead(head)
    assertEntry(entry)
    return this.#nextOwn(key, head, entry)
  }

  /** The window with another head (publisher). */
  withHead(key: StreamKey, head: IndexHead): IndexWindow {
    assertHead(head)
    return this.#nextOwn(key, head, undefined)
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
    const { contents, gone } = this.#next(head, entry)
    return verified(key, contents, {
      headBytes: encoded.head,
      framed: this.#asSealed().framed.append(encoded.entry).without(gone),
      signature: encoded.signature,
    })
  }

  /**
   * The window with another head, from the wire (follower).
   * @throws KairoError `ERR_PROTOCOL`, `ERR_VERIFICATION`.
   */
  withHeadVerified(
    key: StreamPublicKey,
    encoded: { readonly head: Uint8Array; readonly signature: Uint8Array },
  ): IndexWindow {
    const { contents, gone } = this.#next(decodeHead(encoded.head), undefined)
    return verified(key, contents, {
      headBytes: encoded.head,
      framed: this.#asSealed().framed.without(gone),
      signature: encoded.signature,
    })
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

  #nextOwn(key: StreamKey, head: IndexHead, entry: IndexEntry | undefined): IndexWindow {
    const { contents, gone } = this.#next(head, entry)
    const before = this.#sealed?.framed
    return new IndexWindow(contents, {
      seal: { key, before, gone, appended: entry !== undefined },
    })
  }

  #next(
    head: IndexHead,
    entry: IndexEntry | undefined,
  ): { readonly contents: Contents; readonly gone: number } {
    const before = this.entries
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
    while (gone < before.length && (before[gone]?.msn ?? 0) < head.firstMsn) gone += 1
    const kept = gone === 0 ? before : before.slice(gone)
    const last = kept.at(-1)
    if (entry === undefined) {
      checkFirst({ head, entries: kept })
      return { contents: { head, entries: kept }, gone }
    }
    // What is kept followed each other already.
    if (last !== undefined) checkFollows(last, entry)
    const contents: Contents = { head, entries: [...kept, entry] }
    checkFirst(contents)
    return { contents, gone }
  }

  #asSealed(): Sealed {
    if (this.#sealed !== undefined) return this.#sealed
    const seal = this.#seal
    assert(seal !== undefined, 'a window is sealed or has what it is sealed with')
    const headBytes = encodeHead(this.head)
    const framed = this.#encode(seal)
    const signature = seal.key.sign(signingMessage(seal.key, headBytes, framed))
    this.#sealed = { headBytes, framed, signature }
    this.#seal = undefined
    return this.#sealed
  }

  #encode({ before, gone, appended }: Seal): FramedEntries {
    if (before === undefined) return FramedEntries.of(this.entries.map(encodeEntry))
    const last = appended ? this.last : undefined
    return (last === undefined ? before : before.append(encodeEntry(last))).without(gone)
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
function signingMessage(
  key: StreamPublicKey,
  headBytes: Uint8Array,
  framed: FramedEntries,
): Uint8Array {
  const entriesHash = hash('sha256', framed.bytes, 'buffer')
  return Buffer.concat([SIGNING_PREFIX, key.raw, frame(headBytes), entriesHash])
}

function verified(key: StreamPublicKey, contents: Contents, sealed: Sealed): IndexWindow {
  const message = signingMessage(key, sealed.headBytes, sealed.framed)
  if (!key.verify(message, sealed.signature)) {
    throw new KairoError(
      'ERR_VERIFICATION',
      'the signature of an index window is not the stream key\u2019s',
    )
  }
  return new IndexWindow(contents, { sealed })
}

function checkWindow(contents: Contents): void {
  checkFirst(contents)
  let previous: IndexEntry | undefined
  for (const entry of contents.entries) {
    if (previous !== undefined) checkFollows(previous, entry)
    previous = entry
  }
}

/** That a window has its bounds, and begins where its head says. */
function checkFirst({ head, entries }: Contents): void {
  if (entries.length > contentLimits.windowEntriesMax) {
    throw new KairoError('ERR_PROTOCOL', 'an index window has too many entries')
  }
  const first = entries[0]
  if (first !== undefined && (first.msn !== head.firstMsn || first.part !== 0)) {
    throw new KairoError('ERR_PROTOCOL', 'an index window does not begin with its first segment')
  }
}

function checkFollows(previous: IndexEntry, entry: IndexEntry): void {
  if (follows(previous, entry)) return
  throw new KairoError('ERR_PROTOCOL', 'the parts of an index window do not follow each other')
}

function follows(previous: IndexEntry, entry: IndexEntry): boolean {
  if (entry.msn === previous.msn) return !previous.endOfSegment && entry.part === previous.part + 1
  const closed = previous.endOfSegment || entry.discontinuity
  return entry.msn === previous.msn + 1 && entry.part === 0 && closed
}
