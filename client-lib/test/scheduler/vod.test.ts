/** Parts that a player asks for one after the other: who is asked, who is waited for, and when HTTP takes over. */
import { test } from 'tap'
import { SchedulerBench } from '../support/scheduler-bench.ts'
import { measureHttp, measurePeer, page } from '../support/scheduler-pages.ts'

const key = 'v/1'
const mebibyte = 1_048_576

test('a neighbour that has the part is asked for it', async (t) => {
  const bench = page('a')
  bench.has('a', key)
  t.same(bench.want(key, 10_000), ['ask a v/1 0-'])
  bench.tell({ type: 'length', key, bytes: 1_000 })
  t.same(bench.bytes(key, 0, 1_000, 'a'), ['verify v/1'])
  t.same(bench.tell({ type: 'verified', key }), [])
  t.same(bench.pass(60_000), [], 'and then there is nothing to do')
})

test('what is there already is not asked for again', async (t) => {
  const bench = page('a')
  bench.tell({ type: 'length', key, bytes: 1_000 })
  bench.bytes(key, 0, 300)
  bench.bytes(key, 600, 1_000)
  bench.has('a', key)
  t.same(bench.want(key, 10_000), ['ask a v/1 300-600'])
})

test('nobody has it: the edge is asked once, and HTTP does not wait longer than edgeWaitMs', async (t) => {
  const bench = page()
  t.same(bench.want(key, 10_000), ['ask-edge v/1<10000'])
  t.same(bench.want(key, 9_000), [], 'a deadline that moves is no new question')
  t.same(bench.pass(1_000), ['250 fetch v/1 0-'])
  t.equal(bench.scheduler.figures().counters.fetches['no-holder'], 1)
})

test('no edge and nobody: HTTP at once', async (t) => {
  const bench = new SchedulerBench()
  t.same(bench.want(key, 10_000), ['fetch v/1 0-'])
  t.equal(bench.scheduler.figures().counters.fetches['no-edge'], 1)
})

test('an edge that is being called is waited for where there is time', async (t) => {
  const calling = new SchedulerBench()
  calling.tell({ type: 'edge', isOpen: false, isTried: true })
  t.same(calling.want(key, 5_000), [])
  t.same(calling.want('v/2', 5_000, true), ['fetch v/2 0-'], 'not with nothing to play')
  t.same(calling.tell({ type: 'edge', isOpen: true }), ['ask-edge v/1<5000 v/2<5000'])

  const deaf = new SchedulerBench()
  deaf.tell({ type: 'edge', isOpen: false, isTried: true })
  deaf.want(key, 5_000)
  t.same(deaf.pass(5_000), ['1000 fetch v/1 0-'])
  t.same(deaf.want('v/2', 5_000), ['fetch v/2 0-'], 'and not once more')

  const late = new SchedulerBench()
  late.tell({ type: 'edge', isOpen: false, isTried: true })
  late.want(key, 600)
  t.match(late.pass(600)[0], /^\d{3} fetch v\/1 0-$/, 'the deadline is stronger')
})

test('the edge goes away while it is waited for: HTTP at once', async (t) => {
  const bench = page()
  bench.want(key, 10_000)
  t.same(bench.tell({ type: 'edge', isOpen: false }), ['fetch v/1 0-'])
})

test('a lease: HTTP at once, and it is neither handed over nor returned', async (t) => {
  const bench = page('a')
  bench.want(key, 10_000)
  t.same(bench.tell({ type: 'grant', key, untilMs: 5_000 }), ['fetch v/1 0-'])
  bench.tell({ type: 'length', key, bytes: mebibyte })
  t.same(bench.has('a', key), [])
  t.same(bench.flow(key, 0, 10_000, 3_000), [], 'however slow it is')
  t.same(bench.bytes(key, 10_000, mebibyte), ['verify v/1'])
})

test('a lease makes a fetch under way its own', async (t) => {
  const bench = page('a')
  t.same(bench.want(key, 2_000, true), ['fetch v/1 0-', 'ask-edge v/1<2000'])
  t.same(bench.tell({ type: 'grant', key, untilMs: 5_000 }), [])
  bench.tell({ type: 'length', key, bytes: mebibyte })
  bench.has('a', key)
  t.same(bench.flow(key, 0, 10_000, 3_000), [])
})

