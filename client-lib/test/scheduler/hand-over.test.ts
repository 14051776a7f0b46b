/** Fetches that begin at once, and are left to another page when that turns out to be faster. */
import { test } from 'tap'
import { SchedulerBench } from '../support/scheduler-bench.ts'
import { measureHttp, page } from '../support/scheduler-pages.ts'

const key = 'v/1'
const mebibyte = 1_048_576

test('urgent: HTTP at once whoever has it, and the edge is asked', async (t) => {
  const bench = page('a')
  bench.has('a', key)
  t.same(bench.want(key, 1_000, true), ['fetch v/1 0-', 'ask-edge v/1<1000'])
})

test('urgent, a tight origin: the fetch is left to the holder that the edge names, once', async (t) => {
  const bench = page('a')
  bench.want(key, 1_000, true)
  bench.tell({ type: 'length', key, bytes: mebibyte })
  bench.flow(key, 0, 5_000, 80)
  t.same(bench.tell({ type: 'from', key, peers: ['a'], isWhole: false, untilMs: 9_000 }), [])
  t.same(bench.pass(50), ['110 stop-fetch v/1', '110 ask a v/1 5000-'])
  t.same(bench.pass(2_000), ['590 cancel a v/1', '590 fetch v/1 5000-'], 'silent: HTTP again')
  t.same(bench.flow(key, 5_000, 6_000, 5_000), [], 'and not back')
  t.equal(bench.scheduler.figures().counters.handOvers, 1)
})

test('a part that came back to HTTP is not handed over again', async (t) => {
  const bench = page('a')
  bench.tell({ type: 'length', key, bytes: mebibyte })
  bench.has('a', key)
  bench.want(key, 1_000, true)
  const lines = bench.flow(key, 0, 8_000, 200)
  lines.push(...bench.flow(key, 8_000, 9_000, 3_000, 'a'))
  lines.push(...bench.flow(key, 9_000, 10_000, 3_000))
  t.same(
    lines.map((text) => text.replace(/^\d+ /, '').split(' ')[0]),
    ['stop-fetch', 'ask', 'cancel', 'fetch'],
  )
})

test('urgent, a fast origin: the fetch goes on', async (t) => {
  const bench = page('a')
  bench.want(key, 1_000, true)
  bench.tell({ type: 'length', key, bytes: mebibyte })
  bench.tell({ type: 'from', key, peers: ['a'], isWhole: true, untilMs: 9_000 })
  t.same(bench.flow(key, 0, mebibyte, 300), ['verify v/1'])
})

test('a fetch is not left to a neighbour that only has the part coming in and was not named', async (t) => {
  const bench = page('a')
  bench.want(key, 1_000, true)
  bench.tell({ type: 'length', key, bytes: mebibyte })
  bench.has('a', key, false)
  t.same(bench.flow(key, 0, 20_000, 2_000), [])
})

test('handed over: the holder brings it faster than HTTP was, though the deadline has passed', async (t) => {
  const bench = page('a')
  measureHttp(bench, 500_000)
  bench.want(key, 500, true)
  bench.tell({ type: 'length', key, bytes: mebibyte })
  bench.tell({ type: 'from', key, peers: ['a'], isWhole: false, untilMs: 60_000 })
  t.same(
    bench.flow(key, 0, 6_875, 110).map((text) => text.replace(/^\d+ /, '')),
    ['stop-fetch v/1', 'ask a v/1 6250-'],
  )
  t.same(bench.flow(key, 6_250, mebibyte, 4_000, 'a'), ['verify v/1'])
})

test('urgent, before the edge is there: it is asked once it is', async (t) => {
  const bench = new SchedulerBench()
  t.same(bench.want(key, 1_000, true), ['fetch v/1 0-'])
  t.same(bench.tell({ type: 'edge', isOpen: true }), ['ask-edge v/1<1000'])
  bench.up('a')
  bench.tell({ type: 'length', key, bytes: mebibyte })
  bench.flow(key, 0, 5_000, 80)
  bench.tell({ type: 'from', key, peers: ['a'], isWhole: false, untilMs: 9_000 })
  t.match(
    bench.pass(50),
    [/stop-fetch v\/1/, /ask a v\/1 5000-/],
    'and the fetch is left to whom it names',
  )
})
