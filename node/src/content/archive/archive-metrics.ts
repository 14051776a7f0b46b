/** Metrics of all segment logs of a peer together. */
import type { Registry } from 'prom-client'
import { sharedCounter } from '../metrics.ts'

/** Counters that every segment log adds to. */
export class ArchiveMetrics {
  /** Bytes of media written. */
  readonly written
  /** Writes that the disk refused, by the system's error code. */
  readonly failures
  /** Segments refused because the disk is too slow for the stream. */
  readonly queueFull
  /** Objects on disk that were not what the index says. */
  readonly corrupt

  constructor(registry: Registry) {
    this.written = sharedCounter(
      registry,
      'kairo_archive_written_bytes_total',
      'Media written to segment logs: recordings, DVR windows, videos on demand',
    )
    this.failures = sharedCounter(
      registry,
      'kairo_archive_write_failures_total',
      'Writes of segment logs that the disk refused, by error code',
      ['code'],
    )
    this.queueFull = sharedCounter(
      registry,
      'kairo_archive_queue_full_total',
      'Segments that were not archived because too many waited for the disk',
    )
    this.corrupt = sharedCounter(
      registry,
      'kairo_archive_corrupt_total',
      'Archived objects that were not what their index says',
    )
  }
}
