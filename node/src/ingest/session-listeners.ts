/** Those who listen to a publisher's session. One that fails is left out from then on; the publisher goes on. */
import { KairoError } from '../errors.ts'
import { sessionLimits } from '../limits/packaging.ts'
import type { Logger } from '../logger.ts'
import type { AccessUnit, TrackConfig } from '../media/access-unit.ts'
import type { SegmentCut, SessionListener } from '../media/published-session.ts'

/** The listeners of one session, in the order in which they came. */
export class SessionListeners {
  readonly #logger: Logger
  readonly #stream: string
  readonly #listeners = new Set<SessionListener>()
  /** The configurations shown so far, by kind and track. */
  readonly #configs = new Map<string, TrackConfig>()
  #ended: string | undefined

  constructor(logger: Logger, stream: string) {
    this.#logger = logger
    this.#stream = stream
  }

  /**
   * Adds a listener, which hears at once what has been configured; after the end only that it has come.
   * @throws KairoError `ERR_LIMIT`.
   */
  add(listener: SessionListener): () => void {
    if (this.#listeners.size >= sessionLimits.listenersMax) {
      throw new KairoError(
        'ERR_LIMIT',
        `a session has at most ${sessionLimits.listenersMax} listeners`,
      )
    }
    this.#listeners.add(listener)
    for (const config of this.#configs.values()) {
      this.#tell(listener, () => listener.configured?.(config))
    }
    const reason = this.#ended
    if (reason !== undefined) {
      this.#tell(listener, () => listener.ended?.(reason))
      this.#listeners.delete(listener)
    }
    return () => this.#listeners.delete(listener)
  }

  configured(config: TrackConfig): void {
    this.#configs.set(`${config.kind} ${config.track ?? 0}`, config)
    for (const listener of this.#listeners)
      this.#tell(listener, () => listener.configured?.(config))
  }

  unit(unit: AccessUnit, cut: SegmentCut | undefined): void {
    for (const listener of this.#listeners) {
      // Runs for every unit: who hears only of the end costs nothing.
      if (listener.unit !== undefined) this.#tell(listener, () => listener.unit?.(unit, cut))
    }
  }

  ended(reason: string): void {
    this.#ended = reason
    for (const listener of this.#listeners) this.#tell(listener, () => listener.ended?.(reason))
    this.#listeners.clear()
  }

  #tell(listener: SessionListener, call: () => void): void {
    // A listener that failed while it was told of configurations is not told of anything else.
    if (!this.#listeners.has(listener)) return
    try {
      call()
    } catch (error) {
      this.#listeners.delete(listener)
      this.#logger.error(
        { err: error, stream: this.#stream },
        'a listener of a publisher failed and is left out from now on',
      )
    }
  }
}
