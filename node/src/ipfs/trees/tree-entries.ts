/** The files and folders of a tree, in the order in which an archive has them. */
import type { CID } from 'multiformats/cid'
import { KairoError } from '../../errors.ts'
import { ipfsLimits } from '../../limits/ipfs.ts'
import type { BlockReader } from '../dag/walk.ts'
import type { TarInput } from '../tar/tar-writer.ts'
import { describeNode, listFolder, readFile } from './unixfs-reader.ts'

/** A name that is one step down a path, on every system. */
const HARMLESS = /^(?!\.{1,2}$)[^/\\\0]+$/

/**
 * Everything below `root`, which is called `name`; folders before what is in them.
 * @throws KairoError `ERR_LIMIT` for too many entries or too deep folders, `ERR_PROTOCOL` for names that lead elsewhere,
 * `ERR_INVALID_INPUT` for links and other things that are neither file nor folder.
 */
export async function* treeEntries(
  reader: BlockReader,
  root: CID,
  name: string,
  options: { readonly signal?: AbortSignal },
): AsyncGenerator<TarInput> {
  const stack = [{ cid: root, path: name, depth: 0 }]
  let count = 0
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { cid, path, depth } = next
    count += 1
    if (count + stack.length > ipfsLimits.entriesMax || depth > ipfsLimits.pathSegmentsMax) {
      throw new KairoError('ERR_LIMIT', 'the tree has more entries than Kairo exports')
    }
    const node = await describeNode(reader, cid, options)
    if (node.type === 'file') {
      const { bytes } = node
      const content = () => readFile(reader, cid, { start: 0, end: bytes }, options)
      yield { type: 'file', path, bytes, content }
      continue
    }
    if (node.type === 'other') {
      throw new KairoError('ERR_INVALID_INPUT', `${path} is neither a file nor a folder`)
    }
    yield { type: 'folder', path, bytes: 0, content: nothing }
    const entries = await listFolder(reader, cid, options)
    for (const entry of entries.reverse()) {
      if (!HARMLESS.test(entry.name)) {
        throw new KairoError('ERR_PROTOCOL', `${path} has an entry whose name leads elsewhere`)
      }
      const child = `${path}/${entry.name}`
      if (child.length > ipfsLimits.pathCharsMax) {
        throw new KairoError('ERR_LIMIT', 'a path in the tree is too long')
      }
      stack.push({ cid: entry.cid, path: child, depth: depth + 1 })
    }
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
