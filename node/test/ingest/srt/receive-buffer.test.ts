// The receive buffer: order, holes, deadlines and bounds.
import { test } from 'tap'
import { ReceiveBuffer } from '../../../src/ingest/srt/receive-buffer.ts'
import { SEQUENCE_MODULUS } from '../../../src/ingest/srt/sequence.ts'

const LATENCY_MS = 100

function newBuffer(initialSequence = 10, packetsMax = 16): ReceiveBuffer {
  return new ReceiveBuffer({ initialSequence, packetsMax, latencyMs: LATENCY_MS })
}

const packet = (sequence: number) => ({ sequence, key: 0, payload: Buffer.from([sequence & 255]) })

function taken(buffer: ReceiveBuffer): number[] {
  const sequences: number[] = []
  for (let next = buffer.take(); next !== undefined; next = buffer.take()) {
    sequences.push(next.sequence)
  }
  return sequences
}

test('what comes in order goes at once, what comes early waits', async (t) => {
  const buffer = newBuffer()
  t.equal(buffer.insert(packet(10), 0), 'held')
  t.same(taken(buffer), [10])
  buffer.insert(packet(12), 0)
  buffer.insert(packet(13), 0)
  buffer.insert(packet(15), 0)
  t.same(taken(buffer), [])
  t.same(
    [...buffer.missing()],
    [
      { first: 11, last: 11 },
      { first: 14, last: 14 },
    ],
  )
  t.equal(buffer.missingCount, 2)
  t.equal(buffer.heldBytes, 3)
  t.equal(buffer.endSequence, 16)
  t.equal(buffer.freePackets, 11)
  t.equal(buffer.insert(packet(12), 0), 'duplicate')
  t.equal(buffer.insert(packet(10), 0), 'late')
  buffer.insert(packet(11), 0)
  t.same(taken(buffer), [11, 12, 13])
  t.equal(buffer.nextSequence, 14)
  buffer.insert(packet(14), 0)
  t.same(taken(buffer), [14, 15])
  t.equal(buffer.heldBytes, 0)
  t.equal(buffer.missingCount, 0)
})

test('a hole is given up when its time is over, not before', async (t) => {
  const buffer = newBuffer()
  t.equal(buffer.giveUp(1_000), 0, 'nothing is missing')
  buffer.insert(packet(12), 50)
  t.equal(buffer.giveUp(50 + LATENCY_MS - 1), 0)
  t.equal(buffer.giveUp(50 + LATENCY_MS), 2)
  t.same(taken(buffer), [12])
  t.equal(buffer.giveUp(10_000), 0)
  t.equal(buffer.insert(packet(11), 200), 'late')
})

test('a repair behind a hole gives it no new time', async (t) => {
  const buffer = newBuffer()
  buffer.insert(packet(13), 0)
  buffer.insert(packet(12), 90)
  buffer.insert(packet(11), 95)
  t.equal(buffer.giveUp(LATENCY_MS), 1)
  t.same(taken(buffer), [11, 12, 13])
})

test('each hole has its own time', async (t) => {
  const buffer = newBuffer()
  buffer.insert(packet(11), 0)
  buffer.insert(packet(13), 60)
  t.equal(buffer.giveUp(LATENCY_MS), 1)
  t.same(taken(buffer), [11])
  t.equal(buffer.giveUp(LATENCY_MS), 0)
  t.equal(buffer.giveUp(60 + LATENCY_MS), 1)
  t.same(taken(buffer), [13])
})

test('numbers wrap', async (t) => {
  const first = SEQUENCE_MODULUS - 2
  const buffer = newBuffer(first)
  for (const sequence of [1, 0, first, SEQUENCE_MODULUS - 1]) buffer.insert(packet(sequence), 0)
  t.same(taken(buffer), [first, SEQUENCE_MODULUS - 1, 0, 1])
  t.equal(buffer.nextSequence, 2)
  buffer.insert(packet(4), 0)
  t.same([...buffer.missing()], [{ first: 2, last: 3 }])
})

test('nothing beyond the window is held', async (t) => {
  const buffer = newBuffer()
  t.equal(buffer.insert(packet(26), 0), 'overflow')
  t.equal(buffer.insert(packet(25), 0), 'held')
  t.equal(buffer.freePackets, 0)
  t.equal(buffer.insert(packet(9), 0), 'late')
  t.throws(() => newBuffer(0, 12), 'slots must divide the numbers')
})

test('what the caller will not send again is given up at once, in front only', async (t) => {
  const buffer = newBuffer()
  buffer.insert(packet(13), 0)
  buffer.insert(packet(16), 0)
  t.equal(buffer.drop({ first: 14, last: 15 }), 0, 'a later hole waits')
  t.equal(buffer.drop({ first: 8, last: 11 }), 2)
  t.equal(buffer.nextSequence, 12)
  t.equal(buffer.drop({ first: 5, last: 9 }), 0, 'long gone')
  t.equal(buffer.drop({ first: 12, last: 20 }), 1, 'what came is kept')
  t.same(taken(buffer), [13])
  t.equal(buffer.drop({ first: 14, last: 15 }), 2)
  t.same(taken(buffer), [16])
  t.equal(buffer.drop({ first: 17, last: 18 }), 2, 'nothing has come behind it')
  t.equal(buffer.nextSequence, 19)
  t.equal(buffer.freePackets, 16)
  t.equal(buffer.drop({ first: 0, last: 1_000_000 }), 16, 'as far as the window')
})

test('a hole wider than the buffer is given up after the latency', async (t) => {
  const buffer = newBuffer(10, 16)
  const far = (sequence: number, nowMs: number) => {
    t.equal(buffer.insert(packet(sequence), nowMs), 'overflow')
    return buffer.skipTo(sequence, nowMs)
  }
  t.equal(far(1_000, 0), 0)
  t.equal(far(1_001, LATENCY_MS - 1), 0)
  t.equal(far(1_002, LATENCY_MS), 992)
  t.equal(buffer.insert(packet(1_002), LATENCY_MS), 'held')
  t.equal(buffer.insert(packet(1_003), LATENCY_MS), 'held')
  t.same(taken(buffer), [1_002, 1_003])
})

test('a wild sequence number throws nothing away', async (t) => {
  const buffer = newBuffer(10, 16)
  t.equal(buffer.skipTo(1_000, 0), 0)
  t.equal(buffer.insert(packet(10), 50), 'held')
  t.same(taken(buffer), [10])
  t.equal(buffer.skipTo(1_000, LATENCY_MS), 0, 'the wait began anew')
  buffer.insert(packet(12), LATENCY_MS)
  t.equal(buffer.skipTo(1_000, 10 * LATENCY_MS), 0, 'what is held is given up by its own deadline')
})
