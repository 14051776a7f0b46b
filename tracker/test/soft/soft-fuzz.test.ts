/** Bytes from anywhere: decoders read or refuse, keep little memory, and what they read is what was written. */
import fc from 'fast-check'
import { test } from 'tap'
import { ByteReader } from '../../src/bytes/byte-reader.ts'
import { ByteWriter } from '../../src/bytes/byte-writer.ts'
import { TrackerError } from '../../src/errors.ts'
import { BatchReader, messageTypes } from '../../src/soft/batch.ts'
import { readBatchAnswer, writeAnswerHead } from '../../src/soft/batch-answer.ts'
import {
  decodeQuestions,
  decodeReplies,
  encodeQuestions,
  encodeReplies,
  type SoftQuestion,
  type SoftReplies,
} from '../../src/soft/questions.ts'
import { softLimits } from '../../src/soft/soft-limits.ts'
import { SoftShard } from '../../src/soft/soft-shard.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { batchBytes, named, windowOf } from './support/soft-model.ts'

function readOrRefuse<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof TrackerError) return undefined
    throw error
  }
}

const batch = batchBytes(
  {
    sequence: 3,
    isAll: true,
    load: {
      uploadFreeKbps: 70_000,
      busyPermille: 999,
      coordinate: { x: 1, y: -2, z: 3, height: 4 },
    },
  },
  [
    named(0, 'stream', '', { viewers: 300 }, 5),
    named(1, 'stream', 'video', {
      window: windowOf(1_000, 10, [
        [1_000, 3],
        [1_003, 9],
      ]),
      ranges: [
        { first: 0, count: 10 },
        { first: 400, count: 600 },
      ],
    }),
    { id: 9, gone: true },
    { id: 1, name: undefined, holding: undefined, wants: 64 },
  ],
)

const questions: SoftQuestion[] = [
  {
    type: 'holders',
    stream: 's',
    rendition: 'v',
    wanted: { type: 'part', segment: 2 ** 32 - 1, part: 63 },
    order: 'near',
    limit: 64,
  },
  {
    type: 'holders',
    stream: 's',
    rendition: '',
    wanted: { type: 'segments', first: 7, count: 9 },
    order: 'idle',
    limit: 1,
  },
  {
    type: 'holders',
    stream: 's',
    rendition: '',
    wanted: { type: 'any' },
    order: 'upload',
    limit: 1,
  },
  { type: 'swarm', stream: 's', rendition: 'ü', limit: 20 },
  { type: 'viewers', stream: 's', rendition: '' },
  { type: 'totals' },
  { type: 'holdings', peerId: 'p', from: 70 },
  { type: 'names', handles: [0, 1, 2 ** 32 - 1] },
]

const replies: SoftReplies = {
  term: 2 ** 40,
  isComplete: true,
  replies: [
    {
      type: 'holders',
      holders: [{ peerId: 'p', uploadFreeKbps: 2 ** 32 - 1, busyPermille: 1_000 }],
    },
    { type: 'swarm', peerIds: ['p', 'q'] },
    { type: 'viewers', viewers: 2 ** 40, holders: 3 },
    { type: 'totals', peers: 1, subjects: 2, entries: 3, viewers: 4 },
    {
      type: 'holdings',
      held: [
        {
          stream: 's',
          rendition: 'v',
          viewers: 1,
          window: windowOf(1, 2, [[1, 1]]),
          ranges: [{ first: 0, count: 1 }],
        },
      ],
      next: 64,
    },
    { type: 'holdings', held: [], next: undefined },
    { type: 'names', peerIds: ['p', undefined] },
  ],
}

function answerBytes(): Uint8Array {
  const writer = new ByteWriter(1)
  writeAnswerHead(writer, {
    isTaken: true,
    term: 2 ** 50,
    sequence: 300,
    isComplete: false,
    refused: 1,
  })
  writer.varint(3)
  writer.varint(2)
  writer.u32(7)
  writer.u32(2 ** 32 - 1)
  return writer.take()
}

