/** What players wait for, and what they are told when it is there. */
import type { Clock } from '../clock.ts'
import type { PartMemory } from '../memory/part-memory.ts'
import type { PartKey } from '../protocol/part-key.ts'
import { engineLimits as limits } from './limits.ts'
import type { PartCallbacks, PartRequest } from './part-request.ts'

/** One of them. */
export interface Wish {
  readonly key: PartKey
  readonly callbacks: PartCallbacks
  deadlineMs: number
}

interface Times {
  firstMs: number
  lastMs: number
  /** Of the last HTTP request that failed. */
  failure?: { readonly status: number; readonly text: string }
}

/** The wishes of a page. */
export class Wishes {
  readonly #components: { readonly clock: Clock; readonly memory: PartMemory }
  readonly #wishes = new Map<PartKey, Set<Wish>>()
  /** When bytes came, also of parts that nobody has asked for yet. */
  readonly #times = new Map<PartKey, Times>()

  constructor(components: { readonly clock: Clock; readonly memory: PartMemory }) {
    this.#components = components
  }

  add({ key, deadlineMs }: PartRequest, callbacks: PartCallbacks): Wish {
    const wish = { key, callbacks, deadlineMs }
    const wishes = this.#wishes.get(key) ?? new Set()
    this.#wishes.set(key, wishes.add(wish))
    return wish
  }

  /** False when it is not there any more: answered, or removed before. */
  remove(wish: Wish): boolean {
    const wishes = this.#wishes.get(wish.key)
    if (wishes?.delete(wish) !== true) return false
    if (wishes.size === 0) this.#wishes.delete(wish.key)
    return true
  }

  has(key: PartKey): boolean {
    return this.#wishes.has(key)
  }

  /** When a part is needed at the latest; undefined when nobody waits for it. */
  deadlineMs(key: PartKey): number | undefined {
    const wishes = this.#wishes.get(key)
    return wishes && Math.min(...[...wishes].map(({ deadlineMs }) => deadlineMs))
  }

  /** Moves the deadline of a part; false when nobody waits for it. */
  move(key: PartKey, deadlineMs: number): boolean {
    const wishes = this.#wishes.get(key)
    for (const wish of wishes ?? []) wish.deadlineMs = deadlineMs
    return wishes !== undefined
  }

  /** Bytes of a part came. */
  came(key: PartKey): void {
    const nowMs = this.#components.clock.nowMs()
    const times = this.#times.get(key)
    if (times !== undefined) times.lastMs = nowMs
    else this.#times.set(key, { firstMs: nowMs, lastMs: nowMs })
    const [oldest] = this.#times.keys()
    if (this.#times.size > limits.sourcesMax) this.#times.delete(oldest as PartKey)
  }

  /** HTTP failed to bring a part, which somebody else may bring still. */
  failing(key: PartKey, status: number, text: string): void {
    this.came(key)
    const times = this.#times.get(key)
    if (times !== undefined) times.failure = { status, text }
  }

  /** A part is there and checked. Calls `each` for each wish that it answers. */
  answer(key: PartKey, httpBps: number, each: (key: PartKey) => void): void {
    const wishes = this.#wishes.get(key)
    if (wishes === undefined) return
    const { memory } = this.#components
    const { firstMs, lastMs } = this.#timesOf(key)
    const { http, peers } = memory.bytesBy(key)
    const bytes = memory.join(key)
    const spanMs = lastMs - firstMs
    const measured = (bytes.length * 8_000) / Math.max(spanMs, limits.rateSpanMsMin)
    const bps =
      spanMs < limits.rateSpanMsMin && httpBps > 0 ? Math.max(httpBps, measured) : measured
    this.#take(key, wishes, each, ({ onArrival }) =>
      // A copy: players give theirs away to a worker, and this page goes on sending it to others.
      onArrival({ bytes: bytes.slice(), httpBytes: http, peerBytes: peers, firstMs, lastMs, bps }),
    )
  }

  /** A part will not come. */
  fail(key: PartKey, each: (key: PartKey) => void): void {
    const wishes = this.#wishes.get(key)
    if (wishes === undefined) return
    const { status, text } = this.#timesOf(key).failure ?? { status: 0, text: 'nobody has it' }
    this.#take(key, wishes, each, ({ onFailure }) => onFailure(status, text))
  }

  clear(): void {
    this.#wishes.clear()
  }

  #timesOf(key: PartKey): Times {
    const nowMs = this.#components.clock.nowMs()
    return this.#times.get(key) ?? { firstMs: nowMs, lastMs: nowMs }
  }

  /** Answers later, never within the call that asked. */
  #take(
    key: PartKey,
    wishes: Set<Wish>,
    each: (key: PartKey) => void,
    answer: (callbacks: PartCallbacks) => void,
  ): void {
    for (const wish of [...wishes]) {
      queueMicrotask(() => {
        if (!this.remove(wish)) return
        each(key)
        answer(wish.callbacks)
      })
    }
  }
}
