/**
 * The parts that a page holds, whole and in pieces, in bounded memory. Bytes come in order by HTTP and in any order from peers; whoever passes them
 * on reads them as they come.
 */
import { assert } from '../errors.ts'
import type { HeldParts } from '../protocol/edge-messages.ts'
import { type PartKey, type PartPlace, readPartKey } from '../protocol/part-key.ts'
import { ProtocolError } from '../protocol/protocol-error.ts'
import type { ByteRange } from './byte-runs.ts'
import { heldRuns } from './held-runs.ts'
import { memoryLimits as limits } from './limits.ts'
import { PartBytes } from './part-bytes.ts'
import { Playheads } from './playheads.ts'
import { Watchers } from './watchers.ts'

/** How it is set up. */
export interface PartMemoryInit {
  /** Of all parts together. Parts that are pinned may take more, when they are fetched by HTTP. */
  readonly bytesMax: number
  /** A part made room for another one. */
  readonly onEvicted: (key: PartKey) => void
}

interface Part {
  readonly place: PartPlace
  readonly bytes: PartBytes
  /** Who brought some of it. */
  readonly peers: Set<string>
  peerBytes: number
  isSealed: boolean
}

/** The memory. */
export class PartMemory {
  readonly #init: PartMemoryInit
  readonly #parts = new Map<PartKey, Part>()
  /** How often each is pinned; a part may be pinned before its first byte. */
  readonly #pins = new Map<PartKey, number>()
  readonly #watchers = new Watchers()
  readonly #playheads = new Playheads()
  #bytesHeld = 0
  #bytesRefused = 0

  constructor(init: PartMemoryInit) {
    this.#init = init
  }

  /** Bytes of all parts. */
  get bytesHeld(): number {
    return this.#bytesHeld
  }

  /** Bytes of peers for which there was no room, since everything else was pinned. */
  get bytesRefused(): number {
    return this.#bytesRefused
  }

  /**
   * Keeps bytes of a part. They are the memory's from then on: nobody writes into them or transfers them. What is there already stays, and nothing is
   * written into a part that is sealed.
   * @param peer who sent them; undefined: HTTP
   * @returns what is new of them; nothing where there is no room
   * @throws ProtocolError for bytes that lie behind the part's end
   */
  write(key: PartKey, offset: number, bytes: Uint8Array, peer?: string): readonly ByteRange[] {
    const part = this.#parts.get(key) ?? newPart(key)
    const news = part.bytes.news(offset, bytes.length)
    const count = news.reduce((sum, { from, to }) => sum + to - from, 0)
    if (count === 0) return []
    const evicted = this.#makeRoom(key, part, count, peer)
    if (evicted === undefined) {
      this.#bytesRefused += count
      return []
    }
    this.#parts.set(key, part)
    for (const range of news) part.bytes.add(range, bytes, offset)
    this.#bytesHeld += count
    if (peer !== undefined) {
      part.peers.add(peer)
      part.peerBytes += count
    }
    this.#tell(key, evicted)
    return news
  }

  /**
   * How long a part is.
   * @throws ProtocolError when it is not as was said before, or less than is there
   */
  setBytes(key: PartKey, bytes: number): void {
    const part = this.#parts.get(key) ?? newPart(key)
    if (!part.bytes.setLength(bytes)) return
    const evicted = this.#makeRoom(key, part, 0, undefined)
    this.#parts.set(key, part)
    this.#tell(key, evicted ?? [])
  }

  /** How long a part is, where that is known. */
  bytesOf(key: PartKey): number | undefined {
    return this.#parts.get(key)?.bytes.length
  }

  /** Bytes in a row from one on. */
  available(key: PartKey, from: number): number {
    return this.#parts.get(key)?.bytes.available(from) ?? 0
  }

  /** The holes, in order; while the length is not known the last one goes to infinity. */
  missing(key: PartKey): readonly ByteRange[] {
    const part = this.#parts.get(key)
    return part?.bytes.missing() ?? [{ from: 0, to: Number.POSITIVE_INFINITY }]
  }

  /** Up to so many bytes of what is available; a view if it lies in one piece. */
  read(key: PartKey, from: number, bytesMax: number): Uint8Array {
    return this.#parts.get(key)?.bytes.read(from, bytesMax) ?? new Uint8Array(0)
  }

  /** Whether all bytes are there. */
  isComplete(key: PartKey): boolean {
    return this.#parts.get(key)?.bytes.isComplete ?? false
  }

  /**
   * A complete part in one piece: a buffer of its own, the same one each time. It stays the memory's: a player that transfers what it is given to a
   * worker is given a copy.
   */
  join(key: PartKey): Uint8Array<ArrayBuffer> {
    return this.#get(key).bytes.join()
  }

  /** The part was verified. */
  seal(key: PartKey): void {
    const part = this.#get(key)
    assert(part.bytes.isComplete, 'a part that is sealed is complete')
    if (part.isSealed) return
    part.isSealed = true
    this.#watchers.tell(key)
  }

  isSealed(key: PartKey): boolean {
    return this.#parts.get(key)?.isSealed ?? false
  }

