/**
 * Bitswap 1.2 (https://specs.ipfs.tech/bitswap-protocol/) through Helia's implementation, on the peer's own libp2p node. Other peers get
 * what the store has and nothing else, at a bounded pace; this peer asks those it is connected to, always with a time limit, since
 * bitswap itself has none.
 */
import { strict as assert } from 'node:assert'
import { withBitswap } from '@helia/bitswap'
import { BaseBlockstore } from 'blockstore-core'
import type { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import type { Clock } from '../../clock.ts'
import type { ContentStore } from '../../content/store/store.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { bitswapLimits, ipfsLimits } from '../../limits/ipfs.ts'
import type { Logger } from '../../logger.ts'
import { BlockMissing, EMPTY_DIGEST, placeOf } from '../block-name.ts'
import type { BlockExchange } from '../block-sources.ts'
import type { IpfsMetrics } from '../ipfs-metrics.ts'
import { letBeQuiet } from './inbound-stream.ts'
import { Pace } from './pace.ts'

type HeliaNode = Parameters<typeof withBitswap>[0]
type Mixin = Parameters<HeliaNode['addMixin']>[0]
type Broker = Exclude<
  Parameters<HeliaNode['addBlockBroker']>[0],
  (...components: never[]) => unknown
>

/** The libp2p node of the host, as Helia's types know it. */
export type BitswapNode = HeliaNode['libp2p']

/** What bitswap stands on. */
export interface BitswapComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: IpfsMetrics
  readonly store: Pick<ContentStore, 'read' | 'has' | 'sizeOf'>
  /** The running node; asked for at the start. */
  readonly node: () => BitswapNode
}

/** Gives and takes blocks. */
export class BitswapExchange implements BlockExchange {
  readonly #components: BitswapComponents
  readonly #logger: Logger
  #broker: (Broker & { stop?(): Promise<void> | void }) | undefined
  #wants = 0

