/** A response in the cache: its head, where its bytes are, and what a purge knows it by. */
import type { Digest } from '../../content/digest.ts'
import type { StoredHead } from '../message.ts'
import type { BodyFill } from './body-fill.ts'

/** Content codings that the cache itself makes. */
export type Coding = 'br' | 'gzip' | 'zstd'

/** A body as objects of the content store: slices of the same size, the last one shorter. */
export interface SlicedBody {
  /** Bytes of the whole. */
  readonly length: number
  readonly sliceBytes: number
  /** By number; undefined where a slice has not been fetched yet. */
  readonly slices: (Digest | undefined)[]
}

/** The same body in another coding. */
export interface EncodedBody {
  readonly digest: Digest
  readonly length: number
}

/** What a new entry is made of. */
export interface EntryInit {
  /** The cache key, which is the URL as cached. */
  readonly key: string
  /** Id of the host rule. */
  readonly rule: string
  /** Lower case, with a port that is not the default. */
  readonly host: string
  readonly head: StoredHead
  readonly tags: readonly string[]
  /** True when the origin serves ranges and names its version by a strong validator, so that a missing slice can be fetched by itself. */
  readonly rangeable: boolean
  readonly body?: SlicedBody
}

let entriesMade = 0

/** One stored response. */
export class CacheEntry {
  /** Of all entries of this process, this one. */
  readonly id: number
  readonly key: string
  readonly rule: string
  readonly host: string
  tags: readonly string[]
  readonly rangeable: boolean
  head: StoredHead
  /** Undefined while a body of unknown length is being fetched. */
  body: SlicedBody | undefined
  /** What is being fetched now. */
  fill: BodyFill | undefined
  readonly encoded = new Map<Coding, EncodedBody>()
  /** False once it is forgotten or replaced: answers that have begun go on, none begins. */
  alive = true
  /** Set by each use, taken back when its turn to go has come. */
  used = false
  /** Grows with every change of the head. */
  version = 0
  /** Estimated bytes in memory. */
  readonly bytes: number

  constructor(init: EntryInit, overheadBytes: number) {
    entriesMade += 1
    this.id = entriesMade
    this.key = init.key
    this.rule = init.rule
    this.host = init.host
    this.head = init.head
    this.tags = init.tags
    this.rangeable = init.rangeable
    this.body = init.body
    this.bytes = overheadBytes + textBytes(init)
  }

  /** Tells variants of one key apart. */
  get variant(): string {
    return variantOf(this.head.varyFields)
  }

  /** Length of the body, when it is known. */
  get length(): number | undefined {
    return this.body?.length ?? this.fill?.length
  }
}

/** Fields of a request in one text, whatever their order. */
export function variantOf(varyFields: Readonly<Record<string, string>>): string {
  const names = Object.keys(varyFields)
  return names.length === 0
    ? ''
    : JSON.stringify(names.sort().map((name) => [name, varyFields[name]]))
}

function textBytes(init: EntryInit): number {
  let bytes = init.key.length
  for (const [name, value] of Object.entries(init.head.headers)) bytes += name.length + value.length
  for (const tag of init.tags) bytes += tag.length
  return bytes + (init.body === undefined ? 1 : init.body.slices.length) * 72
}
