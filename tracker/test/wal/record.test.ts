/** Records: they pass in the segment and at the place they were written for, and nowhere else. */
import fc from 'fast-check'
import { test } from 'tap'
import {
  bytesOf,
  durableBehind,
  readInteger,
  recordHeaderBytes,
  recordSize,
  scanRecords,
  sealRecord,
  writeInteger,
  writeMark,
} from '../../src/wal/record.ts'
import { segmentSeed } from '../../src/wal/segment.ts'

const logId = Uint8Array.from({ length: 8 }, (_, at) => at)
const kind = { type: 3, flags: 5, group: 0xfffffffe }

/** Records of the given payloads, one after another from byte 0. */
function recordsOf(payloads: readonly Uint8Array[], seed: number) {
  const sizes = payloads.map((payload) => recordSize(payload.length))
  const target = bytesOf(new Uint8Array(sizes.reduce((sum, size) => sum + size, 0) + 64).fill(0xee))
  let at = 0
  for (const payload of payloads) {
    target.bytes.set(payload, at + recordHeaderBytes)
    sealRecord(target, at, kind, payload.length, seed, at)
    at += recordSize(payload.length)
  }
  return { target, end: at }
}

test('what is sealed is found again, up to where it stops', async () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 70 })), fc.nat(), (payloads, sequence) => {
      const seed = segmentSeed(logId, sequence)
      const { target, end } = recordsOf(payloads, seed)
      const found: Uint8Array[] = []
      const stopped = scanRecords(target, 0, seed, ({ type, flags, group, from, to }) => {
        if (type === 3 && flags === 5 && group === kind.group)
          found.push(target.bytes.slice(from, to))
      })
      return stopped === end && Buffer.concat(found).equals(Buffer.concat(payloads))
    }),
  )
})

test('a record of another segment, log or place does not pass', async (t) => {
  const seed = segmentSeed(logId, 7)
  const { target, end } = recordsOf([new Uint8Array(20), new Uint8Array(20)], seed)
  const read = (bytes: Uint8Array, from: number, with_: number) =>
    scanRecords(bytesOf(bytes), from, with_, () => {}) - from
  t.equal(read(target.bytes, 0, seed), end)
  for (let sequence = 8; sequence < 200; sequence++)
    t.equal(read(target.bytes, 0, segmentSeed(logId, sequence)), 0, `segment ${sequence}`)
  t.equal(read(target.bytes, 0, segmentSeed(new Uint8Array(8), 7)), 0, 'another log')
  const half = end / 2
  t.equal(read(target.bytes.slice(half), 0, seed), 0, 'the second in place of the first')
  const swapped = target.bytes.slice()
  swapped.copyWithin(half, 0, half)
  t.equal(read(swapped, 0, seed), half, 'the first again in place of the second')
})

test('marks are found behind damage, and only those of this segment', async (t) => {
  const seed = segmentSeed(logId, 3)
  const target = bytesOf(new Uint8Array(4096).fill(0x33))
  writeMark(target, 800, { durableBytes: 640, logId, seed, position: 800 })
  writeMark(target, 1600, { durableBytes: 1200, logId, seed, position: 1600 })
  writeMark(target, 2400, {
    durableBytes: 9999,
    logId,
    seed: segmentSeed(logId, 2),
    position: 2400,
  })
  writeMark(target, 3200, { durableBytes: 8888, logId, seed, position: 3208 })
  const seedOf = (id: Uint8Array) => segmentSeed(id, 3)
  t.equal(durableBehind(target, 100, seedOf), 1200)
  t.equal(durableBehind(target, 1601, seedOf), 0)
})

test('integers up to the largest safe one', async () => {
  const { view } = bytesOf(new Uint8Array(8))
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      writeInteger(view, 0, value)
      return readInteger(view, 0) === value
    }),
  )
})
