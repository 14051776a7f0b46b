/**
 * Walks trees of blocks depth first, in the order of their links, one block at a time. Cycles cannot be (a block would have to hold its
 * own hash); trees that are too deep, too wide or too large end with an error instead of taking the memory.
 */
import type { CID } from 'multiformats/cid'
import { KairoError } from '../../errors.ts'
import { ipfsLimits } from '../../limits/ipfs.ts'
import { codecs, placeOf } from '../block-name.ts'
import { decodeCbor } from './cbor.ts'
import { type ByteSpan, entityLinks } from './entity.ts'
import { decodePbNode } from './pb-node.ts'

/** Reads blocks by name. */
export interface BlockReader {
  /** @throws KairoError `ERR_NOT_FOUND` when the block is not to be had, `ERR_INVALID_INPUT` for a name of an unknown kind. */
  get(cid: CID, options: { readonly signal?: AbortSignal }): Promise<Uint8Array>
}

/** A block and its name. */
export interface Block {
  readonly cid: CID
  readonly bytes: Uint8Array
}

/** Which blocks of a tree are wanted. */
export interface WalkOptions {
  /** `block`: the root alone; `entity`: a file's blocks, or those that list a folder; `all`: everything below. */
  readonly scope: 'block' | 'entity' | 'all'
  /** Bytes of the file, for `entity`; all by default. */
  readonly span?: ByteSpan
  /** Give a block each time that it is met. Default false: once. */
  readonly duplicates?: boolean
  /** Blocks at the most; those of the largest tree by default. */
  readonly blocksMax?: number
  /** Names of blocks that were given already; those walked are added. */
  readonly seen?: Set<string>
  readonly signal?: AbortSignal
}

interface Pending {
  readonly cid: CID
  readonly depth: number
  readonly span: ByteSpan | undefined
}

/**
 * The blocks of the tree below `root`, the root first. Blocks that are inline in their name are not given.
 * @throws KairoError as the reader does; `ERR_PROTOCOL` for a damaged block; `ERR_LIMIT` for a tree beyond the limits.
 */
export async function* walkTree(
  reader: BlockReader,
  root: CID,
  options: WalkOptions,
): AsyncGenerator<Block> {
  const { duplicates = false, seen = new Set<string>(), signal } = options
  const { blocksMax = ipfsLimits.treeBlocksMax } = options
  const stack: Pending[] = [{ cid: root, depth: 0, span: options.span }]
  let count = 0
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { cid, depth } = next
    const place = placeOf(cid)
    const key = place.kind === 'stored' ? `${place.digest}${cid.code}` : ''
    // A span may need other children of the same block the second time.
    const isKnown = key !== '' && seen.has(key) && next.span === undefined
    if (isKnown && !duplicates) continue
    count += 1
    if (depth > ipfsLimits.treeDepthMax || count > blocksMax) throw tooLarge()
    const bytes = await reader.get(cid, signal === undefined ? {} : { signal })
    if (place.kind === 'stored' && (duplicates || !seen.has(key))) {
      seen.add(key)
      yield { cid, bytes }
    }
    const children = childrenOf(cid, bytes, options.scope, next.span)
    if (stack.length + children.length > ipfsLimits.pendingLinksMax) throw tooLarge()
    for (const child of children.reverse()) stack.push({ ...child, depth: depth + 1 })
  }
}

/**
 * Links of a block, in their order.
 * @throws KairoError `ERR_PROTOCOL` for a damaged block.
 */
export function linksOf(cid: CID, bytes: Uint8Array): CID[] {
  if (cid.code === codecs.raw) return []
  if (bytes.byteLength > ipfsLimits.blockBytesMax) throw tooLarge()
  if (cid.code === codecs.dagPb) return decodePbNode(bytes).links.map((link) => link.cid)
  if (cid.code === codecs.dagCbor) return [...decodeCbor(bytes).links]
  throw new KairoError(
    'ERR_INVALID_INPUT',
    `Kairo follows links of raw, dag-pb and dag-cbor blocks; this one has the codec 0x${cid.code.toString(16)}`,
  )
}

function childrenOf(
  cid: CID,
  bytes: Uint8Array,
  scope: WalkOptions['scope'],
  span: ByteSpan | undefined,
): { cid: CID; span: ByteSpan | undefined }[] {
  if (scope === 'block') return []
  if (scope === 'all') return linksOf(cid, bytes).map((link) => ({ cid: link, span: undefined }))
  if (cid.code !== codecs.dagPb) return []
  if (bytes.byteLength > ipfsLimits.blockBytesMax) throw tooLarge()
  return entityLinks(decodePbNode(bytes), span)
}

function tooLarge(): KairoError {
  return new KairoError('ERR_LIMIT', 'the tree is deeper or larger than Kairo follows')
}
