/** Follows a path below a root to the block that it names, and remembers the blocks on the way, which prove the path to others. */
import { unixfs } from '@helia/unixfs'
import { CID } from 'multiformats/cid'
import { KairoError } from '../../errors.ts'
import { ipfsLimits } from '../../limits/ipfs.ts'
import { codecs, placeOf } from '../block-name.ts'
import { ContentBlockstore } from '../blockstore.ts'
import { type CborValue, decodeCbor } from '../dag/cbor.ts'
import { decodePbNode } from '../dag/pb-node.ts'
import { decodeUnixFs } from '../dag/unixfs-node.ts'
import type { Block, BlockReader } from '../dag/walk.ts'

/** Where a path leads. */
export interface ResolvedPath {
  /** The block at its end, or that in which the value at its end is. */
  readonly cid: CID
  /** Blocks read on the way, the root first; that of `cid` is not among them. */
  readonly blocks: readonly Block[]
  /** The CID after each segment, the root first; within a block it stays that of the block. */
  readonly roots: readonly CID[]
}

/** A path that leads nowhere, though every block on the way is here: they prove it. */
export class PathMissing extends KairoError {
  /** What was read, the root first. */
  readonly blocks: readonly Block[]
  /** The CID after each segment that there is, the root first. */
  readonly roots: readonly CID[]

  constructor(cause: KairoError, way: Pick<PathMissing, 'blocks' | 'roots'>) {
    super(cause.code, cause.message, { cause })
    this.blocks = way.blocks
    this.roots = way.roots
  }
}

/** The same before it is known which blocks were read. */
class NameMissing extends KairoError {}

interface Options {
  readonly signal?: AbortSignal
}

/**
 * @throws PathMissing (`ERR_NOT_FOUND`) when there is no such path; KairoError `ERR_NOT_FOUND` when a block on it is missing,
 * `ERR_PROTOCOL` for damaged blocks.
 */
export async function resolvePath(
  reader: BlockReader,
  root: CID,
  segments: readonly string[],
  options: Options,
): Promise<ResolvedPath> {
  // Each once: a folder's first shard is read to see what it is, and again to look in it.
  const read = new Map<string, Block>()
  const recording: BlockReader = {
    get: async (cid, readOptions) => {
      const bytes = await reader.get(cid, readOptions)
      if (placeOf(cid).kind === 'stored') read.set(cid.toString(), { cid, bytes })
      return bytes
    },
  }
  const roots = [root]
  let cid = root
  let left = [...segments]
  while (left.length > 0) {
    const step = await follow(recording, cid, left, options).catch((error: unknown) => {
      const blocks = [...read.values()]
      throw error instanceof NameMissing ? new PathMissing(error, { blocks, roots }) : error
    })
    const within = left.length - step.left.length - 1
    for (let count = 0; count < within; count += 1) roots.push(cid)
    cid = step.cid
    left = step.left
    roots.push(cid)
  }
  read.delete(cid.toString())
  return { cid, blocks: [...read.values()], roots }
}

interface Step {
  readonly cid: CID
  readonly left: string[]
}

async function follow(
  reader: BlockReader,
  cid: CID,
  segments: readonly string[],
  options: Options,
): Promise<Step> {
  const [name = '', ...left] = segments
  const bytes = await reader.get(cid, options)
  if (bytes.byteLength > ipfsLimits.blockBytesMax) throw noPath(name)
  if (cid.code === codecs.dagCbor) return followCbor(cid, decodeCbor(bytes).value, segments)
  if (cid.code !== codecs.dagPb) throw noPath(name)
  const node = decodePbNode(bytes)
  const type = node.data === undefined ? undefined : decodeUnixFs(node.data).type
  if (type === 'shard') return { cid: await findInShard(reader, cid, name, options), left }
  if (type !== undefined && type !== 'directory') throw noPath(name)
  const link = node.links.find((one) => one.name === name)
  if (link === undefined) throw noPath(name)
  return { cid: link.cid, left }
}

/** Within one block up to the first link, or to a value of the block. */
function followCbor(cid: CID, root: CborValue, segments: readonly string[]): Step {
  let value: CborValue | undefined = root
  for (const [index, name] of segments.entries()) {
    if (value instanceof Map) value = value.get(name)
    else if (Array.isArray(value) && /^\d{1,9}$/.test(name)) value = value[Number(name)]
    else value = undefined
    if (value instanceof CID) return { cid: value, left: segments.slice(index + 1) }
    if (value === undefined) throw noPath(name)
  }
  return { cid, left: [] }
}

/** Folders with many entries are hash tries, whose hash function the library brings along. */
async function findInShard(
  reader: BlockReader,
  cid: CID,
  name: string,
  options: Options,
): Promise<CID> {
  const found: { cid?: CID } = {}
  // The library reads the entry itself as the last step; that block is not on the way to it.
  const only: BlockReader = {
    get: async (wanted, readOptions) => {
      if (wanted.equals(cid)) return await reader.get(wanted, readOptions)
      const bytes = await reader.get(wanted, readOptions)
      found.cid = wanted
      return bytes
    },
  }
  const blockstore = new ContentBlockstore({ store: noStore, reader: only })
  try {
    // A backslash would keep the library from taking the name as one segment.
    if (name.includes('\\')) throw noPath(name)
    const stats = await unixfs({ blockstore }).stat(cid, { ...options, path: name })
    return stats.cid
  } catch (error) {
    if ((error as Error).name === 'NotUnixFSError' && found.cid !== undefined) return found.cid
    if (error instanceof KairoError) throw error
    throw noPath(name)
  }
}

const noStore = { put: () => {}, has: () => false, delete: () => {} }

function noPath(name: string): KairoError {
  return new NameMissing('ERR_NOT_FOUND', `there is no ${JSON.stringify(name)} there`)
}
