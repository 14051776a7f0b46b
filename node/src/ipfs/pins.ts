/**
 * Trees that stay until someone lets them go. The store keeps each of their blocks; here is written down which blocks belong to which
 * tree, one file a tree, so that a block that two trees share goes only with the last of them, and an import that a crash cut off leaves
 * nothing kept behind.
 */
import { randomBytes } from 'node:crypto'
import { appendFile, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../clock.ts'
import { type Digest, digestFromBytes, digestToBytes } from '../content/digest.ts'
import type { ContentStore } from '../content/store/store.ts'
import { KairoError } from '../errors.ts'
import { replaceFileLater, storageError } from '../files.ts'
import { parseJson } from '../json.ts'
import { ipfsLimits } from '../limits/ipfs.ts'
import type { Logger } from '../logger.ts'
import type { IpfsMetrics } from './ipfs-metrics.ts'

/** What the pins stand on. */
export interface PinsComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: IpfsMetrics
  readonly store: Pick<ContentStore, 'keep' | 'release'>
}

const infoSchema = z.object({
  cid: z.string(),
  name: z.string(),
  blocks: z.number().int().nonnegative(),
  bytes: z.number().int().nonnegative(),
  createdAtMs: z.number(),
})

/** A kept tree. */
export type PinInfo = Readonly<z.output<typeof infoSchema>>

const DIGEST_BYTES = 32
const PIN = '.pin'
const PARTIAL = '.partial'

/** The kept trees. */
export class Pins {
  readonly #components: PinsComponents
  readonly #logger: Logger
  readonly #directory: string
  readonly #pins = new Map<string, PinInfo>()
  readonly #writers = new Set<PinWriter>()
  /** One removal after the other. */
  #removal: Promise<unknown> = Promise.resolve()

