/** What a job's module sees of the child that it runs in: its input in order, and the ways out. */
import type { AccessUnit, TrackConfig } from '../access-unit.ts'
import type { Json, MediaJob } from './job.ts'

/** One thing that the peer hands to a job. */
export type JobInput =
  | { readonly type: 'config'; readonly port: number; readonly config: TrackConfig }
  | { readonly type: 'unit'; readonly port: number; readonly unit: AccessUnit }

/** Counters that a job keeps; the child sends them on as its sign of life. */
export interface JobCounters {
  /** Units taken in, or read from a file. */
  unitsIn: number
  /** Input units dropped as undecodable. */
  damaged: number
  /** Newest input time, 1/90000 s. */
  position: number
}

/** The child around a job. */
export interface JobContext {
  /**
   * What the peer sends, in order; ends with its `finish`. Nothing more is read from the pipe before the next item is asked
   * for, so a job that is busy holds the peer back. Jobs that take no input leave it alone.
   */
  readonly input: AsyncIterable<JobInput>
  readonly counters: JobCounters
  /** Tells an output's configuration, before its first unit and when it changes. */
  config(output: number, config: TrackConfig): void
  /** Hands a unit out. Its data are the child's from then on. */
  unit(output: number, unit: AccessUnit): void
  /** Hands a picture or a text out. */
  blob(about: Json, bytes: Buffer): void
  note(note: Json): void
  /**
   * Lets signs of life and the pipe have their turn, and waits while the peer has not read what was handed out. A job awaits it
   * after every unit or other short piece of work; where there is no need to wait it returns undefined.
   */
  turn(): Promise<void> | undefined
}

/**
 * What each `jobs/<type>.ts` exports as `run`. It resolves with the job's result when everything has been handed out, and rejects
 * with a KairoError whose code {@link MediaRun.done} names; any other error is taken for the child's own (`ERR_WORKER`).
 */
export type RunJob<Job extends MediaJob> = (context: JobContext, job: Job) => Promise<Json>
