/** Frames between members: what is written is read again, and whatever else comes is refused without harm. */
import fc from 'fast-check'
import { test } from 'tap'
import { ByteReader } from '../../src/bytes/byte-reader.ts'
import { ByteWriter } from '../../src/bytes/byte-writer.ts'
import { decodeBulk, encodeBulk, type SnapshotPiece } from '../../src/driver/bulk-codec.ts'
import {
  decodeAddresses,
  decodeState,
  encodeAddresses,
  encodeState,
} from '../../src/driver/directory.ts'
import {
  frameHeadBytes,
  readFrameHead,
  regionNumber,
  writeFrameHead,
} from '../../src/driver/frame-codec.ts'
import { readMessage, writeMessage } from '../../src/driver/message-codec.ts'
import { TrackerError } from '../../src/errors.ts'
import { createMessage, type Entry, entryTypes, type Message } from '../../src/raft/types.ts'

const runs = { numRuns: Number(process.env.KAIRO_FUZZ_RUNS ?? 2_000) }
const integer = fc.maxSafeNat()
const bytes = fc.uint8Array({ maxLength: 40 })

const plainKinds = [
  ...(['MsgAppResp', 'MsgVote', 'MsgVoteResp', 'MsgPreVote', 'MsgPreVoteResp'] as const),
  ...(['MsgHeartbeat', 'MsgHeartbeatResp', 'MsgTimeoutNow'] as const),
]

const fields = {
  term: integer,
  logTerm: fc.nat(2 ** 31),
  index: fc.nat(2 ** 31),
  commit: integer,
  rejectHint: integer,
  context: integer,
  reject: fc.boolean(),
}

const plain = fc
  .record({ type: fc.constantFrom(...plainKinds), ...fields })
  .map((given) => createMessage({ ...given, from: 3, to: 7 }))

const append = fc
  .record({
    ...fields,
    entries: fc.array(
      fc.record({ step: fc.nat(2 ** 40), type: fc.constantFrom(...entryTypes), data: bytes }),
      { maxLength: 6 },
    ),
  })
  .map(({ entries: drawn, ...given }) => {
    let term = given.logTerm
    const entries = drawn.map(({ step, type, data }, at): Entry => {
      term += step
      return { term, index: given.index + 1 + at, type, data }
    })
    return createMessage({ ...given, type: 'MsgApp', from: 3, to: 7, entries })
  })

const group = fc.nat(2 ** 32 - 1)

/** All messages of a frame, as the driver reads them. */
function readFrame(frame: Uint8Array): { group: number; message: Message }[] {
  const reader = new ByteReader(frame)
  const head = readFrameHead(reader)
  const found: { group: number; message: Message }[] = []
  while (reader.left > 0) found.push(readMessage(reader, head.from, head.to))
  return found
}

function writeFrame(messages: readonly [number, Message][]): Uint8Array {
  const writer = new ByteWriter()
  writer.length = frameHeadBytes
  for (const [to, message] of messages) writeMessage(writer, to, message)
  writeFrameHead(writer, {
    ...{ region: regionNumber(new TextEncoder().encode('r')), from: 3, to: 7 },
    ...{ electionMs: 55, stamp: 2 ** 32 - 1, echo: 5, heldMicros: 6 },
  })
  return writer.take()
}

/** True when a decoder refuses bytes in the one way it may. */
function refuses(decode: () => unknown): boolean {
  try {
    decode()
    return false
  } catch (error) {
    if (error instanceof TrackerError && error.code === 'ERR_MALFORMED') return true
    throw error
  }
}

/** Bytes with some of them changed, cut or added. */
const damaged = (whole: fc.Arbitrary<Uint8Array>) =>
  fc
    .tuple(whole, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat(), fc.nat(9))
    .map(([frame, changes, cut, more]) => {
      const all = new Uint8Array(more === 0 ? cut % (frame.length + 1) : frame.length + (more % 2))
      all.set(frame.subarray(0, all.length))
      for (const [at, value] of changes) if (all.length > 0) all[at % all.length] = value
      return all
    })

const frames = fc.array(fc.tuple(group, fc.oneof(plain, append)), { maxLength: 5 })

test('messages are read as they were written', (t) => {
  fc.assert(
    fc.property(frames, (messages) => {
      t.same(
        readFrame(writeFrame(messages)).map(({ group: to, message }) => [to, message]),
        messages,
      )
    }),
    { ...runs, numRuns: runs.numRuns / 4 },
  )
  t.end()
})

