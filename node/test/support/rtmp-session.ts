/**
 * An RTMP session in memory: a real session with a clock that stands still, a recording sink and the server's answers read back.
 */
import { Registry } from 'prom-client'
import { createRtmpMetrics, type RtmpEndReason } from '../../src/ingest/rtmp/metrics.ts'
import { Session } from '../../src/ingest/rtmp/session.ts'
import type { Logger } from '../../src/logger.ts'
import { ManualClock } from './manual-clock.ts'
import { RecordingPublishing, type RecordingSink } from './recording-publishing.ts'
import { ServerBytes, STREAM_KEY } from './rtmp-wire.ts'

/** One session and everything around it. */
export class SessionRun {
  readonly clock = new ManualClock()
  readonly registry = new Registry()
  readonly publishing: RecordingPublishing
  readonly server = new ServerBytes()
  readonly session: Session
  /** Everything logged, as one JSON text a line. */
  readonly log: string[] = []
  paused = false
  closed = 0

  constructor(prepare?: (sink: RecordingSink) => void) {
    this.publishing = new RecordingPublishing(STREAM_KEY, prepare)
    this.session = new Session(
      {
        clock: this.clock,
        logger: recordingLogger(this.log),
        metrics: createRtmpMetrics(this.registry),
        publishing: this.publishing,
      },
      { remote: '192.0.2.1:5000', readTimeoutMs: 15_000, handshakeTimeoutMs: 10_000 },
      {
        send: (bytes) => this.server.receive(bytes),
        pause: () => {
          this.paused = true
        },
        resume: () => {
          this.paused = false
        },
        close: () => {
          this.closed += 1
        },
      },
    )
  }

  /** The sink of the last publication. */
  get sink(): RecordingSink {
    const sink = this.publishing.sinks.at(-1)
    if (sink === undefined) throw new Error('nothing was published')
    return sink
  }

  /** The client sends these bytes, in one piece or in pieces of `pieceBytes`. */
  receive(bytes: Buffer, pieceBytes = bytes.byteLength): this {
    for (let offset = 0; offset < bytes.byteLength; offset += pieceBytes) {
      this.session.receive(bytes.subarray(offset, offset + pieceBytes))
    }
    return this
  }

  /** The value of a metric with these labels. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const values = (await this.registry.getSingleMetric(name)?.get())?.values ?? []
    const found = values.find((value) =>
      Object.entries(labels).every(([label, text]) => value.labels[label] === text),
    )
    return found?.value ?? 0
  }

  /** How many sessions ended for this reason. */
  async ended(reason: RtmpEndReason): Promise<number> {
    return this.metric('kairo_rtmp_disconnects_total', { reason })
  }
}

function recordingLogger(lines: string[]): Logger {
  const method = (level: string) => (fields: object, message: string) => {
    lines.push(`${level} ${message} ${JSON.stringify(fields, errorsAsText)}`)
  }
  const logger: Logger = {
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    child: () => logger,
  }
  return logger
}

function errorsAsText(_key: string, value: unknown): unknown {
  return value instanceof Error ? `${value.message} ${value.stack}` : value
}
