/**
 * Providers of a stream from two places at once: the DHT with what gossip tells, and the peers that tell the region that they are in the
 * stream's swarm. Each is handed on as it comes, so the slower of the two holds up nobody.
 */
import type { StreamId } from '../stream.ts'
import type { StreamProviders } from './provider-pool.ts'

/** What it works with. */
export interface WiderProvidersComponents {
  readonly providers: StreamProviders
  /** Peers of a stream's swarm; ends soon, and never throws. */
  readonly peersOf: (id: StreamId, signal: AbortSignal) => Promise<readonly string[]>
}

type Found = IteratorResult<string, unknown> | { readonly swarm: readonly string[] }

/** {@link StreamProviders} with the region's beside them. */
export class WiderProviders implements StreamProviders {
  readonly #components: WiderProvidersComponents

  constructor(components: WiderProvidersComponents) {
    this.#components = components
  }

  async *findProviders(
    id: StreamId,
    options: { readonly signal: AbortSignal },
  ): AsyncGenerator<string, void, undefined> {
    const { providers, peersOf } = this.#components
    const stop = new AbortController()
    const signal = AbortSignal.any([options.signal, stop.signal])
    const own = providers.findProviders(id, { signal })[Symbol.asyncIterator]()
    const told = new Set<string>()
    let isOver = false
    let next: Promise<Found> | undefined
    let swarm: Promise<Found> | undefined = peersOf(id, signal).then((peers) => ({ swarm: peers }))
    try {
      while (!isOver || swarm !== undefined) {
        // Only now: a look-up goes on when somebody asks for the next one.
        if (!isOver) next ??= own.next()
        const found: Found = await Promise.race([next, swarm].filter((each) => each !== undefined))
        let peers: readonly string[] = []
        if ('swarm' in found) {
          swarm = undefined
          peers = found.swarm
        } else {
          next = undefined
          if (found.done === true) isOver = true
          else peers = [found.value]
        }
        for (const peer of peers) {
          if (told.has(peer)) continue
          told.add(peer)
          yield peer
        }
      }
    } finally {
      // Nobody waits for a step that is under way; it ends by the signal.
      stop.abort()
      next?.catch(() => {})
      own.return?.().catch(() => {})
    }
  }

  provide(id: StreamId): void {
    this.#components.providers.provide(id)
  }

  cancel(id: StreamId): void {
    this.#components.providers.cancel(id)
  }
}