  constructor(components: BitswapComponents) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:bitswap' })
  }

  /** Begins to answer other peers; the host must be running. */
  async start(): Promise<void> {
    assert(this.#broker === undefined, 'bitswap is started once')
    let mixin: Mixin | undefined
    const helia = {
      ...{ status: 'starting', libp2p: boundedNode(this.#components) },
      ...{ blockstore: new ServedBlocks(this.#components), logger: this.#componentLogger() },
      routing: { findProviders: async function* () {} },
      getHasher: (code: number) => {
        if (code === sha256.code) return sha256
        throw new KairoError('ERR_INVALID_INPUT', `no hash function 0x${code.toString(16)} here`)
      },
      hasBlockBroker: () => false,
      addMixin: (added: Mixin) => {
        mixin = added
      },
      addBlockBroker: (broker: Broker) => {
        this.#broker = broker
      },
    } as unknown as HeliaNode
    withBitswap(helia, {
      maxInboundStreams: bitswapLimits.inboundStreamsMax,
      maxOutboundStreams: bitswapLimits.outboundStreamsMax,
      messageReceiveTimeout: bitswapLimits.messageTimeoutMs,
      messageSendTimeout: bitswapLimits.messageTimeoutMs,
      maxIncomingMessageSize: bitswapLimits.messageBytesMax,
      maxOutgoingMessageSize: bitswapLimits.messageBytesMax,
      runOnLimitedConnections: false,
      // The types spell it otherwise than the code that reads it (4.0.19); both are given.
      ...{ maxWantlistSize: bitswapLimits.wantsPerPeerMax },
      ...{ maxWantListSize: bitswapLimits.wantsPerPeerMax },
    })
    await (mixin as Mixin | undefined)?.start?.(helia)
    assert(this.#broker !== undefined, 'bitswap has handed its broker over')
  }

  /** Takes no more requests. */
  async stop(): Promise<void> {
    const broker = this.#broker
    this.#broker = undefined
    await broker?.stop?.()
  }

  async want(cid: CID, options: { readonly signal: AbortSignal }): Promise<Uint8Array> {
    const broker = this.#broker
    if (broker?.retrieve === undefined) throw new KairoError('ERR_STOPPED', 'bitswap does not run')
    if (this.#wants >= bitswapLimits.wantsMax) {
      this.#components.metrics.limits.inc({ limit: 'wants' })
      throw new KairoError('ERR_LIMIT', 'too many blocks are being asked for')
    }
    this.#wants += 1
    try {
      return await broker.retrieve(cid, options)
    } finally {
      this.#wants -= 1
    }
  }

  #componentLogger() {
    const quiet = (): void => {}
    const error = (format: string, ...values: unknown[]): void =>
      this.#logger.debug({ values: values.map(String) }, format)
    const log = Object.assign(quiet, {
      ...{ enabled: false, trace: quiet, error },
      newScope: (): typeof log => log,
    })
    return { forComponent: () => log }
  }
}

/** What other peers are given. `has` and `get` never fail otherwise than by "not here": Helia would leave all other wants unanswered. */
class ServedBlocks extends BaseBlockstore {
  readonly #components: BitswapComponents
  readonly #pace: Pace

  constructor(components: BitswapComponents) {
    super()
    this.#components = components
    this.#pace = new Pace(components.clock, {
      bytesPerSecond: bitswapLimits.servedBytesPerSecondMax,
      burstBytes: bitswapLimits.servedBurstBytes,
      waitersMax: bitswapLimits.servedQueueMax,
    })
  }

  override has(cid: CID): boolean {
    const { store } = this.#components
    const digest = servedDigest(cid)
    if (digest === undefined) return false
    if (digest === EMPTY_DIGEST) return true
    return store.has(digest) && (store.sizeOf(digest) ?? 0) <= ipfsLimits.blockBytesMax
  }

  override async *get(
    cid: CID,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<Uint8Array> {
    const { store, metrics } = this.#components
    const digest = servedDigest(cid)
    if (digest === undefined) throw new BlockMissing(cid)
    if (digest === EMPTY_DIGEST) {
      yield Buffer.alloc(0)
      return
    }
    const mayGo = await this.#pace.take(store.sizeOf(digest) ?? 0, signal)
    if (!mayGo) metrics.limits.inc({ limit: 'served' })
    const bytes = mayGo ? await store.read(digest) : undefined
    if (bytes === undefined || bytes.byteLength > ipfsLimits.blockBytesMax) {
      throw new BlockMissing(cid)
    }
    metrics.served.inc(bytes.byteLength)
    yield bytes
  }
}

function servedDigest(cid: CID): string | undefined {
  try {
    const place = placeOf(cid)
    return place.kind === 'stored' ? place.digest : undefined
  } catch (error) {
    if (isKairoError(error)) return undefined
    throw error
  }
}

/** The part of a node that bitswap uses, with a time limit on each message: slow readers and writers must not keep blocks in memory. */
function boundedNode({ clock, ...components }: BitswapComponents): BitswapNode {
  const node = components.node()
  const part: Partial<BitswapNode> = {
    handle: (protocols, handler, options) =>
      node.handle(
        protocols,
        (stream, connection) => {
          letBeQuiet(stream, clock)
          return handler(stream, connection)
        },
        options,
      ),
    unhandle: (...args) => node.unhandle(...args),
    register: (...args) => node.register(...args),
    unregister: (id) => node.unregister(id),
    getConnections: (...args) => node.getConnections(...args),
    isDialable: (...args) => node.isDialable(...args),
    dial: (...args) => node.dial(...args),
    dialProtocol: async (peer, protocols, options = {}) => {
      const limit = AbortSignal.timeout(bitswapLimits.messageTimeoutMs)
      const { signal } = options
      const both = signal === undefined ? limit : AbortSignal.any([signal, limit])
      const stream = await node.dialProtocol(peer, protocols, { ...options, signal: both })
      const cut = (): void =>
        stream.abort(new KairoError('ERR_TIMEOUT', 'a bitswap message did not leave in time'))
      limit.addEventListener('abort', cut, { once: true })
      stream.addEventListener('close', () => limit.removeEventListener('abort', cut))
      return stream
    },
  }
  return part as BitswapNode
}
