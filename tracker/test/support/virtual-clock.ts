/**
 * Time that passes only when a test says so. All members share one {@link VirtualClock}; each sees it through a {@link ClockView} of its
 * own, which may run fast or slow, stand still while the member is stopped, or have its wall time set.
 *
 * Nothing runs at the same time as anything else: a timer fires, then all that follows from it happens (promises, deferred turns), then
 * the next one fires. So a run is the same every time.
 */
import type { CancelTimer, Clock } from '../../src/clock.ts'

interface Timer {
  readonly order: number
  atMs: number
  readonly callback: () => void
  isOver: boolean
}

/** Rounds of promises and deferred turns within one moment, after which something is taken to go on for ever. */
const roundsMax = 100_000

/** No timer that waits fires sooner. */
const leastMs = 0.001

/** How time passes. */
export interface VirtualClockOptions {
  /** Resolves when the promises that are ready, and those that they make ready, have been seen to. Default: by `setImmediate`. */
  readonly settled?: () => Promise<void>
  /** Timers fire at whole multiples of this, all of one moment together, as those of Node do with 1. Default: 0, each by itself. */
  readonly grainMs?: number
}

/** All promises that are ready, and those that they make ready, come before this. */
const afterPromises = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })

/** The time of a whole test. */
export class VirtualClock {
  readonly #settled: () => Promise<void>
  readonly #grainMs: number
  #nowMs = 0
  #order = 0
  /** A heap by time, then by order. */
  readonly #timers: Timer[] = []
  #deferred: (() => void)[] = []

  constructor(options: VirtualClockOptions = {}) {
    this.#settled = options.settled ?? afterPromises
    this.#grainMs = options.grainMs ?? 0
  }

  /** Milliseconds since the start of the test. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** A member's clock. */
  view(options: { readonly rate?: number; readonly wallMs?: number } = {}): ClockView {
    return new ClockView(this, options)
  }

  /** Calls back after all that happens now; see `DriverComponents.defer`. */
  readonly defer = (callback: () => void): void => {
    this.#deferred.push(callback)
  }

  /** Calls back at a time of the test. */
  at(atMs: number, callback: () => void): CancelTimer {
    this.#order += 1
    const grainMs = this.#grainMs
    const whenMs = grainMs === 0 ? atMs : Math.ceil(atMs / grainMs) * grainMs
    const firesMs = Math.max(whenMs, this.#nowMs)
    const timer = { order: this.#order, atMs: firesMs, callback, isOver: false }
    push(this.#timers, timer)
    return () => {
      timer.isOver = true
    }
  }

  /** Lets time pass, and waits for all that happens in it. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    await this.settle()
    for (;;) {
      const next = this.#timers[0]
      if (next === undefined || next.atMs > endMs) break
      pop(this.#timers)
      if (next.isOver) continue
      next.isOver = true
      this.#nowMs = next.atMs
      next.callback()
      if (this.#grainMs > 0 && this.#timers[0]?.atMs === next.atMs) continue
      await this.settle()
    }
    this.#nowMs = endMs
  }

  /**
   * Lets time pass until something holds.
   * @throws Error when it does not within `withinMs`
   */
  async until(holds: () => boolean, withinMs = 60_000): Promise<void> {
    const endMs = this.#nowMs + withinMs
    await this.settle()
    while (!holds()) {
      if (this.#nowMs >= endMs) throw new Error(`did not come to hold within ${withinMs} ms`)
      await this.pass(1)
    }
  }

  /** A promise's value, for which time passes. */
  async result<Value>(promise: Promise<Value>, withinMs = 60_000): Promise<Value> {
    let isOver = false
    const over = () => {
      isOver = true
    }
    promise.then(over, over)
    await this.until(() => isOver, withinMs)
    return promise
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let round = 0; round < roundsMax; round++) {
      // With a grain, turns need not wait for promises that were made in the same moment: it happens often enough that they do.
      if (this.#grainMs === 0 || this.#deferred.length === 0) await this.#settled()
      if (this.#deferred.length === 0) return
      const deferred = this.#deferred
      this.#deferred = []
      for (const callback of deferred) callback()
    }
    throw new Error('what happens at one moment never ends')
  }
}

/** The clock of one member. */
export class ClockView implements Clock {
  readonly #clock: VirtualClock
  readonly #rate: number
  #wallOffsetMs: number
  #isPaused = false
  #held: (() => void)[] = []

  constructor(clock: VirtualClock, options: { readonly rate?: number; readonly wallMs?: number }) {
    this.#clock = clock
    this.#rate = options.rate ?? 1
    this.#wallOffsetMs = options.wallMs ?? 1_700_000_000_000
  }

  now(): number {
    return this.monotonicMs() + this.#wallOffsetMs
  }

  monotonicMs(): number {
    return this.#clock.nowMs * this.#rate
  }

  after(delayMs: number, callback: () => void): CancelTimer {
    let isOver = false
    const fire = () => {
      if (!isOver) callback()
    }
    // A rest that is lost in rounding would be waited for, for ever, in the same moment.
    const waitMs = delayMs > 0 ? Math.max(delayMs, leastMs) : 0
    this.#clock.at(this.#clock.nowMs + waitMs / this.#rate, () => this.run(fire))
    return () => {
      isOver = true
    }
  }

  /** Turns of this member: they wait while it is stopped. */
  readonly defer = (callback: () => void): void => {
    this.#clock.defer(() => this.run(callback))
  }

  /** Does something as this member: at once, or when it goes on. */
  run(callback: () => void): void {
    if (this.#isPaused) this.#held.push(callback)
    else callback()
  }

  /** The member is stopped (SIGSTOP): its timers and what comes for it wait. */
  pause(): void {
    this.#isPaused = true
  }

  /** It goes on, with all that was held up. */
  resume(): void {
    this.#isPaused = false
    const held = this.#held
    this.#held = []
    for (const callback of held) callback()
  }

  /** Somebody sets the wall clock. */
  jump(ms: number): void {
    this.#wallOffsetMs += ms
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

function push(heap: Timer[], timer: Timer): void {
  let at = heap.length
  heap.push(timer)
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!isBefore(timer, heap[parent] as Timer)) break
    heap[at] = heap[parent] as Timer
    at = parent
  }
  heap[at] = timer
}

function pop(heap: Timer[]): void {
  const last = heap.pop() as Timer
  if (heap.length === 0) return
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1] as Timer, heap[child] as Timer)) child++
    if (!isBefore(heap[child] as Timer, last)) break
    heap[at] = heap[child] as Timer
    at = child
  }
  heap[at] = last
}
