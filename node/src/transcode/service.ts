/**
 * Live transcoding: every publisher's session gets a {@link StreamTranscoder}, and all of them share the machine through one
 * {@link Admission}.
 */
import { strict as assert } from 'node:assert'
import { availableParallelism } from 'node:os'
import type { Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../clock.ts'
import { transcodeLimits as limits } from '../limits/transcode.ts'
import type { Logger } from '../logger.ts'
import type { MediaJobs } from '../media/child/media-run.ts'
import type { EncoderProbe } from '../media/encoders.ts'
import type { PresetStore } from '../media/ladder/preset-store.ts'
import type { PublishedSession, SessionObserver } from '../media/published-session.ts'
import { Admission } from './admission.ts'
import { type MachineLoad, SystemLoad, transcodeCores } from './machine.ts'
import { type StreamTranscoding, streamTranscoding } from './status.ts'
import { StreamTranscoder, type StreamTranscoderComponents } from './stream-transcoder.ts'
import { createTranscodeMetrics, type TranscodeReadings } from './transcode-metrics.ts'

/** What a {@link TranscodeService} works with. */
export interface TranscodeComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly media: MediaJobs
  readonly presets: PresetStore
  /** What the probe found; undefined until it is over, and ladders wait for it. */
  readonly encoders: () => readonly EncoderProbe[] | undefined
  /** The quality of a stream: what its owner chose, else the peer's setting; `source` for one that is not to be transcoded. */
  readonly qualityOf: (streamName: string) => string
  /** Is told of a rung that is given up because the machine cannot carry it; `reason` is a clause for people. */
  readonly onGivenUp?: (stream: string, rung: string, reason: string) => void
  /** Default: this machine. */
  readonly machine?: MachineLoad
}

/** How a {@link TranscodeService} is built; see the settings of the same names. */
export interface TranscodeInit {
  /** 0 takes a share of the machine. */
  readonly transcodeCores: number
}

/** Where the peer's transcoding stands. */
export interface TranscodingStatus {
  readonly budgetCores: number
  readonly usedCores: number
  readonly headroomCores: number
  readonly streams: readonly StreamTranscoding[]
}

/** Transcodes what is published at this peer. */
export class TranscodeService implements SessionObserver {
  readonly #components: StreamTranscoderComponents
  readonly #qualityOf: (streamName: string) => string
  readonly #admission: Admission
  readonly #systemLoad: SystemLoad | undefined
  readonly #transcoders = new Map<string, StreamTranscoder>()
  #status: 'stopped' | 'running' = 'stopped'
  #lastCheckMs = 0
  #cancelCheck: CancelTimer | undefined

  constructor(components: TranscodeComponents, init: TranscodeInit) {
    const { clock, media, presets } = components
    const logger = components.logger.child({ name: 'kairo:transcode' })
    this.#qualityOf = components.qualityOf
    this.#systemLoad = components.machine === undefined ? new SystemLoad() : undefined
    const machine = components.machine ?? (this.#systemLoad as SystemLoad)
    const metrics = createTranscodeMetrics(components.registry, () => this.#readings())
    this.#admission = new Admission(
      {
        clock,
        logger,
        machine,
        onDropped: (reason) => metrics.dropped.inc({ reason }),
        onGivenUp: (stream, rung, reason) => components.onGivenUp?.(stream, rung, reason),
      },
      { budgetCores: transcodeCores(init.transcodeCores, availableParallelism()) },
    )
    this.#components = {
      ...{ clock, logger, media, metrics, presets },
      admission: this.#admission,
      encoders: components.encoders,
    }
  }

  /** Cores that transcoding may use and live streams do not; what work that can wait may take. */
  get headroomCores(): number {
    return Math.max(0, this.#admission.budgetCores - this.#admission.usedCores)
  }

  /** Begins; sessions that start before are not transcoded. */
  start(): void {
    if (this.#status === 'running') return
    this.#status = 'running'
    this.#systemLoad?.start()
    this.#admission.start()
    this.#lastCheckMs = this.#components.clock.monotonicMs()
    this.#checkLater()
  }

  /** Ends all transcoding; the children are told to go, and their pool sees to it that they do. */
  stop(): void {
    this.#status = 'stopped'
    this.#cancelCheck?.()
    this.#cancelCheck = undefined
    for (const transcoder of [...this.#transcoders.values()]) transcoder.stop()
    this.#admission.stop()
    this.#systemLoad?.stop()
  }

  sessionStarted(session: PublishedSession): void {
    if (this.#status !== 'running') return
    const { streamName } = session
    assert(!this.#transcoders.has(streamName), 'a stream has one session at a time')
    const transcoder: StreamTranscoder = new StreamTranscoder(this.#components, {
      session,
      quality: () => this.#qualityOf(streamName),
      onEnded: () => {
        this.#transcoders.delete(streamName)
      },
    })
    this.#transcoders.set(streamName, transcoder)
  }

  /** The choices of a stream's owner may have changed. */
  optionsChanged(streamName: string): void {
    this.#transcoders.get(streamName)?.qualityChanged()
  }

  /** Where everything stands. */
  status(): TranscodingStatus {
    const { budgetCores, usedCores } = this.#admission
    return {
      budgetCores,
      usedCores,
      headroomCores: this.headroomCores,
      streams: this.#streams(),
    }
  }

  #streams(): StreamTranscoding[] {
    return [...this.#transcoders.values()].map((transcoder) => streamTranscoding(transcoder.view()))
  }

  #checkLater(): void {
    this.#cancelCheck = this.#components.clock.after(limits.checkMs, () => {
      const nowMs = this.#components.clock.monotonicMs()
      // A peer that was held up has not yet read what its children said meanwhile.
      const onTime = nowMs - this.#lastCheckMs < limits.checkMs + limits.stallGraceMs
      this.#lastCheckMs = nowMs
      this.#checkLater()
      for (const transcoder of [...this.#transcoders.values()]) transcoder.check(onTime)
    })
  }

  #readings(): TranscodeReadings {
    const streams = this.#streams()
    const rungs = new Map<string, number>()
    const count = (state: string, more: number): void => {
      rungs.set(state, (rungs.get(state) ?? 0) + more)
    }
    for (const state of ['live', 'behind', 'waiting', 'dropped']) count(state, 0)
    for (const stream of streams) {
      for (const { state } of stream.rungs) count(state, 1)
      count('dropped', stream.dropped.length)
    }
    const lags = streams.flatMap((stream) => stream.rungs.map(({ lagMs }) => lagMs ?? 0))
    const speeds = streams.flatMap(({ speed }) => speed ?? [])
    return {
      headroomCores: this.headroomCores,
      budgetCores: this.#admission.budgetCores,
      costFactor: this.#admission.costFactor,
      rungs,
      lagS: Math.max(0, ...lags) / 1000,
      speed: speeds.length === 0 ? 1 : Math.min(...speeds),
    }
  }
}
