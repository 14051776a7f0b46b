// Whatever comes in over UDP: nothing throws, nothing is sent to strangers beyond what they sent, and memory stays bounded.
import fc from 'fast-check'
import { test } from 'tap'
import { readHandshake } from '../../src/ingest/srt/handshake-codec.ts'
import { readKeyMaterial } from '../../src/ingest/srt/key-material.ts'
import { readDropRange, readPacket } from '../../src/ingest/srt/packet.ts'
import { ReceiveBuffer } from '../../src/ingest/srt/receive-buffer.ts'
import { addSequence, sequenceDistance } from '../../src/ingest/srt/sequence.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import { mutate, mutations } from '../support/mutate.ts'
import { RecordingPublishing } from '../support/recording-publishing.ts'
import { AdmissionRun, keyMaterial, TestCaller } from '../support/srt-caller.ts'
import { adtsFrame, TsWriter } from '../support/ts-writer.ts'

const PASSPHRASE = 'correct horse battery'

test('parsers take any bytes', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const buffer = Buffer.from(bytes)
      readPacket(buffer)
      readHandshake(buffer)
      readKeyMaterial(buffer)
      readDropRange(buffer)
    }),
    { numRuns: fuzzRuns(2_000) },
  )
  const material = keyMaterial(PASSPHRASE, Buffer.alloc(32, 1), 1)
  fc.assert(
    fc.property(mutations(), (changes) => {
      readKeyMaterial(mutate(material, changes))
    }),
    { numRuns: fuzzRuns(1_000) },
  )
})

test('strangers get no more than they sent, whatever they send', async (t) => {
  const run = new AdmissionRun(new RecordingPublishing('secret'))
  const caller = new TestCaller()
  const seeds = [caller.induction(), caller.conclusion(1), caller.data(Buffer.alloc(100))]
  fc.assert(
    fc.property(fc.constantFrom(...seeds), mutations(), (seed, changes) => {
      const bytes = mutate(seed, changes)
      run.receive(bytes)
      const answered = run.sent.splice(0)
      return (
        answered.length <= 1 &&
        answered.every(({ packet }) => packet.byteLength <= Math.max(64, bytes.byteLength))
      )
    }),
    { numRuns: fuzzRuns(2_000) },
  )
  t.equal(await run.metric('connections'), 0)
})

test('handshakes of callers with a cookie end in an answer', async (t) => {
  const publishing = new RecordingPublishing('secret')
  await fc.assert(
    fc.asyncProperty(mutations(), async (changes) => {
      const run = new AdmissionRun(publishing, PASSPHRASE)
      const caller = new TestCaller({ passphrase: PASSPHRASE })
      run.receive(caller.induction())
      const [answer] = run.sent.splice(0)
      const [conclusion] = caller.receive(answer?.packet ?? Buffer.alloc(0))
      // The first 48 bytes behind the header hold the cookie.
      run.receive(mutate(conclusion as Buffer, changes, 64))
      for (let turn = 0; turn < 500 && run.sent.length === 0; turn += 1) {
        await new Promise((resolve) => setImmediate(resolve))
      }
      t.ok(run.sent.length <= 1)
      run.admission.stop()
    }),
    { numRuns: fuzzRuns(60) },
  )
})

test('an admitted caller may send anything', async (t) => {
  const writer = new TsWriter()
  const media = Buffer.concat([
    writer.tables({ pid: 0x101, type: 0x0f }),
    writer.pes({ pid: 0x101, data: adtsFrame(100), pts: 0 }),
  ])
  const command = fc.record({
    packet: fc.constantFrom('data', 'ack', 'nak', 'ackack', 'drop', 'keys'),
    changes: mutations(3),
    waitMs: fc.nat(50),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 60 }), async (commands) => {
      const run = new AdmissionRun(new RecordingPublishing('secret'))
      const caller = new TestCaller()
      await run.connect(caller)
      for (const { packet, changes, waitMs } of commands) {
        const types = { ack: 2, nak: 3, ackack: 6, drop: 7, keys: 0x7fff } as const
        const bytes =
          packet === 'data' ? caller.data(media) : caller.control(types[packet], Buffer.alloc(16))
        const changed = mutate(bytes, changes)
        // So that it reaches the connection.
        if (changed.byteLength >= 16) changed.writeUInt32BE(caller.listenerId, 12)
        run.receive(changed)
        run.clock.advance(waitMs)
        t.ok(run.sent.splice(0).length < 100)
      }
      run.admission.stop()
    }),
    { numRuns: fuzzRuns(100) },
  )
})

test('a receive buffer hands on every number at most once, in order', async () => {
  const step = fc.record({
    kind: fc.constantFrom('insert', 'insert', 'insert', 'wait', 'drop'),
    offset: fc.integer({ min: -20, max: 90 }),
    count: fc.nat(30),
  })
  fc.assert(
    fc.property(fc.nat(2 ** 31 - 1), fc.array(step, { maxLength: 200 }), (initial, steps) => {
      const buffer = new ReceiveBuffer({ initialSequence: initial, packetsMax: 64, latencyMs: 50 })
      let nowMs = 0
      let last = addSequence(initial, -1)
      for (const { kind, offset, count } of steps) {
        const sequence = addSequence(buffer.nextSequence, offset)
        if (kind === 'wait') {
          nowMs += count
          buffer.giveUp(nowMs)
        } else if (kind === 'drop') {
          buffer.drop({ first: sequence, last: addSequence(sequence, count) })
        } else buffer.insert({ sequence, key: 0, payload: Buffer.alloc(1) }, nowMs)
        for (let next = buffer.take(); next !== undefined; next = buffer.take()) {
          if (sequenceDistance(next.sequence, last) <= 0) return false
          last = next.sequence
        }
        const missing = [...buffer.missing()].reduce(
          (sum, range) => sum + sequenceDistance(range.last, range.first) + 1,
          0,
        )
        if (missing !== buffer.missingCount || buffer.heldBytes < 0) return false
        if (buffer.freePackets < 0 || buffer.freePackets > 64) return false
      }
      return true
    }),
    { numRuns: fuzzRuns(1_000) },
  )
})
