/** Frames of a line: put together and taken apart again, whole or in pieces, in buffers of their own, and none that is too large. */
import fc from 'fast-check'
import { test } from 'tap'
import { FrameError, FrameReader } from '../../src/lines/frame-reader.ts'
import { nextWrite } from '../../src/lines/frame-writer.ts'
import { frameLimits } from '../../src/lines/line-limits.ts'

/** All frames in as many writes as they take. */
function framed(...frames: Uint8Array[]): Buffer {
  const written: Uint8Array[] = []
  for (let queue = frames; queue.length > 0; ) {
    const write = nextWrite(queue)
    written.push(...write.pieces)
    queue = queue.slice(write.frames)
  }
  return Buffer.concat(written)
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
  reader.push(Uint8Array.of(0x80, 0x80, 0x80, 0x04))
  t.equal(reader.heldBytes, 0)
  t.notOk(reader.isBetweenFrames)
  reader.push(Uint8Array.of(1))
  t.equal(reader.heldBytes, frameLimits.firstBufferBytesMax)
  reader.push(new Uint8Array(frameLimits.firstBufferBytesMax))
  t.ok(reader.heldBytes <= 2 * frameLimits.firstBufferBytesMax)
  reader.push(new Uint8Array(bytesMax - frameLimits.firstBufferBytesMax - 1))
  t.equal(got[0]?.byteLength, bytesMax)
  t.equal(got[0]?.buffer.byteLength, bytesMax)
})

test('small frames go together, a large one alone and in pieces', async (t) => {
  const { writeBytesMax } = frameLimits
  const small = Array.from({ length: 100 }, (_, index) => new Uint8Array(2_000).fill(index))
  const large = new Uint8Array(2 * writeBytesMax + 1).fill(7)
  const first = nextWrite(small, Uint8Array.of(42))
  t.equal(first.frames, Math.floor(writeBytesMax / 2_000))
  t.equal(first.bytes, first.frames * 2_000)
  t.equal(first.pieces.length, 1)
  t.equal(first.pieces[0]?.[0], 42)
  t.equal(nextWrite([small[0] as Uint8Array, large]).frames, 1, 'it would hold up the small one')
  const { frames, bytes, pieces } = nextWrite([large, ...small])
  t.same([frames, bytes], [1, large.byteLength])
  t.ok(pieces.every(({ byteLength }) => byteLength <= writeBytesMax))
  const got: Uint8Array[] = []
  const reader = new FrameReader(large.byteLength, (one) => got.push(one))
  for (const frame of [large, ...small]) reader.push(framed(frame))
  t.ok(got.length === 101 && Buffer.from(got[0] as Uint8Array).equals(large))
})

test('what is no frame is refused before anything is held', async (t) => {
  const cases: [string, number[], string][] = [
    ['too large', [101], 'too-large'],
    ['empty', [0], 'protocol'],
    ['padded', [0x81, 0x00], 'protocol'],
    ['endless', [0x81, 0x80, 0x80, 0x80], 'protocol'],
  ]
  for (const [name, bytes, reason] of cases) {
    const reader = new FrameReader(100, () => t.fail('no frame'))
    t.equal(
      refusalOf(() => reader.push(Uint8Array.from(bytes))),
      reason,
      name,
    )
    t.equal(reader.heldBytes, 0)
  }
})

function refusalOf(read: () => void): string | undefined {
  try {
    read()
    return undefined
  } catch (error) {
    return error instanceof FrameError ? error.reason : `${error}`
  }
}
