/** Metrics of DVR windows and recordings. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** What the gauges show. */
export interface ArchiveUsage {
  readonly dvrBytes: number
  readonly recordingBytes: number
  readonly recordings: number
}

/** Counters of one peer's archives. */
export class RecordingMetrics {
  /** Recordings that ended, by why. */
  readonly finished: Counter<'reason'>
  /** Things that went wrong, by what and error code. */
  readonly failures: Counter<'what' | 'code'>
  /** Segments that were not kept, by why. */
  readonly skipped: Counter<'reason'>
  /** DVR windows that began anew because a segment was missing. */
  readonly restarts: Counter
  /** Files dropped before their time because there was no room. */
  readonly shortened: Counter
  /** Recordings that wait for the peer's next start to become videos, by what was too much. */
  readonly postponed: Counter<'reason'>
  /** Renditions left out of a finished recording because they were not there all the time. */
  readonly leftOut: Counter

  constructor(registry: Registry, usage: () => ArchiveUsage) {
    const registers = [registry]
    const counter = <Label extends string = never>(
      name: string,
      help: string,
      labelNames: readonly Label[] = [],
    ): Counter<Label> =>
      new Counter({ name: `kairo_recording_${name}`, help, labelNames, registers })
    this.finished = counter('finished_total', 'Recordings that ended, by reason', ['reason'])
    this.failures = counter('failures_total', 'Failures of DVR windows and recordings', [
      'what',
      'code',
    ])
    this.skipped = counter('skipped_segments_total', 'Segments that were not kept, by reason', [
      'reason',
    ])
    this.restarts = counter(
      'dvr_restarts_total',
      'DVR windows of renditions that began anew because a segment was missing',
    )
    this.shortened = counter(
      'dvr_shortened_total',
      'Times that a DVR window was made shorter because there was no room',
    )
    this.postponed = counter(
      'postponed_total',
      "Recordings that wait for the peer's next start to become videos",
      ['reason'],
    )
    this.leftOut = counter(
      'left_out_renditions_total',
      'Renditions left out of recordings because they were not there all the time',
    )
    const gauge = (name: string, help: string, value: (now: ArchiveUsage) => number): void => {
      new Gauge({
        name: `kairo_recording_${name}`,
        help,
        registers,
        collect() {
          this.set(value(usage()))
        },
      })
    }
    gauge('dvr_bytes', 'Disk that DVR windows alone use', (now) => now.dvrBytes)
    gauge('bytes', 'Disk that recordings under way use', (now) => now.recordingBytes)
    gauge('active', 'Recordings under way', (now) => now.recordings)
  }
}
