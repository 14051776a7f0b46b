/** The leader's tables: what is told, asked, refused and forgotten. */
import { test } from 'tap'
import { readBatchAnswer } from '../../src/soft/batch-answer.ts'
import type { PeerLoad } from '../../src/soft/holding.ts'
import {
  decodeReplies,
  encodeQuestions,
  type Holder,
  type HolderOrder,
  type SoftQuestion,
  type SoftReply,
  type Wanted,
} from '../../src/soft/questions.ts'
import { softLimits } from '../../src/soft/soft-limits.ts'
import { SoftShard, type SoftShardInit } from '../../src/soft/soft-shard.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { batchBytes, named, windowOf } from './support/soft-model.ts'

function shard(init?: SoftShardInit): { shard: SoftShard; clock: ManualClock } {
  const clock = new ManualClock()
  let seed = 1
  const random = (): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return seed / 2 ** 32
  }
  const made = new SoftShard({ clock, random }, init)
  made.lead(1)
  return { shard: made, clock }
}

function ask<T extends SoftReply['type']>(
  of: SoftShard,
  question: SoftQuestion & { readonly type: T },
  asker = 'asker',
): SoftReply & { readonly type: T } {
  const bytes = of.answer(asker, encodeQuestions([question]))
  return decodeReplies(bytes).replies[0] as SoftReply & { readonly type: T }
}

function holders(
  of: SoftShard,
  wanted: Wanted,
  order: HolderOrder = 'upload',
  options: { asker?: string; limit?: number; rendition?: string } = {},
): string[] {
  const { asker, limit = 64, rendition = 'v' } = options
  const question = { type: 'holders', stream: 's', rendition, wanted, order, limit } as const
  return ask(of, question, asker).holders.map(({ peerId }: Holder) => peerId)
}

function load(uploadFreeKbps: number, x?: number, busyPermille = 0): PeerLoad {
  const coordinate = x === undefined ? undefined : { x, y: 0, z: 0, height: 1 }
  return { uploadFreeKbps, busyPermille, coordinate }
}

test('who holds a part, a segment, several, anything', async (t) => {
  const { shard: leader } = shard()
  const window = windowOf(100, 10, [
    [100, 0],
    [101, 9],
  ])
  leader.answer('a', batchBytes({ sequence: 1 }, [named(0, 's', 'v', { window })]))
  const ranges = [
    { first: 90, count: 10 },
    { first: 101, count: 1 },
  ]
  leader.answer('b', batchBytes({ sequence: 1 }, [named(0, 's', 'v', { ranges })]))
  const part = (segment: number, of: number): string[] =>
    holders(leader, { type: 'part', segment, part: of }).sort()
  t.same(part(100, 0), ['a'])
  t.same(part(100, 1), [])
  t.same(part(101, 9), ['a', 'b'], 'a whole segment has all of its parts')
  t.same(part(100, 10), [], 'the next bit is of another segment')
  t.same(part(99, 63), ['b'])
  t.same(holders(leader, { type: 'segments', first: 90, count: 10 }), ['b'])
  t.same(holders(leader, { type: 'segments', first: 90, count: 11 }), [])
  t.same(holders(leader, { type: 'segments', first: 98, count: 4 }), [], 'not over a gap')
  t.same(holders(leader, { type: 'any' }).sort(), ['a', 'b'])
  t.same(holders(leader, { type: 'any' }, 'upload', { asker: 'a' }), ['b'], 'never who asks')
  t.same(holders(leader, { type: 'any' }, 'upload', { rendition: 'w' }), [])
})

test('several questions in one message', async (t) => {
  const { shard: leader } = shard()
  leader.answer('a', batchBytes({ sequence: 1 }, [named(0, 's', '', { viewers: 3 })]))
  const questions: SoftQuestion[] = [
    { type: 'viewers', stream: 's', rendition: '' },
    { type: 'viewers', stream: 'none', rendition: '' },
    { type: 'totals' },
    { type: 'holdings', peerId: 'nobody', from: 0 },
    { type: 'swarm', stream: 'none', rendition: '', limit: 3 },
  ]
  const { replies, term } = decodeReplies(leader.answer('b', encodeQuestions(questions)))
  t.equal(term, 1)
  t.same(replies, [
    { type: 'viewers', viewers: 3, holders: 1 },
    { type: 'viewers', viewers: 0, holders: 0 },
    { type: 'totals', peers: 1, subjects: 1, entries: 1, viewers: 3 },
    { type: 'holdings', held: [], next: undefined },
    { type: 'swarm', peerIds: [] },
  ])
})

