/** Live parts: pushed along trees by roots and inner nodes, waited for by leaves. */
import { test } from 'tap'
import { SchedulerBench } from '../support/scheduler-bench.ts'

const root = { children: ['b', 'c'] } as const
const leaf = { parent: 'a', children: [] } as const
const inner = { parent: 'a', children: ['b', 'c'] } as const

/** A page that has seen a first list, with its places in the stripes of `r`. */
function page(
  stripes: readonly { readonly parent?: string; readonly children: readonly string[] }[],
  ...peers: readonly string[]
): SchedulerBench {
  const bench = new SchedulerBench()
  bench.tell({ type: 'edge', isOpen: true })
  bench.tell({ type: 'published', keys: ['r/1.0'] }, { type: 'evicted', key: 'r/1.0' })
  bench.tell({ type: 'tree', rendition: 'r', stripes })
  bench.up(...peers)
  return bench
}

test('the root fetches what is published, wanted or not, and pushes it to each child that is up, once', async (t) => {
  const bench = page([root], 'b')
  t.same(bench.tell({ type: 'published', keys: ['r/1.1'] }), ['fetch r/1.1 0-', 'push b r/1.1'])
  bench.tell({ type: 'length', key: 'r/1.1', bytes: 1_000 })
  t.same(bench.bytes('r/1.1', 0, 500), [])
  t.same(bench.want('r/1.1', 300), [], 'a wish changes nothing')
  t.same(bench.up('c'), ['push c r/1.1'], 'a child that comes later')
  t.same(bench.bytes('r/1.1', 500, 1_000), ['verify r/1.1'])
  t.same(bench.tell({ type: 'verified', key: 'r/1.1' }), [])
  t.same(bench.pass(60_000), [])
})

test('a root fetches only the parts of its own stripes', async (t) => {
  const bench = page([leaf, root], 'a', 'b')
  const lines = bench.tell({ type: 'published', keys: ['r/2.0', 'r/2.1', 'r/2.2', 'r/2.3'] })
  t.same(
    lines.filter((text) => text.startsWith('fetch')),
    ['fetch r/2.1 0-', 'fetch r/2.3 0-'],
  )
})

test('of the first list only the last two parts are new', async (t) => {
  const bench = new SchedulerBench()
  bench.tell({ type: 'tree', rendition: 'r', stripes: [root] })
  const keys = Array.from({ length: 30 }, (_, part) => `r/1.${part}`)
  t.same(bench.tell({ type: 'published', keys }), ['fetch r/1.28 0-', 'fetch r/1.29 0-'])
})

test('who becomes the root fetches the recent parts that it does not have', async (t) => {
  const bench = page([leaf], 'a')
  bench.tell({ type: 'published', keys: ['r/2.0', 'r/2.1'] })
  t.same(bench.tell({ type: 'tree', rendition: 'r', stripes: [root] }), [
    'fetch r/2.0 0-',
    'fetch r/2.1 0-',
  ])
  t.same(
    bench.tell({ type: 'tree', rendition: 'r', stripes: [leaf] }),
    [],
    'what is under way stays',
  )
})

test('a leaf waits for its parent, and HTTP takes over at the deadline', async (t) => {
  const bench = page([leaf], 'a')
  t.same(bench.tell({ type: 'published', keys: ['r/2.0'] }), [])
  t.same(bench.pass(10_000), [], 'not wanted: nothing')
  t.same(bench.want('r/2.0', 400), [])
  t.same(
    bench.pass(1_000),
    ['10100 fetch r/2.0 0-'],
    'a guess of 262 ms is held to half of what there is',
  )
})

test('a leaf takes what is pushed, and asks nobody', async (t) => {
  const bench = page([leaf], 'a', 'd')
  bench.tell({ type: 'published', keys: ['r/2.0'] })
  bench.want('r/2.0', 1_000)
  t.same(bench.has('d', 'r/2.0'), [], 'not even one that has it')
  t.same(bench.tell({ type: 'push', peer: 'a', key: 'r/2.0' }), [])
  bench.tell({ type: 'length', key: 'r/2.0', bytes: 80_000 })
  t.same(
    bench.flow('r/2.0', 0, 80_000, 900, 'a').map((text) => text.replace(/^\d+ /, '')),
    ['verify r/2.0'],
  )
})