test('a lease goes back when the part is not wanted, or there already', async (t) => {
  const bench = page()
  t.same(bench.tell({ type: 'grant', key, untilMs: 5_000 }), ['return-lease v/1'])
  bench.tell({ type: 'length', key, bytes: 1_000 })
  bench.want(key, 10_000)
  bench.tell({ type: 'grant', key, untilMs: 5_000 })
  t.same(bench.tell({ type: 'unwant', key }), [], 'a small rest is fetched all the same')
  bench.tell({ type: 'length', key: 'v/2', bytes: 10 * mebibyte })
  bench.want('v/2', 10_000)
  bench.tell({ type: 'grant', key: 'v/2', untilMs: 5_000 })
  t.same(bench.tell({ type: 'unwant', key: 'v/2' }), ['stop-fetch v/2', 'return-lease v/2'])
})

test('somebody else fetches: the page asks it as soon as it is connected', async (t) => {
  const bench = page('a')
  bench.want(key, 10_000)
  const from = { type: 'from', key, isWhole: false, untilMs: 4_000 } as const
  t.same(bench.tell({ ...from, peers: ['a', 'b'] }), ['ask a v/1 0-'])
  bench.want('v/2', 10_000)
  t.same(bench.tell({ ...from, key: 'v/2', peers: ['b'] }), [])
  t.same(bench.up('b'), ['ask b v/2 0-'])
})

test('a peer that the edge names twice is asked once', async (t) => {
  const bench = page('a')
  bench.tell({ type: 'length', key, bytes: 1_000 })
  bench.bytes(key, 300, 600)
  bench.want(key, 10_000)
  const from = { type: 'from', key, isWhole: false, untilMs: 4_000 } as const
  t.same(bench.tell({ ...from, peers: ['a', 'a'] }), ['ask a v/1 0-300'])
})

test('somebody who never connects is waited for as long as the edge said, then it is asked again', async (t) => {
  const bench = page()
  bench.want(key, 10_000)
  bench.tell({ type: 'from', key, peers: ['b'], isWhole: false, untilMs: 4_000 })
  t.same(bench.pass(6_000), ['4000 ask-edge v/1<6000', '4250 fetch v/1 0-'])
})

test('the deadline is stronger than what the edge said', async (t) => {
  const bench = page()
  measureHttp(bench, 8_000_000)
  bench.tell({ type: 'length', key, bytes: 1_000_000 })
  const startMs = bench.nowMs
  bench.want(key, 3_000)
  bench.tell({ type: 'from', key, peers: ['b'], isWhole: false, untilMs: startMs + 9_000 })
  const lines = bench.pass(9_000)
  t.match(lines[0], /^28\d\d fetch v\/1 0-$/, '1 s for the bytes, 150 ms of margin before 3 s')
})

test('where nobody has it whole the edge is asked before those that have it coming in', async (t) => {
  const bench = page('a', 'b')
  bench.has('a', key, false)
  t.same(bench.want(key, 10_000), ['ask-edge v/1<10000'])
  t.same(bench.pass(300), ['250 ask a v/1 0-'], 'it does not answer')
  bench.has('a', 'v/2', false)
  bench.want('v/2', 10_000)
  const from = { type: 'from', key: 'v/2', isWhole: false, untilMs: 60_000 } as const
  t.same(bench.tell({ ...from, peers: ['b', 'a'] }), ['ask b v/2 0-'])
})

test('a whole holder that would be too late by measure is passed over for one that has it coming in', async (t) => {
  const bench = page('a', 'b')
  measurePeer(bench, 'a', 1_000_000)
  bench.tell({ type: 'length', key, bytes: 250_000 })
  bench.has('a', key)
  bench.has('b', key, false)
  t.same(bench.want(key, 1_200), ['ask b v/1 0-'])
})

test('late, but not urgent: the edge has a short time to name somebody, then HTTP', async (t) => {
  const bench = page()
  bench.tell({ type: 'length', key, bytes: 10 * mebibyte })
  t.same(bench.want(key, 2_000), ['ask-edge v/1<2000'])
  bench.tell({ type: 'from', key, peers: ['b'], isWhole: false, untilMs: 60_000 })
  t.same(bench.pass(1_000), ['250 fetch v/1 0-'])
})

test('a fast fetch is not left to a peer of which nothing is known', async (t) => {
  const bench = page('a')
  bench.want(key, 1_000, true)
  bench.tell({ type: 'length', key, bytes: 10 * mebibyte })
  bench.has('a', key)
  t.same(bench.flow(key, 0, 2 * mebibyte, 1_000), [], '17 Mbit/s, 4 s to go')
})