test('the order of holders', async (t) => {
  const { shard: leader } = shard()
  const tell = (peerId: string, told: PeerLoad): void => {
    leader.answer(peerId, batchBytes({ sequence: 1, load: told }, [named(0, 's', 'v')]))
  }
  tell('rich', load(900, -300, 500))
  tell('near', load(100, 10, 900))
  tell('full', load(0, 1, 1_000))
  tell('far', load(500, 3_000, 100))
  tell('nowhere', load(700, undefined, 300))
  tell('me', load(0, 0, 0))
  const order = (by: HolderOrder, asker = 'me'): string[] =>
    holders(leader, { type: 'any' }, by, { asker })
  t.same(order('upload'), ['rich', 'nowhere', 'far', 'near', 'full'])
  t.same(order('idle'), ['far', 'nowhere', 'rich', 'near', 'full'])
  t.same(order('near'), ['near', 'rich', 'far', 'nowhere', 'full'])
  t.same(order('near', 'nowhere').slice(0, 2), ['rich', 'far'], 'who has no place: by upload')
  t.same(holders(leader, { type: 'any' }, 'upload', { limit: 2 }), ['rich', 'nowhere'])
})

test('what a peer holds, in pages', async (t) => {
  const { shard: leader } = shard()
  const records = Array.from({ length: 150 }, (_, id) =>
    named(id, `s${id}`, 'v', { viewers: id, ranges: [{ first: id, count: 2 }] }),
  )
  leader.answer('a', batchBytes({ sequence: 1 }, records))
  leader.answer('a', batchBytes({ sequence: 2 }, [{ id: 64, gone: true }]))
  const streams: string[] = []
  let from: number | undefined = 0
  while (from !== undefined) {
    const page: SoftReply & { type: 'holdings' } = ask(leader, {
      type: 'holdings',
      peerId: 'a',
      from,
    })
    streams.push(...page.held.map(({ stream }) => stream))
    from = page.next
  }
  t.equal(streams.length, 149)
  t.equal(new Set(streams).size, 149)
  t.notOk(streams.includes('s64'))
})

test('introductions', async (t) => {
  const { shard: leader } = shard({ limits: { batchesPerTickMax: 1_000 } })
  for (let peer = 0; peer < 200; peer++) {
    leader.answer(`p${peer}`, batchBytes({ sequence: 1 }, [named(0, 's', '')]))
  }
  const introduced = new Map<number, number>()
  for (let sequence = 2; sequence < 402; sequence++) {
    const bytes = batchBytes({ sequence }, [named(0, 's', '', {}, 20)])
    const { introductions } = readBatchAnswer(leader.answer('p0', bytes))
    const [{ id, handles } = { id: -1, handles: new Uint32Array() }] = introductions
    t.equal(id, 0)
    if (new Set(handles).size !== 20) t.fail('twenty others')
    for (const handle of handles) introduced.set(handle, (introduced.get(handle) ?? 0) + 1)
  }
  t.equal(introduced.size, 199, 'everybody but who asks')
  const counts = [...introduced.values()]
  t.ok(Math.max(...counts) < 80 && Math.min(...counts) > 15, 'each about as often (40 times)')
  const names = ask(leader, { type: 'names', handles: [...introduced.keys()] }).peerIds
  t.equal(new Set(names).size, 199)
  t.notOk(names.includes('p0'))
  leader.forget('p1')
  const handleOf1 = [...introduced.keys()][names.indexOf('p1')] as number
  t.same(ask(leader, { type: 'names', handles: [handleOf1] }).peerIds, [undefined])
  leader.answer('later', batchBytes({ sequence: 1 }, []))
  t.same(
    ask(leader, { type: 'names', handles: [handleOf1] }).peerIds,
    [undefined],
    'not of a later peer',
  )
})

test('a small swarm is introduced whole', async (t) => {
  const { shard: leader } = shard()
  for (const peer of ['a', 'b', 'c', 'd']) {
    leader.answer(peer, batchBytes({ sequence: 1 }, [named(0, 's', '')]))
  }
  const swarm = { type: 'swarm', stream: 's', rendition: '', limit: 3 } as const
  t.same([...ask(leader, swarm, 'a').peerIds].sort(), ['b', 'c', 'd'])
  t.equal(ask(leader, swarm, 'x').peerIds.length, 3)
})

