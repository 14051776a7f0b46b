/**
 * Where blocks come from: this peer's store; other Kairo peers; and, for the operator alone, IPFS peers by bitswap. Strangers never
 * make this peer search further than its own network, and for one missing name only once in a while.
 */
import type { CID } from 'multiformats/cid'
import type { Clock } from '../clock.ts'
import type { Digest } from '../content/digest.ts'
import type { Fetcher } from '../content/fetch/fetch-client.ts'
import type { ContentStore } from '../content/store/store.ts'
import { abortReason, deadline } from '../deadline.ts'
import { isKairoError } from '../errors.ts'
import { gatewayLimits, ipfsLimits } from '../limits/ipfs.ts'
import { BlockMissing, type BlockPlace, EMPTY_DIGEST, placeOf } from './block-name.ts'
import { IPFS_OWNER, putBlock } from './blockstore.ts'
import type { BlockReader } from './dag/walk.ts'
import type { IpfsMetrics } from './ipfs-metrics.ts'

/** Gets blocks from IPFS peers. */
export interface BlockExchange {
  /** The block as some peer gave it, not verified; rejects when the signal fires. */
  want(cid: CID, options: { readonly signal: AbortSignal }): Promise<Uint8Array>
}

/** What the sources stand on. */
export interface BlockSourcesComponents {
  readonly clock: Clock
  readonly metrics: IpfsMetrics
  readonly store: Pick<ContentStore, 'read' | 'put' | 'has' | 'delete'>
  readonly fetcher: Pick<Fetcher, 'fetch'>
  /** Kairo peers that may have an object, the best first. */
  readonly providersOf: (digest: Digest) => readonly string[]
  readonly exchange?: BlockExchange | undefined
}

/** The three kinds of readers. */
export class BlockSources {
  /** This peer's store alone. */
  readonly local: BlockReader = { get: (cid, options) => this.#getLocal(cid, options.signal) }
  /** The store, then other Kairo peers: for clients of the gateway. */
  readonly shared: BlockReader = { get: (cid, options) => this.#getShared(cid, options.signal) }
  /** The same, then IPFS peers that this one is connected to: for the operator. */
  readonly network: BlockReader = { get: (cid, options) => this.#getNetwork(cid, options.signal) }
  readonly #components: BlockSourcesComponents
  /** Blocks that no Kairo peer had, and until when (monotonic milliseconds) none is asked again. */
  readonly #misses = new Map<Digest, number>()
  #lookups = 0

  constructor(components: BlockSourcesComponents) {
    this.#components = components
  }

  async #getLocal(cid: CID, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const found = await this.#find(placeOf(cid), signal)
    if (found === undefined) throw new BlockMissing(cid)
    return found
  }

  async #getShared(cid: CID, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const place = placeOf(cid)
    const found = await this.#find(place, signal)
    if (found !== undefined) return found
    const fetched = place.kind === 'stored' ? await this.#lookUp(place.digest, signal) : undefined
    if (fetched === undefined) throw new BlockMissing(cid)
    return fetched
  }

  async #getNetwork(cid: CID, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { clock, exchange, metrics, store } = this.#components
    const limit = deadline(clock, ipfsLimits.blockTimeoutMs, signal)
    try {
      return await this.#getShared(cid, limit.signal)
    } catch (error) {
      if (exchange === undefined || !isKairoError(error, 'ERR_NOT_FOUND')) throw error
    } finally {
      limit.clear()
    }
    const wait = deadline(clock, ipfsLimits.blockTimeoutMs, signal)
    try {
      const bytes = await exchange.want(cid, { signal: wait.signal })
      await putBlock({ store }, cid, bytes)
      metrics.received.inc(bytes.byteLength)
      return bytes
    } catch (error) {
      if (wait.signal.aborted) throw abortReason(wait.signal)
      throw error
    } finally {
      wait.clear()
    }
  }

  async #find(place: BlockPlace, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    if (place.kind === 'inline') return place.bytes
    if (place.digest === EMPTY_DIGEST) return Buffer.alloc(0)
    return await this.#components.store.read(place.digest, signal === undefined ? {} : { signal })
  }

  async #lookUp(digest: Digest, signal: AbortSignal | undefined): Promise<Buffer | undefined> {
    const { clock, fetcher, metrics, providersOf } = this.#components
    const askAgainMs = this.#misses.get(digest) ?? 0
    if (askAgainMs > clock.monotonicMs()) {
      metrics.lookups.inc({ outcome: 'remembered' })
      return undefined
    }
    const providers = providersOf(digest).slice(0, gatewayLimits.providersMax)
    if (providers.length === 0) return undefined
    if (this.#lookups >= gatewayLimits.lookupsMax) {
      metrics.limits.inc({ limit: 'lookups' })
      return undefined
    }
    this.#lookups += 1
    const limit = deadline(clock, gatewayLimits.findTimeoutMs, signal)
    try {
      const options = { signal: limit.signal, owner: IPFS_OWNER }
      const bytes = await fetcher.fetch(digest, providers, options)
      metrics.lookups.inc({ outcome: 'found' })
      return bytes
    } catch (error) {
      if (signal?.aborted === true) throw abortReason(signal)
      if (!isKairoError(error)) throw error
      metrics.lookups.inc({ outcome: 'none' })
      this.#remember(digest)
      return undefined
    } finally {
      this.#lookups -= 1
      limit.clear()
    }
  }

  #remember(digest: Digest): void {
    const [oldest] = this.#misses.keys()
    if (oldest !== undefined && this.#misses.size >= gatewayLimits.missesMax) {
      this.#misses.delete(oldest)
    }
    this.#misses.delete(digest)
    this.#misses.set(digest, this.#components.clock.monotonicMs() + gatewayLimits.missMs)
  }
}
