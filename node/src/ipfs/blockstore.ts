/** Blocks in the content store, as IPFS libraries want to see them (interface-blockstore 7). */
import { BaseBlockstore } from 'blockstore-core'
import type { CID } from 'multiformats/cid'
import { type Digest, digestOf } from '../content/digest.ts'
import type { ContentStore } from '../content/store/store.ts'
import { KairoError } from '../errors.ts'
import { ipfsLimits } from '../limits/ipfs.ts'
import { EMPTY_DIGEST, placeOf } from './block-name.ts'
import type { BlockReader } from './dag/walk.ts'

/** What the blockstore stands on. */
export interface ContentBlockstoreComponents {
  readonly store: Pick<ContentStore, 'put' | 'has' | 'delete'>
  /** Where blocks are read; decides whether other peers are asked. */
  readonly reader: BlockReader
  /** Called with each block that was put, before the put ends; it may keep the block. */
  readonly onPut?: (digest: Digest, bytes: number) => Promise<void>
}

interface Options {
  readonly signal?: AbortSignal
}

/** Whose quota blocks count for. */
export const IPFS_OWNER = { tenant: 'ipfs' } as const

/** The content store with CIDs for names. A block is one object, whatever its codec. */
export class ContentBlockstore extends BaseBlockstore {
  readonly #components: ContentBlockstoreComponents

  constructor(components: ContentBlockstoreComponents) {
    super()
    this.#components = components
  }

  /**
   * Verifies a block and stores it.
   * @throws KairoError `ERR_VERIFICATION` when the bytes are not what the CID names, `ERR_TOO_LARGE`, `ERR_INVALID_INPUT` for a CID
   * that Kairo cannot store.
   */
  override async put(
    cid: CID,
    value: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<CID> {
    const bytes = await gather(value)
    await putBlock(this.#components, cid, bytes)
    return cid
  }

  override async *get(cid: CID, options: Options = {}): AsyncGenerator<Uint8Array> {
    yield await this.#components.reader.get(cid, options)
  }

  override has(cid: CID): boolean {
    const place = placeOf(cid)
    if (place.kind === 'inline' || place.digest === EMPTY_DIGEST) return true
    return this.#components.store.has(place.digest)
  }

  override delete(cid: CID): void {
    const place = placeOf(cid)
    if (place.kind === 'stored') this.#components.store.delete(place.digest)
  }
}

/** Verifies one block and stores it; see {@link ContentBlockstore.put}. */
export async function putBlock(
  { store, onPut }: Pick<ContentBlockstoreComponents, 'store' | 'onPut'>,
  cid: CID,
  bytes: Uint8Array,
): Promise<void> {
  if (bytes.byteLength > ipfsLimits.blockBytesMax) {
    throw new KairoError(
      'ERR_TOO_LARGE',
      `a block may have ${ipfsLimits.blockBytesMax} bytes, not ${bytes.byteLength}`,
    )
  }
  const place = placeOf(cid)
  if (place.kind === 'inline') return
  if (digestOf(bytes) !== place.digest) {
    throw new KairoError('ERR_VERIFICATION', `the bytes of block ${cid} are not what it names`)
  }
  if (place.digest === EMPTY_DIGEST) return
  // A copy of its own: what libraries hand in is often a view of a larger buffer, which the store would keep alive.
  if (!store.has(place.digest)) store.put(place.digest, Buffer.from(bytes), { owner: IPFS_OWNER })
  await onPut?.(place.digest, bytes.byteLength)
}

async function gather(
  value: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<Uint8Array> {
  if (value instanceof Uint8Array) return value
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of value) {
    bytes += piece.byteLength
    if (bytes > ipfsLimits.blockBytesMax)
      throw new KairoError('ERR_TOO_LARGE', 'a block is too large')
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}
