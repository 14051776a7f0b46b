/** Frames: any cutting of the bytes gives the same frames, and limits hold before memory is spent. */
import { create } from '@bufbuild/protobuf'
import { test } from 'tap'
import { encodeFrameHeader, FrameDecoder } from '../../src/protocol/frame-codec.ts'
import { FeedFrameSchema } from '../../src/protocol/generated/feed_pb.js'
import { encodeUvarint } from '../../src/protocol/uvarint.ts'
import { seededRandom } from '../support/content-peer.ts'

const limits = { headerBytesMax: 1_000, payloadBytesMax: 2_000_000 }

function decoder(): FrameDecoder<typeof FeedFrameSchema> {
  return new FrameDecoder(FeedFrameSchema, (frame) => frame.payloadBytes, limits)
}

function frame(payload: Buffer): Buffer {
  const header = create(FeedFrameSchema, {
    payloadBytes: payload.byteLength,
    body: { case: 'object', value: { digest: Buffer.alloc(32, 7) } },
  })
  return Buffer.concat([encodeFrameHeader(FeedFrameSchema, header), payload])
}

test('frame codec', async (t) => {
  await t.test('frames come out as they went in, however they are cut', async (t) => {
    const payloads = [0, 1, 100, 600_000, 1_500_000].map((size) => Buffer.alloc(size, size % 251))
    const bytes = Buffer.concat(payloads.map(frame))
    const random = seededRandom(1)
    for (const most of [bytes.byteLength, 70_000, 3_000]) {
      const target = decoder()
      const seen: Buffer[] = []
      for (let at = 0; at < bytes.byteLength; ) {
        const size = 1 + Math.floor(random() * most)
        for (const { header, payload } of target.push(bytes.subarray(at, at + size))) {
          t.equal(header.body.case, 'object')
          seen.push(payload)
        }
        t.ok(target.bufferedBytes <= limits.payloadBytesMax)
        at += size
      }
      t.ok(target.isBetweenFrames)
      t.ok(Buffer.concat(seen).equals(Buffer.concat(payloads)))
      t.equal(seen.length, payloads.length)
    }
  })

  await t.test('a frame is not complete before its last byte', async (t) => {
    const bytes = frame(Buffer.alloc(10))
    const target = decoder()
    for (const byte of bytes.subarray(0, -1)) {
      t.same([...target.push(Uint8Array.of(byte))], [])
      t.notOk(target.isBetweenFrames)
    }
    t.equal([...target.push(bytes.subarray(-1))].length, 1)
  })

  await t.test('what is malformed or too large is refused at once', async (t) => {
    const refused: [string, Uint8Array, string][] = [
      ['no header', Uint8Array.of(0), 'ERR_PROTOCOL'],
      ['padded length', Uint8Array.of(0x85, 0x00), 'ERR_PROTOCOL'],
      ['endless length', Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x01), 'ERR_PROTOCOL'],
      ['large header', encodeUvarint(1_001), 'ERR_LIMIT'],
      ['absurd header', encodeUvarint(2 ** 28 - 1), 'ERR_LIMIT'],
      ['no message', Uint8Array.of(2, 0xff, 0xff), 'ERR_PROTOCOL'],
      [
        'large payload',
        encodeFrameHeader(FeedFrameSchema, create(FeedFrameSchema, { payloadBytes: 2_000_001 })),
        'ERR_LIMIT',
      ],
    ]
    for (const [what, bytes, code] of refused) {
      t.throws(() => [...decoder().push(bytes)], { code }, what)
    }
    const target = decoder()
    const announced = encodeFrameHeader(
      FeedFrameSchema,
      create(FeedFrameSchema, { payloadBytes: 2_000_000 }),
    )
    t.same([...target.push(announced)], [])
    t.equal(target.bufferedBytes, 0, 'no memory for what has only been announced')
  })
})
