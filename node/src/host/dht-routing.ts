/**
 * Content routing over the Kairo DHT (Kademlia; libp2p kad-dht spec).
 */
import type { PeerInfo } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { hostLimits } from '../limits.ts'
import type { Logger } from '../logger.ts'
import type { KairoNode } from './libp2p-node.ts'
import type { ContentRouting } from './network.ts'

/** {@link ContentRouting} over a running node. */
export class DhtRouting implements ContentRouting {
  readonly #node: () => KairoNode
  readonly #logger: Logger

  constructor(components: {
    readonly logger: Logger
    /** The node; asked for at each use, since it is made at start. */
    readonly node: () => KairoNode
  }) {
    this.#node = components.node
    this.#logger = components.logger
  }

  async provide(cid: CID, { signal }: { readonly signal: AbortSignal }): Promise<number> {
    const told = new Set<string>()
    for await (const event of this.#node().services.dht.provide(cid, { signal })) {
      if (event.name === 'PEER_RESPONSE' && event.messageName === 'ADD_PROVIDER') {
        told.add(event.from.toString())
      }
    }
    return told.size
  }

  async cancel(cid: CID): Promise<void> {
    await this.#node().services.dht.cancelReprovide(cid)
  }

  async *findProviders(
    cid: CID,
    { signal }: { readonly signal: AbortSignal },
  ): AsyncIterable<string> {
    for await (const event of this.#node().services.dht.findProviders(cid, { signal })) {
      if (event.name !== 'PROVIDER') continue
      for (const provider of event.providers) {
        await this.#remember(provider)
        yield provider.id.toString()
      }
    }
  }

  async #remember({ id, multiaddrs }: PeerInfo): Promise<void> {
    if (multiaddrs.length === 0 || id.equals(this.#node().peerId)) return
    try {
      await this.#node().peerStore.merge(id, {
        multiaddrs: multiaddrs.slice(0, hostLimits.peerAddressesMax),
      })
    } catch (error) {
      this.#logger.debug({ err: error, peer: id.toString() }, 'could not remember addresses')
    }
  }
}