const decoders: readonly [name: string, good: Uint8Array, read: (bytes: Uint8Array) => unknown][] =
  [
    ['a batch', batch, (bytes) => new BatchReader().read(bytes)],
    ['the answer to a batch', answerBytes(), readBatchAnswer],
    ['questions', encodeQuestions(questions), decodeQuestions],
    ['replies', encodeReplies(replies), decodeReplies],
  ]

test('what was written is read', async (t) => {
  t.same(decodeQuestions(encodeQuestions(questions)), questions)
  t.same(decodeReplies(encodeReplies(replies)), replies)
  t.same(readBatchAnswer(answerBytes()), {
    isTaken: true,
    term: 2 ** 50,
    sequence: 300,
    isComplete: false,
    refused: 1,
    introductions: [{ id: 3, handles: Uint32Array.of(7, 2 ** 32 - 1) }],
  })
  const reader = new BatchReader()
  reader.read(batch)
  t.same(
    [reader.count, reader.names, [...reader.wants.subarray(0, 4)]],
    [4, ['stream', '', 'stream', 'video'], [5, 0, 0, 64]],
  )
})

test('numbers', async (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.maxSafeNat(), fc.nat(2 ** 31 - 1), fc.nat(300)), (value) => {
      const writer = new ByteWriter(1)
      writer.varint(value)
      const reader = new ByteReader(writer.take())
      const read = reader.varint(Number.MAX_SAFE_INTEGER)
      reader.end()
      return read === value
    }),
  )
  for (const bytes of [[0x80], [0x80, 0], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], []]) {
    const reader = new ByteReader(Uint8Array.from(bytes))
    t.throws(() => reader.varint(Number.MAX_SAFE_INTEGER), { code: 'ERR_MALFORMED' })
  }
  t.throws(() => new ByteReader(Uint8Array.of(1)).end(), {
    code: 'ERR_MALFORMED',
  })
})

for (const [name, good, read] of decoders) {
  test(`${name}: any bytes`, async () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        readOrRefuse(() => read(bytes))
        if (bytes.length > 0) bytes[0] = good[0] as number
        readOrRefuse(() => read(bytes))
      }),
      { numRuns: 2_000 },
    )
  })

  test(`${name}: real ones, changed and cut`, async (t) => {
    const changes = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 })
    fc.assert(
      fc.property(changes, fc.nat(good.length), (changed, length) => {
        const bytes = good.slice(0, changed.length === 0 ? length : good.length)
        for (const [at, value] of changed) if (at < bytes.length) bytes[at] = value
        readOrRefuse(() => read(bytes))
      }),
      { numRuns: 2_000 },
    )
    t.doesNotThrow(() => read(good))
    t.equal(
      readOrRefuse(() => read(good.subarray(0, good.length - 1)) ?? 'read'),
      undefined,
    )
  })
}

