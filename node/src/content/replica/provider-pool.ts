/** Which peers to ask for one stream, in which order: those that served well first, those that failed last. */
import { contentLimits } from '../../limits.ts'
import type { StreamId } from '../stream.ts'

/** Where providers come from and where this peer says that it is one; the provider service is one. */
export interface StreamProviders {
  /** Peer ids as they are found, this peer not among them; ends by itself. */
  findProviders(id: StreamId, options: { readonly signal: AbortSignal }): AsyncIterable<string>
  provide(id: StreamId): void
  cancel(id: StreamId): void
}

/** The known providers of one stream, shared by its renditions. */
export class ProviderPool {
  readonly #providers: StreamProviders
  readonly #id: StreamId
  /** Failures since the last success, by peer, in order of discovery. */
  readonly #failures = new Map<string, number>()

  constructor(providers: StreamProviders, id: StreamId) {
    this.#providers = providers
    this.#id = id
  }

  /** Every known provider, the most trusted first. */
  known(): string[] {
    return [...this.#failures].sort(([, a], [, b]) => a - b).map(([peer]) => peer)
  }

  /** Looks for providers beside those that are known. */
  async lookUp(signal: AbortSignal): Promise<void> {
    for await (const peer of this.#providers.findProviders(this.#id, { signal })) {
      this.#learn(peer)
      if (signal.aborted) return
    }
  }

  /** Notes that a peer serves. */
  succeeded(peer: string): void {
    this.#failures.set(peer, 0)
  }

  /** Notes that a peer failed; `weight` says how badly. */
  failed(peer: string, weight = 1): void {
    this.#failures.set(peer, (this.#failures.get(peer) ?? 0) + weight)
  }

  /**
   * Each provider once: those without a failure, then what a new look-up finds, then those that failed. Each is due when the
   * caller asks for the next, so a look-up is made only when it is needed.
   */
  async *round(signal: AbortSignal): AsyncGenerator<string> {
    const tried = new Set<string>()
    for (const peer of this.known()) {
      if (this.#failures.get(peer) !== 0) continue
      tried.add(peer)
      yield peer
    }
    for await (const peer of this.#providers.findProviders(this.#id, { signal })) {
      if (signal.aborted) return
      this.#learn(peer)
      if (tried.has(peer) || (this.#failures.get(peer) ?? 0) > 0) continue
      tried.add(peer)
      yield peer
    }
    for (const peer of this.known()) {
      if (tried.has(peer)) continue
      yield peer
    }
  }

  #learn(peer: string): void {
    if (this.#failures.has(peer)) return
    this.#failures.set(peer, 0)
    if (this.#failures.size <= contentLimits.providersMax) return
    const worst = this.known().at(-1)
    if (worst !== undefined) this.#failures.delete(worst)
  }
}
