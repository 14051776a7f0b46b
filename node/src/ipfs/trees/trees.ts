/**
 * Puts files, folders and whole trees into the store and keeps them. Files are cut as `ipfs add --cid-version=1` cuts them (raw leaves
 * of 256 KiB, 174 links a block, SHA-256), so the same file has the same CID everywhere.
 */
import { type AddOptions, unixfs } from '@helia/unixfs'
import type { CID } from 'multiformats/cid'
import type { ContentStore } from '../../content/store/store.ts'
import { KairoError } from '../../errors.ts'
import { ipfsLimits } from '../../limits/ipfs.ts'
import { placeOf } from '../block-name.ts'
import type { BlockSources } from '../block-sources.ts'
import { ContentBlockstore, putBlock } from '../blockstore.ts'
import { readCar } from '../car/car-reader.ts'
import { linksOf, walkTree } from '../dag/walk.ts'
import type { PinInfo, Pins, PinWriter } from '../pins.ts'
import { readTar } from '../tar/tar-reader.ts'

/** What the trees stand on. */
export interface TreesComponents {
  readonly store: Pick<ContentStore, 'put' | 'has' | 'delete'>
  readonly sources: BlockSources
  readonly pins: Pins
}

/** How something is added. */
export interface AddTreeOptions {
  /** For lists; what the tree is called. */
  readonly name: string
  readonly signal?: AbortSignal
}

/** Kubo's defaults for CIDs of version 1; the library's own presets for its chunker and layout are undone by `undefined`. */
const importOptions = {
  profile: 'unixfs-v0-2015',
  cidVersion: 1,
  rawLeaves: true,
  chunker: undefined,
  layout: undefined,
  // An archive gives one file after the other.
  fileImportConcurrency: 1,
  blockWriteConcurrency: ipfsLimits.fetchesMax,
} as unknown as AddOptions

/** Adds trees. */
export class Trees {
  readonly #components: TreesComponents

  constructor(components: TreesComponents) {
    this.#components = components
  }

  /**
   * Adds one file.
   * @throws KairoError `ERR_STORAGE` when there is no room, `ERR_LIMIT`; the source's own errors.
   */
  async addFile(content: AsyncIterable<Uint8Array>, options: AddTreeOptions): Promise<PinInfo> {
    return await this.#keeping(options, async (writer) => {
      const files = unixfs({ blockstore: this.#blockstore(writer) })
      return await files.addByteStream(content, withSignal(options))
    })
  }

  /**
   * Adds the files and folders of a tar archive. The root is the one folder or file that everything is in, else a folder around all.
   * @throws KairoError as {@link Trees.addFile}; `ERR_PROTOCOL` and `ERR_INVALID_INPUT` for a bad archive.
   */
  async addTar(archive: AsyncIterable<Uint8Array>, options: AddTreeOptions): Promise<PinInfo> {
    return await this.#keeping(options, async (writer) => {
      const files = unixfs({ blockstore: this.#blockstore(writer) })
      const tops = new Map<string, CID>()
      let wrapper: CID | undefined
      const entries = files.addAll(candidates(archive), {
        ...withSignal(options),
        wrapWithDirectory: true,
      })
      for await (const { path = '', cid } of entries) {
        if (path === '') wrapper = cid
        else if (!path.includes('/')) tops.set(path, cid)
      }
      if (wrapper === undefined || tops.size === 0)
        throw new KairoError('ERR_INVALID_INPUT', 'the archive is empty')
      const [only] = tops.values()
      if (tops.size !== 1 || only === undefined) return wrapper
      const place = placeOf(wrapper)
      if (place.kind === 'stored' && !only.equals(wrapper)) writer.drop(place.digest)
      return only
    })
  }

