/** The metrics of the lines between trackers. */
import type { Lane } from '@kairo/tracker'
import { Counter, Gauge, type Registry } from 'prom-client'

/** Which way a frame goes. */
export type LineDirection = 'in' | 'out'

/** Why a frame was not sent. `full`: enough waits for that peer; `crowded`: enough waits for all peers. */
export type DropReason = 'full' | 'crowded' | 'unreachable' | 'broken' | 'lines' | 'stopped'

/** Why a line ended. `gone`: the other side, or the connection; all others are our own decision. */
export type LineEnd =
  | 'gone'
  | 'protocol'
  | 'too-large'
  | 'replaced'
  | 'stalled'
  | 'memory'
  | 'stopped'

/** What the gauges read. */
export interface LineGauges {
  readonly lines: (direction: LineDirection) => number
  readonly queuedBytes: () => number
  readonly partialBytes: () => number
}

/** What is counted of one lane and direction, ready to be counted on. */
export interface LaneCounts {
  frames(count: number, bytes: number): void
}

/** Counters and gauges of the lines. */
export class LineMetrics {
  readonly dropped: Counter<'lane' | 'reason'>
  readonly ended: Counter<'direction' | 'reason'>
  readonly paced: Counter<'lane'>
  readonly #frames: Counter<'lane' | 'direction'>
  readonly #bytes: Counter<'lane' | 'direction'>

  constructor(registry: Registry, gauges: LineGauges) {
    const registers = [registry]
    this.#frames = new Counter({
      name: 'kairo_coordination_frames_total',
      help: 'Frames between trackers, by lane and direction.',
      labelNames: ['lane', 'direction'],
      registers,
    })
    this.#bytes = new Counter({
      name: 'kairo_coordination_frame_bytes_total',
      help: 'Bytes of frames between trackers, by lane and direction.',
      labelNames: ['lane', 'direction'],
      registers,
    })
    this.dropped = new Counter({
      name: 'kairo_coordination_dropped_frames_total',
      help: 'Frames that were not sent, by lane and reason.',
      labelNames: ['lane', 'reason'],
      registers,
    })
    this.ended = new Counter({
      name: 'kairo_coordination_ended_lines_total',
      help: 'Lines between trackers that ended, by direction and reason.',
      labelNames: ['direction', 'reason'],
      registers,
    })
    this.paced = new Counter({
      name: 'kairo_coordination_paced_lines_total',
      help: 'Times that a line was not read for a moment because its peer brought too much.',
      labelNames: ['lane'],
      registers,
    })
    registerGauges(registers, gauges)
  }

  /** Counts of one lane and direction. */
  of(lane: Lane, direction: LineDirection): LaneCounts {
    const labels = { lane, direction }
    // The labels are looked up for each frame otherwise.
    const frames = this.#frames.labels(labels)
    const bytes = this.#bytes.labels(labels)
    return {
      frames: (count, size) => {
        frames.inc(count)
        bytes.inc(size)
      },
    }
  }
}

function registerGauges(registers: Registry[], gauges: LineGauges): void {
  new Gauge({
    name: 'kairo_coordination_lines',
    help: 'Open lines between trackers, by direction.',
    labelNames: ['direction'],
    registers,
    collect() {
      this.set({ direction: 'in' }, gauges.lines('in'))
      this.set({ direction: 'out' }, gauges.lines('out'))
    },
  })
  new Gauge({
    name: 'kairo_coordination_queued_bytes',
    help: 'Frames that wait to be sent to other trackers, in bytes.',
    registers,
    collect() {
      this.set(gauges.queuedBytes())
    },
  })
  new Gauge({
    name: 'kairo_coordination_partial_bytes',
    help: 'Frames of other trackers that are not whole yet, in bytes.',
    registers,
    collect() {
      this.set(gauges.partialBytes())
    },
  })
}
