/** Which encoders may be used now: those that the probe saw working, less those that the operator shut or that failed lately. */
import type { Clock } from '../clock.ts'
import { transcodeLimits } from '../limits/transcode.ts'
import type { Logger } from '../logger.ts'
import type { EncoderProbe } from '../media/encoders.ts'
import type { EncoderState } from '../media/ladder/plan.ts'

/** What {@link EncoderHealth} works with. */
export interface EncoderHealthComponents {
  readonly clock: Clock
  readonly logger: Logger
  /** What the probe found; undefined until it is over. */
  readonly encoders: () => readonly EncoderProbe[] | undefined
}

/** Encoders and their failures, for all streams together. */
export class EncoderHealth {
  readonly #components: EncoderHealthComponents
  readonly #nvencEnabled: boolean
  /** Monotonic milliseconds until which an encoder is left alone. */
  readonly #failed = new Map<string, number>()

  constructor(components: EncoderHealthComponents, init: { readonly nvencEnabled: boolean }) {
    this.#components = components
    this.#nvencEnabled = init.nvencEnabled
  }

  /** Every encoder and whether it may be used; undefined until the probe is over. */
  states(): EncoderState[] | undefined {
    const nowMs = this.#components.clock.monotonicMs()
    return this.#components.encoders()?.map(({ name, ok }) => {
      const shut = !this.#nvencEnabled && name.endsWith('_nvenc')
      const failing = (this.#failed.get(name) ?? Number.NEGATIVE_INFINITY) > nowMs
      return { name, ok: ok && !shut && !failing }
    })
  }

  /** Leaves a hardware encoder alone for a while; software is all there is left and is never shut out. */
  markFailed(name: string, reason: string): void {
    const untilMs = this.#components.clock.monotonicMs() + transcodeLimits.encoderRetryMs
    this.#failed.set(name, untilMs)
    this.#components.logger.warn(
      { encoder: name, reason },
      'an encoder fails; software takes over for now',
    )
  }
}
