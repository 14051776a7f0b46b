/**
 * Decides whether a history is linearizable: the search of Wing & Gong, "Testing and verifying concurrent objects"
 * (1993), with the refinement of Lowe, "Testing for linearizability" (2016), that a set of done calls together with the
 * state they lead to is tried only once. Deciding is NP-complete, so the search has a bound and says when it met it.
 *
 * Calls of unknown outcome need not be done at all, so of two ways to the same place the one that used fewer of them is
 * as good: they are tried last, and a way that used more is given up. Without this each of them doubles the work.
 */
import assert from 'node:assert/strict'
import type { Operation } from './history.ts'
import type { Model } from './models.ts'

/** Bounds of one check. */
export interface CheckOptions {
  /** Steps of the model in all; 0 is no bound. Default 20 million, some ten seconds. */
  readonly stepsMax?: number
  /** Remembered sets of done calls in all; 0 is no bound. Default one million, some hundreds of MB at the worst. */
  readonly statesMax?: number
}

/** What the search found. */
export interface Verdict<Input, Output> {
  /** `undecided`: a bound was met before an answer was found. */
  readonly result: 'linearizable' | 'illegal' | 'undecided'
  /** Steps of the model that it took. */
  readonly steps: number
  /** Unless linearizable: the part of the history at fault, '' for the whole. */
  readonly part?: string
  /** Unless linearizable: the longest order found, and the calls that could not follow it. */
  readonly best?: readonly Operation<Input, Output>[]
  readonly stuck?: readonly Operation<Input, Output>[]
}

const STEPS_MAX = 20_000_000
const STATES_MAX = 1_000_000

/**
 * Judges a history by a model. A part that is illegal decides at once; one that meets a bound leaves the rest to be
 * looked at, for that may still be illegal.
 */
export function checkLinearizable<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  options: CheckOptions = {},
): Verdict<Input, Output> {
  const parts = model.partition?.(operations) ?? new Map([['', operations]])
  const budget = {
    steps: 0,
    stepsMax: bound(options.stepsMax ?? STEPS_MAX),
    states: 0,
    statesMax: bound(options.statesMax ?? STATES_MAX),
  }
  let undecided: Verdict<Input, Output> | undefined
  for (const [part, members] of parts) {
    const verdict = new Search(model, members, budget).run()
    if (verdict.result === 'illegal') return { ...verdict, part }
    if (verdict.result === 'undecided') undecided ??= { ...verdict, part }
  }
  return undecided ?? { result: 'linearizable', steps: budget.steps }
}

/** What is wrong with a history, in some lines for people. */
export function explain<State, Input, Output>(
  model: Model<State, Input, Output>,
  verdict: Verdict<Input, Output>,
): string {
  const line = (operation: Operation<Input, Output>) => {
    const span = `${operation.call}..${operation.return}`
    return `  [${span}] ${operation.process}: ${model.describe(operation.input, operation.output)}`
  }
  return [
    `${verdict.result}${verdict.part ? `, part ${verdict.part}` : ''} after ${verdict.steps} steps`,
    ...(verdict.best?.length ? ['longest order found:', ...verdict.best.map(line)] : []),
    ...(verdict.stuck?.length ? ['none of these can follow:', ...verdict.stuck.map(line)] : []),
  ].join('\n')
}

/** Spent by all parts of one history together. */
interface Budget {
  steps: number
  readonly stepsMax: number
  states: number
  readonly statesMax: number
}

/** One event in the list that the search walks: calls know their return. */
interface Event<Input, Output> {
  /** Number of the operation among the known ones of the part, or among the unknown ones. */
  readonly id: number
  readonly operation: Operation<Input, Output>
  readonly isCall: boolean
  /** Of a call: its return; undefined when the outcome is unknown. */
  match: Event<Input, Output> | undefined
  previous: Event<Input, Output> | undefined
  next: Event<Input, Output> | undefined
}

