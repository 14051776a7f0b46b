/** A scheduler under the hand of a test: time moves when the test says so, and what is to be done is written down as short lines. */
import type { SchedulerAction, SchedulerEvent } from '../../src/scheduler/events.ts'
import { PartScheduler } from '../../src/scheduler/scheduler.ts'

/** One scheduler. */
export class SchedulerBench {
  readonly scheduler: PartScheduler
  nowMs = 0

  constructor(random: () => number = () => 0) {
    this.scheduler = new PartScheduler({ random })
  }

  /** Tells it of events, one after the other. Returns what is to be done. */
  tell(...events: readonly SchedulerEvent[]): string[] {
    return events.flatMap((event) => this.scheduler.handle(event, this.nowMs).map(line))
  }

  /** Moves time on, waking it whenever it asks to be. Returns what is to be done meanwhile, each with its time. */
  pass(ms: number): string[] {
    const endMs = this.nowMs + ms
    const lines: string[] = []
    for (;;) {
      const wakeMs = this.scheduler.wakeAtMs()
      if (wakeMs === undefined || wakeMs > endMs) break
      if (wakeMs < this.nowMs)
        throw new Error(`wants to be woken at ${wakeMs}, it is ${this.nowMs}`)
      this.nowMs = wakeMs
      lines.push(...this.tell({ type: 'time' }).map((text) => `${Math.round(wakeMs)} ${text}`))
      const nextMs = this.scheduler.wakeAtMs()
      if (nextMs !== undefined && nextMs <= wakeMs) throw new Error(`is not done at ${wakeMs}`)
    }
    this.nowMs = endMs
    return lines
  }

  /** The page's neighbours are up. */
  up(...peers: readonly string[]): string[] {
    return this.tell(...peers.map((peer) => ({ type: 'peer-up', peer, rttMs: 20 }) as const))
  }

  /** A wish for the time from now on. */
  want(key: string, withinMs: number, isUrgent = false): string[] {
    return this.tell({ type: 'want', key, deadlineMs: this.nowMs + withinMs, isUrgent })
  }

  has(peer: string, key: string, isWhole = true): string[] {
    return this.tell({ type: 'peer-has', peer, key, bytes: undefined, isWhole })
  }

  /** Bytes come in evenly, some every 10 ms. */
  flow(key: string, from: number, to: number, ms: number, peer?: string): string[] {
    const steps = Math.max(1, Math.round(ms / 10))
    const lines: string[] = []
    for (let step = 0; step < steps; step++) {
      lines.push(...this.pass(ms / steps))
      const start = from + Math.floor(((to - from) * step) / steps)
      const end = from + Math.floor(((to - from) * (step + 1)) / steps)
      lines.push(...this.bytes(key, start, end, peer))
    }
    return lines
  }

  bytes(key: string, from: number, to: number, peer?: string): string[] {
    return this.tell({ type: 'bytes', key, from, to, ...(peer === undefined ? {} : { peer }) })
  }
}

/** An action in a line. */
export function line(action: SchedulerAction): string {
  switch (action.type) {
    case 'fetch':
      return `fetch ${action.key} ${action.from}-${action.to ?? ''}`
    case 'ask-peer':
      return `ask ${action.peer} ${action.key} ${action.from}-${action.to ?? ''}`
    case 'cancel-peer':
      return `cancel ${action.peer} ${action.key}`
    case 'push':
      return `push ${action.peer} ${action.key}`
    case 'ask-edge':
      return `ask-edge ${action.parts.map(({ key, withinMs }) => `${key}<${withinMs}`).join(' ')}`
    case 'drop-peer':
      return `drop ${action.peer} ${action.reason}`
    default:
      return `${action.type} ${action.key}`
  }
}
