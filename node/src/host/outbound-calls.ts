/** What this peer asks of others: each call is bounded in time, ended by a stop, counted, and its failure told in Kairo's codes. */
import type { Clock } from '../clock.ts'
import { deadline } from '../deadline.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { hostLimits } from '../limits.ts'
import type { HostMetrics } from './host-metrics.ts'

/** What is asked of another peer. */
export type CallKind = 'dial' | 'stream' | 'ping'

/** What calls work with. */
export interface OutboundCallsComponents {
  readonly clock: Clock
  readonly metrics: Pick<HostMetrics, 'outbound'>
}

/** The calls of one run of the host. */
export class OutboundCalls {
  readonly #components: OutboundCallsComponents
  readonly #stopping = new AbortController()

  constructor(components: OutboundCallsComponents) {
    this.#components = components
  }

  /** Fires when the host stops. */
  get stopping(): AbortSignal {
    return this.#stopping.signal
  }

  /** Ends every call. */
  stop(): void {
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
  }

  /**
   * Makes a call.
   * @param target whom it is to, for the error's words.
   * @throws KairoError `ERR_NO_PROVIDER` when it fails, `ERR_TIMEOUT` when the caller's signal fires first, `ERR_STOPPED`,
   * `ERR_INVALID_INPUT` as `work` throws it.
   */
  async make<T>(
    kind: CallKind,
    target: string,
    parent: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { clock, metrics } = this.#components
    const limit = deadline(clock, hostLimits.dialTimeoutMs, parent)
    const signal = AbortSignal.any([limit.signal, this.#stopping.signal])
    try {
      const result = await work(signal)
      metrics.outbound.inc({ kind, outcome: 'ok' })
      return result
    } catch (cause) {
      const error = this.#errorOf(target, parent.aborted, cause)
      metrics.outbound.inc({ kind, outcome: error.code })
      throw error
    } finally {
      limit.clear()
    }
  }

  #errorOf(target: string, parentAborted: boolean, cause: unknown): KairoError {
    if (isKairoError(cause, 'ERR_INVALID_INPUT') || isKairoError(cause, 'ERR_STOPPED')) return cause
    if (this.#stopping.signal.aborted) {
      return new KairoError('ERR_STOPPED', 'the peer is shutting down', { cause })
    }
    if (parentAborted) {
      return new KairoError('ERR_TIMEOUT', `${target} did not answer in time`, { cause })
    }
    return new KairoError('ERR_NO_PROVIDER', `cannot reach ${target}: ${reasonOf(cause)}`, {
      cause,
    })
  }
}

function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join('; ')
  return cause instanceof Error ? cause.message : String(cause)
}
