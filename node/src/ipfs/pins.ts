/**
 * Trees that stay until someone lets them go. The store keeps each of their blocks for this room; here is written down which blocks belong
 * to which tree, one file a tree, so that a block that two trees share goes only with the last of them. What the store keeps for this room
 * and no tree has is what a crash left of an import or a removal, and is let go at the start.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../clock.ts'
import { type Digest, digestFromBytes, digestToBytes } from '../content/digest.ts'
import { type Keeper, keepersIn } from '../content/store/keepers.ts'
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
  readonly store: Pick<ContentStore, 'keep' | 'release' | 'kept' | 'has'>
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
/** The trees' word in the store; what the operator keeps besides stays when a tree goes. */
const KEEPER: Keeper = 'ipfs'
const PIN = '.pin'

/** The kept trees. */
export class Pins {
  readonly #components: PinsComponents
  readonly #logger: Logger
  readonly #directory: string
  readonly #pins = new Map<string, PinInfo>()
  readonly #writers = new Set<PinWriter>()
  /** One change of the pins after the other. */
  #change: Promise<unknown> = Promise.resolve()

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
   * Reads what an earlier run wrote, and makes good what a crash or a lost catalog of the store left. The store must be running.
   * @throws KairoError `ERR_STORAGE`.
   */
  async start(): Promise<void> {
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 })
      const names = (await readdir(this.#directory)).filter((name) => name.endsWith(PIN))
      for (const name of names) await this.#load(name)
      await this.#mend({ isComplete: this.#pins.size === names.length })
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
    const writer = new PinWriter({ ...this.#components, pins: this })
    this.#writers.add(writer)
    return writer
  }

  /**
   * Lets a tree go; blocks that no other tree has may be evicted then.
   * @throws KairoError `ERR_NOT_FOUND`, `ERR_STORAGE`.
   */
  async remove(cid: string): Promise<void> {
    await this.#inTurn(() => this.#remove(cid))
  }

  /** Writes a finished tree down; for its writer. */
  async save(info: PinInfo, digests: Iterable<Digest>, writer: PinWriter): Promise<void> {
    const head = Buffer.from(`${JSON.stringify(info)}\n`)
    const bytes = Buffer.concat([head, ...[...digests].map(digestToBytes)])
    await this.#inTurn(async () => {
      await replaceFileLater(this.#pathOf(info.cid), bytes)
      this.#pins.set(info.cid, info)
      this.#writers.delete(writer)
    })
  }

  /** Releases what a writer took and no tree has; for the writer. */
  async forget(digests: Iterable<Digest>, writer: PinWriter): Promise<void> {
    this.#writers.delete(writer)
    const left = [...digests]
    if (left.length > 0) await this.#inTurn(() => this.#releaseUnused(left))
  }

  /** Whoever lets blocks go has read all pins before: none may come or go meanwhile, or a block of a new one would go too. */
  async #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#change.then(work)
    // The caller hears of a failure; the next one only waits for it.
    this.#change = mine.catch(() => {})
    await mine
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
    for (const cid of this.#pins.keys()) {
      if (left.size === 0) return
      const pin = await readPin(this.#pathOf(cid))
      for (const digest of pin.digests) left.delete(digest)
    }
    await this.#atOnce(left, async (digest) => {
      // Looked at right before, since a tree may have taken the block up meanwhile.
      const isWanted = [...this.#writers].some((writer) => writer.digests.has(digest))
      if (!isWanted) await this.#components.store.release(digest, KEEPER)
    })
  }

  /** Some blocks at a time, which the store writes down together. */
  async #atOnce(digests: Iterable<Digest>, work: (digest: Digest) => Promise<void>): Promise<void> {
    const left = [...digests]
    while (left.length > 0) {
      const results = await Promise.allSettled(left.splice(-ipfsLimits.keepsMax).map(work))
      const failed = results.find((result) => result.status === 'rejected')
      if (failed !== undefined) throw failed.reason
    }
  }

  /** A disk that does not take this now must not keep the peer from starting; the next start tries again. */
  async #mend({ isComplete }: { readonly isComplete: boolean }): Promise<void> {
    try {
      await this.#keepAgain()
      // The blocks of a tree that cannot be read look like nobody's.
      if (isComplete) await this.#releaseOrphans()
    } catch (error) {
      this.#logger.error(
        { err: error },
        'what is kept of the pinned trees may not be all and no more',
      )
    }
  }

  /** The store's catalog may have been lost or damaged, and which blocks were kept with it. */
  async #keepAgain(): Promise<void> {
    const { store } = this.#components
    for (const { cid } of this.list()) {
      const { digests } = await readPin(this.#pathOf(cid))
      const lost = digests.filter((digest) => !this.#isKept(digest) && store.has(digest))
      if (lost.length === 0) continue
      this.#logger.warn({ cid, blocks: lost.length }, 'keeping again what the store had forgotten')
      await this.#atOnce(lost, (digest) => store.keep(digest, KEEPER))
    }
  }

  async #releaseOrphans(): Promise<void> {
    const { kept } = this.#components.store
    const orphans = [...kept.keys()].filter((digest) => this.#isKept(digest))
    await this.#releaseUnused(orphans)
  }

  #isKept(digest: Digest): boolean {
    return keepersIn(this.#components.store.kept.get(digest) ?? 0).includes(KEEPER)
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

  #pathOf(cid: string): string {
    return join(this.#directory, `${cid}${PIN}`)
  }
}

/** A tree that is being added. */
export class PinWriter {
  /** Blocks so far, and the bytes of each. */
  readonly digests = new Map<Digest, number>()
  readonly #components: PinsComponents & { readonly pins: Pins }
  #bytes = 0
  readonly #dropped: Digest[] = []

  constructor(components: PinsComponents & { readonly pins: Pins }) {
    this.#components = components
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
    await this.#components.store.keep(digest, KEEPER)
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
    return info
  }

  /** Lets everything go that was added. */
  async abandon(): Promise<void> {
    await this.#components.pins.forget([...this.digests.keys(), ...this.#dropped], this)
  }
}

async function readPin(path: string): Promise<{ info: PinInfo; digests: Digest[] }> {
  const bytes = await readFile(path)
  const end = bytes.indexOf(0x0a)
  const parsed = infoSchema.safeParse(parseJson(bytes.toString('utf8', 0, Math.max(end, 0))))
  if (!parsed.success) throw new KairoError('ERR_VERIFICATION', `${path} is damaged`)
  const list = bytes.subarray(end + 1)
  if (list.byteLength !== parsed.data.blocks * DIGEST_BYTES) {
    throw new KairoError('ERR_VERIFICATION', `${path} is damaged`)
  }
  const digests: Digest[] = []
  for (let at = 0; at < list.byteLength; at += DIGEST_BYTES) {
    digests.push(digestFromBytes(list.subarray(at, at + DIGEST_BYTES)))
  }
  return { info: parsed.data, digests }
}