/** The search over one part. */
class Search<State, Input, Output> {
  readonly #model: Model<State, Input, Output>
  readonly #operations: readonly Operation<Input, Output>[]
  readonly #budget: Budget
  /** Stands before the first event. */
  readonly #head: Event<Input, Output>
  /** The calls of the present order, each with the state before it. */
  readonly #order: { event: Event<Input, Output>; before: State }[] = []
  readonly #done: DoneSet
  readonly #doneUnknown: DoneSet
  readonly #seen = new Map<string, { done: Uint32Array; doneUnknown: Uint32Array }[]>()
  /** Calls that returned and are not in the order yet; those of unknown outcome need never be. */
  #owed: number
  #best: readonly Operation<Input, Output>[] = []
  #stuck: readonly Operation<Input, Output>[] = []

  constructor(
    model: Model<State, Input, Output>,
    operations: readonly Operation<Input, Output>[],
    budget: Budget,
  ) {
    this.#model = model
    this.#operations = operations
    this.#budget = budget
    this.#head = linkEvents(operations)
    this.#owed = operations.filter((operation) => operation.return !== Infinity).length
    this.#done = new DoneSet(this.#owed)
    this.#doneUnknown = new DoneSet(operations.length - this.#owed)
  }

  run(): Verdict<Input, Output> {
    let state = this.#model.initial()
    let event = this.#head.next
    /** Calls of known outcome are tried first, then those of unknown outcome. */
    let known = true
    while (this.#owed > 0) {
      if (event?.isCall) {
        if (this.#exhausted()) return this.#verdict('undecided')
        const fits = known === (event.match !== undefined)
        const after = fits ? this.#tryCall(event, state) : undefined
        if (after === undefined) {
          event = event.next
        } else {
          state = after.state
          event = this.#head.next
          known = true
        }
        continue
      }
      // A return: its call has to take effect before it.
      if (known) {
        known = false
        event = this.#head.next
        continue
      }
      // Nothing that is open can make way for it: one back.
      this.#noteDepth()
      const last = this.#order.pop()
      if (last === undefined) return this.#verdict('illegal')
      state = last.before
      this.#putBack(last.event)
      known = last.event.match !== undefined
      event = last.event.next
    }
    return { result: 'linearizable', steps: this.#budget.steps }
  }

  /** Lets a call take effect next, if the model allows it and this place was not reached before. */
  #tryCall(event: Event<Input, Output>, state: State): { state: State } | undefined {
    const after = this.#step(event, state)
    if (after === undefined) return undefined
    if (event.match === undefined && this.#isPointless(event, state, after)) return undefined
    this.#flip(event)
    if (!this.#remember(after)) {
      this.#flip(event)
      return undefined
    }
    this.#order.push({ event, before: state })
    if (event.match !== undefined) this.#owed -= 1
    unlink(event)
    if (event.match !== undefined) unlink(event.match)
    return { state: after }
  }

  #step(event: Event<Input, Output>, state: State): State | undefined {
    this.#budget.steps += 1
    return this.#model.step(state, event.operation.input, event.operation.output)
  }

  /** True when a call of unknown outcome changes nothing, or undoes all that another one right before it did. */
  #isPointless(event: Event<Input, Output>, state: State, after: State): boolean {
    const key = this.#model.key(after)
    if (key === this.#model.key(state)) return true
    const last = this.#order.at(-1)
    if (last === undefined || last.event.match !== undefined) return false
    const alone = this.#step(event, last.before)
    return alone !== undefined && this.#model.key(alone) === key
  }

  #flip(event: Event<Input, Output>): void {
    if (event.match === undefined) this.#doneUnknown.flip(event.id)
    else this.#done.flip(event.id)
  }

