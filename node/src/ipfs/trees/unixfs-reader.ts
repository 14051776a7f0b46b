/** Reads files and folders out of UnixFS trees. What a block claims is checked against what comes, so a tree cannot lie about its size. */
import type { CID } from 'multiformats/cid'
import { KairoError } from '../../errors.ts'
import { ipfsLimits } from '../../limits/ipfs.ts'
import { codecs } from '../block-name.ts'
import { type ByteSpan, shardPrefixChars } from '../dag/entity.ts'
import { decodePbNode, type PbNode } from '../dag/pb-node.ts'
import { malformed } from '../dag/protobuf.ts'
import { decodeUnixFs, type UnixFsNode } from '../dag/unixfs-node.ts'
import type { BlockReader } from '../dag/walk.ts'

interface Options {
  readonly signal?: AbortSignal
}

/** What a CID is. */
export type TreeNode =
  | { readonly type: 'file'; readonly bytes: number }
  | { readonly type: 'folder' }
  | { readonly type: 'other' }

/** An entry of a folder. */
export interface FolderEntry {
  readonly name: string
  readonly cid: CID
}

/** What the block of a CID is: a file, a folder, or something that is neither. */
export async function describeNode(
  reader: BlockReader,
  cid: CID,
  options: Options,
): Promise<TreeNode> {
  const bytes = await reader.get(cid, options)
  if (cid.code === codecs.raw) return { type: 'file', bytes: bytes.byteLength }
  const part = cid.code === codecs.dagPb ? decodePart(bytes) : undefined
  if (part === undefined) return { type: 'other' }
  const { type, fileBytes, content } = part.unixFs
  if (type === 'directory' || type === 'shard') return { type: 'folder' }
  if (type !== 'file' && type !== 'raw') return { type: 'other' }
  return { type: 'file', bytes: part.node.links.length === 0 ? content.byteLength : fileBytes }
}

/**
 * The entries of a folder.
 * @throws KairoError `ERR_LIMIT` for a folder beyond the limits, `ERR_PROTOCOL` for a damaged one.
 */
export async function listFolder(
  reader: BlockReader,
  root: CID,
  options: Options,
): Promise<FolderEntry[]> {
  const entries: FolderEntry[] = []
  const shards = [root]
  for (let shard = shards.pop(); shard !== undefined; shard = shards.pop()) {
    const part = decodePart(await reader.get(shard, options))
    if (part === undefined) throw malformed('a folder without data')
    const { node, unixFs } = part
    if (unixFs.type === 'directory') {
      entries.push(...node.links)
    } else if (unixFs.type === 'shard') {
      const chars = shardPrefixChars(unixFs)
      for (const { name, cid } of node.links) {
        if (name.length === chars) shards.push(cid)
        else entries.push({ name: name.slice(chars), cid })
      }
    } else throw malformed('a folder that is none')
    if (entries.length + shards.length > ipfsLimits.entriesMax) {
      throw new KairoError('ERR_LIMIT', `the folder has more than ${ipfsLimits.entriesMax} entries`)
    }
  }
  return entries
}

interface Piece {
  readonly cid: CID
  /** Bytes of the file that the parent says are below; undefined for the root. */
  readonly bytes: number | undefined
  readonly span: ByteSpan
  readonly depth: number
}

/**
 * The bytes of a file from `span.start` to before `span.end`.
 * @throws KairoError `ERR_PROTOCOL` where a block does not have the bytes that its parent claims, `ERR_LIMIT` for too deep a tree.
 */
export async function* readFile(
  reader: BlockReader,
  root: CID,
  span: ByteSpan,
  options: Options,
): AsyncGenerator<Uint8Array> {
  const stack: Piece[] = [{ cid: root, bytes: undefined, span, depth: 0 }]
  for (let piece = stack.pop(); piece !== undefined; piece = stack.pop()) {
    if (piece.depth > ipfsLimits.treeDepthMax || stack.length > ipfsLimits.pendingLinksMax) {
      throw new KairoError('ERR_LIMIT', 'the file is deeper or wider than Kairo follows')
    }
    const block = await reader.get(piece.cid, options)
    const { content, children, total } = openPiece(piece, block)
    if (piece.bytes !== undefined && piece.bytes !== total) {
      throw malformed('a part of a file that is not as long as its parent says')
    }
    const { start, end } = piece.span
    if (start < content.byteLength) yield content.subarray(start, Math.min(end, content.byteLength))
    stack.push(...children.reverse())
  }
}

function openPiece(
  piece: Piece,
  block: Uint8Array,
): { content: Uint8Array; children: Piece[]; total: number } {
  if (piece.cid.code === codecs.raw) {
    return { content: block, children: [], total: block.byteLength }
  }
  const part = piece.cid.code === codecs.dagPb ? decodePart(block) : undefined
  if (part === undefined || (part.unixFs.type !== 'file' && part.unixFs.type !== 'raw')) {
    throw malformed('a part of a file that is none')
  }
  const { node, unixFs } = part
  if (unixFs.blockBytes.length !== node.links.length) {
    throw malformed('a file that does not say how many bytes each link has')
  }
  const { content } = unixFs
  const children: Piece[] = []
  let at = content.byteLength
  for (const [index, { cid }] of node.links.entries()) {
    const bytes = unixFs.blockBytes[index] as number
    const start = Math.max(piece.span.start - at, 0)
    const end = Math.min(piece.span.end - at, bytes)
    at += bytes
    if (start < end) children.push({ cid, bytes, span: { start, end }, depth: piece.depth + 1 })
  }
  return { content, children, total: at }
}

function decodePart(block: Uint8Array): { node: PbNode; unixFs: UnixFsNode } | undefined {
  if (block.byteLength > ipfsLimits.blockBytesMax) throw malformed('a block is too large')
  const node = decodePbNode(block)
  if (node.data === undefined) return undefined
  return { node, unixFs: decodeUnixFs(node.data) }
}
