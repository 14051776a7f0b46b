/** Restreaming: every live stream is also sent to the targets that its owner chose, each by a child of its own. */
import { strict as assert } from 'node:assert'
import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { MediaJobs } from '../media/child/media-run.ts'
import type { PublishedSession, SessionObserver } from '../media/published-session.ts'
import { hostOf } from '../urls.ts'
import { createRestreamMetrics } from './restream-metrics.ts'
import { StreamRestreamer } from './stream-restreamer.ts'
import { type RestreamTarget, refusalOf } from './target.ts'
import type { RestreamFailure, TargetSenderComponents } from './target-sender.ts'
import type { TargetStatus } from './target-status.ts'

/** What a {@link RestreamService} works with. */
export interface RestreamComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  /** From 0 to 1; spreads attempts. */
  readonly random: () => number
  readonly media: MediaJobs
  /** Every stream of this peer. */
  readonly streamNames: () => readonly string[]
  /** What a stream's owner chose. */
  readonly targetsOf: (streamName: string) => readonly RestreamTarget[]
  /** The stream's own key, which no target may hold; a secret. */
  readonly streamKeyOf: (streamName: string) => string | undefined
  /** Is told of targets that fail; default nobody. */
  readonly onFailed?: (failure: RestreamFailure) => void
}

/** The targets of one stream. */
export interface StreamRestreaming {
  readonly stream: string
  readonly live: boolean
  readonly targets: readonly TargetStatus[]
}

/** Restreams what is published at this peer. */
export class RestreamService implements SessionObserver {
  readonly #components: RestreamComponents
  readonly #senders: TargetSenderComponents
  readonly #streams = new Map<string, StreamRestreamer>()
  #status: 'stopped' | 'running' = 'stopped'

  constructor(components: RestreamComponents) {
    this.#components = components
    const { clock, random, media, registry } = components
    this.#senders = {
      ...{ clock, random, media },
      logger: components.logger.child({ name: 'kairo:restream' }),
      metrics: createRestreamMetrics(registry, (state) => {
        const targets = this.status().flatMap((stream) => stream.targets)
        return targets.filter((target) => target.state === state).length
      }),
      onFailed: (failure) => components.onFailed?.(failure),
    }
  }

  /** Begins; sessions that start before are not restreamed. */
  start(): void {
    this.#status = 'running'
  }

  /** Ends all sending at once. */
  stop(): void {
    this.#status = 'stopped'
    for (const stream of [...this.#streams.values()]) stream.stop()
  }

  sessionStarted(session: PublishedSession): void {
    if (this.#status !== 'running') return
    const { streamName } = session
    assert(!this.#streams.has(streamName), 'a stream has one session at a time')
    const restreamer: StreamRestreamer = new StreamRestreamer(this.#senders, {
      session,
      streamKey: this.#components.streamKeyOf(streamName),
      targets: this.#components.targetsOf(streamName),
      onEnded: () => {
        this.#streams.delete(streamName)
      },
    })
    this.#streams.set(streamName, restreamer)
  }

  /** The choices of a stream's owner may have changed; targets that stay the same notice nothing. */
  optionsChanged(streamName: string): void {
    this.#streams.get(streamName)?.setTargets(this.#components.targetsOf(streamName))
  }

  /**
   * Sees that an address may become a target of a stream.
   * @throws KairoError `ERR_INVALID_INPUT` saying why not.
   */
  check(streamName: string, url: string): void {
    const refusal = refusalOf(url, this.#components.streamKeyOf(streamName))
    if (refusal !== undefined) throw new KairoError('ERR_INVALID_INPUT', refusal)
  }

  /**
   * Tries a target of a live stream again at its next keyframe.
   * @throws KairoError `ERR_NOT_FOUND` when the stream has no such target or is not live.
   */
  retry(streamName: string, targetName: string): void {
    if (this.#streams.get(streamName)?.retry(targetName) === true) return
    throw new KairoError('ERR_NOT_FOUND', `${streamName} is not live with a target ${targetName}`)
  }

  /** Where every target of every stream stands. */
  status(): StreamRestreaming[] {
    return this.#components.streamNames().flatMap((stream) => {
      const live = this.#streams.get(stream)
      const targets = live?.status() ?? this.#components.targetsOf(stream).map(atRest)
      return targets.length === 0 ? [] : [{ stream, live: live !== undefined, targets }]
    })
  }
}

/** A target whose stream is not live. */
function atRest({ name, url, enabled }: RestreamTarget): TargetStatus {
  return {
    ...{ name, enabled, host: hostOf(url), state: 'off', error: undefined, sinceMs: undefined },
    ...{ bytes: 0, bitrateBps: 0, dropped: 0, retries: 0 },
  }
}