test('a batch that comes twice, or after one whose answer was lost', async (t) => {
  const { shard: leader } = shard()
  const viewers = (): number => ask(leader, { type: 'viewers', stream: 's', rendition: '' }).viewers
  const taken = (bytes: Uint8Array): boolean => readBatchAnswer(leader.answer('a', bytes)).isTaken
  const told = (count: number) => [
    {
      id: 0,
      name: undefined,
      holding: { viewers: count, window: undefined, ranges: [] },
      wants: 0,
    },
  ]
  t.ok(taken(batchBytes({ sequence: 1 }, [named(0, 's', '', { viewers: 1 })])))
  t.ok(taken(batchBytes({ sequence: 2 }, told(2))))
  t.ok(taken(batchBytes({ sequence: 3, after: 1 }, told(3))), 'the answer to 2 was lost')
  t.equal(viewers(), 3)
  t.notOk(taken(batchBytes({ sequence: 3, after: 2 }, told(9))), 'came twice')
  t.notOk(taken(batchBytes({ sequence: 6, after: 5 }, told(9))), 'builds on what is not here')
  t.notOk(taken(batchBytes({ sequence: 4, session: 8 }, told(9))), 'of another session')
  t.notOk(taken(batchBytes({ sequence: 4, term: 2 }, told(9))), 'for another leader')
  t.equal(viewers(), 3)
  t.equal(leader.counters.sendAlls, 4)
})

test('goodbye and a broken connection remove at once', async (t) => {
  const { shard: leader } = shard()
  for (const peer of ['a', 'b']) {
    leader.answer(peer, batchBytes({ sequence: 1 }, [named(0, 's', '', { viewers: 5 })]))
  }
  leader.answer('a', batchBytes({ sequence: 2, isGoodbye: true }))
  t.same(holders(leader, { type: 'any' }, 'upload', { rendition: '' }), ['b'])
  leader.forget('b')
  leader.forget('unknown')
  t.same(ask(leader, { type: 'totals' }), {
    type: 'totals',
    peers: 0,
    subjects: 0,
    entries: 0,
    viewers: 0,
  })
  t.notOk(readBatchAnswer(leader.answer('b', batchBytes({ sequence: 2 }))).isTaken)
})

test('who says nothing is forgotten after the time to live', async (t) => {
  const { shard: leader, clock } = shard()
  leader.answer('a', batchBytes({ sequence: 1 }, [named(0, 's', 'v')]))
  clock.advance(500)
  leader.answer('b', batchBytes({ sequence: 1 }, [named(0, 's', 'v')]))
  clock.advance(softLimits.ttlMs - 1_000)
  leader.answer('b', batchBytes({ sequence: 2 }))
  clock.advance(500)
  t.same(holders(leader, { type: 'any' }).sort(), ['a', 'b'], 'not before its time')
  clock.advance(softLimits.tickMs)
  t.same(holders(leader, { type: 'any' }), ['b'], 'an empty batch keeps all')
  clock.advance(softLimits.ttlMs)
  t.equal(leader.size?.peers, 0, 'also with nobody asking')
  t.equal(leader.size?.entries, 0)
  t.equal(leader.counters.expired, 2)
  clock.advance(10 * softLimits.ttlMs)
  leader.lead(undefined)
  t.equal(clock.timers, 0)
})

test('a new leader knows nothing, and says so', async (t) => {
  const { shard: leader, clock } = shard()
  leader.answer('a', batchBytes({ sequence: 1 }, [named(0, 's', 'v')]))
  t.notOk(leader.isComplete)
  clock.advance(softLimits.quietMs + softLimits.settleMs)
  t.ok(leader.isComplete)
  t.ok(leader.ask([], 'x').isComplete)
  leader.lead(undefined)
  t.equal(leader.size, undefined)
  t.notOk(leader.isComplete)
  t.throws(() => leader.ask([], 'x'), { code: 'ERR_NOT_LEADER' })
  t.throws(() => leader.answer('a', batchBytes({ sequence: 2 })), { code: 'ERR_NOT_LEADER' })
  leader.lead(5)
  const answer = readBatchAnswer(leader.answer('a', batchBytes({ sequence: 2 })))
  t.match(answer, { isTaken: false, term: 5, isComplete: false })
  t.same(holders(leader, { type: 'any' }), [])
  t.notOk(leader.ask([], 'x').isComplete)
})