test('a head is read as it was written', (t) => {
  const writer = new ByteWriter()
  const region = regionNumber(new TextEncoder().encode('r'))
  const head = {
    ...{ region, from: Number.MAX_SAFE_INTEGER, to: 1, electionMs: 1000 },
    ...{ stamp: 4_000_000_000, echo: undefined, heldMicros: 0 },
  }
  writer.length = frameHeadBytes
  writeFrameHead(writer, head)
  t.same(readFrameHead(new ByteReader(writer.take())), head)
  t.end()
})

test('damaged frames are refused or read, nothing else', (t) => {
  fc.assert(
    fc.property(damaged(frames.map(writeFrame)), (frame) => {
      refuses(() => readFrame(frame))
    }),
    runs,
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (frame) => {
      refuses(() => readFrame(frame))
    }),
    runs,
  )
  t.end()
})

test('lengths are checked before memory is made for them', (t) => {
  const writer = new ByteWriter()
  writer.varint(1)
  writer.u8(3)
  writer.u8(32)
  writer.varint(9)
  writer.varint(2 ** 40)
  t.ok(refuses(() => readMessage(new ByteReader(writer.take()), 1, 2)))
  t.end()
})

test('kinds that nobody sends are refused', (t) => {
  for (const kind of [0, 1, 2, 7, 10, 11, 12, 13, 15, 16, 19, 20, 21, 22, 23, 24, 255]) {
    const bytesOfKind = Uint8Array.of(1, kind, 0, 5)
    t.ok(
      refuses(() => readMessage(new ByteReader(bytesOfKind), 1, 2)),
      `kind ${kind}`,
    )
  }
  t.end()
})

test('numbers have one form', (t) => {
  fc.assert(
    fc.property(integer, (value) => {
      const writer = new ByteWriter()
      writer.varint(value)
      t.equal(new ByteReader(writer.take()).varint(), value)
    }),
    { numRuns: 300 },
  )
  for (const wrong of [
    [0x80],
    [0x80, 0],
    [255, 255, 255, 255, 255, 255, 255, 255, 1],
    [255, 255, 255, 255, 255, 255, 255, 127],
  ])
    t.ok(refuses(() => new ByteReader(Uint8Array.from(wrong)).varint()))
  t.end()
})

const address = fc.record({
  memberId: fc.integer({ min: 1 }),
  peerId: fc.string({ maxLength: 20 }),
})

test('directories and states are read as they were written', (t) => {
  fc.assert(
    fc.property(fc.array(address, { maxLength: 5 }), bytes, (addresses, state) => {
      t.same(decodeAddresses(encodeAddresses(addresses)), addresses)
      const { addresses: found, state: rest } = decodeState(encodeState(addresses, state))
      t.same([found, [...rest]], [addresses, [...state]])
    }),
    { numRuns: 200 },
  )
  fc.assert(
    fc.property(damaged(fc.array(address, { maxLength: 3 }).map(encodeAddresses)), (given) => {
      refuses(() => decodeAddresses(given))
      refuses(() => decodeState(given))
    }),
    runs,
  )
  t.same(decodeAddresses(new Uint8Array(0)), [])
  t.end()
})

const confState = fc
  .tuple(fc.uniqueArray(fc.integer({ min: 1 }), { maxLength: 4 }), fc.boolean())
  .map(([ids, autoLeave]) => ({
    voters: ids.toSorted((a, b) => a - b),
    ...{ votersOutgoing: [], learners: [4, 9], learnersNext: [], autoLeave },
  }))

const title = fc.record({
  ...{ group, messageTerm: integer, index: fc.integer({ min: 1 }), term: integer, confState },
  bytes: fc.nat(512 * 1024 * 1024),
})

const head = { region: fc.nat(2 ** 32 - 1), from: integer, to: integer, transfer: fc.nat() }
const piece = fc
  .record({ ...head, title: fc.option(title, { nil: undefined }), offset: integer, data: bytes })
  .map((given): SnapshotPiece => ({ kind: 'piece', ...given, crc: given.transfer }))
const receipt = fc.record({
  ...{ kind: fc.constant('receipt' as const), ...head, received: integer },
  status: fc.constantFrom('going-on' as const, 'done' as const, 'refused' as const),
})

test('pieces and receipts are read as they were written', (t) => {
  fc.assert(
    fc.property(fc.oneof(piece, receipt), (frame) => {
      t.same(decodeBulk(encodeBulk(frame)), frame)
    }),
    { numRuns: 300 },
  )
  fc.assert(
    fc.property(damaged(fc.oneof(piece, receipt).map(encodeBulk)), (frame) => {
      refuses(() => decodeBulk(frame))
    }),
    runs,
  )
  t.end()
})
