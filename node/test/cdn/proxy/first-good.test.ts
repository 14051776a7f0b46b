/** Several ways to one answer: who begins when, who wins, and what becomes of the others. */
import { test } from 'tap'
import { type Contender, firstGood, OvertakenError } from '../../../src/cdn/proxy/first-good.ts'
import { KairoError } from '../../../src/errors.ts'
import { settle } from '../../support/manual-clock.ts'

/** A contender that a test lets be good, fail or be late. */
function scripted() {
  const run = Promise.withResolvers<string>()
  const late = Promise.withResolvers<void>()
  const seen: { signal: AbortSignal | undefined } = { signal: undefined }
  const contender: Contender<string> = {
    run: (signal) => {
      seen.signal = signal
      return run.promise
    },
    late: () => late.promise,
  }
  return { run, late, contender, seen, hasBegun: () => seen.signal !== undefined }
}

const never = new AbortController().signal

test('the next begins when the one before is late, and the first good one ends all others', async (t) => {
  const [first, second, third] = [scripted(), scripted(), scripted()]
  const contenders = [first, second, third].map(({ contender }) => contender)
  const won = firstGood(contenders, never)
  await settle()
  t.same([first.hasBegun(), second.hasBegun()], [true, false])
  first.late.resolve()
  await settle()
  t.same([second.hasBegun(), third.hasBegun()], [true, false])
  second.run.resolve('second')
  t.equal(await won, 'second')
  t.ok(first.seen.signal?.reason instanceof OvertakenError)
  t.equal(second.seen.signal?.aborted, false, 'what it brings goes on')
  first.run.resolve('too late')
  await settle()
  t.equal(third.hasBegun(), false)
})

test('a failure begins the next; one of those behind does not', async (t) => {
  const [first, second, third] = [scripted(), scripted(), scripted()]
  const won = firstGood([first.contender, second.contender, third.contender], never)
  first.late.resolve()
  await settle()
  first.run.reject(new Error('first'))
  await settle()
  t.equal(third.hasBegun(), false, 'the second has its time')
  second.run.reject(new Error('second'))
  await settle()
  t.equal(third.hasBegun(), true)
  third.run.resolve('third')
  t.equal(await won, 'third')
})

test('when all have failed, the last of the order says why', async (t) => {
  const [first, second] = [scripted(), scripted()]
  const lost = firstGood([first.contender, second.contender], never)
  first.late.resolve()
  await settle()
  second.run.reject(new Error('of the origin'))
  await settle()
  first.run.reject(new Error('of a shield'))
  await t.rejects(lost, { message: 'of the origin' })
})

test('whoever leaves ends them all', async (t) => {
  const client = new AbortController()
  const [first, second] = [scripted(), scripted()]
  const lost = firstGood([first.contender, second.contender], client.signal)
  await settle()
  client.abort(new KairoError('ERR_STOPPED', 'gone'))
  await t.rejects(lost, { code: 'ERR_STOPPED' })
  t.equal(first.seen.signal?.aborted, true)
  t.notOk(first.seen.signal?.reason instanceof OvertakenError, 'which is no failure of theirs')
  first.run.reject(new Error('aborted'))
  await settle()
  t.equal(second.hasBegun(), false)
  await t.rejects(firstGood([second.contender], client.signal), { code: 'ERR_STOPPED' })
  t.equal(second.hasBegun(), false)
})
