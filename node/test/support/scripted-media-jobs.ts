/**
 * Media jobs without processes, for tests of what happens around children: a run of a transcode job hands its input back as every
 * output, at once, until the test freezes it, slows it down or ends it.
 */
import { KairoError } from '../../src/errors.ts'
import type { AccessUnit, TrackConfig } from '../../src/media/access-unit.ts'
import type { Json, MediaJob, TranscodeJob } from '../../src/media/child/job.ts'
import type { MediaJobs, MediaRun, MediaRunHandlers } from '../../src/media/child/media-run.ts'

/** A run that a test drives. */
export class ScriptedRun implements MediaRun {
  readonly done: Promise<Json>
  readonly pid: number
  readonly job: TranscodeJob
  /** Everything it was handed. */
  readonly units: AccessUnit[] = []
  readonly configs: TrackConfig[] = []
  /** Takes input and makes nothing, as a stopped process does. */
  frozen = false
  /** Milliseconds of presentation that output stays behind the input. */
  delayMs = 0
  /** Processor time that its signs of life tell of. */
  cpuS = 0
  queuedBytes = 0
  finished = false
  state: 'running' | 'cancelled' | 'ended' = 'running'
  readonly #handlers: MediaRunHandlers
  readonly #outcome = Promise.withResolvers<Json>()
  readonly #waiting: { readonly input: number; readonly unit: AccessUnit }[] = []
  readonly #configured = new Set<number>()

  constructor(job: TranscodeJob, handlers: MediaRunHandlers, pid: number) {
    this.job = job
    this.pid = pid
    this.#handlers = handlers
    this.done = this.#outcome.promise
    this.done.catch(() => {})
  }

  configure(_input: number, config: TrackConfig): void {
    this.configs.push(config)
  }

  write(input: number, unit: AccessUnit): Promise<void> | undefined {
    this.units.push(unit)
    this.#waiting.push({ input, unit })
    if (!this.frozen) this.#signOfLife()
    this.#work(unit.pts - this.delayMs * 90)
    return undefined
  }

  finish(): void {
    this.finished = true
    if (this.frozen) return
    this.#work(Number.POSITIVE_INFINITY)
    this.state = 'ended'
    this.#outcome.resolve(null)
  }

  pause(): void {}

  resume(): void {}

  cancel(): void {
    this.fail(new KairoError('ERR_STOPPED', 'cancelled'))
    this.state = 'cancelled'
  }

  /** Dies of `error`. */
  fail(error: KairoError): void {
    if (this.state !== 'running') return
    this.state = 'ended'
    this.#outcome.reject(error)
  }

  #signOfLife(): void {
    const counts = { unitsIn: this.units.length, unitsOut: 0, position: 0, damaged: 0 }
    this.#handlers.onProgress?.({ ...counts, cpuS: this.cpuS, rssBytes: 1 })
  }

  #work(until: number): void {
    while (!this.frozen && this.state === 'running') {
      const next = this.#waiting[0]
      if (next === undefined || next.unit.pts > until) return
      this.#waiting.shift()
      const outputs = next.input === 0 ? this.job.video : this.job.audio
      const first = next.input === 0 ? 0 : this.job.video.length
      for (const [index] of outputs.entries()) this.#make(first + index, next.unit)
    }
  }

  #make(output: number, unit: AccessUnit): void {
    const resumeAt = this.job.resumeAt[output]
    if (resumeAt !== undefined && unit.pts < resumeAt - 10) return
    const begins = !this.#configured.has(output)
    this.#configured.add(output)
    const config = this.configs.findLast(({ kind }) => kind === unit.kind)
    if (begins && config !== undefined) this.#handlers.onConfig?.(output, config)
    this.#handlers.onUnit?.(output, { ...unit, keyframe: begins || unit.keyframe })
  }
}

/** Jobs that a test drives. */
export class ScriptedMediaJobs implements MediaJobs {
  readonly runs: ScriptedRun[] = []
  /** Thrown by the next runs in its place. */
  refusal: KairoError | undefined
  /** Is told of every new run, for example to freeze it. */
  onRun: (run: ScriptedRun) => void = () => {}

  run(job: MediaJob, handlers: MediaRunHandlers): MediaRun {
    if (this.refusal !== undefined) throw this.refusal
    if (job.type !== 'transcode') throw new Error('only transcode jobs are scripted')
    const run = new ScriptedRun(job, handlers, 1_000 + this.runs.length)
    this.runs.push(run)
    this.onRun(run)
    return run
  }

  /** The newest run. */
  get last(): ScriptedRun {
    const run = this.runs.at(-1)
    if (run === undefined) throw new Error('no job was run')
    return run
  }

  /** Runs that have not ended. */
  get alive(): ScriptedRun[] {
    return this.runs.filter(({ state }) => state === 'running')
  }
}
