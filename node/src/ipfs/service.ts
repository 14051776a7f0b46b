/** The IPFS room put together: trees that are kept, the gateway, and bitswap. */
import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import type { Digest } from '../content/digest.ts'
import type { Fetcher } from '../content/fetch/fetch-client.ts'
import type { ContentStore } from '../content/store/store.ts'
import { deadline } from '../deadline.ts'
import { KairoError } from '../errors.ts'
import { ipfsLimits } from '../limits/ipfs.ts'
import type { Logger } from '../logger.ts'
import { BitswapExchange, type BitswapNode } from './bitswap/bitswap.ts'
import { BlockSources } from './block-sources.ts'
import { Gateway } from './gateway/gateway.ts'
import { IpfsMetrics } from './ipfs-metrics.ts'
import { Pins } from './pins.ts'
import { Trees } from './trees/trees.ts'

/** What the room stands on. */
export interface IpfsComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly store: ContentStore
  readonly fetcher: Pick<Fetcher, 'fetch'>
  /** Kairo peers that may have an object, the best first; a few are asked. */
  readonly providersOf: (digest: Digest) => readonly string[]
  readonly network: {
    /** The running node, for bitswap. */
    libp2p(): BitswapNode
    dial(addresses: readonly string[], options: { readonly signal: AbortSignal }): Promise<string>
  }
}

/** IPFS for this peer. */
export class IpfsService {
  readonly pins: Pins
  readonly trees: Trees
  readonly gateway: Gateway
  readonly sources: BlockSources
  readonly #components: IpfsComponents
  readonly #exchange: BitswapExchange

  /** `directory` is where pinned trees are written down. */
  constructor(components: IpfsComponents, init: { readonly directory: string }) {
    this.#components = components
    const metrics = new IpfsMetrics(components.registry)
    const { clock, logger, store, network } = components
    const base = { clock, logger, store, metrics }
    this.#exchange = new BitswapExchange({ ...base, node: () => network.libp2p() })
    this.sources = new BlockSources({ ...components, metrics, exchange: this.#exchange })
    this.pins = new Pins(base, init)
    this.trees = new Trees({ store, sources: this.sources, pins: this.pins })
    this.gateway = new Gateway({ sources: this.sources, metrics })
  }

  /** Reads the pins and begins to answer bitswap. Store and host must be running. */
  async start(): Promise<void> {
    await this.pins.start()
    await this.#exchange.start()
  }

  /** Ends bitswap; must come before the host's stop. */
  async stop(): Promise<void> {
    await this.#exchange.stop()
  }

  /**
   * Connects to an IPFS peer, so that it is asked for blocks.
   * @throws KairoError `ERR_NO_PROVIDER`, `ERR_TIMEOUT`, `ERR_CONFIG` for an address that is none.
   */
  async connect(address: string, signal?: AbortSignal): Promise<string> {
    const { clock, network } = this.#components
    if (address.length > ipfsLimits.pathCharsMax) {
      throw new KairoError('ERR_INVALID_INPUT', 'the address is too long')
    }
    const limit = deadline(clock, ipfsLimits.blockTimeoutMs, signal)
    try {
      return await network.dial([address], { signal: limit.signal })
    } finally {
      limit.clear()
    }
  }
}