test('limits', async (t) => {
  await t.test('of a peer, and of one number', async (t) => {
    const { shard: leader } = shard({ limits: { entriesPerPeerMax: 10 } })
    const records = Array.from({ length: 12 }, (_, id) => named(id, `s${id}`, 'v'))
    const answer = readBatchAnswer(leader.answer('a', batchBytes({ sequence: 1 }, records)))
    t.equal(answer.refused, 2)
    t.equal(leader.size?.entries, 10)
    t.equal(
      readBatchAnswer(leader.answer('b', batchBytes({ sequence: 1 }, [named(5_000, 's', 'v')])))
        .refused,
      1,
    )
    t.equal(leader.size?.entries, 10, 'a number far above what the peer holds')
    t.equal(leader.counters.refused, 3)
  })
  await t.test('of the shard', async (t) => {
    const { shard: leader } = shard({
      limits: { peersMax: 2, subjectsMax: 3, entriesMax: 4, holdersPerSubjectMax: 1 },
    })
    const tell = (peer: string, ...streams: string[]): number =>
      readBatchAnswer(
        leader.answer(
          peer,
          batchBytes(
            { sequence: 1 },
            streams.map((stream, id) => named(id, stream, 'v')),
          ),
        ),
      ).refused
    t.equal(tell('a', '1', '2'), 0)
    t.equal(tell('b', '1', '3', '4'), 2, 'one holder, three subjects')
    t.same(leader.size && [leader.size.peers, leader.size.subjects, leader.size.entries], [2, 3, 3])
    t.throws(() => tell('c', '1'), { code: 'ERR_OVERLOADED' })
    t.equal(leader.counters.peersRefused, 1)
    leader.forget('a')
    t.equal(tell('c', '1'), 0, 'there is room again')
  })
  await t.test('of words', async (t) => {
    const { shard: leader } = shard({ limits: { wordsMax: 64 } })
    const ranges = Array.from({ length: 64 }, (_, at) => ({ first: at * 2, count: 1 }))
    const answer = readBatchAnswer(
      leader.answer('a', batchBytes({ sequence: 1 }, [named(0, 's', 'v', { ranges })])),
    )
    t.equal(answer.refused, 1)
    t.same(holders(leader, { type: 'segments', first: 0, count: 1 }), [])
    leader.forget('a')
    t.equal(leader.size?.entries, 0)
  })
  await t.test('of batches', async (t) => {
    const { shard: leader, clock } = shard()
    leader.answer('a', batchBytes({ sequence: 1 }))
    for (let sequence = 2; sequence <= softLimits.batchesPerTickMax; sequence++) {
      leader.answer('a', batchBytes({ sequence }))
    }
    const next = batchBytes({ sequence: softLimits.batchesPerTickMax + 1 })
    t.throws(() => leader.answer('a', next), { code: 'ERR_OVERLOADED' })
    t.equal(leader.counters.tooOften, 1)
    clock.advance(softLimits.tickMs)
    t.ok(readBatchAnswer(leader.answer('a', next)).isTaken)
  })
  await t.test('of introductions', async (t) => {
    const { shard: leader } = shard({ limits: { introductionsPerBatchMax: 5 } })
    const records = Array.from({ length: 4 }, (_, id) => named(id, `s${id}`, ''))
    for (const peer of ['a', 'b', 'c', 'd'])
      leader.answer(peer, batchBytes({ sequence: 1 }, records))
    const wanting = Array.from({ length: 4 }, (_, id) => named(id, `s${id}`, '', {}, 3))
    const { introductions } = readBatchAnswer(
      leader.answer('a', batchBytes({ sequence: 2 }, wanting)),
    )
    t.same(
      introductions.map(({ handles }) => handles.length),
      [3, 2],
    )
  })
})

test('a number that stands for something else now', async (t) => {
  const { shard: leader } = shard()
  leader.answer('a', batchBytes({ sequence: 1 }, [named(0, 'old', '', { viewers: 2 })]))
  leader.answer('a', batchBytes({ sequence: 2 }, [named(0, 's', '', { viewers: 3 })]))
  t.match(ask(leader, { type: 'totals' }), { subjects: 1, entries: 1, viewers: 3 })
})

test('viewers of a rendition are its own', async (t) => {
  const { shard: leader } = shard()
  leader.answer(
    'a',
    batchBytes({ sequence: 1 }, [
      named(0, 's', '', { viewers: 2 }),
      named(1, 's', 'v', { viewers: 7 }),
    ]),
  )
  t.equal(ask(leader, { type: 'viewers', stream: 's', rendition: 'v' }).viewers, 7)
  t.match(ask(leader, { type: 'totals' }), { viewers: 2 })
})