  constructor(components: PinsComponents, init: { readonly directory: string }) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:ipfs' })
    this.#directory = init.directory
    components.metrics.watchPins(() => {
      let bytes = 0
      for (const pin of this.#pins.values()) bytes += pin.bytes
      return { trees: this.#pins.size, bytes }
    })
  }

  /**
   * Reads what an earlier run wrote, and releases what it did not finish. The store must be running.
   * @throws KairoError `ERR_STORAGE`.
   */
  async start(): Promise<void> {
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 })
      const names = await readdir(this.#directory)
      for (const name of names.filter((one) => one.endsWith(PIN))) await this.#load(name)
      for (const name of names.filter((one) => one.endsWith(PARTIAL))) await this.#clean(name)
    } catch (cause) {
      throw storageError('the pinned trees cannot be read', cause)
    }
  }

  /** The kept trees, the newest first. */
  list(): PinInfo[] {
    return [...this.#pins.values()].sort((a, b) => b.createdAtMs - a.createdAtMs)
  }

  /** The tree with this root, if it is kept. */
  get(cid: string): PinInfo | undefined {
    return this.#pins.get(cid)
  }

  /**
   * Begins a tree. Each writer ends with `commit` or `abandon`.
   * @throws KairoError `ERR_LIMIT`.
   */
  open(): PinWriter {
    if (this.#pins.size + this.#writers.size >= ipfsLimits.pinsMax) {
      this.#components.metrics.limits.inc({ limit: 'pins' })
      throw new KairoError('ERR_LIMIT', `this peer keeps ${ipfsLimits.pinsMax} trees at most`)
    }
    if (this.#writers.size >= ipfsLimits.addsMax) {
      this.#components.metrics.limits.inc({ limit: 'adds' })
      throw new KairoError('ERR_LIMIT', 'too many trees are being added; try again in a moment')
    }
    const writer = new PinWriter(
      { ...this.#components, pins: this },
      join(this.#directory, `${randomBytes(8).toString('hex')}${PARTIAL}`),
    )
    this.#writers.add(writer)
    return writer
  }

  /**
   * Lets a tree go; blocks that no other tree has may be evicted then.
   * @throws KairoError `ERR_NOT_FOUND`, `ERR_STORAGE`.
   */
  async remove(cid: string): Promise<void> {
    const work = this.#removal.then(() => this.#remove(cid))
    // The caller hears of a failure; the next removal only waits for it.
    this.#removal = work.catch(() => {})
    await work
  }

  /** Writes a finished tree down; for its writer. */
  async save(info: PinInfo, digests: Iterable<Digest>, writer: PinWriter): Promise<void> {
    const head = Buffer.from(`${JSON.stringify(info)}\n`)
    const bytes = Buffer.concat([head, ...[...digests].map(digestToBytes)])
    await replaceFileLater(this.#pathOf(info.cid), bytes)
    this.#pins.set(info.cid, info)
    this.#writers.delete(writer)
  }

  /** Releases what a writer took and no tree has; for the writer. */
  async forget(digests: Iterable<Digest>, writer: PinWriter): Promise<void> {
    this.#writers.delete(writer)
    await this.#releaseUnused([...digests])
  }

  async #remove(cid: string): Promise<void> {
    if (!this.#pins.has(cid)) throw new KairoError('ERR_NOT_FOUND', `no tree ${cid} is pinned`)
    try {
      const { digests } = await readPin(this.#pathOf(cid))
      await rm(this.#pathOf(cid))
      this.#pins.delete(cid)
      await this.#releaseUnused(digests)
    } catch (cause) {
      throw storageError('the tree cannot be unpinned', cause)
    }
  }

  async #releaseUnused(digests: readonly Digest[]): Promise<void> {
    const left = new Set(digests)
    for (const cid of [...this.#pins.keys()]) {
      if (left.size === 0) return
      const pin = await readPin(this.#pathOf(cid))
      for (const digest of pin.digests) left.delete(digest)
    }
    for (const digest of left) {
      // Looked at right before, since a tree may have taken the block up meanwhile.
      const isWanted = [...this.#writers].some((writer) => writer.digests.has(digest))
      if (!isWanted) await this.#components.store.release(digest)
    }
  }

  async #load(name: string): Promise<void> {
    try {
      const { info } = await readPin(join(this.#directory, name))
      if (`${info.cid}${PIN}` !== name) throw new KairoError('ERR_VERIFICATION', 'wrong name')
      this.#pins.set(info.cid, info)
    } catch (error) {
      this.#logger.error({ err: error, file: name }, 'a pinned tree cannot be read and is left out')
    }
  }

  async #clean(name: string): Promise<void> {
    const path = join(this.#directory, name)
    const bytes = await readFile(path)
    await this.#releaseUnused(digestsIn(bytes))
    await rm(path, { force: true })
    this.#logger.info({ file: name }, 'released the blocks of an import that was cut off')
  }

  #pathOf(cid: string): string {
    return join(this.#directory, `${cid}${PIN}`)
  }
}

/** A tree that is being added. */
export class PinWriter {
  /** Blocks so far, and the bytes of each. */
  readonly digests = new Map<Digest, number>()
  readonly #components: PinsComponents & { readonly pins: Pins }
  readonly #path: string
  #bytes = 0
  readonly #dropped: Digest[] = []
  #unwritten: Buffer[] = []
  #journal: Promise<void> = Promise.resolve()

  constructor(components: PinsComponents & { readonly pins: Pins }, path: string) {
    this.#components = components
    this.#path = path
  }

  /**
   * Keeps a block that the store has.
   * @throws KairoError `ERR_LIMIT` for too large a tree, `ERR_STORAGE` when there is no room.
   */
  async add(digest: Digest, bytes: number): Promise<void> {
    if (this.digests.has(digest)) return
    if (this.digests.size >= ipfsLimits.treeBlocksMax) {
      this.#components.metrics.limits.inc({ limit: 'tree' })
      throw new KairoError(
        'ERR_LIMIT',
        `a tree may have ${ipfsLimits.treeBlocksMax} blocks; add it in parts`,
      )
    }
    this.digests.set(digest, bytes)
    this.#bytes += bytes
    this.#unwritten.push(digestToBytes(digest))
    await this.#written()
    await this.#components.store.keep(digest)
  }

  /** Takes a block out again; it goes with the end of the tree, unless another one has it. */
  drop(digest: Digest): void {
    this.#bytes -= this.digests.get(digest) ?? 0
    if (this.digests.delete(digest)) this.#dropped.push(digest)
  }

  /** Ends the tree with its root. */
  async commit(cid: string, name: string): Promise<PinInfo> {
    const info = {
      ...{ cid, name, blocks: this.digests.size, bytes: this.#bytes },
      createdAtMs: this.#components.clock.now(),
    }
    try {
      await this.#components.pins.save(info, this.digests.keys(), this)
      await this.#components.pins.forget(this.#dropped, this)
    } catch (cause) {
      throw storageError('the tree cannot be pinned', cause)
    }
    await rm(this.#path, { force: true })
    return info
  }

  /** Lets everything go that was added. */
  async abandon(): Promise<void> {
    // Whoever added hears of a failed journal; letting go works without it.
    await this.#journal.catch(() => {})
    await this.#components.pins.forget([...this.digests.keys(), ...this.#dropped], this)
    await rm(this.#path, { force: true })
  }

  /** Resolves when every block added by now is noted; what waits is written with one call. */
  async #written(): Promise<void> {
    const work = this.#journal.then(async () => {
      const pending = this.#unwritten.splice(0)
      if (pending.length > 0) await appendFile(this.#path, Buffer.concat(pending), { mode: 0o600 })
    })
    this.#journal = work
    try {
      await work
    } catch (cause) {
      throw storageError('the blocks of a tree cannot be noted', cause)
    }
  }
}

async function readPin(path: string): Promise<{ info: PinInfo; digests: Digest[] }> {
  const bytes = await readFile(path)
  const end = bytes.indexOf(0x0a)
  const parsed = infoSchema.safeParse(parseJson(bytes.toString('utf8', 0, Math.max(end, 0))))
  if (!parsed.success) throw new KairoError('ERR_VERIFICATION', `${path} is damaged`)
  const digests = digestsIn(bytes.subarray(end + 1))
  if (digests.length !== parsed.data.blocks) {
    throw new KairoError('ERR_VERIFICATION', `${path} is damaged`)
  }
  return { info: parsed.data, digests }
}

/** Whole digests; a torn one at the end was not kept yet. */
function digestsIn(bytes: Buffer): Digest[] {
  const digests: Digest[] = []
  for (let at = 0; at + DIGEST_BYTES <= bytes.byteLength; at += DIGEST_BYTES) {
    digests.push(digestFromBytes(bytes.subarray(at, at + DIGEST_BYTES)))
  }
  return digests
}
