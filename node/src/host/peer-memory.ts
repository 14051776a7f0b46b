/**
 * The memory of other peers, by which a network finds itself again when the addresses it began with are gone. libp2p's peer
 * store keeps the time at which an address was first heard, never that of the last, and takes old ones for outdated: after
 * some days of quiet work nobody would remember anybody. So it keeps addresses for good here, and this forgets peers by
 * when they were last spoken with.
 */
import type { Peer, PeerId, PeerStore } from '@libp2p/interface'
import type { CancelTimer, Clock } from '../clock.ts'
import { rememberedLimits } from '../limits/reach.ts'
import type { Logger } from '../logger.ts'

/** Wall milliseconds as decimal text, in the metadata of a peer. */
const LAST_SEEN_KEY = 'kairo-last-seen'

/** A peer that is remembered, with its addresses. */
export interface RememberedPeer {
  readonly peerId: string
  readonly addresses: string[]
}

/** What the memory needs. */
export interface PeerMemoryComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly peerStore: PeerStore
  /** Ids of connected peers. */
  readonly connected: () => readonly string[]
}

/** Who was seen, when, and who is forgotten. */
export class PeerMemory {
  readonly #components: PeerMemoryComponents
  /** Peers that were known by hearsay alone when the memory was last gone through. */
  #hearsay = new Set<string>()
  #cancelPrune: CancelTimer | undefined
  #status: 'stopped' | 'started' = 'stopped'

  constructor(components: PeerMemoryComponents) {
    this.#components = components
  }

  /** Forgets old peers, now and from time to time. */
  start(): void {
    this.#status = 'started'
    const { clock, logger } = this.#components
    const pruned = this.#prune().then((count) => {
      logger.debug({ count }, 'forgot peers not seen for long')
    })
    this.#unlessStopped(pruned, 'could not go through the remembered peers')
    this.#cancelPrune = clock.after(rememberedLimits.pruneIntervalMs, () => this.start())
  }

  /** Forgets nobody any more; what is being written may still fail, unheard. */
  stop(): void {
    this.#status = 'stopped'
    this.#cancelPrune?.()
  }

  /** A peer is there, now. */
  seen(peerId: PeerId): void {
    const { clock, peerStore } = this.#components
    const metadata = { [LAST_SEEN_KEY]: Buffer.from(String(clock.now())) }
    this.#unlessStopped(peerStore.merge(peerId, { metadata }), 'could not remember a peer')
  }

  /** Peers that are not connected and have addresses, those seen last first: at most `max`. */
  async recent(max: number): Promise<RememberedPeer[]> {
    const connected = new Set(this.#components.connected())
    const peers = await this.#components.peerStore.all({
      filters: [(peer) => peer.addresses.length > 0 && !connected.has(peer.id.toString())],
    })
    return peers
      .sort((a, b) => lastSeenMs(b) - lastSeenMs(a))
      .slice(0, max)
      .map(({ id, addresses }) => ({
        peerId: id.toString(),
        addresses: addresses.map(({ multiaddr }) => multiaddr.toString()),
      }))
  }

  /**
   * Forgets who has not been seen for long, who was known by hearsay before the last time, and the oldest of too many.
   * Resolves with how many were forgotten.
   */
  async #prune(): Promise<number> {
    const { clock, connected, peerStore } = this.#components
    const here = new Set(connected())
    const peers = (await peerStore.all())
      .filter(({ id }) => !here.has(id.toString()))
      .sort((a, b) => lastSeenMs(b) - lastSeenMs(a))
    const oldestMs = clock.now() - rememberedLimits.memoryMsMax
    const hearsay = new Set<string>()
    let forgotten = 0
    for (const [index, peer] of peers.entries()) {
      const id = peer.id.toString()
      const seenMs = lastSeenMs(peer)
      const isOutdated = seenMs === 0 ? this.#hearsay.has(id) : seenMs < oldestMs
      if (!isOutdated && index < rememberedLimits.peersMax) {
        if (seenMs === 0) hearsay.add(id)
        continue
      }
      await peerStore.delete(peer.id)
      forgotten++
    }
    this.#hearsay = hearsay
    return forgotten
  }

  #unlessStopped(work: Promise<unknown>, failure: string): void {
    work.catch((error: Error) => {
      if (this.#status === 'started') this.#components.logger.warn({ err: error }, failure)
    })
  }
}

/** 0 for a peer that was never spoken with. */
function lastSeenMs({ metadata }: Peer): number {
  const value = metadata.get(LAST_SEEN_KEY)
  return value === undefined ? 0 : Number(Buffer.from(value).toString()) || 0
}
