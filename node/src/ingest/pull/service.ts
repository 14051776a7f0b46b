/** Pulls every stream whose owner named a source for it, for as long as the option stands. */
import type { Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../logger.ts'
import type { MediaJobs } from '../../media/child/media-run.ts'
import type { Publishing } from '../../media/sink.ts'
import type { StreamKeys } from '../stream-keys.ts'
import type { StreamOptionsStore } from '../stream-options.ts'
import { createPullMetrics } from './pull-metrics.ts'
import { type PullStatus, StreamPull, type StreamPullComponents } from './stream-pull.ts'

/** What a {@link PullService} works with. */
export interface PullComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  /** From 0 to 1; spreads attempts. */
  readonly random: () => number
  readonly media: MediaJobs
  readonly publishing: Publishing
  readonly keys: Pick<StreamKeys, 'get' | 'list'>
  readonly streamOptions: Pick<StreamOptionsStore, 'get' | 'onChange'>
}

/** The pulls of one peer. */
export class PullService {
  readonly #components: PullComponents
  readonly #pullComponents: StreamPullComponents
  readonly #pulls = new Map<string, StreamPull>()
  #stopListening: () => void = () => {}

  constructor(components: PullComponents) {
    this.#components = components
    const { clock, random, media, publishing, registry } = components
    this.#pullComponents = {
      ...{ clock, random, media, publishing },
      logger: components.logger.child({ name: 'kairo:pull' }),
      metrics: createPullMetrics(registry, () => this.status().map(({ state }) => state)),
    }
  }

  /** Begins every pull that is wanted, and follows what owners choose. */
  start(): void {
    const { keys, streamOptions } = this.#components
    this.#stopListening = streamOptions.onChange((name) => this.#update(name))
    for (const { name } of keys.list()) this.#update(name)
  }

  /** Ends every pull. */
  stop(): void {
    this.#stopListening()
    for (const pull of this.#pulls.values()) pull.stop()
    this.#pulls.clear()
  }

  /** Where each pulled stream stands. */
  status(): PullStatus[] {
    return [...this.#pulls.values()].map((pull) => pull.status())
  }

  #update(name: string): void {
    const { keys, streamOptions } = this.#components
    const stream = keys.get(name)
    const url = stream === undefined ? undefined : streamOptions.get(name).pullUrl
    const before = this.#pulls.get(name)
    if (before?.url === url) return
    before?.stop()
    this.#pulls.delete(name)
    if (stream === undefined || url === undefined) return
    const { streamKey } = stream
    const pull = new StreamPull(this.#pullComponents, { streamName: name, streamKey, url })
    this.#pulls.set(name, pull)
    pull.start()
  }
}
