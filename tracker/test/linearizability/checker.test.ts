/** The linearizability checker on histories made by hand: each shows one rule. */
import { test } from 'tap'
import { checkLinearizable, explain } from '../support/linearizability/checker.ts'
import { HistoryRecorder, type Operation } from '../support/linearizability/history.ts'
import {
  type MapInput,
  type MapOutput,
  mapModel,
  type RegisterInput,
  type RegisterOutput,
  registerModel,
} from '../support/linearizability/models.ts'

type Call = Operation<RegisterInput, RegisterOutput>

let processes = 0

function call(from: number, to: number, input: RegisterInput, output?: RegisterOutput): Call {
  processes += 1
  return { process: processes, call: from, return: to, input, output }
}

const write = (from: number, to: number, value: number) =>
  call(from, to, { kind: 'write', value }, to === Infinity ? undefined : {})
const read = (from: number, to: number, value: number | null) =>
  call(from, to, { kind: 'read' }, { value })
const cas = (from: number, to: number, expected: number, value: number, swapped?: boolean) =>
  call(
    ...[from, to, { kind: 'cas', expected, value } as const],
    ...(swapped === undefined ? [] : [{ swapped }]),
  )
const judge = (...history: Call[]) => checkLinearizable(registerModel, history).result

test('one after another', async (t) => {
  t.equal(judge(), 'linearizable', 'nothing happened')
  t.equal(judge(read(0, 1, null)), 'linearizable')
  t.equal(judge(read(0, 1, 5)), 'illegal', 'a value from nowhere')
  t.equal(judge(write(0, 1, 1), read(2, 3, 1)), 'linearizable')
  t.equal(judge(write(0, 1, 1), read(2, 3, null)), 'illegal', 'a write is lost')
  t.equal(judge(write(0, 1, 1), write(2, 3, 2), read(4, 5, 1)), 'illegal', 'a stale read')
})

test('at the same time', async (t) => {
  t.equal(judge(write(0, 5, 1), read(1, 2, 1)), 'linearizable', 'seen before it returns')
  t.equal(judge(write(0, 5, 1), read(1, 2, null)), 'linearizable', 'not yet seen')
  t.equal(
    judge(write(0, 9, 1), read(1, 2, 1), read(3, 4, null)),
    'illegal',
    'what was seen stays seen',
  )
  t.equal(
    judge(write(0, 9, 1), write(0, 9, 2), read(1, 2, 1), read(3, 4, 2), read(5, 6, 2)),
    'linearizable',
  )
  t.equal(
    judge(write(0, 9, 1), write(0, 9, 2), read(1, 2, 1), read(3, 4, 2), read(5, 6, 1)),
    'illegal',
  )
})

test('a return and a call at the same place count as at the same time', async (t) => {
  t.equal(judge(write(0, 1, 1), read(1, 2, null)), 'linearizable')
})

test('compare and set', async (t) => {
  t.equal(judge(write(0, 1, 1), cas(2, 3, 1, 2, true), read(4, 5, 2)), 'linearizable')
  t.equal(judge(write(0, 1, 1), cas(2, 3, 1, 2, false)), 'illegal', 'it had to succeed')
  t.equal(judge(write(0, 1, 1), cas(2, 3, 7, 2, true)), 'illegal', 'it had to fail')
  t.equal(
    judge(write(0, 1, 1), cas(2, 5, 1, 2, true), cas(3, 4, 1, 3, true)),
    'illegal',
    'only one of two can win',
  )
})

test('an unknown outcome: at once, much later, or never', async (t) => {
  const lost = write(2, Infinity, 2)
  t.equal(judge(write(0, 1, 1), lost, read(3, 4, 1)), 'linearizable')
  t.equal(judge(write(0, 1, 1), lost, read(3, 4, 2)), 'linearizable')
  t.equal(judge(write(0, 1, 1), lost, read(3, 4, 1), read(5, 6, 2)), 'linearizable')
  t.equal(judge(write(0, 1, 1), lost, read(3, 4, 2), read(5, 6, 1)), 'illegal', 'not twice')
  t.equal(judge(write(0, 1, 1), read(1.2, 1.5, 2), lost), 'illegal', 'not before the call')
  t.equal(judge(write(0, 1, 1), cas(2, Infinity, 1, 5), read(3, 4, 5)), 'linearizable')
  t.equal(judge(write(0, 1, 1), cas(2, Infinity, 9, 5), read(3, 4, 5)), 'illegal')
})

