/**
 * The linearizability checker on generated histories: against trying every order, on histories of a real sequential
 * store whose calls are stretched at random, and on the same with one lie planted.
 */
import fc from 'fast-check'
import { test } from 'tap'
import { checkLinearizable, explain } from '../support/linearizability/checker.ts'
import type { Operation } from '../support/linearizability/history.ts'
import {
  type RegisterInput,
  type RegisterOutput,
  registerModel,
} from '../support/linearizability/models.ts'

type Call = Operation<RegisterInput, RegisterOutput>

const smallValue = fc.integer({ min: 0, max: 2 })
const anyInput: fc.Arbitrary<RegisterInput> = fc.oneof(
  fc.constant({ kind: 'read' } as const),
  fc.record({ kind: fc.constant('write' as const), value: smallValue }),
  fc.record({ kind: fc.constant('cas' as const), expected: smallValue, value: smallValue }),
)

/** Few calls of few values, with answers at random: about as many histories are linearizable as not. */
const anyHistory: fc.Arbitrary<Call[]> = fc
  .array(
    fc.record({
      input: anyInput,
      from: fc.integer({ min: 0, max: 12 }),
      length: fc.integer({ min: 1, max: 6 }),
      unknown: fc.integer({ min: 0, max: 5 }).map((die) => die === 0),
      value: fc.option(smallValue),
      swapped: fc.boolean(),
    }),
    { maxLength: 6 },
  )
  .map((calls) =>
    calls.map(({ input, from, length, unknown, value, swapped }, process) => ({
      process,
      call: from,
      return: unknown ? Infinity : from + length,
      input,
      output: unknown
        ? undefined
        : input.kind === 'read'
          ? { value }
          : input.kind === 'cas'
            ? { swapped }
            : {},
    })),
  )

/** Tries every order of the calls, with and without those of unknown outcome. */
function bruteForce(rest: readonly Call[], state: number | null): boolean {
  if (rest.every((call) => call.return === Infinity)) return true
  const firstReturn = Math.min(...rest.map((call) => call.return))
  return rest.some((call) => {
    if (call.call > firstReturn) return false
    const after = registerModel.step(state, call.input, call.output)
    return after !== undefined && bruteForce(without(rest, call), after)
  })
}

const without = (rest: readonly Call[], call: Call) => rest.filter((other) => other !== call)

test('the same verdict as trying every order', async (t) => {
  const seen = { linearizable: 0, illegal: 0, undecided: 0 }
  fc.assert(
    fc.property(anyHistory, (history) => {
      const { result } = checkLinearizable(registerModel, history)
      seen[result] += 1
      return result === (bruteForce(history, null) ? 'linearizable' : 'illegal')
    }),
    { numRuns: 3000 },
  )
  t.ok(seen.linearizable > 300 && seen.illegal > 300, JSON.stringify(seen))
})

interface Step {
  readonly kind: 'read' | 'write' | 'cas' | 'cas-miss'
  readonly process: number
  /** How long before and after its effect the call was open, in steps. */
  readonly before: number
  readonly after: number
  /** The answer never came. */
  readonly unknown: boolean
  /** With an unknown outcome: it did nothing at all. */
  readonly never: boolean
}

const anySteps = fc.array(
  fc.record<Step>({
    kind: fc.constantFrom('read', 'read', 'write', 'cas', 'cas-miss'),
    process: fc.integer({ min: 0, max: 7 }),
    before: fc.double({ min: 0, max: 4, noNaN: true }),
    after: fc.double({ min: 0, max: 4, noNaN: true }),
    unknown: fc.integer({ min: 0, max: 9 }).map((die) => die === 0),
    never: fc.boolean(),
  }),
  { minLength: 1, maxLength: 120 },
)

/**
 * Runs the steps on a register, one at each whole time, and stretches each call around its effect as far as its
 * process's other calls allow. Every value is written once.
 */
