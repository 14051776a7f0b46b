/**
 * What the RTMP server counts.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** Why a connection ended; the values of the `reason` label. */
export type RtmpEndReason =
  /** The client closed or unpublished. */
  | 'closed'
  /** No `publish` within the handshake time. */
  | 'handshake-timeout'
  /** Silence. */
  | 'timeout'
  /** Bytes that are not RTMP, AMF or FLV. */
  | 'protocol'
  /** A limit of rtmpLimits. */
  | 'limit'
  /** A wrong stream key. */
  | 'stream-key'
  /** Another publisher holds the stream. */
  | 'publisher-active'
  /** A codec that this peer does not take. */
  | 'unsupported-codec'
  /** A wrong application, a player, or a peer that takes no streams now. */
  | 'refused'
  /** An operator or a takeover removed the publisher. */
  | 'replaced'
  /** The peer shuts down. */
  | 'stopped'
  /** The network broke the connection. */
  | 'socket'
  /** A fault of this program. */
  | 'internal'

/** Why an access unit was not passed on; the values of the `reason` label. */
export type RtmpDropReason = 'unconfigured' | 'damaged' | 'extra-track' | 'unknown-packet'

/** The metrics of one RTMP server. */
export interface RtmpMetrics {
  readonly connections: Gauge
  readonly publishers: Gauge
  readonly accepted: Counter
  readonly disconnects: Counter<'reason'>
  readonly receivedBytes: Counter
  /** Access units passed on; plain numbers, since a counter with labels costs much where it counts every unit. */
  readonly units: { video: number; audio: number }
  readonly dropped: Counter<'reason'>
  readonly paused: Counter
  readonly roundTrip: Histogram
}

/** Registers the metrics of one server. */
export function createRtmpMetrics(registry: Registry): RtmpMetrics {
  const registers = [registry]
  const units = { video: 0, audio: 0 }
  new Counter({
    name: 'kairo_rtmp_access_units_total',
    help: 'Access units passed on, by kind.',
    labelNames: ['kind'],
    registers,
    collect() {
      this.reset()
      this.inc({ kind: 'video' }, units.video)
      this.inc({ kind: 'audio' }, units.audio)
    },
  })
  return {
    units,
    connections: new Gauge({
      name: 'kairo_rtmp_connections',
      help: 'RTMP connections open now.',
      registers,
    }),
    publishers: new Gauge({
      name: 'kairo_rtmp_publishers',
      help: 'RTMP connections that publish now.',
      registers,
    }),
    accepted: new Counter({
      name: 'kairo_rtmp_connections_total',
      help: 'RTMP connections accepted.',
      registers,
    }),
    disconnects: new Counter({
      name: 'kairo_rtmp_disconnects_total',
      help: 'RTMP connections ended, by reason; a limit of rtmpLimits counts as limit.',
      labelNames: ['reason'],
      registers,
    }),
    receivedBytes: new Counter({
      name: 'kairo_rtmp_received_bytes_total',
      help: 'Bytes received from RTMP clients.',
      registers,
    }),
    dropped: new Counter({
      name: 'kairo_rtmp_access_units_dropped_total',
      help: 'Access units not passed on, by reason.',
      labelNames: ['reason'],
      registers,
    }),
    paused: new Counter({
      name: 'kairo_rtmp_pauses_total',
      help: 'Times a publisher ran too far ahead and reading was paused.',
      registers,
    }),
    roundTrip: new Histogram({
      name: 'kairo_rtmp_ping_seconds',
      help: 'Round trip of pings to publishers.',
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    }),
  }
}
