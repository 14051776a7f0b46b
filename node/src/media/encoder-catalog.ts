/**
 * Which encoders work on this machine: tried once when the peer starts, in the background, so that neither a slow driver nor a
 * missing one delays it. What did not work is never offered.
 */
import { Gauge, type Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import { type EncoderProbe, probeEncoders } from './encoders.ts'

/** What a catalog needs. */
export interface EncoderCatalogComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
}

/** What the operator allows. */
export interface EncoderCatalogInit {
  /** False: NVENC is neither tried nor offered. */
  readonly nvencEnabled: boolean
}

/** The encoders of this machine. */
export class EncoderCatalog {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #works: Gauge<'encoder' | 'kind'>
  readonly #probe: typeof probeEncoders
  readonly #nvencEnabled: boolean
  #found: readonly EncoderProbe[] | undefined
  #stopped = false

  constructor(
    components: EncoderCatalogComponents,
    init: EncoderCatalogInit,
    probe: typeof probeEncoders = probeEncoders,
  ) {
    this.#nvencEnabled = init.nvencEnabled
    this.#clock = components.clock
    this.#logger = components.logger.child({ name: 'kairo:media' })
    this.#probe = probe
    this.#works = new Gauge({
      name: 'kairo_media_encoder_works',
      help: '1 for an encoder that worked when the peer started, 0 for one that did not',
      labelNames: ['encoder', 'kind'],
      registers: [components.registry],
    })
  }

  /** What was found of every encoder that Kairo knows; undefined while they are tried. */
  get found(): readonly EncoderProbe[] | undefined {
    return this.#found
  }

  /** FFmpeg's names of those that work. */
  get working(): string[] {
    return (this.#found ?? []).filter(({ ok }) => ok).map(({ name }) => name)
  }

  /** Begins to try them; returns at once. */
  start(): void {
    this.#survey().catch((error: unknown) => {
      this.#logger.error({ err: error }, 'the encoders of this machine could not be tried')
    })
  }

  /** A probe under way is left to its own time limit; its findings are not taken any more. */
  stop(): void {
    this.#stopped = true
  }

  async #survey(): Promise<void> {
    const found = await this.#probe({ clock: this.#clock, nvencEnabled: this.#nvencEnabled })
    if (this.#stopped) return
    this.#found = found
    for (const { name, kind, ok } of found) this.#works.set({ encoder: name, kind }, ok ? 1 : 0)
    const hardware = found.filter(({ kind, ok }) => kind === 'hardware' && ok)
    this.#logger.info(
      { encoders: this.working },
      hardware.length > 0 ? 'hardware encoders work' : 'software encoders only',
    )
  }
}
