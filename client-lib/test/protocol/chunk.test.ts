/** Chunks of parts as they go over a data channel. */
import fc from 'fast-check'
import { test } from 'tap'
import { readChunk, writeChunk } from '../../src/protocol/chunk.ts'
import { protocolLimits as limits } from '../../src/protocol/limits.ts'
import { ProtocolError } from '../../src/protocol/protocol-error.ts'

test('a chunk is a header of eight bytes, big endian, and its bytes', async (t) => {
  const message = writeChunk({
    no: 0x8000_0001,
    offset: 0x0102_0304 & 0x3ff_ffff,
    bytes: Uint8Array.of(7, 8),
  })
  t.strictSame([...new Uint8Array(message)], [0x80, 0, 0, 1, 1, 2, 3, 4, 7, 8])
  const { bytes } = readChunk(message)
  t.equal(bytes.buffer, message, 'read as a view')
})

test('what is written is read', async () => {
  const chunks = fc.record({
    no: fc.integer({ min: 0, max: 0xffff_ffff }),
    offset: fc.integer({ min: 0, max: limits.partBytesMax - 40 }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  })
  fc.assert(
    fc.property(chunks, (chunk) => {
      const read = readChunk(writeChunk(chunk))
      return (
        read.no === chunk.no &&
        read.offset === chunk.offset &&
        Buffer.from(read.bytes).equals(Buffer.from(chunk.bytes))
      )
    }),
  )
})

test('what is no chunk is refused', async (t) => {
  const of = (length: number, offset = 0): ArrayBuffer =>
    writeChunk({ no: 1, offset, bytes: new Uint8Array(length) })
  t.equal(readChunk(of(limits.chunkBytesMax)).bytes.length, limits.chunkBytesMax)
  t.equal(readChunk(of(1, limits.partBytesMax - 1)).offset, limits.partBytesMax - 1)
  const wrong = [
    of(0),
    of(limits.chunkBytesMax + 1),
    of(1, limits.partBytesMax),
    of(9, 0xffff_ffff),
  ]
  for (const data of [
    ...wrong,
    new ArrayBuffer(7),
    new ArrayBuffer(0),
    'chunk',
    null,
    undefined,
    {},
  ]) {
    t.throws(() => readChunk(data), ProtocolError)
  }
})