  /**
   * Adds the blocks of a CAR, each verified, and keeps the tree below its first root; a CAR that names no root has it last.
   * @throws KairoError as {@link Trees.addFile}; `ERR_VERIFICATION` for a block that is not what it is named, `ERR_INVALID_INPUT` for a
   * tree that is not whole.
   */
  async addCar(archive: AsyncIterable<Uint8Array>, options: AddTreeOptions): Promise<PinInfo> {
    return await this.#keeping(options, async (writer) => {
      const { roots, blocks } = await readCar(archive)
      const store = this.#storing(writer)
      let root = roots[0]
      for await (const { cid, bytes } of blocks) {
        options.signal?.throwIfAborted()
        await putBlock(store, cid, bytes)
        if (roots.length === 0) root = cid
      }
      if (root === undefined) throw new KairoError('ERR_INVALID_INPUT', 'the CAR is empty')
      try {
        await this.#checkWhole(root, options.signal)
      } catch (cause) {
        if (!(cause instanceof KairoError) || cause.code !== 'ERR_NOT_FOUND') throw cause
        throw new KairoError('ERR_INVALID_INPUT', `the CAR lacks blocks: ${cause.message}`, {
          cause,
        })
      }
      return root
    })
  }

  /**
   * Gets a tree from wherever it is to be had, and keeps it.
   * @throws KairoError `ERR_NOT_FOUND` or `ERR_TIMEOUT` when a block does not come, `ERR_LIMIT`, `ERR_STORAGE`.
   */
  async fetch(root: CID, options: AddTreeOptions): Promise<PinInfo> {
    return await this.#keeping(options, async (writer) => {
      await this.#gather(root, writer, options.signal)
      return root
    })
  }

  /** Walks a tree with several blocks asked for at a time; each is kept once. */
  async #gather(root: CID, writer: PinWriter, signal: AbortSignal | undefined): Promise<void> {
    const { network } = this.#components.sources
    const stack = [{ cid: root, depth: 0 }]
    const seen = new Set<string>()
    const visit = async ({ cid, depth }: (typeof stack)[number]): Promise<void> => {
      const bytes = await network.get(cid, signal === undefined ? {} : { signal })
      await putBlock(this.#storing(writer), cid, bytes)
      if (depth > ipfsLimits.treeDepthMax) throw new KairoError('ERR_LIMIT', 'the tree is too deep')
      for (const link of linksOf(cid, bytes).reverse()) {
        const key = `${link.code} ${Buffer.from(link.multihash.bytes).toString('latin1')}`
        if (seen.has(key)) continue
        seen.add(key)
        if (seen.size > ipfsLimits.treeBlocksMax) {
          throw new KairoError('ERR_LIMIT', `a tree may have ${ipfsLimits.treeBlocksMax} blocks`)
        }
        stack.push({ cid: link, depth: depth + 1 })
      }
    }
    while (stack.length > 0) {
      const batch = stack.splice(-ipfsLimits.fetchesMax)
      const results = await Promise.allSettled(batch.reverse().map(visit))
      const failed = results.find((result) => result.status === 'rejected')
      if (failed !== undefined) throw failed.reason
    }
  }

  /** Runs an import; its blocks stay when it ends well, and go when it does not. */
  async #keeping(
    options: AddTreeOptions,
    work: (writer: PinWriter) => Promise<CID>,
  ): Promise<PinInfo> {
    const writer = this.#components.pins.open()
    try {
      const root = await work(writer)
      return await writer.commit(root.toString(), options.name)
    } catch (error) {
      await writer.abandon()
      throw error
    }
  }

  async #checkWhole(root: CID, signal: AbortSignal | undefined): Promise<void> {
    const options = { scope: 'all', ...(signal === undefined ? {} : { signal }) } as const
    for await (const _ of walkTree(this.#components.sources.local, root, options));
  }

  #storing(writer: PinWriter) {
    const onPut = (digest: string, bytes: number): Promise<void> => writer.add(digest, bytes)
    return { store: this.#components.store, onPut }
  }

  #blockstore(writer: PinWriter): ContentBlockstore {
    return new ContentBlockstore({
      ...this.#storing(writer),
      reader: this.#components.sources.local,
    })
  }
}

/** Files as they come, and at the end the folders that nothing is in: the others follow from their files. */
async function* candidates(archive: AsyncIterable<Uint8Array>) {
  const folders = new Set<string>()
  const full = new Set<string>()
  for await (const { type, names, content } of readTar(archive)) {
    const path = names.join('/')
    for (let depth = 1; depth < names.length; depth += 1) full.add(names.slice(0, depth).join('/'))
    if (type === 'folder') folders.add(path)
    else yield { path, content: content() }
  }
  for (const path of folders) if (!full.has(path)) yield { path }
}

function withSignal({ signal }: AddTreeOptions): AddOptions {
  return signal === undefined ? importOptions : { ...importOptions, signal }
}
