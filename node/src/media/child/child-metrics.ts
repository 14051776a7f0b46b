/** What the pool of media children counts. */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { MediaJob } from './job.ts'

/** Why a child was killed; the values of the `reason` label. */
export type KillReason =
  /** It did not become ready, or did not begin its job, in time. */
  | 'start'
  /** No sign of life. */
  | 'silence'
  /** Signs of life, and no progress in spite of input. */
  | 'stuck'
  /** More resident memory than allowed. */
  | 'memory'
  /** Something on the pipe that no child writes. */
  | 'garbage'
  /** More input waits than allowed. */
  | 'queue'
  /** Its job was done and it did not end. */
  | 'linger'
  /** Whoever ordered the job wants it no more. */
  | 'cancelled'
  /** Whoever takes its output failed. */
  | 'receiver'
  /** The pool stops. */
  | 'stopped'

/** What a child is busy with. */
export type ChildState = 'starting' | 'warm' | 'working'

/** The metrics of one pool. */
export interface ChildMetrics {
  readonly jobs: Counter<'job' | 'result'>
  readonly kills: Counter<'reason'>
  readonly restarts: Counter
  readonly refused: Counter
  readonly cpu: Counter<'job'>
  readonly damaged: Counter<'job'>
}

/** What the gauges look at when they are read. */
export interface ChildView {
  readonly state: ChildState
  readonly job: MediaJob['type'] | undefined
  readonly rssBytes: number
  readonly queuedBytes: number
}

/** Registers the metrics of one pool, whose gauges read `children` when they are asked. */
export function createChildMetrics(
  registry: Registry,
  children: () => Iterable<ChildView>,
): ChildMetrics {
  const registers = [registry]
  new Gauge({
    name: 'kairo_media_children',
    help: 'Media child processes by what they do.',
    labelNames: ['state', 'job'] as const,
    registers,
    collect() {
      this.reset()
      for (const { state, job } of children()) this.inc({ state, job: job ?? 'none' })
    },
  })
  const sum = (name: string, help: string, read: (child: ChildView) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set([...children()].reduce((total, child) => total + read(child), 0))
      },
    })
  sum('kairo_media_rss_bytes', 'Resident memory of all media children.', (one) => one.rssBytes)
  sum(
    'kairo_media_queued_bytes',
    'Input that waits for media children to read it.',
    (one) => one.queuedBytes,
  )
  return {
    jobs: new Counter({
      name: 'kairo_media_jobs_total',
      help: 'Media jobs that ended, by type and result (done, failed, cancelled).',
      labelNames: ['job', 'result'] as const,
      registers,
    }),
    kills: new Counter({
      name: 'kairo_media_kills_total',
      help: 'Media children killed, by reason.',
      labelNames: ['reason'] as const,
      registers,
    }),
    restarts: new Counter({
      name: 'kairo_media_restarts_total',
      help: 'Warm media children that died without a job and were replaced.',
      registers,
    }),
    refused: new Counter({
      name: 'kairo_media_refused_total',
      help: 'Media jobs refused because the pool was full.',
      registers,
    }),
    cpu: new Counter({
      name: 'kairo_media_cpu_seconds_total',
      help: 'Processor time of media children by type of job.',
      labelNames: ['job'] as const,
      registers,
    }),
    damaged: new Counter({
      name: 'kairo_media_damaged_units_total',
      help: 'Units that media children could not decode, by type of job.',
      labelNames: ['job'] as const,
      registers,
    }),
  }
}
