/** Frames of a line: whole or in pieces, in buffers of their own, and none that is too large. */
import fc from 'fast-check'
import { test } from 'tap'
import { FrameReader } from '../../src/coordination/frame-reader.ts'
import { lineLimits } from '../../src/limits/coordination.ts'
import { encodeUvarint } from '../../src/protocol/uvarint.ts'

function framed(...frames: Uint8Array[]): Buffer {
  return Buffer.concat(frames.flatMap((frame) => [encodeUvarint(frame.byteLength), frame]))
}

test('frames come out as they went in, however the bytes are cut', async (t) => {
  const frame = fc.uint8Array({ minLength: 1, maxLength: 400 })
  const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 20 }), cuts, (frames, sizes) => {
      const got: Uint8Array[] = []
      const reader = new FrameReader(400, (one) => got.push(one))
      const bytes = framed(...frames)
      for (let at = 0, turn = 0; at < bytes.byteLength; turn += 1) {
        const size = sizes[turn % sizes.length] as number
        reader.push(bytes.subarray(at, at + size))
        at += size
      }
      t.strictSame(got.map(hex), frames.map(hex))
      t.ok(reader.isBetweenFrames)
      t.equal(reader.heldBytes, 0)
    }),
    { numRuns: 300 },
  )
})

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

test('a frame has memory of its own', async (t) => {
  const got: Uint8Array[] = []
  const reader = new FrameReader(100, (one) => got.push(one))
  const bytes = framed(Uint8Array.of(1, 2), Uint8Array.of(3))
  reader.push(bytes)
  bytes.fill(9)
  t.same(
    got.map((one) => [...one]),
    [[1, 2], [3]],
  )
  t.same(
    got.map((one) => one.buffer.byteLength),
    [2, 1],
    'to be handed to another thread',
  )
})

test('room grows with what came and not with what was said', async (t) => {
  const bytesMax = 8 * 1024 * 1024
  const got: Uint8Array[] = []
  const reader = new FrameReader(bytesMax, (one) => got.push(one))
  reader.push(encodeUvarint(bytesMax))
  t.equal(reader.heldBytes, 0)
  t.notOk(reader.isBetweenFrames)
  reader.push(Uint8Array.of(1))
  t.equal(reader.heldBytes, lineLimits.firstBufferBytesMax)
  reader.push(new Uint8Array(lineLimits.firstBufferBytesMax))
  t.ok(reader.heldBytes <= 2 * lineLimits.firstBufferBytesMax)
  reader.push(new Uint8Array(bytesMax - lineLimits.firstBufferBytesMax - 1))
  t.equal(got[0]?.byteLength, bytesMax)
  t.equal(got[0]?.buffer.byteLength, bytesMax)
})

test('what is no frame is refused before anything is held', async (t) => {
  const cases: [string, number[], string][] = [
    ['too large', [...encodeUvarint(101)], 'ERR_LIMIT'],
    ['empty', [0], 'ERR_PROTOCOL'],
    ['padded', [0x81, 0x00], 'ERR_PROTOCOL'],
    ['endless', [0x81, 0x80, 0x80, 0x80], 'ERR_PROTOCOL'],
  ]
  for (const [name, bytes, code] of cases) {
    const reader = new FrameReader(100, () => t.fail('no frame'))
    t.throws(() => reader.push(Uint8Array.from(bytes)), { code }, name)
    t.equal(reader.heldBytes, 0)
  }
})
