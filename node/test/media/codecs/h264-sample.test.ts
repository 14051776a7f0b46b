// NAL lengths, IDR and recovery points of AVC samples.
import { test } from 'tap'
import { readH264Sample } from '../../../src/media/codecs/h264-sample.ts'

/** A sample of these NAL units with length fields of `lengthBytes`. */
function sample(lengthBytes: number, ...units: readonly (readonly number[])[]): Buffer {
  return Buffer.concat(
    units.map((unit) => {
      const length = Buffer.alloc(lengthBytes)
      length.writeUIntBE(unit.length, 0, lengthBytes)
      return Buffer.concat([length, Buffer.from(unit)])
    }),
  )
}

const AUD = [0x09, 0xf0]
const IDR = [0x65, 1, 2, 3]
const SLICE = [0x41, 1, 2]
/** A user data message of 300 bytes, then a recovery point. */
const SEI = [0x06, 5, 255, 45, ...new Array<number>(300).fill(7), 6, 1, 0x84, 0x80]

test('passes 4-byte lengths through without a copy', async (t) => {
  const data = sample(4, AUD, IDR)
  const read = readH264Sample(data, 4)
  t.equal(read?.data, data)
  t.match(read, { idr: true, recoveryPoint: false })
  t.match(readH264Sample(sample(4, SLICE), 4), { idr: false, recoveryPoint: false })
})

for (const bytes of [1, 2]) {
  test(`widens ${bytes}-byte lengths`, async (t) => {
    const read = readH264Sample(sample(bytes, AUD, SLICE), bytes)
    t.same(Buffer.from(read?.data ?? []), sample(4, AUD, SLICE))
  })
}

test('finds a recovery point behind other SEI messages', async (t) => {
  t.equal(readH264Sample(sample(4, SEI, SLICE), 4)?.recoveryPoint, true)
  t.equal(readH264Sample(sample(4, [0x06, 5, 1, 6, 0x80], SLICE), 4)?.recoveryPoint, false)
  t.equal(readH264Sample(sample(4, [0x06, 255, 255], SLICE), 4)?.recoveryPoint, false)
})

test('takes lengths that do not add up as damage', async (t) => {
  t.equal(readH264Sample(Buffer.alloc(0), 4), undefined, 'empty')
  t.equal(readH264Sample(sample(4, IDR, []), 4), undefined, 'an empty unit')
  t.equal(readH264Sample(sample(4, IDR).subarray(0, 7), 4), undefined, 'cut')
  t.equal(readH264Sample(Buffer.concat([sample(4, IDR), Buffer.of(0, 0)]), 4), undefined, 'tail')
  t.equal(readH264Sample(Buffer.from([0, 0, 0, 1, ...IDR]), 4), undefined, 'Annex B')
})