test('a fetch that begins makes HTTP slower for the parts that wait, so it has to begin earlier', async (t) => {
  const bench = page()
  bench.tell({ type: 'length', key, bytes: 1_000_000 })
  bench.want(key, 4_000)
  bench.tell({ type: 'from', key, peers: ['b'], isWhole: false, untilMs: 60_000 })
  bench.want('v/2', 1_000, true)
  t.same(bench.pass(3_000), ['1850 fetch v/1 0-'], 'not at 2850')
})

test('a silent peer is left after 400 ms and four round trips, and what came of it stays', async (t) => {
  const bench = page('a', 'b')
  bench.tell({ type: 'length', key, bytes: mebibyte / 8 })
  bench.has('a', key)
  bench.want(key, 10_000)
  bench.bytes(key, 0, 50_000, 'a')
  bench.has('b', key, false)
  t.same(bench.pass(1_000), [
    '480 cancel a v/1',
    '480 ask b v/1 50000-',
    '960 cancel b v/1',
    '960 ask-edge v/1<9040',
  ])
  t.same(bench.pass(1_000), ['1210 fetch v/1 50000-'])
  t.equal(bench.scheduler.figures().counters.silences, 2)
  t.same(
    bench.scheduler.figures().peers.map(({ faults }) => faults),
    [1, 0.25],
    'its origin may be slow',
  )
})

test('a peer that sends nothing at all is silent, not slow', async (t) => {
  const bench = page('a', 'b')
  bench.tell({ type: 'length', key, bytes: mebibyte / 8 })
  bench.has('a', key)
  bench.want(key, 10_000)
  bench.has('b', key)
  t.same(bench.pass(500), ['480 cancel a v/1', '480 ask b v/1 0-'])
  t.equal(bench.scheduler.figures().counters.silences, 1)
})

test('any byte is a sign of life', async (t) => {
  const bench = page('a')
  bench.tell({ type: 'length', key, bytes: 100_000 })
  bench.want(key, 60_000)
  bench.tell({ type: 'from', key, peers: ['a'], isWhole: false, untilMs: 60_000 })
  for (let at = 0; at < 20; at++) {
    t.same(bench.pass(450), [])
    bench.bytes(key, at, at + 1, 'a')
  }
})

test('after three silences a peer is dropped', async (t) => {
  const bench = page('a')
  const lines: string[] = []
  for (const sequence of [1, 2, 3]) {
    bench.has('a', `v/${sequence}`)
    bench.want(`v/${sequence}`, 10_000)
    lines.push(...bench.pass(500))
  }
  t.match(lines.at(-1), /ask-edge/)
  t.ok(lines.some((text) => text.endsWith('drop a silent')))
  t.same(bench.has('a', 'v/4'), [])
  t.same(bench.want('v/4', 10_000), ['ask-edge v/4<10000'], 'what it says counts no more')
})

test('peers that are too slow for the deadline lose the part to HTTP, from the first missing byte', async (t) => {
  const bench = page('a')
  measureHttp(bench, 8_000_000)
  bench.tell({ type: 'length', key, bytes: mebibyte })
  bench.has('a', key)
  const startMs = bench.nowMs
  bench.want(key, 4_000)
  const lines = bench.flow(key, 0, 300_000, 4_000, 'a')
  const fetched = lines.findIndex((text) => text.includes('fetch'))
  t.match(lines[fetched - 1], /cancel a v\/1/)
  const [ms, , , range] = lines[fetched]?.split(' ') ?? []
  const from = Number(range?.slice(0, -1))
  t.ok(from > 0, 'what the peer brought stays')
  const latestMs = startMs + 4_000 - ((mebibyte - from) * 8_000) / 8_000_000 - 150
  t.ok(Math.abs(Number(ms) - latestMs) < 30, `at ${ms}, the estimate is ${latestMs}`)
})

test('a range that was missing between others is all that HTTP takes', async (t) => {
  const bench = new SchedulerBench()
  bench.tell({ type: 'length', key, bytes: 1_000 })
  bench.bytes(key, 0, 300)
  bench.bytes(key, 600, 1_000)
  t.same(bench.want(key, 10_000), ['fetch v/1 300-600'])
})

