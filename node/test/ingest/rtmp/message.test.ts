// Messages: what is sent, commands in both encodings, aggregates; and the chunk writer that carries them.
import { test } from 'tap'
import { ChunkReader } from '../../../src/ingest/rtmp/chunk-reader.ts'
import { ChunkWriter } from '../../../src/ingest/rtmp/chunk-writer.ts'
import {
  commandMessage,
  controlMessage,
  controlWord,
  decodeCommand,
  decodeValues,
  isKnownMessageType,
  MESSAGE_TYPE,
  peerBandwidthMessage,
  splitAggregate,
  statusMessage,
  userControlMessage,
} from '../../../src/ingest/rtmp/message.ts'

test('builds control messages', async (t) => {
  t.equal(controlMessage(5, 0xffff_ffff).data.toString('hex'), 'ffffffff')
  t.equal(peerBandwidthMessage(2_500_000).data.toString('hex'), '002625a002')
  t.equal(userControlMessage(6, 258).data.toString('hex'), '000600000102')
  t.equal(controlWord(controlMessage(1, 4_096)), 4_096)
  t.throws(() => controlWord(controlMessage(1, 4_096), 1), { code: 'ERR_PROTOCOL' })
  t.ok(isKnownMessageType(22))
  t.notOk(isKnownMessageType(7))
})

test('decodes commands of both encodings', async (t) => {
  const command = commandMessage(1, 'publish', 5, null, 'key')
  t.same(decodeCommand(command), { name: 'publish', transactionId: 5, args: [null, 'key'] })
  const amf3 = (...parts: Buffer[]) => ({
    ...{ type: MESSAGE_TYPE.commandAmf3, streamId: 1, timestamp: 0 },
    data: Buffer.concat(parts),
  })
  t.match(decodeCommand(amf3(Buffer.of(0), command.data)), { name: 'publish', transactionId: 5 })
  t.match(decodeCommand(amf3(command.data)), { name: 'publish' }, 'without the format byte')
  t.match(decodeCommand(amf3(Buffer.from('00020001610611057869'.slice(0, 10), 'hex'))), {
    name: 'a',
    transactionId: 0,
  })
  t.throws(() => decodeCommand(commandMessage(0, 5)), { code: 'ERR_PROTOCOL' })
  t.same(decodeValues(statusMessage(1, 'error', 'A.B', 'why')).slice(0, 3), ['onStatus', 0, null])
})

/** One message inside an aggregate, with its trailing size. */
function part(type: number, time: number, data: Buffer): Buffer {
  const head = Buffer.alloc(11)
  head.writeUInt8(type)
  head.writeUIntBE(data.byteLength, 1, 3)
  head.writeUIntBE(time & 0xffffff, 4, 3)
  head.writeUInt8(time >>> 24, 7)
  return Buffer.concat([head, data, Buffer.alloc(4)])
}

test('splits aggregates and moves their times', async (t) => {
  const aggregate = {
    ...{ type: MESSAGE_TYPE.aggregate, streamId: 3, timestamp: 0xffff_fff0 },
    data: Buffer.concat([
      part(8, 0x0100_0000, Buffer.of(1)),
      part(9, 0x0100_0020, Buffer.of(2, 3)),
    ]),
  }
  t.same(
    [...splitAggregate(aggregate)],
    [
      { type: 8, streamId: 3, timestamp: 0xffff_fff0, data: Buffer.of(1) },
      { type: 9, streamId: 3, timestamp: 0x10, data: Buffer.of(2, 3) },
    ],
  )
  const cut = { ...aggregate, data: aggregate.data.subarray(0, 28) }
  t.throws(() => [...splitAggregate(cut)], { code: 'ERR_PROTOCOL' })
  t.same([...splitAggregate({ ...aggregate, data: Buffer.alloc(10) })], [])
})

test('the chunk writer and the chunk reader agree', async (t) => {
  for (const [chunkBytes, timestamp] of [
    [128, 0],
    [128, 0xffffff],
    [4_096, 0xffff_ffff],
  ] as const) {
    const writer = new ChunkWriter()
    const reader = new ChunkReader()
    writer.setChunkBytes(chunkBytes)
    reader.setChunkBytes(chunkBytes)
    const message = { type: 20, streamId: 1, timestamp, data: Buffer.alloc(9_000, 7) }
    reader.read(writer.encode(message), 0)
    t.same(reader.take(), message)
  }
})
