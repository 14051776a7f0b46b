// The chunk stream: every header form, extended timestamps as encoders send them, interleaving, and the limits.
import { test } from 'tap'
import { ChunkReader } from '../../../src/ingest/rtmp/chunk-reader.ts'
import type { RtmpMessage } from '../../../src/ingest/rtmp/message.ts'
import { rtmpLimits } from '../../../src/limits.ts'
import { chunk, messageBytes } from '../../support/rtmp-wire.ts'

/** All messages in these bytes, given to the reader in pieces of `piece` bytes. */
function readAll(
  bytes: Buffer,
  reader = new ChunkReader(),
  piece = bytes.byteLength,
): RtmpMessage[] {
  const messages: RtmpMessage[] = []
  for (let start = 0; start < bytes.byteLength; start += piece) {
    const data = bytes.subarray(start, start + piece)
    let offset = 0
    for (;;) {
      offset = reader.read(data, offset)
      const message = reader.take()
      if (message === undefined) break
      messages.push(message)
    }
  }
  return messages
}

const payload = (length: number, seed = 1) =>
  Buffer.from(Array.from({ length }, (_, index) => (index * 31 + seed) & 255))
const video = (timestamp: number, data: Buffer) => ({ type: 9, streamId: 1, timestamp, data })

test('reads messages in every cut', async (t) => {
  const bytes = Buffer.concat([
    messageBytes(video(5, payload(300))),
    messageBytes(video(7, payload(0))),
    messageBytes(video(0x1234_5678, payload(400, 3))),
  ])
  const expected = [
    video(5, payload(300)),
    video(7, payload(0)),
    video(0x1234_5678, payload(400, 3)),
  ]
  for (const piece of [1, 2, 3, 7, 128, 129, 1_000]) {
    t.same(readAll(bytes, new ChunkReader(), piece), expected, `in pieces of ${piece}`)
  }
})

for (const chunkStream of [2, 63, 64, 319, 320, 65_599]) {
  test(`reads chunk stream ${chunkStream}`, async (t) => {
    const bytes = messageBytes(video(1, payload(200)), { chunkStream })
    t.same(readAll(bytes), [video(1, payload(200))])
  })
}

test('a message is a view of what was received where it fills most of it, and else a copy', async (t) => {
  const small = messageBytes(video(1, payload(40)))
  const large = messageBytes(video(2, payload(120, 5)), { chunkStream: 7 })
  const received = Buffer.concat([small, large])
  const [first, second] = readAll(received)
  t.same([first?.data, second?.data], [payload(40), payload(120, 5)])
  received.fill(0)
  t.same(first?.data, payload(40), 'the small one has memory of its own')
  t.same(second?.data, Buffer.alloc(120), 'the large one has not')
  const parted = messageBytes(video(3, payload(300)))
  const [whole] = readAll(parted)
  parted.fill(0)
  t.same(whole?.data, payload(300), 'chunk headers lie in between')
  const cut = Buffer.from(large)
  const [late] = readAll(cut, new ChunkReader(), cut.byteLength - 1)
  cut.fill(0)
  t.same(late?.data, payload(120, 5), 'its last byte came later')
})

test('inherits header fields', async (t) => {
  const base = { chunkStream: 5, payload: payload(3) }
  const bytes = Buffer.concat([
    chunk({ ...base, format: 0, time: 100, length: 3, type: 8, streamId: 7 }),
    chunk({ ...base, format: 2, time: 20 }),
    chunk({ ...base, format: 3 }),
    chunk({ ...base, format: 1, time: 1, length: 2, type: 9, payload: payload(2) }),
    chunk({ ...base, format: 3, payload: payload(2) }),
  ])
  t.match(readAll(bytes), [
    { timestamp: 100, type: 8, streamId: 7 },
    { timestamp: 120, type: 8 },
    { timestamp: 140 },
    { timestamp: 141, type: 9, streamId: 7, data: payload(2) },
    { timestamp: 142 },
  ])
})

