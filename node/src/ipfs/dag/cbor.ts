/**
 * Reads DAG-CBOR (https://ipld.io/specs/codecs/dag-cbor/spec/) as far as Kairo needs it: links, and the head of a CAR. Bounded in depth
 * and in values, since the blocks are strangers'.
 */
import type { CID } from 'multiformats/cid'
import { ipfsLimits } from '../../limits/ipfs.ts'
import { decodeCid } from '../block-name.ts'
import { malformed } from './protobuf.ts'

/** A value: integers and floats are numbers, byte strings are views of the block. */
export type CborValue =
  | number
  | string
  | boolean
  | null
  | Uint8Array
  | CID
  | readonly CborValue[]
  | ReadonlyMap<string, CborValue>

const LINK_TAG = 42

/** What a block holds, and the links in it in their order. */
export interface CborBlock {
  readonly value: CborValue
  readonly links: readonly CID[]
}

/** @throws KairoError `ERR_PROTOCOL` for bytes that are no DAG-CBOR, or beyond the limits. */
export function decodeCbor(block: Uint8Array): CborBlock {
  const reader = new CborReader(block)
  const value = reader.value(0)
  if (!reader.done) throw malformed('bytes after a CBOR value')
  return { value, links: reader.links }
}

class CborReader {
  readonly links: CID[] = []
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0
  #items = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get done(): boolean {
    return this.#at === this.#bytes.byteLength
  }

  value(depth: number): CborValue {
    this.#items += 1
    if (depth > ipfsLimits.cborDepthMax || this.#items > ipfsLimits.cborItemsMax) {
      throw malformed('too much CBOR in one block')
    }
    const head = this.#take(1)[0] as number
    const [major, info] = [head >> 5, head & 31]
    if (major === 7) return this.#simple(info)
    const argument = this.#argument(info)
    switch (major) {
      case 0:
        return argument
      case 1:
        return -1 - argument
      case 2:
        return this.#take(argument)
      case 3:
        return Buffer.from(this.#take(argument)).toString('utf8')
      case 4:
        return Array.from({ length: this.#count(argument) }, () => this.value(depth + 1))
      case 5:
        return this.#map(argument, depth)
      default:
        return this.#link(argument, depth)
    }
  }

  #map(count: number, depth: number): CborValue {
    const map = new Map<string, CborValue>()
    for (let left = this.#count(count); left > 0; left -= 1) {
      const key = this.value(depth + 1)
      if (typeof key !== 'string') throw malformed('a CBOR map with a key that is no text')
      map.set(key, this.value(depth + 1))
    }
    return map
  }

  #link(tag: number, depth: number): CborValue {
    const bytes = tag === LINK_TAG ? this.value(depth + 1) : undefined
    // A zero stands before the CID: the prefix of "binary" in multibase.
    if (!(bytes instanceof Uint8Array) || bytes[0] !== 0) throw malformed('an unknown CBOR tag')
    const cid = decodeCid(bytes.subarray(1))
    this.links.push(cid)
    return cid
  }

  /** A count of values that the bytes left could hold. */
  #count(claimed: number): number {
    if (claimed > this.#bytes.byteLength - this.#at) throw malformed('CBOR is cut off')
    return claimed
  }

  #argument(info: number): number {
    if (info < 24) return info
    const bytes = info === 24 ? 1 : info === 25 ? 2 : info === 26 ? 4 : 8
    if (info > 27) throw malformed('CBOR of an unknown length')
    const at = this.#at
    this.#take(bytes)
    if (bytes === 1) return this.#view.getUint8(at)
    if (bytes === 2) return this.#view.getUint16(at)
    if (bytes === 4) return this.#view.getUint32(at)
    return Number(this.#view.getBigUint64(at))
  }

  #simple(info: number): CborValue {
    if (info === 20 || info === 21) return info === 21
    if (info === 22) return null
    if (info !== 27) throw malformed('a CBOR value that DAG-CBOR does not have')
    const at = this.#at
    this.#take(8)
    return this.#view.getFloat64(at)
  }

  #take(count: number): Uint8Array {
    if (count > this.#bytes.byteLength - this.#at) throw malformed('CBOR is cut off')
    const start = this.#at
    this.#at += count
    return this.#bytes.subarray(start, this.#at)
  }
}
