/** What this machine has and how busy it is, as admission asks it. */
import { cpus } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** The machine's load. Each reading covers the time since the one before. */
export interface MachineLoad {
  /** 99th percentile of how late the peer's event loop was, milliseconds. */
  eventLoopDelayMs(): number
  /** Cores that nobody used. */
  idleCores(): number
}

/** Milliseconds between two samples of the event loop. */
const resolutionMs = 20

/** Cores that transcoding may use: `setting`, or where that is 0 the machine's without a share for playback. */
export function transcodeCores(setting: number, cores: number): number {
  if (setting > 0) return setting
  return cores <= 2 ? cores / 2 : cores - 1
}

/** The time between samples of the event loop, nanoseconds; `monitorEventLoopDelay` makes one. */
type DelayMonitor = Pick<
  ReturnType<typeof monitorEventLoopDelay>,
  'enable' | 'disable' | 'reset' | 'count' | 'percentile'
>

/** This machine. */
export class SystemLoad implements MachineLoad {
  readonly #delay: DelayMonitor
  #before = cpuTimes()

  constructor(delay: DelayMonitor = monitorEventLoopDelay({ resolution: resolutionMs })) {
    this.#delay = delay
  }

  /** Begins to sample. */
  start(): void {
    this.#delay.enable()
  }

  /** Ends sampling. */
  stop(): void {
    this.#delay.disable()
  }

  eventLoopDelayMs(): number {
    // The histogram holds the time between samples, the wanted one included.
    const delayMs = this.#delay.count === 0 ? 0 : this.#delay.percentile(99) / 1e6 - resolutionMs
    this.#delay.reset()
    return Math.max(0, delayMs)
  }

  idleCores(): number {
    const now = cpuTimes()
    const totalMs = now.totalMs - this.#before.totalMs
    const idleMs = now.idleMs - this.#before.idleMs
    this.#before = now
    return totalMs <= 0 ? now.cores : (idleMs / totalMs) * now.cores
  }
}

function cpuTimes(): { readonly idleMs: number; readonly totalMs: number; readonly cores: number } {
  const all = cpus().map(({ times }) => times)
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
  return {
    idleMs: sum(all.map(({ idle }) => idle)),
    totalMs: sum(all.map(({ user, nice, sys, idle, irq }) => user + nice + sys + idle + irq)),
    cores: all.length,
  }
}