test('many calls of unknown outcome do not explode', async (t) => {
  const lost = Array.from({ length: 60 }, (_, at) => write(at, Infinity, 1000 + at))
  const reads = Array.from({ length: 60 }, (_, at) => read(300 + 2 * at, 301 + 2 * at, null))
  const judged = (...more: Call[]) =>
    checkLinearizable(registerModel, [...lost, ...reads, ...more], { stepsMax: 1_000_000 }).result
  t.equal(judged(), 'linearizable')
  t.equal(judged(read(900, 901, 1033), read(902, 903, 1003)), 'linearizable')
  t.equal(judged(read(900, 901, 1033), read(902, 903, null)), 'illegal')
})

test('a search that meets its bound says so', async (t) => {
  // Many writes at once and a read of what none wrote: every order must be tried.
  const writes = Array.from({ length: 40 }, (_, at) => write(at, 100 + at, at))
  const history = [...writes, read(200, 201, 77)]
  for (const options of [{ stepsMax: 1000 }, { statesMax: 1000 }]) {
    const verdict = checkLinearizable(registerModel, history, options)
    t.equal(verdict.result, 'undecided')
    t.match(explain(registerModel, verdict), /^undecided after \d+ steps\nlongest order found/)
  }
  const known = checkLinearizable(mapModel, twoKeys('illegal'), { stepsMax: 1000 })
  t.match(known, { result: 'illegal', part: 'bad' }, 'illegal in another part is still found')
})

/** A key that cannot be decided within a small bound before one that plainly is illegal. */
function twoKeys(kind: 'illegal'): Operation<MapInput, MapOutput>[] {
  const operations: Operation<MapInput, MapOutput>[] = []
  const add = (from: number, to: number, input: MapInput, output: MapOutput) =>
    operations.push({ process: operations.length, call: from, return: to, input, output })
  add(0, 1, { kind: 'get', key: 'bad' }, { value: kind })
  for (let at = 0; at < 30; at++)
    add(10 + at, 100 + at, { kind: 'append', key: 'large', value: `${at}.` }, {})
  add(200, 201, { kind: 'get', key: 'large' }, { value: 'never' })
  return operations
}

test('a map is judged key by key', async (t) => {
  const recorder = new HistoryRecorder<MapInput, MapOutput>({ now: () => 7 })
  const put = recorder.invoke('a', { kind: 'put', key: 'x', value: '1' })
  const other = recorder.invoke('b', { kind: 'cas', key: 'y', expected: null, value: '2' })
  recorder.ok(put, {})
  recorder.ok(other, { swapped: true })
  recorder.ok(recorder.invoke('a', { kind: 'append', key: 'x', value: '0' }), {})
  recorder.ok(recorder.invoke('a', { kind: 'get', key: 'x' }), { value: '10' })
  recorder.failed(recorder.invoke('b', { kind: 'put', key: 'x', value: 'none' }))
  const open = recorder.invoke('b', { kind: 'delete', key: 'x' })
  t.equal(checkLinearizable(mapModel, recorder.operations()).result, 'linearizable')
  recorder.unknown(open)
  t.throws(() => recorder.invoke('b', { kind: 'get', key: 'x' }), /unknown outcome/)
  recorder.ok(recorder.invoke('a', { kind: 'get', key: 'x' }), { value: null })
  t.equal(checkLinearizable(mapModel, recorder.operations()).result, 'linearizable')
  recorder.ok(recorder.invoke('a', { kind: 'get', key: 'y' }), { value: '1' })
  const verdict = checkLinearizable(mapModel, recorder.operations())
  t.match(verdict, { result: 'illegal', part: 'y' })
  t.match(explain(mapModel, verdict), 'get y -> 1')
  t.equal(recorder.operations()[0]?.invokedAt, 7)
})

test('a process has one call open at a time', async (t) => {
  const recorder = new HistoryRecorder<RegisterInput, RegisterOutput>({ now: () => 0 })
  const first = recorder.invoke(1, { kind: 'read' })
  t.throws(() => recorder.invoke(1, { kind: 'read' }), /has a call open/)
  recorder.ok(first, { value: null })
  t.throws(() => recorder.ok(first, { value: null }), /closed once/)
})
