// Packets, sequence numbers, stream ids and handshakes as bytes.
import { test } from 'tap'
import { Acknowledger, ReceiveRate } from '../../../src/ingest/srt/acknowledger.ts'
import { readHandshake, readText } from '../../../src/ingest/srt/handshake-codec.ts'
import {
  ackPacket,
  CONTROL,
  lightAckPacket,
  nakPacket,
  readDropRange,
  readPacket,
} from '../../../src/ingest/srt/packet.ts'
import { SrtRejection } from '../../../src/ingest/srt/rejection.ts'
import {
  addSequence,
  SEQUENCE_MODULUS,
  sequenceDistance,
} from '../../../src/ingest/srt/sequence.ts'
import { streamKeyOf } from '../../../src/ingest/srt/stream-id.ts'
import { srtLimits } from '../../../src/limits/srt.ts'
import { textExtension } from '../../support/srt-caller.ts'

const OUT = { destination: 0x1234, timestamp: 99 }

test('sequence numbers', async (t) => {
  t.equal(addSequence(SEQUENCE_MODULUS - 1, 2), 1)
  t.equal(addSequence(0, -1), SEQUENCE_MODULUS - 1)
  t.equal(sequenceDistance(1, SEQUENCE_MODULUS - 1), 2)
  t.equal(sequenceDistance(SEQUENCE_MODULUS - 1, 1), -2)
  t.equal(sequenceDistance(5, 5), 0)
})

test('packets of both kinds', async (t) => {
  t.equal(readPacket(Buffer.alloc(15)), undefined)
  const data = Buffer.from('0000002ad4000007000000630000123401020304', 'hex')
  t.match(readPacket(data), {
    ...{ kind: 'data', sequence: 42, key: 2, retransmitted: true, destination: 0x1234 },
    payload: Buffer.from([1, 2, 3, 4]),
  })
  const ack = ackPacket(OUT, 7, {
    ...{ nextSequence: 42, roundTripUs: 1_500.4, roundTripVarianceUs: 2 ** 40, freePackets: 9 },
    ...{ packetsPerSecond: 100, bytesPerSecond: 131_600 },
  })
  const read = readPacket(ack)
  t.match(read, { kind: 'control', type: CONTROL.ack, info: 7, timestamp: 99, destination: 0x1234 })
  const words = Array.from({ length: 7 }, (_, index) => read?.payload.readUInt32BE(index * 4))
  t.same(words, [42, 1_500, 0x7fff_ffff, 9, 100, 100, 131_600])
  t.match(readPacket(lightAckPacket(OUT, 42)), { type: CONTROL.ack, info: 0 })
})

test('reports of loss', async (t) => {
  const ranges = [
    { first: 1, last: 1 },
    { first: 5, last: 9 },
    { first: 12, last: 12 },
  ]
  const words = (max: number): string | undefined =>
    nakPacket(OUT, ranges, max)?.toString('hex', 16)
  t.equal(words(100), '0000000180000005000000090000000c')
  t.equal(words(3), '000000018000000500000009')
  t.equal(nakPacket(OUT, [], 100), undefined)
})

test('drop requests', async (t) => {
  const range = (text: string) => readDropRange(Buffer.from(text, 'hex'))
  t.same(range('0000000100000003'), { first: 1, last: 3 })
  t.same(range('7fffffff00000001'), { first: SEQUENCE_MODULUS - 1, last: 1 })
  t.equal(range('0000000300000001'), undefined)
  t.equal(range('8000000300000001'), undefined)
  t.equal(range('00000003'), undefined)
})

test('stream ids', async (t) => {
  const key = (streamId: string): string => {
    try {
      return streamKeyOf(streamId)
    } catch (error) {
      if (error instanceof SrtRejection) return `! ${error.reason}`
      throw error
    }
  }
  const wanted = new Map([
    ['publish:abc', 'abc'],
    ['PUBLISH:abc?x=1', 'abc'],
    ['abc', 'abc'],
    ['abc?x', 'abc'],
    ['publish%3Aabc%3Fx', 'abc'],
    ['#!::r=abc,m=publish', 'abc'],
    ['#!::u=me,m=publish,r=abc,x=1', 'abc'],
    ['%23!::r=abc,m=publish', 'abc'],
    ['', '! unauthorized'],
    ['publish:', '! unauthorized'],
    ['#!::m=publish', '! unauthorized'],
    ['read:abc', '! bad-mode'],
    ['request:abc', '! bad-mode'],
    ['#!::r=abc', '! bad-mode'],
    ['#!::r=abc,m=request', '! bad-mode'],
    ['#!::r=abc,m=bidirectional', '! bad-mode'],
    ['#!::r=abc,m=sing', '! bad-request'],
    ['#!:{r:abc}', '! bad-request'],
    ['publish%3A%zz', '! bad-request'],
    ['a'.repeat(srtLimits.streamIdCharsMax + 1), '! bad-request'],
  ])
  for (const [streamId, result] of wanted) t.equal(key(streamId), result, streamId.slice(0, 40))
})

test('handshakes with broken extensions are none', async (t) => {
  const head = Buffer.alloc(48)
  head.writeUInt32BE(5, 0)
  const extension = (text: string) => readHandshake(Buffer.concat([head, Buffer.from(text, 'hex')]))
  t.match(extension('000500016162636400060000'), {
    extensions: [{ type: 5, content: Buffer.from('abcd') }, { type: 6 }],
  })
  t.equal(extension('0005000261626364'), undefined, 'longer than the packet')
  t.equal(extension('0005'), undefined, 'half a head')
  t.equal(extension('00050000'.repeat(srtLimits.extensionsMax + 1)), undefined, 'too many')
  t.equal(readHandshake(head.subarray(0, 47)), undefined)
  t.equal(readText(textExtension(5, 'publish:abc').content), 'publish:abc')
})

test('round trips are measured by acknowledgements and smoothed', async (t) => {
  const acks = new Acknowledger()
  t.equal(acks.roundTripMs, 100)
  const first = acks.next(0)
  const second = acks.next(10)
  t.equal(acks.answered(second, 30), 20)
  t.equal(acks.roundTripMs, 20, 'the first measured replaces the guess')
  t.equal(acks.answered(first, 31), undefined, 'older ones are settled with it')
  const third = acks.next(40)
  acks.answered(third, 140)
  t.equal(acks.roundTripMs, 30)
  t.equal(acks.varianceMs, 27.5)
  t.equal(acks.timeoutMs, 140)
  const forgotten = acks.next(0)
  for (let count = 0; count < srtLimits.acksAwaitedMax; count += 1) acks.next(1)
  t.equal(acks.answered(forgotten, 2), undefined)
})

test('rates are those of the last second', async (t) => {
  const rate = new ReceiveRate(0)
  for (let ms = 0; ms < 1_000; ms += 10) rate.add(100, ms)
  t.equal(rate.packetsPerSecond, 0)
  rate.add(100, 1_000)
  t.equal(rate.packetsPerSecond, 100)
  t.equal(rate.bytesPerSecond, 10_000)
})