test('a parent that is late loses the part to any neighbour that has it', async (t) => {
  const bench = page([leaf], 'a', 'd')
  bench.tell({ type: 'published', keys: ['r/2.0'] })
  bench.tell({ type: 'length', key: 'r/2.0', bytes: 10_000 })
  bench.has('d', 'r/2.0')
  bench.want('r/2.0', 1_000)
  t.same(bench.pass(450), ['420 ask d r/2.0 0-'], 'half way to the latest moment for HTTP')
  t.same(bench.tell({ type: 'push', peer: 'a', key: 'r/2.0' }), ['cancel a r/2.0'], 'too late')
})

test('a parent that is not connected is not waited for', async (t) => {
  const bench = page([leaf], 'd')
  bench.tell({ type: 'published', keys: ['r/2.0', 'r/2.1'] })
  bench.has('d', 'r/2.0', false)
  t.same(bench.want('r/2.0', 1_000), ['ask d r/2.0 0-'])
  t.same(bench.want('r/2.1', 1_000), ['ask-edge r/2.1<1000'])
  bench.tell({ type: 'from', key: 'r/2.1', peers: ['a'], isWhole: false, untilMs: 60_000 })
  const lines = bench.pass(2_000).filter((text) => text.includes('r/2.1'))
  t.match(lines[0], '500 fetch r/2.1 0-', 'half of the time that there was')
})

test('a parent that leaves sets its children free', async (t) => {
  const bench = page([leaf], 'a', 'd')
  bench.tell({ type: 'published', keys: ['r/2.0'] })
  bench.has('d', 'r/2.0', false)
  bench.want('r/2.0', 1_000)
  t.same(bench.tell({ type: 'peer-down', peer: 'a' }), ['ask d r/2.0 0-'])
})

test('an inner node passes on what is pushed as it begins to come, wanted or not', async (t) => {
  const bench = page([inner], 'a', 'b', 'c')
  t.same(
    bench.tell({ type: 'push', peer: 'a', key: 'r/2.0' }),
    ['push b r/2.0', 'push c r/2.0'],
    'though its own playlist does not list it yet',
  )
  t.same(bench.tell({ type: 'published', keys: ['r/2.0'] }), [])
  bench.tell({ type: 'length', key: 'r/2.0', bytes: 1_000 })
  t.same(bench.bytes('r/2.0', 0, 1_000, 'a'), ['verify r/2.0'])
})

test('a child that has the part, or is the one that sends it, gets no push', async (t) => {
  const bench = page([inner], 'a', 'b', 'c')
  bench.has('b', 'r/2.0')
  t.same(bench.tell({ type: 'push', peer: 'c', key: 'r/2.0' }), [])
})

test('a child that comes back is given the recent parts again, no more of them than are recent', async (t) => {
  const bench = page([root])
  for (let part = 0; part < 12; part++) {
    const key = `r/2.${part}`
    bench.tell({ type: 'published', keys: [key] }, { type: 'length', key, bytes: 100 })
    bench.bytes(key, 0, 100)
    bench.tell({ type: 'verified', key })
  }
  const recent = Array.from({ length: 8 }, (_, at) => `push b r/2.${at + 4}`)
  t.same(bench.up('b'), recent)
  t.same(bench.tell({ type: 'peer-down', peer: 'b' }), [])
  t.same(bench.up('b'), recent)
})

