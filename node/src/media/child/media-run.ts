/** The faces of a media job for those who order it; `pool.ts` has the processes behind them. */
import type { AccessUnit, TrackConfig } from '../access-unit.ts'
import type { JobProgress, Json, MediaJob } from './job.ts'

/**
 * Takes what a job makes. Calls come in order. One that throws `ERR_WORKER` says that the child sent what cannot be: the child is
 * killed, and the job fails with these words.
 */
export interface MediaRunHandlers {
  /** An output's configuration, before its first unit and again when it changes. */
  readonly onConfig?: (output: number, config: TrackConfig) => void
  readonly onUnit?: (output: number, unit: AccessUnit) => void
  /** A picture, a text: `about` says which. */
  readonly onBlob?: (about: Json, bytes: Buffer) => void
  /** Something the job found out before its end. */
  readonly onNote?: (note: Json) => void
  readonly onProgress?: (progress: JobProgress) => void
}

/** One job at work in one child. */
export interface MediaRun {
  readonly pid: number | undefined
  /** Bytes that wait to be read by the child; whoever feeds live media drops or gives up when this grows. */
  readonly queuedBytes: number
  /** Tells an input track's configuration; `input` as the job's type says. */
  configure(input: number, config: TrackConfig): void
  /** Hands a unit to the child. The promise, where there is one, settles when the pipe has room again. */
  write(input: number, unit: AccessUnit): Promise<void> | undefined
  /** No more input; the job ends by itself when it has worked off what it has. */
  finish(): void
  /** Stops reading what the child makes, which stops the child after a while; for backpressure. */
  pause(): void
  resume(): void
  /** Ends the job now, by force if need be. `done` rejects with `ERR_STOPPED`. */
  cancel(): void
  /**
   * The job's result.
   * Rejects with `ERR_MEDIA` when the media are at fault, `ERR_WORKER` when the child crashed, hung or was killed,
   * `ERR_UNSUPPORTED_CODEC`, `ERR_TIMEOUT` or `ERR_NO_PROVIDER` (a remote end), `ERR_STOPPED`.
   */
  readonly done: Promise<Json>
}

/** Runs media jobs. */
export interface MediaJobs {
  /**
   * Starts a job in a warm child if there is one, else in a new one.
   * @throws KairoError `ERR_LIMIT` when the pool is full, `ERR_STOPPED`.
   */
  run(job: MediaJob, handlers: MediaRunHandlers): MediaRun
}