  #putBack(event: Event<Input, Output>): void {
    this.#flip(event)
    if (event.match !== undefined) {
      this.#owed += 1
      relink(event.match)
    }
    relink(event)
  }

  /** False when the same calls were done before with the same outcome: what follows is known to fail. */
  #remember(state: State): boolean {
    const key = `${this.#done.hash}/${this.#model.key(state)}`
    const bucket = this.#seen.get(key)
    const isKnown = bucket?.some(
      (seen) => this.#done.equals(seen.done) && this.#doneUnknown.includes(seen.doneUnknown),
    )
    if (isKnown) return false
    const place = { done: this.#done.copy(), doneUnknown: this.#doneUnknown.copy() }
    if (bucket === undefined) this.#seen.set(key, [place])
    else bucket.push(place)
    this.#budget.states += 1
    return true
  }

  #exhausted(): boolean {
    const { steps, stepsMax, states, statesMax } = this.#budget
    return steps >= stepsMax || states >= statesMax
  }

  #noteDepth(): void {
    if (this.#order.length < this.#best.length) return
    if (this.#order.length === this.#best.length && this.#stuck.length > 0) return
    this.#best = this.#order.map(({ event }) => event.operation)
    const stuck: Operation<Input, Output>[] = []
    for (let event = this.#head.next; event?.isCall; event = event.next) stuck.push(event.operation)
    this.#stuck = stuck
  }

  #verdict(result: 'illegal' | 'undecided'): Verdict<Input, Output> {
    this.#noteDepth()
    assert(this.#best.length <= this.#operations.length)
    return { result, steps: this.#budget.steps, best: this.#best, stuck: this.#stuck }
  }
}

/** A set of operations as bits, with a hash that a flip updates in one step (Zobrist). */
class DoneSet {
  hash = 0
  readonly #words: Uint32Array

  constructor(size: number) {
    this.#words = new Uint32Array(Math.ceil(size / 32))
  }

  flip(id: number): void {
    const word = id >>> 5
    this.#words[word] = (this.#words[word] as number) ^ (1 << (id & 31))
    this.hash = (this.hash ^ scatter(id)) >>> 0
  }

  equals(words: Uint32Array): boolean {
    return this.#words.every((word, at) => word === words[at])
  }

  /** True when all of `words` is in this set. */
  includes(words: Uint32Array): boolean {
    return words.every((word, at) => (word & ~(this.#words[at] as number)) === 0)
  }

  copy(): Uint32Array {
    return this.#words.slice()
  }
}

/** A fixed 32-bit number for each id, spread evenly (the finisher of MurmurHash3). */
function scatter(id: number): number {
  let h = Math.imul(id + 1, 0x9e3779b1)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** The events of all operations in their order, behind a head. Equal places: calls first, which assumes the least. */
function linkEvents<Input, Output>(
  operations: readonly Operation<Input, Output>[],
): Event<Input, Output> {
  let known = 0
  let unknown = 0
  const events = operations.flatMap((operation) => {
    assert(operation.call <= operation.return, 'a call comes before its return')
    const id = operation.return === Number.POSITIVE_INFINITY ? unknown++ : known++
    const call: Event<Input, Output> = {
      ...{ id, operation, isCall: true },
      ...{ match: undefined, previous: undefined, next: undefined },
    }
    if (operation.return === Number.POSITIVE_INFINITY) return [call]
    call.match = { ...call, isCall: false }
    return [call, call.match]
  })
  const at = (event: Event<Input, Output>) =>
    event.isCall ? event.operation.call : event.operation.return
  events.sort((a, b) => at(a) - at(b) || Number(b.isCall) - Number(a.isCall))
  const head = { id: -1, isCall: false } as Event<Input, Output>
  let last = head
  for (const event of events) {
    last.next = event
    event.previous = last
    last = event
  }
  return head
}

function unlink<Input, Output>(event: Event<Input, Output>): void {
  if (event.previous !== undefined) event.previous.next = event.next
  if (event.next !== undefined) event.next.previous = event.previous
}

/** The reverse of {@link unlink}; to be called in the reverse order. */
function relink<Input, Output>(event: Event<Input, Output>): void {
  if (event.previous !== undefined) event.previous.next = event
  if (event.next !== undefined) event.next.previous = event
}

function bound(max: number): number {
  return max === 0 ? Number.POSITIVE_INFINITY : max
}