test('a push of what is there, or comes from elsewhere already, is cancelled', async (t) => {
  const bench = page([leaf], 'a', 'd')
  bench.tell({ type: 'length', key: 'r/2.0', bytes: 100 })
  bench.bytes('r/2.0', 0, 100, 'd')
  bench.tell({ type: 'verified', key: 'r/2.0' })
  t.same(bench.tell({ type: 'push', peer: 'a', key: 'r/2.0' }), ['cancel a r/2.0'])
  bench.tell({ type: 'push', peer: 'a', key: 'r/2.1' })
  t.same(bench.tell({ type: 'push', peer: 'd', key: 'r/2.1' }), ['cancel d r/2.1'])
  t.same(bench.tell({ type: 'push', peer: 'x', key: 'r/2.2' }), [], 'who is not up is not there')
})

test('a stranger cannot push what nobody wants', async (t) => {
  const bench = page([leaf], 'd')
  t.same(bench.tell({ type: 'push', peer: 'd', key: 'other/1' }), ['cancel d other/1'])
  t.same(bench.tell({ type: 'push', peer: 'd', key: 'no key' }), ['cancel d no key'])
  const lines = Array.from({ length: 40 }, (_, at) =>
    bench.tell({ type: 'push', peer: 'd', key: `r/9.${at}` }),
  ).flat()
  t.equal(lines.length, 40 - 16, 'and no more at a time than pushesPerPeerMax')
})

test('a push that nobody waits for and that stops ends after some seconds, without blame', async (t) => {
  const bench = page([leaf], 'a')
  bench.tell({ type: 'push', peer: 'a', key: 'r/2.0' })
  t.same(bench.pass(60_000), ['10000 cancel a r/2.0'])
  t.equal(bench.scheduler.figures().peers[0]?.faults, 0)
})

test('a push that was slow before the part was wanted has its patience from then on', async (t) => {
  const bench = page([leaf], 'a', 'd')
  bench.tell({ type: 'push', peer: 'a', key: 'r/2.0' })
  bench.pass(5_000)
  t.same(bench.want('r/2.0', 20_000), [])
  t.same(bench.pass(1_000), [
    '5480 cancel a r/2.0',
    '5480 ask-edge r/2.0<19520',
    '5730 fetch r/2.0 0-',
  ])
})

test('a root whose HTTP fails gives the part back to the edge, and does not try for ever', async (t) => {
  const bench = page([root])
  bench.tell({ type: 'published', keys: ['r/2.0'] })
  t.same(bench.tell({ type: 'fetch-failed', key: 'r/2.0' }), ['return-lease r/2.0'])
  t.same(bench.pass(60_000), [])
  t.same(bench.want('r/2.0', 500), ['fetch r/2.0 0-'], 'the player may ask')
  t.same(bench.tell({ type: 'fetch-failed', key: 'r/2.0' }), ['give-up r/2.0'])
})

test('a child whose HTTP failed waits for the push until the deadline', async (t) => {
  const bench = page([leaf], 'a')
  bench.tell({ type: 'published', keys: ['r/2.0'] })
  bench.want('r/2.0', 1_000, true)
  t.same(bench.tell({ type: 'fetch-failed', key: 'r/2.0' }), [])
  t.same(bench.pass(2_000), ['1000 give-up r/2.0'])
})

test('a page that gives nothing neither pushes nor fetches for others', async (t) => {
  const bench = page([root], 'b')
  bench.tell({ type: 'manners', mayTake: true, mayGive: false })
  t.same(bench.tell({ type: 'published', keys: ['r/2.0'] }), [])
  t.same(bench.want('r/2.0', 1_000), ['fetch r/2.0 0-'], 'for itself it does')
})

test('what is not new is not pushed', async (t) => {
  const bench = page([root], 'b')
  t.same(bench.want('r/0.0', 10_000), ['fetch r/0.0 0-'], 'the root asks nobody')
})

test('a tree that is taken back leaves parts as any others', async (t) => {
  const bench = page([leaf], 'a')
  bench.tell({ type: 'published', keys: ['r/2.0'] })
  bench.want('r/2.0', 1_000)
  t.same(bench.tell({ type: 'tree', rendition: 'r', stripes: [] }), ['ask-edge r/2.0<1000'])
})