test('a batch must be exactly right', async (t) => {
  const head = [...batchBytes({ sequence: 1 })]
  const record =
    (...bytes: number[]): (() => void) =>
    () =>
      new BatchReader().read(Uint8Array.from([...head, ...bytes]))
  const malformed: Record<string, () => void> = {
    'no fields': record(0, 0),
    'unknown fields': record(0, 128),
    'something of what is gone': record(0, 64 | 2),
    'a name without state': record(0, 1, 1, 65, 0),
    'an empty stream': record(0, 3, 0, 0),
    'text that is no UTF-8': record(0, 3, 1, 0xff, 0),
    'viewers without state': record(0, 4, 1),
    'no viewers, said': record(0, 6, 0),
    'no parts in a segment': record(0, 10, 1, 0, 1, 1),
    'too many parts in a segment': record(0, 10, 1, 65, 1, 1),
    'an empty window': record(0, 10, 1, 1, 0),
    'a window with nothing at its end': record(0, 10, 1, 1, 2, 1, 0),
    'a window beyond the last segment': record(0, 10, 0xff, 0xff, 0xff, 0xff, 15, 1, 1, 3),
    'no ranges, said': record(0, 18, 0),
    'too many ranges': record(0, 18, 65),
    'an empty range': record(0, 18, 1, 0, 0),
    'ranges that touch': record(0, 18, 2, 0, 1, 0, 1),
    'a range beyond the last segment': record(0, 18, 1, 0xff, 0xff, 0xff, 0xff, 15, 2),
    'nobody wanted': record(0, 32, 0),
    'too many wanted': record(0, 32, 65),
    'a number too high': record(0x80, 0x40, 64),
    'a goodbye with more': () =>
      new BatchReader().read(batchBytes({ sequence: 2, isGoodbye: true }, [{ id: 0, gone: true }])),
    'a coordinate without load': () =>
      new BatchReader().read(Uint8Array.of(messageTypes.batch, 4, 0, 0, 0, 0, 0, 1, 0)),
    'an unknown flag': () =>
      new BatchReader().read(Uint8Array.of(messageTypes.batch, 16, 0, 0, 0, 0, 0, 1, 0)),
    'an acknowledgement of itself': () =>
      new BatchReader().read(batchBytes({ sequence: 2, after: 2 })),
    'something else': () => new BatchReader().read(Uint8Array.of(0)),
    'too large': () => new BatchReader().read(new Uint8Array(softLimits.batchBytesMax + 1)),
  }
  for (const [what, read] of Object.entries(malformed)) {
    t.throws(read, { code: 'ERR_INVALID_INPUT' }, what)
  }
  t.doesNotThrow(record(0, 18, 1, 0xff, 0xff, 0xff, 0xff, 15, 1), 'the last segment there can be')
  const tooMany = Array.from(
    { length: softLimits.recordsPerBatchMax + 1 },
    (_, id) => ({ id: id % 100, gone: true }) as const,
  )
  t.throws(() => new BatchReader().read(batchBytes({ sequence: 1 }, tooMany)), {
    code: 'ERR_INVALID_INPUT',
  })
  const many = decodeQuestions.bind(
    undefined,
    encodeQuestions(Array.from({ length: 65 }, () => ({ type: 'totals' }) as const)),
  )
  t.throws(many, { code: 'ERR_INVALID_INPUT' })
})

test('questions with large replies are few', async (t) => {
  const names = (count: number): Uint8Array =>
    encodeQuestions(Array.from({ length: count }, () => ({ type: 'names', handles: [1] }) as const))
  t.doesNotThrow(() => decodeQuestions(names(softLimits.largeQuestionsMax)))
  t.throws(() => decodeQuestions(names(softLimits.largeQuestionsMax + 1)), {
    code: 'ERR_INVALID_INPUT',
  })
})

test('a shard takes nothing of a batch that is not right', async (t) => {
  const clock = new ManualClock()
  const shard = new SoftShard({ clock, random: () => 0.5 })
  shard.lead(1)
  const good = batchBytes({ sequence: 1 }, [named(0, 's', '', { viewers: 1 })])
  shard.answer('a', good)
  const totals = (): unknown => shard.ask([{ type: 'totals' }], 'x').replies
  const before = JSON.stringify(totals())
  const bad = Uint8Array.from([
    ...batchBytes({ sequence: 2 }, [named(1, 't', '', { viewers: 9 })]),
    0,
    0,
  ])
  t.throws(() => shard.answer('a', bad), { code: 'ERR_INVALID_INPUT' })
  t.throws(() => shard.answer('a', new Uint8Array(0)), { code: 'ERR_INVALID_INPUT' })
  t.equal(JSON.stringify(totals()), before)
  t.equal(shard.counters.malformed, 2)
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(batch.length - 1), fc.nat(255)), { maxLength: 3 }),
      (changes) => {
        const bytes = batch.slice()
        for (const [at, value] of changes) bytes[at] = value
        readOrRefuse(() => shard.answer('a', bytes))
        clock.advance(1_000)
      },
    ),
    { numRuns: 2_000 },
  )
  shard.forget('a')
  t.equal(shard.size?.words, 0)
})
