/** Who answers which requests of other peers, whichever way they come; with the bounds on how many at once. */
import { strict as assert } from 'node:assert'
import type { Clock } from '../../clock.ts'
import { unlessAborted } from '../../deadline.ts'
import { type ErrorCode, errorStatus, isKairoError, KairoError } from '../../errors.ts'
import { peerHttpLimits } from '../../limits/peer-http.ts'
import type { Logger } from '../../logger.ts'
import type { IncomingPeerRequest, PeerHttpAnswer, PeerHttpHandler } from '../peer-http.ts'
import { PerPeerLimit } from '../per-peer-limit.ts'
import { CODE_FIELD, checkFields } from './head.ts'
import type { PeerHttpMetrics, PeerHttpVia } from './peer-http-metrics.ts'

/** What handlers are called with. */
export interface PeerHandlersComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: PeerHttpMetrics
}

/** An answer without a body that tells a code. */
export function refusal(code: ErrorCode): PeerHttpAnswer {
  return { status: errorStatus[code], headers: { [CODE_FIELD]: code } }
}

/** Handlers by the beginning of the path; the longest one counts. */
export class PeerHandlers {
  readonly #components: PeerHandlersComponents
  readonly #handlers = new Map<string, PeerHttpHandler>()
  readonly #slots = new PerPeerLimit({
    totalMax: peerHttpLimits.servedMax,
    perPeerMax: peerHttpLimits.servedPerPeerMax,
  })

  constructor(components: PeerHandlersComponents) {
    this.#components = components
  }

  /** Adds a handler; one a prefix. */
  add(prefix: string, handler: PeerHttpHandler): void {
    assert(prefix.startsWith('/'), 'a prefix begins with a slash')
    assert(!this.#handlers.has(prefix), `one handler for ${prefix}`)
    this.#handlers.set(prefix, handler)
  }

  /**
   * Answers a request and hands the answer to `send`, which sends it whole; the slot of the request is held until then. The
   * controller's signal is the handler's: it fires when the other peer is gone, or when the answer takes too long.
   * @throws what `send` throws; a failure of the handler is an answer.
   */
  async serve(
    via: PeerHttpVia,
    request: IncomingPeerRequest,
    controller: AbortController,
    send: (answer: PeerHttpAnswer) => Promise<void>,
  ): Promise<void> {
    const { metrics } = this.#components
    const full = this.#slots.enter(request.peerId)
    if (full !== undefined) {
      metrics.limits.inc({ limit: 'served' })
      metrics.answered.inc({ via, status: 'refused' })
      return await send(refusal('ERR_LIMIT'))
    }
    try {
      const answer = await this.#answer(request, controller)
      metrics.answered.inc({ via, status: String(answer.status) })
      await send(answer)
    } finally {
      this.#slots.leave(request.peerId)
    }
  }

  async #answer(
    request: IncomingPeerRequest,
    controller: AbortController,
  ): Promise<PeerHttpAnswer> {
    const handler = this.#handlerOf(request.path)
    if (handler === undefined) return refusal('ERR_NOT_FOUND')
    const cancel = this.#components.clock.after(peerHttpLimits.answerMsMax, () => {
      controller.abort(new KairoError('ERR_TIMEOUT', 'the answer took too long'))
    })
    try {
      const { signal } = controller
      const answer = await unlessAborted(handler(request, signal), signal)
      return { ...answer, headers: checkFields(Object.entries(answer.headers ?? {})) }
    } catch (error) {
      return this.#failed(request, error)
    } finally {
      cancel()
    }
  }

  #failed({ peerId, path }: IncomingPeerRequest, error: unknown): PeerHttpAnswer {
    const { logger } = this.#components
    if (isKairoError(error)) {
      logger.debug({ peer: peerId, path, err: error }, 'a request of a peer was refused')
      return refusal(error.code)
    }
    logger.error({ peer: peerId, path, err: error }, 'a request of a peer failed')
    return { status: 500 }
  }

  #handlerOf(path: string): PeerHttpHandler | undefined {
    let best = ''
    for (const prefix of this.#handlers.keys()) {
      if (prefix.length > best.length && path.startsWith(prefix)) best = prefix
    }
    return this.#handlers.get(best)
  }
}