test('much that is missing is split over whole holders by rate', async (t) => {
  const bench = page('a', 'b', 'c', 'd')
  measurePeer(bench, 'a', 6_000_000)
  measurePeer(bench, 'b', 2_000_000)
  for (const peer of ['a', 'b']) bench.has(peer, key)
  bench.has('c', key, false)
  bench.tell({ type: 'length', key, bytes: mebibyte })
  const lines = bench.want(key, 20_000)
  t.equal(lines.length, 2, 'not by the one that has it coming in')
  const cut = Number(/^ask a v\/1 0-(\d+)$/.exec(lines[0] ?? '')?.[1])
  t.equal(lines[1], `ask b v/1 ${cut}-`)
  t.equal(cut % 16_384, 0, 'whole chunks')
  t.ok(Math.abs(cut / mebibyte - 0.75) < 0.05, `${cut}`)
})

test('the last of several brings the odd end, too', async (t) => {
  for (const odd of [1, 8_191, 8_193, 16_383]) {
    const bench = page('a', 'b', 'c')
    for (const peer of ['a', 'b', 'c']) bench.has(peer, key)
    bench.tell({ type: 'length', key, bytes: mebibyte + odd })
    const lines = bench.want(key, 20_000)
    t.equal(lines.length, 3)
    t.match(lines[2], /^ask c v\/1 \d+-$/)
  }
})

test('a small part is not split', async (t) => {
  const bench = page('a', 'b')
  for (const peer of ['a', 'b']) bench.has(peer, key)
  bench.tell({ type: 'length', key, bytes: 200_000 })
  t.equal(bench.want(key, 20_000).length, 1)
})

test('the range of a slow peer goes to the one that is done', async (t) => {
  const bench = page('a', 'b')
  for (const peer of ['a', 'b']) bench.has(peer, key)
  bench.tell({ type: 'length', key, bytes: mebibyte })
  t.same(bench.want(key, 60_000), ['ask a v/1 0-524288', 'ask b v/1 524288-'])
  bench.bytes(key, 524_288, 524_388, 'b')
  bench.flow(key, 0, 524_288, 200, 'a')
  const lines = bench.tell({ type: 'peer-end', peer: 'a', key, isCut: false })
  lines.push(...bench.pass(100))
  t.match(lines[0], /cancel b v\/1/)
  t.match(lines[1], /ask a v\/1 524388-/)
})

test('a peer has no more than asksPerPeerMax asks under way', async (t) => {
  const bench = page('a')
  const lines: string[] = []
  for (let sequence = 0; sequence < 12; sequence++) {
    bench.has('a', `v/${sequence}`)
    lines.push(...bench.want(`v/${sequence}`, 60_000))
  }
  t.equal(lines.filter((text) => text.startsWith('ask a')).length, 8)
  t.equal(lines.filter((text) => text.startsWith('ask-edge')).length, 4)
})

test('a peer that cuts its answer short, loses the part or leaves is not waited for', async (t) => {
  const ends = [
    { type: 'peer-end', peer: 'a', key, isCut: true },
    { type: 'peer-lost', peer: 'a', key },
    { type: 'peer-down', peer: 'a' },
  ] as const
  for (const end of ends) {
    const bench = page('a', 'b')
    bench.has('a', key)
    bench.want(key, 10_000)
    bench.has('b', key)
    bench.bytes(key, 0, 100, 'a')
    t.match(bench.tell(end).at(-1), 'ask b v/1 100-', end.type)
  }
})

test('an end that overtakes the last bytes is no loss', async (t) => {
  const bench = page('a', 'b')
  bench.tell({ type: 'length', key, bytes: 1_000 })
  bench.has('a', key)
  bench.want(key, 10_000)
  bench.has('b', key)
  t.same(bench.tell({ type: 'peer-end', peer: 'a', key, isCut: false }), [])
  t.same(bench.bytes(key, 0, 1_000, 'a'), ['verify v/1'])
})

test('HTTP failed and nobody has it: the part is given up; a new wish tries again', async (t) => {
  const bench = page()
  bench.want(key, 10_000)
  t.same(bench.tell({ type: 'grant', key, untilMs: 5_000 }), ['fetch v/1 0-'])
  t.same(bench.tell({ type: 'fetch-failed', key }), ['return-lease v/1', 'give-up v/1'])
  t.same(bench.pass(20_000), [])
  t.same(bench.want(key, 10_000), ['ask-edge v/1<10000'])
})