function recordRun(steps: readonly Step[]): Call[] {
  const history: Call[] = []
  const freeFrom = new Map<string, number>()
  let state: number | null = null
  let next = 1
  for (const [at, step] of steps.entries()) {
    const process = `${step.process}`
    const free = freeFrom.get(process) ?? -1
    if (free >= at) continue
    const input: RegisterInput =
      step.kind === 'read'
        ? { kind: 'read' }
        : step.kind === 'write'
          ? { kind: 'write', value: next++ }
          : {
              kind: 'cas',
              expected: step.kind === 'cas' ? (state ?? 0) : next + 1e6,
              value: next++,
            }
    const matches = input.kind === 'cas' && input.expected === state
    const output: RegisterOutput =
      input.kind === 'read' ? { value: state } : input.kind === 'cas' ? { swapped: matches } : {}
    if (!(step.unknown && step.never)) {
      if (input.kind === 'write' || matches) state = (input as { value: number }).value
    }
    const open = { process, call: Math.max(free, at - step.before), input }
    if (step.unknown) history.push({ ...open, return: Infinity, output: undefined })
    else history.push({ ...open, return: at + step.after, output })
    freeFrom.set(process, step.unknown ? Infinity : at + step.after)
  }
  return history
}

test('what a real register did is linearizable, however its calls overlap', async () => {
  fc.assert(
    fc.property(anySteps, (steps) => {
      const verdict = checkLinearizable(registerModel, recordRun(steps))
      if (verdict.result !== 'linearizable') throw new Error(explain(registerModel, verdict))
    }),
    { numRuns: 400 },
  )
})

/** Appends to a history: a write that returned, another one, and a read of the given value, each after the other. */
function withEnding(history: readonly Call[], answer: 'stale' | 'lost' | 'right'): Call[] {
  const ends = history.map((call) => call.return).filter((time) => time !== Infinity)
  const start = Math.max(0, ...history.map((call) => call.call), ...ends) + 1
  const ending = (at: number, input: RegisterInput, output: RegisterOutput): Call => ({
    ...{ process: 'ending', call: start + at, return: start + at + 0.5, input, output },
  })
  const [older, newer] = [-1, -2]
  const value = answer === 'right' ? newer : answer === 'stale' ? older : (null as number | null)
  return [
    ...history,
    ending(0, { kind: 'write', value: older }, {}),
    ending(1, { kind: 'write', value: newer }, {}),
    ending(2, { kind: 'read' }, { value }),
  ]
}

test('one stale read or lost write is always found', async (t) => {
  fc.assert(
    fc.property(anySteps, (steps) => {
      const history = recordRun(steps)
      const judge = (answer: 'stale' | 'lost' | 'right') =>
        checkLinearizable(registerModel, withEnding(history, answer)).result
      t.equal(judge('right'), 'linearizable')
      t.equal(judge('stale'), 'illegal', 'the value before the last')
      t.equal(judge('lost'), 'illegal', 'as if nothing had been written')
    }),
    { numRuns: 150 },
  )
})

test('a read in the middle that is answered with a value that was overwritten', async (t) => {
  let planted = 0
  fc.assert(
    fc.property(anySteps, fc.nat(), (steps, pick) => {
      const history = recordRun(steps.map((step) => ({ ...step, unknown: false })))
      const lies = history.flatMap((read) =>
        read.input.kind === 'read' ? stale(history, read) : [],
      )
      const lie = lies[pick % Math.max(1, lies.length)]
      if (lie === undefined) return
      planted += 1
      const changed = history.map((call) =>
        call.process === lie.process && call.call === lie.call ? lie : call,
      )
      t.equal(checkLinearizable(registerModel, changed).result, 'illegal')
    }),
    { numRuns: 300 },
  )
  t.ok(planted > 40, `${planted} planted`)
})

/** The read with each value that a plain write set and another plain write had replaced for certain before the read began. */
function stale(history: readonly Call[], read: Call): Call[] {
  const writes = history.filter((call) => call.input.kind === 'write')
  return writes
    .filter((older) =>
      writes.some((newer) => older.return < newer.call && newer.return < read.call),
    )
    .map((older) => ({ ...read, output: { value: (older.input as { value: number }).value } }))
}
