/**
 * One child at work for one stream: takes the source's units, writes what it makes to the renditions, and tells how it is: when
 * it was last heard of, how far it is, what it costs. Who owns it decides what follows from that.
 */
import assert from 'node:assert/strict'
import type { Clock } from '../clock.ts'
import { TICKS_PER_MS, type TrackConfig } from '../media/access-unit.ts'
import type { JobProgress } from '../media/child/job.ts'
import type { MediaJobs, MediaRun } from '../media/child/media-run.ts'
import type { AudioRung } from '../media/ladder/rung.ts'
import type { CachedUnit } from './gop-cache.ts'
import type { Output } from './outputs.ts'

/** What a run needs. */
export interface TranscodeRunComponents {
  readonly clock: Clock
  readonly media: MediaJobs
}

/** How a run is begun. */
export interface TranscodeRunInit {
  /** Video rungs first, as the job numbers them. */
  readonly outputs: readonly Output[]
  /** Pictures a second that were measured, for sources that do not say. */
  readonly frameRate: number | undefined
  /** Called once, when the child is gone and nobody has let go of it before; undefined is an end in order. */
  readonly onEnd: (error: unknown) => void
}

/** Where one rung stands. */
export interface OutputState {
  readonly output: Output
  /** Behind the newest input, milliseconds. */
  readonly lagMs: number
  /** True once it has made something. */
  readonly live: boolean
}

/** A transcoding child. */
export class TranscodeRun {
  readonly outputs: readonly Output[]
  /** Monotonic milliseconds. */
  readonly startedMs: number
  readonly #clock: Clock
  readonly #run: MediaRun
  readonly #frameRate: number | undefined
  readonly #inputs: { readonly video: boolean; readonly audio: boolean }
  readonly #sent: { video?: unknown; audio?: unknown } = {}
  readonly #live = new Set<number>()
  #firstDts: number | undefined
  #newestDts = 0
  #heardMs: number
  #spoke = false
  /** When it was handed the first unit since it was last heard of. */
  #waitingSinceMs = Number.NEGATIVE_INFINITY
  #progress: { readonly cpuS: number; readonly atMs: number } | undefined
  #cores: number | undefined
  #detached = false
  #finished = false

  /** @throws KairoError `ERR_LIMIT`, `ERR_STOPPED` as {@link MediaJobs.run}. */
  constructor(components: TranscodeRunComponents, init: TranscodeRunInit) {
    this.#clock = components.clock
    this.outputs = init.outputs
    this.#frameRate = init.frameRate
    this.startedMs = this.#heardMs = components.clock.monotonicMs()
    const rungs = init.outputs.map(({ rung }) => rung)
    const video = rungs.filter((rung) => 'width' in rung)
    const audio = rungs.filter((rung): rung is AudioRung => !('width' in rung))
    assert(rungs.length > 0 && !('width' in (rungs[video.length] ?? {})), 'video rungs come first')
    this.#inputs = { video: video.length > 0, audio: audio.length > 0 }
    const resumeAt = init.outputs.map(({ rendition }) => rendition.position)
    this.#run = components.media.run(
      { type: 'transcode', video, audio, resumeAt },
      {
        onConfig: (output, config) => {
          this.#heard()
          this.#rendition(output)?.configure(config)
        },
        onUnit: (output, unit) => {
          this.#heard()
          this.#live.add(output)
          this.#rendition(output)?.write(unit)
        },
        onProgress: (progress) => this.#onProgress(progress),
      },
    )
    const end = (error: unknown): void => {
      if (!this.#detached) init.onEnd(error)
    }
    this.#run.done.then(() => end(undefined), end)
  }

  get pid(): number | undefined {
    return this.#run.pid
  }

  /** Bytes of input that wait for the child. */
  get queuedBytes(): number {
    return this.#run.queuedBytes
  }

  /** Cores that it took lately; undefined before that is known. */
  get cores(): number | undefined {
    return this.#cores
  }

  /** True once it has given a sign of life; before that it may still be loading. */
  get spoke(): boolean {
    return this.#spoke
  }

  /** How long it has said nothing though it has work, milliseconds; 0 while it has none. */
  get silentMs(): number {
    return this.#isWaiting() ? this.#clock.monotonicMs() - this.#waitingSinceMs : 0
  }

  /** Hands a unit to the child, its configuration before it where that is new. Never waits. */
  feed({ unit, config }: CachedUnit): void {
    if (this.#finished || this.#detached || !this.#inputs[unit.kind]) return
    const input = unit.kind === 'video' ? 0 : 1
    if (this.#sent[unit.kind] !== config) {
      this.#sent[unit.kind] = config
      this.#run.configure(input, this.#withRate(config))
    }
    if (!this.#isWaiting()) this.#waitingSinceMs = this.#clock.monotonicMs()
    this.#firstDts ??= unit.dts
    this.#newestDts = Math.max(this.#newestDts, unit.dts)
    // Live media never wait: the owner looks at what is queued and gives up what falls behind.
    this.#run.write(input, unit)?.catch(() => {
      // The pipe broke with its child, of which `done` tells.
    })
  }

  /** No more input: it hands out what it has, and ends. */
  finish(): void {
    this.#finished = true
    this.#run.finish()
  }

  /** Ends it now; nothing more is heard of it. */
  cancel(): void {
    this.#detached = true
    this.#run.cancel()
  }

  /** Where every rung stands. */
  states(): OutputState[] {
    return this.outputs.map((output, index) => {
      const live = this.#live.has(index)
      const begins = this.#firstDts ?? this.#newestDts
      const { position = begins } = output.rendition
      // One that begins after a gap is not late for what it leaves out.
      const reached = live ? position : Math.max(begins, position)
      return { output, lagMs: Math.max(0, (this.#newestDts - reached) / TICKS_PER_MS), live }
    })
  }

  /** Encoders share out their bits by the frame rate, and take 30 where none is said. */
  #withRate(config: TrackConfig): TrackConfig {
    if (config.kind === 'audio' || config.frameRate !== undefined) return config
    return { ...config, frameRate: this.#frameRate }
  }

  #rendition(output: number): Output['rendition'] | undefined {
    if (this.#detached) return undefined
    const { rendition } = this.outputs[output] ?? {}
    assert(rendition !== undefined, 'a child numbers its outputs as its job does')
    return rendition
  }

  #onProgress({ cpuS }: JobProgress): void {
    this.#heard()
    const nowMs = this.#clock.monotonicMs()
    const before = this.#progress
    if (before === undefined) {
      this.#progress = { cpuS, atMs: nowMs }
    } else if (nowMs - before.atMs >= 1_000) {
      this.#cores = ((cpuS - before.cpuS) * 1000) / (nowMs - before.atMs)
      this.#progress = { cpuS, atMs: nowMs }
    }
  }

  #isWaiting(): boolean {
    return this.#waitingSinceMs > this.#heardMs
  }

  #heard(): void {
    this.#spoke = true
    this.#heardMs = this.#clock.monotonicMs()
  }
}