test('HTTP failed and a neighbour has it: it is asked; when it fails too HTTP is tried once more', async (t) => {
  const bench = page('a')
  bench.want(key, 10_000, true)
  bench.has('a', key)
  t.same(bench.tell({ type: 'fetch-failed', key }), ['ask a v/1 0-'])
  const lines = bench.pass(1_000)
  t.same(
    lines.map((text) => text.replace(/^\d+ /, '')),
    ['cancel a v/1', 'fetch v/1 0-'],
  )
  t.same(bench.tell({ type: 'fetch-failed', key }), ['give-up v/1'])
})

test('HTTP failed twice and peers come and go: the part is given up after its deadline', async (t) => {
  const bench = page('a')
  bench.has('a', key)
  bench.want(key, 5_000, true)
  bench.tell({ type: 'fetch-failed', key })
  bench.pass(500)
  bench.up('b')
  bench.has('b', key)
  t.same(bench.tell({ type: 'fetch-failed', key }), ['ask b v/1 0-'])
  const lines: string[] = []
  for (let at = 0; at < 20; at++) {
    const [one, other] = at % 2 === 0 ? ['b', 'c'] : ['c', 'b']
    bench.up(other as string)
    lines.push(...bench.has(other as string, key))
    lines.push(...bench.tell({ type: 'peer-down', peer: one as string }), ...bench.pass(400))
  }
  t.match(lines.at(-1), /give-up v\/1/)
  t.ok(bench.scheduler.figures().counters.givenUp === 1 && lines.length < 20)
})

test('HTTP that ends too early is asked for the rest', async (t) => {
  const bench = new SchedulerBench()
  bench.tell({ type: 'length', key, bytes: 1_000 })
  bench.want(key, 10_000)
  bench.bytes(key, 0, 400)
  t.same(bench.tell({ type: 'fetched', key }), ['fetch v/1 400-'])
})

test('wrong bytes of one peer: it is dropped, and HTTP brings the part', async (t) => {
  const bench = page('a', 'b')
  bench.tell({ type: 'length', key, bytes: 1_000 })
  bench.has('a', key)
  bench.want(key, 10_000)
  bench.has('b', key)
  bench.bytes(key, 0, 1_000, 'a')
  bench.tell({ type: 'peer-end', peer: 'a', key, isCut: false })
  t.same(bench.tell({ type: 'refused', key, peers: ['a'] }), ['drop a bytes', 'fetch v/1 0-'])
  t.same(bench.up('a'), [])
  bench.has('a', 'v/2')
  t.same(bench.want('v/2', 10_000), ['ask-edge v/2<10000'], 'not even when it comes back')
})

test('wrong bytes of several: each has a fault, and HTTP brings the part', async (t) => {
  const bench = page('a', 'b')
  const lines: string[] = []
  for (const sequence of [1, 2, 3]) {
    const part = `v/${sequence}`
    bench.tell({ type: 'length', key: part, bytes: 1_000 })
    bench.want(part, 10_000)
    bench.bytes(part, 0, 500, 'a')
    bench.bytes(part, 500, 1_000, 'b')
    lines.push(...bench.tell({ type: 'refused', key: part, peers: ['a', 'b'] }))
  }
  t.same(lines, ['fetch v/1 0-', 'fetch v/2 0-', 'drop a bytes', 'drop b bytes', 'fetch v/3 0-'])
})

test('manners: a page that takes nothing goes to HTTP, and gives its leases back', async (t) => {
  const bench = page('a')
  bench.has('a', key)
  bench.want(key, 10_000)
  bench.want('v/2', 10_000)
  bench.tell({ type: 'grant', key: 'v/2', untilMs: 5_000 })
  t.same(bench.tell({ type: 'manners', mayTake: false, mayGive: true }), [
    'return-lease v/2',
    'cancel a v/1',
    'fetch v/1 0-',
  ])
  bench.has('a', 'v/3')
  t.same(bench.want('v/3', 10_000), ['fetch v/3 0-'])
})

test('what the player no longer wants is asked of nobody', async (t) => {
  const bench = page('a')
  bench.has('a', key)
  bench.want(key, 10_000)
  t.same(bench.tell({ type: 'unwant', key }), ['cancel a v/1'])
  t.same(bench.pass(20_000), [])
})

test('a part that left the memory is fetched again if it is wanted', async (t) => {
  const bench = page('a')
  bench.has('a', key)
  bench.tell({ type: 'length', key, bytes: 1_000 })
  bench.want(key, 10_000)
  bench.bytes(key, 0, 500, 'a')
  t.same(bench.tell({ type: 'evicted', key }), ['cancel a v/1', 'ask a v/1 0-'])
})
