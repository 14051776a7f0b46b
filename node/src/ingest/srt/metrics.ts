/**
 * What the SRT server counts.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** Why a connection ended; the values of the `reason` label. */
export type SrtEndReason =
  /** The caller said goodbye. */
  | 'closed'
  /** Silence, or signs of life without media. */
  | 'timeout'
  /** Packets or a transport stream that make no sense. */
  | 'protocol'
  /** A named limit. */
  | 'limit'
  /** A codec that this peer does not take. */
  | 'unsupported-codec'
  /** An operator or a takeover removed the publisher. */
  | 'replaced'
  /** Another peer owns the stream, which was known only after the caller was answered. */
  | 'refused'
  /** The peer shuts down. */
  | 'stopped'
  /** A fault of this program. */
  | 'internal'

/** Why a data packet was not handed on; the values of the `reason` label. */
export type SrtDropReason =
  /** It did not come in time. */
  | 'too-late'
  /** It came again. */
  | 'duplicate'
  /** It came after it was handed on or given up. */
  | 'late'
  /** It lies beyond what may be held (`bufferPacketsMax`, `bufferBytesMax`). */
  | 'overflow'
  /** Its key is not known, or it is clear where it should be encrypted. */
  | 'key'

/** Why a datagram was ignored; the values of the `reason` label. */
export type SrtIgnoreReason = 'malformed' | 'stranger' | 'cookie' | 'limit'

/** The metrics of one SRT server. */
export interface SrtMetrics {
  readonly connections: Gauge
  readonly accepted: Counter
  readonly rejected: Counter<'reason'>
  readonly disconnects: Counter<'reason'>
  readonly ignored: Counter<'reason'>
  readonly receivedBytes: Counter
  readonly packets: Counter
  readonly lost: Counter
  readonly retransmitted: Counter
  readonly dropped: Counter<'reason'>
  readonly roundTrip: Histogram
  readonly keyChanges: Counter
  readonly accessUnits: Counter<'kind'>
  readonly unitsDropped: Counter<'reason'>
  readonly queueFull: Counter
}

/** Registers the metrics of one server. */
export function createSrtMetrics(registry: Registry): SrtMetrics {
  const registers = [registry]
  const counter = (name: string, help: string): Counter =>
    new Counter({ name: `kairo_srt_${name}`, help, registers })
  const byReason = (name: string, help: string): Counter<'reason'> =>
    new Counter({ name: `kairo_srt_${name}`, help, labelNames: ['reason'], registers })
  return {
    connections: new Gauge({
      name: 'kairo_srt_connections',
      help: 'SRT callers that publish now.',
      registers,
    }),
    accepted: counter('connections_total', 'SRT callers admitted.'),
    rejected: byReason('rejections_total', 'SRT callers refused in the handshake, by reason.'),
    disconnects: byReason(
      'disconnects_total',
      'SRT connections ended, by reason; a limit of srtLimits counts as limit.',
    ),
    ignored: byReason(
      'ignored_datagrams_total',
      'Datagrams that got no answer, by reason; a limit of srtLimits counts as limit.',
    ),
    receivedBytes: counter('received_bytes_total', 'Bytes received on the SRT port.'),
    packets: counter('packets_total', 'Data packets received from SRT callers, repeated ones too.'),
    lost: counter('packets_lost_total', 'Data packets found missing when a later one came.'),
    retransmitted: counter('packets_retransmitted_total', 'Data packets that callers sent again.'),
    dropped: byReason(
      'packets_dropped_total',
      'Data packets not handed on, by reason; overflow is a limit of srtLimits.',
    ),
    roundTrip: new Histogram({
      name: 'kairo_srt_rtt_seconds',
      help: 'Round trips to SRT callers.',
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
      registers,
    }),
    keyChanges: counter('key_changes_total', 'Keys that SRT callers announced while publishing.'),
    accessUnits: new Counter({
      name: 'kairo_srt_access_units_total',
      help: 'Access units passed on, by kind.',
      labelNames: ['kind'],
      registers,
    }),
    unitsDropped: byReason(
      'access_units_dropped_total',
      'Access units, or pieces of a transport stream, not passed on, by reason.',
    ),
    queueFull: counter(
      'queue_full_total',
      'Access units dropped because a publisher is too far ahead of real time (queueUnitsMax, queueBytesMax).',
    ),
  }
}
