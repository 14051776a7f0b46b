/** Which children of a UnixFS block belong to the same file or folder, or to a span of the file's bytes. */
import type { CID } from 'multiformats/cid'
import type { PbNode } from './pb-node.ts'
import { malformed } from './protobuf.ts'
import { decodeUnixFs, type UnixFsNode } from './unixfs-node.ts'

/** Bytes of a file from `start` to before `end`. */
export interface ByteSpan {
  readonly start: number
  readonly end: number
}

/** A child, and the span that is wanted of it; undefined for all of it. */
export interface EntityLink {
  readonly cid: CID
  readonly span: ByteSpan | undefined
}

/**
 * Children that the whole entity, or the span of its bytes, needs.
 * @throws KairoError `ERR_PROTOCOL` for a damaged block.
 */
export function entityLinks(node: PbNode, span: ByteSpan | undefined): EntityLink[] {
  if (node.data === undefined) return []
  const unixFs = decodeUnixFs(node.data)
  if (unixFs.type === 'shard') return shardLinks(node, unixFs)
  if (unixFs.type !== 'file' && unixFs.type !== 'raw') return []
  if (span === undefined) return node.links.map(({ cid }) => ({ cid, span: undefined }))
  return spanLinks(node, unixFs, span)
}

/** Digits before the name in a link of a shard. */
export function shardPrefixChars({ fanout }: UnixFsNode): number {
  if (fanout < 2 || fanout > 65_536) throw malformed('a shard with an impossible fanout')
  return (fanout - 1).toString(16).length
}

/** Links of a shard whose name is the number alone lead to further shards; the others are entries of the folder. */
function shardLinks(node: PbNode, unixFs: UnixFsNode): EntityLink[] {
  const chars = shardPrefixChars(unixFs)
  return node.links
    .filter(({ name }) => name.length === chars)
    .map(({ cid }) => ({ cid, span: undefined }))
}

function spanLinks(node: PbNode, unixFs: UnixFsNode, span: ByteSpan): EntityLink[] {
  if (unixFs.blockBytes.length !== node.links.length) {
    throw malformed('a file that does not say how many bytes each link has')
  }
  const wanted: EntityLink[] = []
  let at = unixFs.content.byteLength
  for (const [index, { cid }] of node.links.entries()) {
    const bytes = unixFs.blockBytes[index] ?? 0
    const [start, end] = [Math.max(span.start - at, 0), Math.min(span.end - at, bytes)]
    if (start < end) wanted.push({ cid, span: { start, end } })
    at += bytes
    if (at >= span.end) break
  }
  return wanted
}
