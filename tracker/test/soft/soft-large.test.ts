/** Tables large enough to grow, to move and to shrink: what a few entries never do. */
import { test } from 'tap'
import { readBatchAnswer } from '../../src/soft/batch-answer.ts'
import { Chooser } from '../../src/soft/chooser.ts'
import { EntryIndex } from '../../src/soft/entry-index.ts'
import { EntryTable } from '../../src/soft/entry-table.ts'
import { PeerTable, peerColumns } from '../../src/soft/peer-table.ts'
import { softLimits } from '../../src/soft/soft-limits.ts'
import { SoftShard } from '../../src/soft/soft-shard.ts'
import { TtlWheel } from '../../src/soft/ttl-wheel.ts'
import { runClassFor, runClassMax, WordPool } from '../../src/soft/word-pool.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { batchBytes, named, windowOf } from './support/soft-model.ts'

/** Whole numbers in `[0, below)`, the same in each run. */
function drawFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

test('runs never overlap, and are used again', async (t) => {
  const pool = new WordPool(2_000_000)
  const draw = drawFrom(1)
  const runs: { at: number; runClass: number; mark: number }[] = []
  const check = ({ at, runClass, mark }: (typeof runs)[number]): boolean => {
    const words = pool.chunk(at).subarray(pool.offset(at), pool.offset(at) + (1 << runClass))
    return words.length === 1 << runClass && words.every((word) => word === mark)
  }
  for (let step = 1; step < 4_000; step++) {
    if (runs.length > 0 && draw(5) < 2) {
      const [run] = runs.splice(draw(runs.length), 1)
      if (run === undefined || !check(run)) t.fail('a run was written by another one')
      else pool.release(run.at, run.runClass)
      continue
    }
    const runClass = 1 + draw(draw(40) === 0 ? runClassMax : 9)
    const at = pool.allocate(runClass)
    if (at === 0) continue
    pool.chunk(at).fill(step, pool.offset(at), pool.offset(at) + (1 << runClass))
    runs.push({ at, runClass, mark: step })
  }
  t.ok(runs.every(check))
  const { bytes } = pool
  t.ok(bytes > 3 * 2 ** 20, 'several chunks')
  for (const { at, runClass } of runs) pool.release(at, runClass)
  t.equal(pool.used, 0)
  for (const { at, runClass } of runs.map((run) => ({ ...run, at: pool.allocate(run.runClass) }))) {
    if (at === 0) t.fail(`no room for a run of class ${runClass}`)
  }
  t.equal(pool.bytes, bytes, 'the same memory')
  t.equal(new WordPool(100).allocate(7), 0)
  t.same([1, 2, 3, 4, 5, 1_025].map(runClassFor), [1, 1, 2, 2, 3, 11])
})

test('the index of entries, as a map', async (t) => {
  const entries = new EntryTable(new WordPool(1_000), 100_000)
  const index = new EntryIndex(entries)
  const model = new Map<string, number>()
  const draw = drawFrom(2)
  for (let step = 0; step < 60_000; step++) {
    const [handle, subject] = [draw(step < 40_000 ? 200 : 10), draw(100)]
    const key = `${handle}/${subject}`
    const known = model.get(key)
    if (index.find(handle, subject) !== (known ?? -1)) t.fail(`${key} is not found`)
    if (known === undefined && (step < 40_000 || draw(4) === 0)) {
      const entry = entries.add(handle, subject, 0)
      index.add(entry)
      model.set(key, entry)
    } else if (known !== undefined && draw(2) === 0) {
      index.remove(known)
      entries.remove(known)
      model.delete(key)
    }
  }
  for (const [key, entry] of model) {
    const [handle = 0, subject = 0] = key.split('/').map(Number)
    if (index.find(handle, subject) !== entry) t.fail(`${key} is not found`)
    index.remove(entry)
    entries.remove(entry)
  }
  t.equal(entries.rows.size, 0)
  t.ok(index.bytes < 4_096, 'memory comes back')
})