test('a type 3 message after a full header takes its time as delta', async (t) => {
  const base = { chunkStream: 5, payload: payload(1) }
  const bytes = Buffer.concat([
    chunk({ ...base, format: 0, time: 40, length: 1, type: 8 }),
    chunk({ ...base, format: 3 }),
  ])
  t.same(
    readAll(bytes).map((message) => message.timestamp),
    [40, 80],
  )
})

test('wraps 32-bit times', async (t) => {
  const base = { chunkStream: 5, payload: payload(1) }
  const bytes = Buffer.concat([
    chunk({ ...base, format: 0, extended: 0xffff_fff0, length: 1, type: 8 }),
    chunk({ ...base, format: 2, time: 0x20 }),
  ])
  t.same(
    readAll(bytes).map((message) => message.timestamp),
    [0xffff_fff0, 0x10],
  )
})

test('interleaves chunk streams', async (t) => {
  const part = (format: 0 | 3, chunkStream: number, from: number, data: Buffer) =>
    chunk({
      ...{ format, chunkStream, time: 1, length: data.byteLength, type: 9, streamId: 1 },
      payload: data.subarray(from, from + 128),
    })
  const one = payload(300)
  const two = payload(200, 9)
  const bytes = Buffer.concat([
    ...[part(0, 4, 0, one), part(0, 6, 0, two), part(3, 4, 128, one)],
    ...[part(3, 6, 128, two), part(3, 4, 256, one)],
  ])
  t.same(
    readAll(bytes).map(({ data }) => data),
    [two, one],
  )
})

for (const omitRepeatedTime of [false, true]) {
  const how = omitRepeatedTime ? 'not repeated' : 'repeated'
  test(`reads extended timestamps that are ${how} in continuations`, async (t) => {
    const time = 0x0100_0000
    // Payloads that begin a chunk with the first bytes of the timestamp, so that the reader must look further.
    const tricky = payload(900)
    tricky.writeUInt8(1, 128)
    tricky.writeUInt32BE(0x0100_0001, 256)
    tricky.writeUInt32BE(0x0100_0000 + 256, 384)
    // Fragments that end inside what might have been the timestamp, before the next chunk's header.
    const short = payload(129)
    short.writeUInt8(1, 128)
    const shorter = payload(130)
    shorter.writeUInt16BE(0x0100, 128)
    const messages = [
      video(time, tricky),
      video(time, short),
      video(time, shorter),
      video(time, short),
      video(time + 1, payload(129)),
      video(time + 2, payload(130)),
      video(time + 3, payload(131)),
      video(time + 4, payload(50)),
    ]
    const bytes = Buffer.concat(
      messages.map((message) => messageBytes(message, { omitRepeatedTime })),
    )
    for (const piece of [1, 3, 5, 64, 10_000]) {
      t.same(readAll(bytes, new ChunkReader(), piece), messages, `in pieces of ${piece}`)
    }
  })
}

test('a last fragment that differs from the timestamp only at its end is not held back', async (t) => {
  const data = payload(131)
  data.set([1, 0, 5], 128)
  const bytes = messageBytes(video(0x0100_0000, data), { omitRepeatedTime: true })
  t.same(readAll(bytes), [video(0x0100_0000, data)])
})

test('takes the absolute time that some encoders repeat after a delta', async (t) => {
  const base = { chunkStream: 5, type: 9, streamId: 1 }
  const data = payload(200)
  const time = 0x0100_0000
  const bytes = Buffer.concat([
    chunk({ ...base, format: 0, extended: time, length: 1, payload: payload(1) }),
    // An "extended delta" that is the absolute time, and its repetition.
    chunk({ ...base, format: 1, extended: time + 33, length: 200, payload: data.subarray(0, 128) }),
    chunk({ ...base, format: 3, extended: time + 33, payload: data.subarray(128) }),
    // A delta of twenty hours is a delta.
    chunk({ ...base, format: 1, extended: 72_000_000, length: 1, payload: payload(1) }),
    // A new message by type 3 carries the field again.
    chunk({ ...base, format: 3, extended: time + 72_000_073, payload: payload(1) }),
  ])
  t.same(
    readAll(bytes).map((message) => message.timestamp),
    [time, time + 33, time + 72_000_033, time + 72_000_073],
  )
})