  /** Who brought some of it. */
  peersOf(key: PartKey): readonly string[] {
    return [...(this.#parts.get(key)?.peers ?? [])]
  }

  /** How many of its bytes came which way. */
  bytesBy(key: PartKey): { readonly http: number; readonly peers: number } {
    const part = this.#parts.get(key)
    const peers = part?.peerBytes ?? 0
    return { http: (part?.bytes.held ?? 0) - peers, peers }
  }

  /** Throws a part away, with what is known of its length; pins stay. */
  drop(key: PartKey): void {
    if (this.#remove(key)) this.#watchers.tell(key)
  }

  /** Keeps a part from being evicted, until it is unpinned as often. */
  pin(key: PartKey): void {
    this.#pins.set(key, (this.#pins.get(key) ?? 0) + 1)
  }

  unpin(key: PartKey): void {
    const count = this.#pins.get(key)
    assert(count !== undefined, 'a part that is unpinned was pinned')
    if (count > 1) this.#pins.set(key, count - 1)
    else this.#pins.delete(key)
  }

  /** The verified parts, in runs; those that would be evicted last stand first, and the others are left out when there are more than a message takes. */
  held(): readonly HeldParts[] {
    const sealed = [...this.#parts.values()].filter(({ isSealed }) => isSealed)
    const places = sealed.map(({ place }) => place)
    return heldRuns(places, (place) => this.#playheads.distance(place))
  }

  /**
   * Where a rendition plays. Parts are evicted by their distance from there: those of renditions that play no more first, then the ones furthest
   * behind, then the ones furthest ahead.
   */
  setPlayhead(rendition: string, sequence: number): void {
    this.#playheads.set(rendition, sequence)
  }

  /**
   * Calls back when a part has new bytes, its length, or its seal, or is gone, until the returned function is called. What a listener changes is told
   * after all have heard of what was before; one that throws stops nobody else.
   * @throws KairoError `ERR_LIMIT`
   */
  watch(key: PartKey, listener: () => void): () => void {
    return this.#watchers.add(key, listener)
  }

  #get(key: PartKey): Part {
    const part = this.#parts.get(key)
    assert(part !== undefined, 'the part is in memory')
    return part
  }

  #remove(key: PartKey): boolean {
    this.#bytesHeld -= this.#parts.get(key)?.bytes.held ?? 0
    return this.#parts.delete(key)
  }

  /** Tells who listens, when the memory is in order again. */
  #tell(key: PartKey, evicted: readonly PartKey[]): void {
    for (const victim of evicted) {
      this.#init.onEvicted(victim)
      this.#watchers.tell(victim)
    }
    this.#watchers.tell(key)
  }

  /** Removes what has to give way to more bytes of a part, and to the part itself where it is new. Undefined: there is no room. */
  #makeRoom(key: PartKey, part: Part, count: number, peer?: string): PartKey[] | undefined {
    const isStranger = peer !== undefined && !part.peers.has(peer)
    if (isStranger && part.peers.size >= limits.sourcesMax) return undefined
    const excess = this.#bytesHeld + count - this.#init.bytesMax
    const isFull = !this.#parts.has(key) && this.#parts.size >= limits.partsMax
    if (excess <= 0 && !isFull) return []
    // What HTTP brings is wanted, and has to have a place. Peers bring what they like: nothing nearer gives way to it, and nothing grows by it.
    const isWanted = peer === undefined || this.#pins.has(key)
    const nearest = isWanted ? 0 : this.#playheads.distance(part.place)
    const { victims, isEnough } = this.#victims(key, { excess, isFull, nearest })
    if (!isEnough && peer !== undefined) return undefined
    for (const victim of victims) this.#remove(victim)
    return victims
  }

  /** The parts that are furthest away, until there are enough of them; those without a byte first where parts are too many. */
  #victims(
    key: PartKey,
    { excess, isFull, nearest }: { excess: number; isFull: boolean; nearest: number },
  ): { victims: PartKey[]; isEnough: boolean } {
    const victims = new Set<PartKey>()
    let left = excess
    while (left > 0 || (isFull && victims.size === 0)) {
      let [furthest, max]: [PartKey | undefined, number] = [undefined, nearest]
      for (const [other, { place, bytes }] of this.#parts) {
        if (other === key || this.#pins.has(other) || victims.has(other)) continue
        const isEmpty = bytes.held === 0
        if (isEmpty && (!isFull || victims.size > 0)) continue
        const distance = isEmpty ? Number.POSITIVE_INFINITY : this.#playheads.distance(place)
        if (distance < max || (distance === max && furthest !== undefined)) continue
        furthest = other
        max = distance
      }
      if (furthest === undefined) break
      const bytes = this.#parts.get(furthest)?.bytes.held ?? 0
      victims.add(furthest)
      left -= bytes
    }
    const isEnough = left <= 0 && (!isFull || victims.size > 0)
    return { victims: [...victims], isEnough }
  }
}

function newPart(key: PartKey): Part {
  const place = readPartKey(key)
  if (place === undefined) throw new ProtocolError('bad key')
  return { place, bytes: new PartBytes(), peers: new Set(), peerBytes: 0, isSealed: false }
}