test('thousands of peers come, go, and hold much', async (t) => {
  const clock = new ManualClock()
  const shard = new SoftShard({ clock, random: () => 0.7 })
  shard.lead(1)
  const peers = 6_000
  const window = windowOf(
    100,
    10,
    [[199, 9]].map(([segment = 0, part = 0]) => [segment - 20, part] as const),
  )
  const ranges = Array.from({ length: 60 }, (_, at) => ({ first: at * 3, count: 2 }))
  const records = [named(0, 'all', '', { viewers: 2 }), named(1, 'all', 'v', { window, ranges })]
  for (let peer = 0; peer < peers; peer++) {
    const own = named(2, `own ${peer}`, '')
    const answer = readBatchAnswer(
      shard.answer(`p${peer}`, batchBytes({ sequence: 1 }, [...records, own])),
    )
    if (!answer.isTaken || answer.refused > 0) t.fail('a batch was not taken')
  }
  t.match(shard.size, { peers, subjects: peers + 2, entries: peers * 3 })
  const ask = (): unknown =>
    shard.ask([{ type: 'viewers', stream: 'all', rendition: '' }], 'x').replies[0]
  t.same(ask(), { type: 'viewers', viewers: 2 * peers, holders: peers })
  const wanted = { type: 'part', segment: 179, part: 9 } as const
  const holders = {
    type: 'holders',
    stream: 'all',
    rendition: 'v',
    wanted,
    order: 'idle',
    limit: 64,
  } as const
  const [reply] = shard.ask([holders], 'x').replies
  t.equal(reply?.type === 'holders' && new Set(reply.holders.map(({ peerId }) => peerId)).size, 64)
  for (let peer = 0; peer < peers; peer++) if (peer % 50 !== 0) shard.forget(`p${peer}`)
  t.same(ask(), { type: 'viewers', viewers: (2 * peers) / 50, holders: peers / 50 })
  const [swarm] = shard.ask(
    [{ type: 'swarm', stream: 'all', rendition: 'v', limit: 64 }],
    'p50',
  ).replies
  const names = swarm?.type === 'swarm' ? swarm.peerIds : []
  t.equal(new Set(names).size, 64)
  t.ok(names.every((name) => Number(name.slice(1)) % 50 === 0 && name !== 'p50'))
  clock.advance(2 * softLimits.ttlMs)
  t.match(shard.size, { peers: 0, subjects: 0, entries: 0, words: 0 })
})

test('viewers are more than 32 bits', async (t) => {
  const shard = new SoftShard({ clock: new ManualClock(), random: () => 0.7 })
  shard.lead(1)
  const viewers = softLimits.viewersPerEntryMax
  const peers = 43_000
  for (let peer = 0; peer < peers; peer++) {
    shard.answer(`p${peer}`, batchBytes({ sequence: 1 }, [named(0, 's', '', { viewers })]))
  }
  const question = { type: 'viewers', stream: 's', rendition: '' } as const
  t.same(shard.ask([question], 'x').replies, [
    { type: 'viewers', viewers: peers * viewers, holders: peers },
  ])
  for (let peer = 0; peer < peers; peer++) shard.forget(`p${peer}`)
  t.equal(shard.size?.words, 0)
})

test('the wheel: each peer goes in its tick, whatever the pauses', async (t) => {
  const ttlTicks = 30
  const draw = drawFrom(3)
  const peers = new PeerTable(10_000)
  const wheel = new TtlWheel(peers, ttlTicks, 0)
  const seen = new Map<string, number>()
  let now = 0
  let made = 0
  for (let step = 0; step < 3_000; step++) {
    const action = draw(10)
    if (action < 4) {
      const name = `p${made++}`
      wheel.add(peers.add(name))
      seen.set(name, now)
    } else if (action < 7) {
      const [name] = [...seen.keys()].slice(draw(seen.size || 1))
      if (name === undefined) continue
      if (action < 6) {
        // Hearing of a peer again writes no more than this.
        const peer = peers.find(name)
        peers.rows.chunk(peer)[peers.rows.offset(peer) + peerColumns.seenTick] = now
        seen.set(name, now)
        continue
      }
      wheel.remove(peers.find(name))
      peers.remove(peers.find(name))
      seen.delete(name)
    } else {
      now += draw(20) === 0 ? draw(200) : draw(4)
      wheel.advance(now, (peer) => {
        const name = peers.nameOf(peer)
        if (now - (seen.get(name) ?? now) <= ttlTicks) t.fail(`${name} went too soon`)
        seen.delete(name)
        wheel.remove(peer)
        peers.remove(peer)
      })
      for (const [name, tick] of seen) if (now - tick > ttlTicks) t.fail(`${name} is still there`)
    }
  }
  t.equal(peers.size, seen.size)
})

test('each set of places is as likely as any other', async (t) => {
  const chooser = new Chooser(() => 0.3)
  const into = new Uint32Array(64)
  for (const [count, wants, except] of [
    [9, 4, 3],
    [9, 4, -1],
    [40, 4, 0],
    [40, 4, 39],
    [5, 9, 4],
    [1, 3, 0],
  ] as const) {
    const found = new Array<number>(count).fill(0)
    const rounds = 20_000
    const left = except === -1 ? count : count - 1
    for (let round = 0; round < rounds; round++) {
      const chosen = chooser.some(count, wants, except, into)
      if (chosen !== Math.min(left, wants)) t.fail('so many')
      const places = into.subarray(0, chosen)
      if (new Set(places).size !== chosen) t.fail('one twice')
      for (const place of places) found[place] = (found[place] ?? 0) + 1
    }
    const expected = (rounds * Math.min(left, wants)) / Math.max(left, 1)
    const worst = found.map((times, place) =>
      place === except ? times * rounds : Math.abs(times - expected) / expected,
    )
    t.ok(Math.max(...worst) < 0.1, `${wants} of ${count} without ${except}`)
  }
})
