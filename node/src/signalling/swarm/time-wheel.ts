/** Keys by the time at which something happens to them, in steps: setting, moving and taking cost the same however many there are. */

/** A wheel. */
export class TimeWheel<Key> {
  readonly #stepMs: number
  /** By step; a key is in one of them. */
  readonly #steps = new Map<number, Set<Key>>()
  readonly #stepOf = new Map<Key, number>()

  constructor(stepMs: number) {
    this.#stepMs = stepMs
  }

  /** Puts a key at a time, in the place of where it was; the step that ends at or after it. */
  set(key: Key, atMs: number): void {
    const step = Math.ceil(atMs / this.#stepMs)
    if (this.#stepOf.get(key) === step) return
    this.delete(key)
    this.#stepOf.set(key, step)
    const keys = this.#steps.get(step)
    if (keys === undefined) this.#steps.set(step, new Set([key]))
    else keys.add(key)
  }

  /** Takes a key off. */
  delete(key: Key): void {
    const step = this.#stepOf.get(key)
    if (step === undefined) return
    this.#stepOf.delete(key)
    const keys = this.#steps.get(step)
    keys?.delete(key)
    if (keys?.size === 0) this.#steps.delete(step)
  }

  /** When the first step ends that has a key; there are no more steps than the longest time has. */
  nextMs(): number | undefined {
    let first: number | undefined
    for (const step of this.#steps.keys()) first = Math.min(first ?? step, step)
    return first === undefined ? undefined : first * this.#stepMs
  }

  /** Takes off all keys whose step has ended. */
  take(nowMs: number): Key[] {
    const due = [...this.#steps.keys()].filter((step) => step * this.#stepMs <= nowMs)
    const keys = due.sort((a, b) => a - b).flatMap((step) => [...(this.#steps.get(step) ?? [])])
    for (const key of keys) this.delete(key)
    return keys
  }
}
