/** Nothing that peers, the edge or the page say makes the scheduler's state grow beyond its limits. */
import { test } from 'tap'
import { schedulerLimits } from '../../src/scheduler/limits.ts'
import { PartScheduler } from '../../src/scheduler/scheduler.ts'
import { SchedulerBench } from '../support/scheduler-bench.ts'

test('peers that name many parts: the oldest are forgotten, and one peer cannot push out what others have', async (t) => {
  const bench = new SchedulerBench()
  bench.tell({ type: 'edge', isOpen: true })
  bench.up('good', 'bad')
  bench.has('good', 'v/1')
  for (let sequence = 0; sequence < 6_000; sequence++) bench.has('bad', `w/${sequence}`)
  t.equal(bench.scheduler.figures().partsKnown, schedulerLimits.partsPerPeerMax + 1)
  t.same(bench.want('v/1', 10_000), ['ask good v/1 0-'])
  t.ok(bench.scheduler.figures().counters.limited > 0)
})

test('parts are bounded over all peers; those that are wanted stay', async (t) => {
  const bench = new SchedulerBench()
  bench.tell({ type: 'edge', isOpen: true })
  bench.want('v/1', 1_000_000)
  for (let peer = 0; peer < 6; peer++) {
    bench.up(`p${peer}`)
    for (let at = 0; at < 1_000; at++) bench.has(`p${peer}`, `w/${peer}000${at}`)
  }
  t.equal(bench.scheduler.figures().partsKnown, schedulerLimits.partsMax)
  t.same(bench.has('p0', 'v/1'), ['ask p0 v/1 0-'])
})

test('a part is given up at once when there is no room for it', async (t) => {
  const bench = new SchedulerBench()
  bench.tell({ type: 'edge', isOpen: true })
  for (let at = 0; at < schedulerLimits.partsMax; at++) bench.want(`v/${at}`, 1_000_000)
  t.same(bench.want('v/x', 1_000_000), ['give-up v/x'])
  t.same(bench.tell({ type: 'bytes', key: 'v/y', from: 0, to: 1 }), [])
  t.same(bench.tell({ type: 'length', key: 'v/y', bytes: 1 }), [])
})

test('holders of a part are bounded', async (t) => {
  const bench = new SchedulerBench()
  for (let peer = 0; peer < 100; peer++) {
    bench.up(`p${peer}`)
    bench.has(`p${peer}`, 'v/1')
  }
  t.equal(bench.scheduler.figures().counters.limited, 100 - schedulerLimits.holdersMax)
})

test('a peer that sends a part in crumbs is dropped', async (t) => {
  const bench = new SchedulerBench()
  bench.up('a')
  bench.has('a', 'v/1')
  bench.want('v/1', 1_000_000)
  const lines: string[] = []
  for (let at = 0; lines.length === 0 && at < 10_000; at++) {
    lines.push(...bench.bytes('v/1', 2 * at + 1, 2 * at + 2, 'a'))
  }
  t.equal(lines[0], 'drop a bytes')
})

test('renditions with trees are bounded', async (t) => {
  const bench = new SchedulerBench()
  const names = ['a', 'b', 'c', 'd', 'e']
  for (const rendition of names) {
    bench.tell({ type: 'published', keys: [`${rendition}/1`] })
    bench.tell({ type: 'tree', rendition, stripes: [{ children: [] }] })
  }
  const roots = names.filter(
    (name) => bench.tell({ type: 'published', keys: [`${name}/2`] }).length > 0,
  )
  t.same(roots, ['b', 'c', 'd', 'e'])
})

test('what the scheduler does not know leaves it cold', async (t) => {
  const scheduler = new PartScheduler({ random: () => 0 })
  const key = 'v/1'
  const strangers = [
    { type: 'unwant', key },
    { type: 'from', key, peers: ['a'], isWhole: true, untilMs: 5 },
    { type: 'peer-down', peer: 'a' },
    { type: 'peer-rtt', peer: 'a', rttMs: 1 },
    { type: 'peer-has', peer: 'a', key, bytes: 5, isWhole: true },
    { type: 'peer-lost', peer: 'a', key },
    { type: 'push', peer: 'a', key },
    { type: 'peer-end', peer: 'a', key, isCut: true },
    { type: 'fetched', key },
    { type: 'fetch-failed', key },
    { type: 'verified', key },
    { type: 'refused', key, peers: ['a'] },
    { type: 'evicted', key },
    { type: 'time' },
  ] as const
  for (const event of strangers) t.same(scheduler.handle(event, 0), [], event.type)
  t.equal(scheduler.wakeAtMs(), undefined)
  t.equal(scheduler.figures().partsKnown, 0)
})

test('figures say what each part is at', async (t) => {
  const bench = new SchedulerBench()
  bench.tell({ type: 'edge', isOpen: true })
  bench.up('a', 'p')
  bench.tell({ type: 'published', keys: ['r/0'] }, { type: 'published', keys: ['r/1', 'r/2'] })
  bench.tell({ type: 'tree', rendition: 'r', stripes: [{ parent: 'p', children: [] }] })
  bench.want('v/1', 10_000, true)
  bench.has('a', 'v/2')
  bench.want('v/2', 10_000)
  bench.want('v/3', 10_000)
  bench.want('v/4', 10_000)
  bench.tell({ type: 'from', key: 'v/4', peers: ['x'], isWhole: false, untilMs: 9_000 })
  bench.want('r/1', 10_000)
  bench.tell({ type: 'push', peer: 'p', key: 'r/2' })
  const { parts } = bench.scheduler.figures()
  t.same(Object.fromEntries(parts.map(({ key, state }) => [key, state])), {
    'v/1': 'HTTP: urgent',
    'v/2': 'from a',
    'v/3': 'waits for the edge',
    'v/4': 'waits for x',
    'r/1': 'waits for its parent p',
    'r/2': 'pushed by p',
  })
})
