/** Push and pull jobs without processes, for tests of what happens around their children. */
import { isKairoError, KairoError } from '../../src/errors.ts'
import type { AccessUnit, TrackConfig } from '../../src/media/access-unit.ts'
import type { Json, MediaJob } from '../../src/media/child/job.ts'
import type { MediaJobs, MediaRun, MediaRunHandlers } from '../../src/media/child/media-run.ts'

/** A run that a test drives. */
export class ScriptedRemoteRun implements MediaRun {
  readonly done: Promise<Json>
  readonly pid = 1
  readonly job: MediaJob
  readonly handlers: MediaRunHandlers
  readonly units: AccessUnit[] = []
  readonly configs: TrackConfig[] = []
  queuedBytes = 0
  paused = false
  finished = false
  state: 'running' | 'cancelled' | 'ended' = 'running'
  readonly #outcome = Promise.withResolvers<Json>()

  constructor(job: MediaJob, handlers: MediaRunHandlers) {
    this.job = job
    this.handlers = handlers
    this.done = this.#outcome.promise
    this.done.catch(() => {})
  }

  configure(_input: number, config: TrackConfig): void {
    this.configs.push(config)
  }

  write(_input: number, unit: AccessUnit): undefined {
    this.units.push(unit)
  }

  finish(): void {
    this.finished = true
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  cancel(): void {
    this.fail(new KairoError('ERR_STOPPED', 'cancelled'))
    this.state = 'cancelled'
  }

  /** Tells how far the target is, 1/90000 s. */
  reach(position: number): void {
    const counts = { unitsIn: this.units.length, unitsOut: 0, damaged: 0, cpuS: 0, rssBytes: 1 }
    this.handlers.onProgress?.({ ...counts, position })
  }

  /** Tells something; a receiver that refuses it ends the run, as it ends a child. */
  note(note: Json): void {
    try {
      this.handlers.onNote?.(note)
    } catch (error) {
      if (!isKairoError(error, 'ERR_WORKER')) throw error
      this.fail(error)
    }
  }

  fail(error: KairoError): void {
    if (this.state !== 'running') return
    this.state = 'ended'
    this.#outcome.reject(error)
  }

  end(): void {
    this.state = 'ended'
    this.#outcome.resolve(null)
  }
}

/** Jobs that a test drives. */
export class ScriptedRemoteJobs implements MediaJobs {
  readonly runs: ScriptedRemoteRun[] = []
  refusal: KairoError | undefined

  run(job: MediaJob, handlers: MediaRunHandlers): MediaRun {
    if (this.refusal !== undefined) throw this.refusal
    const run = new ScriptedRemoteRun(job, handlers)
    this.runs.push(run)
    return run
  }

  /** The newest run. */
  get last(): ScriptedRemoteRun {
    const run = this.runs.at(-1)
    if (run === undefined) throw new Error('no job was run')
    return run
  }
}
