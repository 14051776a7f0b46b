/** What connected peers have said of themselves: which protocols each speaks, and who waits to hear of one that speaks his. */
import type { IdentifyResult } from '@libp2p/interface'
import type { Logger } from '../logger.ts'
import type { PeerWatch } from './network.ts'

interface Watcher {
  readonly protocol: string
  readonly listener: (peerId: string) => void
}

interface Identified {
  /** The connection on which the peer was last identified. */
  readonly connectionId: string
  readonly protocols: readonly string[]
}

/** Connected peers by what they speak. */
export class IdentifiedPeers implements PeerWatch {
  readonly #logger: Logger
  readonly #watchers = new Set<Watcher>()
  readonly #identified = new Map<string, Identified>()

  constructor(components: { readonly logger: Logger }) {
    this.#logger = components.logger
  }

  /** What a connected peer speaks; nothing before it has said so. */
  protocolsOf(peerId: string): readonly string[] {
    return this.#identified.get(peerId)?.protocols ?? []
  }

  watch(protocol: string, listener: (peerId: string) => void): () => void {
    const watcher = { protocol, listener }
    this.#watchers.add(watcher)
    for (const [peerId, { protocols }] of this.#identified) {
      if (protocols.includes(protocol)) this.#notify(watcher, peerId)
    }
    return () => this.#watchers.delete(watcher)
  }

  /** A peer has said what it speaks; each watcher hears of it once for a connection. */
  identified({ peerId, protocols, connection }: IdentifyResult): void {
    const id = peerId.toString()
    const before = this.#identified.get(id)
    this.#identified.set(id, { connectionId: connection.id, protocols })
    for (const watcher of this.#watchers) {
      const told =
        before?.connectionId === connection.id && before.protocols.includes(watcher.protocol)
      if (!told && protocols.includes(watcher.protocol)) this.#notify(watcher, id)
    }
  }

  /** The last connection to a peer is closed. */
  gone(peerId: string): void {
    this.#identified.delete(peerId)
  }

  /** All connections are. */
  clear(): void {
    this.#identified.clear()
  }

  #notify(watcher: Watcher, peerId: string): void {
    try {
      watcher.listener(peerId)
    } catch (error) {
      this.#logger.error({ err: error, protocol: watcher.protocol }, 'a peer listener failed')
    }
  }
}