test('follows chunk sizes', async (t) => {
  const reader = new ChunkReader()
  reader.setChunkBytes(1)
  t.same(readAll(messageBytes(video(1, payload(20)), { chunkBytes: 1 }), reader), [
    video(1, payload(20)),
  ])
  reader.setChunkBytes(rtmpLimits.chunkBytesMax)
  const large = payload(1_000_000)
  t.same(readAll(messageBytes(video(2, large), { chunkBytes: large.byteLength }), reader), [
    video(2, large),
  ])
  t.throws(() => reader.setChunkBytes(0), { code: 'ERR_PROTOCOL' })
  t.throws(() => reader.setChunkBytes(2 ** 31), { code: 'ERR_PROTOCOL' })
  t.throws(() => reader.setChunkBytes(rtmpLimits.chunkBytesMax + 1), { code: 'ERR_LIMIT' })
})

test('aborts a message', async (t) => {
  const reader = new ChunkReader()
  readAll(messageBytes(video(1, payload(300))).subarray(0, 140), reader)
  t.equal(reader.retainedBytes, 300)
  reader.abort(4)
  reader.abort(99)
  t.equal(reader.retainedBytes, 0)
  t.same(readAll(messageBytes(video(2, payload(10))), reader), [video(2, payload(10))])
})

test('tolerates a repeated header that changes nothing, and no other', async (t) => {
  const data = payload(300)
  const begin = chunk({
    ...{ format: 0, chunkStream: 4, time: 1, length: 300, type: 9, streamId: 1 },
    payload: data.subarray(0, 128),
  })
  const go = (format: 0 | 1 | 2, length: number) =>
    readAll(
      Buffer.concat([
        begin,
        chunk({ format, chunkStream: 4, length, type: 9, payload: data.subarray(128, 256) }),
        chunk({ format: 3, chunkStream: 4, payload: data.subarray(256) }),
      ]),
    )
  t.same(go(1, 300), [video(1, data)])
  t.same(go(2, 300), [video(1, data)])
  t.throws(() => go(1, 301), { code: 'ERR_PROTOCOL' })
  t.throws(() => go(0, 300), { code: 'ERR_PROTOCOL' })
})

test('a chunk stream may begin with type 1, as librtmp does, but not with 2 or 3', async (t) => {
  const bytes = chunk({
    format: 1,
    chunkStream: 2,
    time: 9,
    length: 4,
    type: 4,
    payload: payload(4),
  })
  t.match(readAll(bytes), [{ timestamp: 9, streamId: 0 }])
  t.throws(() => readAll(chunk({ format: 2, chunkStream: 2 })), { code: 'ERR_PROTOCOL' })
  t.throws(() => readAll(chunk({ format: 3, chunkStream: 2 })), { code: 'ERR_PROTOCOL' })
})

test('bounds messages, chunk streams and memory', async (t) => {
  const begin = (chunkStream: number, length: number) =>
    chunk({ format: 0, chunkStream, length, type: 9, payload: payload(Math.min(length, 128)) })
  const limit = { code: 'ERR_LIMIT' }
  t.throws(() => readAll(begin(4, 1_001), new ChunkReader(1_000)), limit)
  const reader = new ChunkReader()
  readAll(begin(4, rtmpLimits.messageBytesMax - 1), reader)
  t.throws(() => readAll(begin(5, rtmpLimits.messageBytesMax - 1), reader), limit)
  t.ok(reader.retainedBytes <= rtmpLimits.reassemblyBytesMax)

  const many = new ChunkReader()
  for (let id = 0; id < rtmpLimits.chunkStreamsMax; id += 1) readAll(begin(10 + id, 1), many)
  t.throws(() => readAll(begin(5, 1), many), limit)

  t.throws(() => readAll(begin(4, 101), new ChunkReader(100)), limit)
  const changing = new ChunkReader(100)
  changing.allowMessages(101)
  t.doesNotThrow(() => readAll(begin(5, 101), changing))
})
