// Handshakes, refusals, limits and a caller's life, with a hand-written caller and a clock that stands still.
import { type Test, test } from 'tap'
import { KairoError } from '../../../src/errors.ts'
import { EXTENSION, HANDSHAKE_TYPE } from '../../../src/ingest/srt/handshake-codec.ts'
import { CONTROL, controlPacket } from '../../../src/ingest/srt/packet.ts'
import { srtLimits } from '../../../src/limits/srt.ts'
import type { Publishing } from '../../../src/media/sink.ts'
import { settle } from '../../support/manual-clock.ts'
import { RecordingPublishing, RecordingSink } from '../../support/recording-publishing.ts'
import {
  AdmissionRun,
  type CallerInit,
  keyMaterial,
  REMOTE,
  TestCaller,
  termsExtension,
  textExtension,
} from '../../support/srt-caller.ts'
import { adtsFrame, TsWriter } from '../../support/ts-writer.ts'

const PASSPHRASE = 'correct horse battery'
const AUDIO = { pid: 0x101, type: 0x0f }

async function connected(init: CallerInit = {}, passphrase?: string) {
  const publishing = new RecordingPublishing('secret')
  const run = new AdmissionRun(publishing, passphrase)
  const caller = new TestCaller(init)
  const answer = await run.connect(caller)
  return { publishing, run, caller, answer }
}

/** A transport stream of `count` audio frames, a piece each. */
function audioPieces(count: number): Buffer[] {
  const writer = new TsWriter()
  const frame = (index: number) =>
    writer.pes({ pid: AUDIO.pid, data: adtsFrame(40), pts: index * 1_920, streamId: 0xc0 })
  return [writer.tables(AUDIO), ...Array.from({ length: count }, (_, index) => frame(index))]
}

test('a caller is admitted and its media arrive', async (t) => {
  const { publishing, run, caller, answer } = await connected({ latencyMs: 300 })
  t.match(answer, { version: 5, type: HANDSHAKE_TYPE.conclusion, initialSequence: 1_000 })
  const terms = answer?.extensions.find(({ type }) => type === EXTENSION.hsResponse)?.content
  t.equal(terms?.readUInt16BE(8), 300, 'the latency asked for')
  t.equal(publishing.sinks.length, 1)
  for (const piece of audioPieces(5)) run.receive(caller.data(piece))
  t.equal(publishing.sinks[0]?.units.length, 5)
  run.clock.advance(srtLimits.tickMs)
  run.exchange(caller)
  t.equal(caller.unacknowledged, 0)
  t.match(caller.received, [{ type: CONTROL.ack, info: 1 }])
  run.receive(caller.control(CONTROL.shutdown))
  t.equal(publishing.sinks[0]?.endReason, 'closed')
  t.equal(await run.metric('connections'), 0)
  run.clock.advance(100)
  t.equal(run.clock.timers, 0, 'nothing ticks without callers')
})

test('an answer that was lost is repeated, for one publication', async (t) => {
  const { publishing, run, caller, answer } = await connected()
  run.receive(caller.induction())
  run.exchange(caller)
  t.equal(caller.answer?.socketId, answer?.socketId)
  t.equal(publishing.sinks.length, 1)
})

test('nothing is done without the cookie of the address', async (t) => {
  const run = new AdmissionRun(new RecordingPublishing('secret'))
  const caller = new TestCaller()
  const induction = caller.induction()
  run.receive(induction)
  t.equal(run.sent[0]?.packet.byteLength, induction.byteLength, 'no more goes out than came in')
  run.exchange(caller, { ...REMOTE, port: 5_001 })
  run.receive(caller.conclusion(0))
  await settle()
  t.equal(await run.metric('ignored_datagrams_total', { reason: 'cookie' }), 2)
  t.equal(run.sent.length, 0)
  run.receive(caller.induction())
  run.clock.advance(3 * srtLimits.cookieMs)
  run.exchange(caller)
  t.equal(await run.metric('ignored_datagrams_total', { reason: 'cookie' }), 3, 'cookies get old')
})

test('packets of strangers and broken handshakes are ignored', async (t) => {
  const { run, caller, publishing } = await connected()
  const [piece] = audioPieces(0) as [Buffer]
  run.receive(caller.data(piece), { ...REMOTE, port: 6_000 })
  caller.listenerId += 1
  run.receive(caller.control(CONTROL.shutdown))
  t.equal(await run.metric('ignored_datagrams_total', { reason: 'stranger' }), 2)
  const out = { destination: 0, timestamp: 0 }
  run.receive(controlPacket(CONTROL.handshake, out, Buffer.alloc(20)))
  run.receive(controlPacket(CONTROL.handshake, out, Buffer.alloc(2_000)))
  run.receive(controlPacket(CONTROL.handshake, out, Buffer.alloc(48)))
  t.equal(await run.metric('ignored_datagrams_total', { reason: 'malformed' }), 3)
  t.equal(publishing.sinks[0]?.endReason, undefined)
})

async function refusal(t: Test, init: CallerInit, code: number, passphrase?: string) {
  const { run, answer, publishing } = await connected(init, passphrase)
  t.equal(answer?.type, 1_000 + code, `${code}`)
  t.equal(publishing.sinks.length, 0)
  t.equal(await run.metric('rejections_total'), 1)
}

test('what a handshake is refused for, in the words of the wire', async (t) => {
  const withExtension = (type: number, text: string): CallerInit => ({
    spoil: (handshake) => ({
      ...handshake,
      extensions: [...handshake.extensions, textExtension(type, text)],
    }),
  })
  const withTerms = (version: number, flags: number): CallerInit => ({
    spoil: (handshake) => ({ ...handshake, extensions: [termsExtension(120, version, flags)] }),
  })
  await refusal(t, { spoil: (handshake) => ({ ...handshake, version: 4, extensions: [] }) }, 8)
  await refusal(t, withTerms(0x10200, 0xbf), 8)
  await refusal(t, { spoil: (handshake) => ({ ...handshake, extensions: [] }) }, 4)
  await refusal(t, { spoil: (handshake) => ({ ...handshake, initialSequence: 2 ** 31 }) }, 4)
  await refusal(t, { spoil: (handshake) => ({ ...handshake, mtuBytes: 10 }) }, 4)
  await refusal(t, withExtension(EXTENSION.kmRequest, 'what?'), 4)
  await refusal(t, withTerms(0x10501, 0xff), 13)
  await refusal(t, withExtension(EXTENSION.congestion, 'file'), 13)
  await refusal(t, withExtension(EXTENSION.filter, 'fec,cols:10'), 14)
  await refusal(t, withExtension(EXTENSION.group, 'some'), 15)
  await refusal(t, { streamId: 'read:secret' }, 1_405)
  await refusal(t, { streamId: '' }, 1_401)
  await refusal(t, { streamId: 'publish:wrong' }, 1_403)
  const live = await connected(withExtension(EXTENSION.congestion, 'live'))
  t.equal(live.answer?.type, HANDSHAKE_TYPE.conclusion)
})

test('encryption must be what is set here', async (t) => {
  await refusal(t, { passphrase: PASSPHRASE }, 11)
  await refusal(t, {}, 11, PASSPHRASE)
  await refusal(t, { passphrase: 'some other words' }, 10, PASSPHRASE)
  const gcm: CallerInit = {
    passphrase: PASSPHRASE,
    spoil: (handshake) => ({
      ...handshake,
      extensions: handshake.extensions.map((extension) => {
        if (extension.type === EXTENSION.kmRequest) extension.content[8] = 4
        return extension
      }),
    }),
  }
  await refusal(t, gcm, 17, PASSPHRASE)
})

test('what publishing refuses is told by its code', async (t) => {
  const codes = [
    ['ERR_PUBLISHER_ACTIVE', 1_409],
    ['ERR_LIMIT', 1_402],
    ['ERR_STOPPED', 1_503],
    ['ERR_STORAGE', 1_500],
  ] as const
  for (const [code, wire] of codes) {
    const publishing = new RecordingPublishing('secret')
    publishing.failure = new KairoError(code, 'no')
    const answer = await new AdmissionRun(publishing).connect(new TestCaller())
    t.equal(answer?.type, 1_000 + wire, code)
  }
  const publishing = new RecordingPublishing('secret')
  publishing.failure = new Error('a fault of ours')
  t.equal((await new AdmissionRun(publishing).connect(new TestCaller()))?.type, 2_500)
})

test('who guesses too often is not heard for a while', async (t) => {
  const publishing = new RecordingPublishing('secret')
  const run = new AdmissionRun(publishing)
  for (let guess = 0; guess < srtLimits.failuresPerAddressMax; guess += 1) {
    const answer = await run.connect(
      new TestCaller({ streamId: `publish:${guess}`, socketId: guess + 1 }),
    )
    t.equal(answer?.type, 2_403)
  }
  t.equal((await run.connect(new TestCaller()))?.type, 2_402, 'the right key does not help')
  const elsewhere = { ...REMOTE, address: '192.0.2.2' }
  t.equal((await run.connect(new TestCaller({ socketId: 5 }), elsewhere))?.type, 0xffff_ffff)
  run.clock.advance(srtLimits.failureWindowMs)
  t.equal((await run.connect(new TestCaller({ socketId: 6 })))?.type, 0xffff_ffff)
})

test('an IPv6 customer has one address to guess from', async (t) => {
  const run = new AdmissionRun(new RecordingPublishing('secret'))
  const from = (host: number) => ({ ...REMOTE, address: `2001:db8:1:2::${host.toString(16)}` })
  for (let guess = 1; guess <= srtLimits.failuresPerAddressMax; guess += 1) {
    await run.connect(new TestCaller({ streamId: `publish:${guess}` }), from(guess))
  }
  t.equal((await run.connect(new TestCaller(), from(0xffff)))?.type, 2_402)
  const neighbour = { ...REMOTE, address: '2001:db8:1:3::1' }
  t.equal((await run.connect(new TestCaller(), neighbour))?.type, 0xffff_ffff)
})

test('a datagram from port 0, which the socket would refuse to answer, is ignored', async (t) => {
  const run = new AdmissionRun(new RecordingPublishing('secret'))
  run.receive(new TestCaller().induction(), { ...REMOTE, port: 0 })
  t.equal(run.sent.length, 0)
  t.equal(await run.metric('ignored_datagrams_total', { reason: 'malformed' }), 1)
})

test('callers at once, from one address and from all', async (t) => {
  const publishing: Publishing = { publish: () => new RecordingSink() }
  const run = new AdmissionRun(publishing)
  for (let id = 1; id <= srtLimits.connectionsPerAddressMax; id += 1) {
    await run.connect(new TestCaller({ socketId: id }))
  }
  t.equal((await run.connect(new TestCaller({ socketId: 9_999 })))?.type, 2_402)
  const mapped = { ...REMOTE, address: `::ffff:${REMOTE.address}` }
  t.equal((await run.connect(new TestCaller({ socketId: 9_998 }), mapped))?.type, 2_402)
  let admitted: number = srtLimits.connectionsPerAddressMax
  for (let host = 2; admitted < srtLimits.connectionsMax; host += 1) {
    const remote = { ...REMOTE, address: `192.0.2.${host}` }
    for (let id = 1; id <= srtLimits.connectionsPerAddressMax; id += 1) {
      await run.connect(new TestCaller({ socketId: id }), remote)
      admitted += 1
    }
  }
  const late = { ...REMOTE, address: '198.51.100.1' }
  t.equal((await run.connect(new TestCaller(), late))?.type, 2_402)
  t.equal(await run.metric('connections'), srtLimits.connectionsMax)
  run.admission.stop()
  t.equal(await run.metric('connections'), 0)
  t.equal(await run.metric('disconnects_total', { reason: 'stopped' }), srtLimits.connectionsMax)
  t.equal((await run.connect(new TestCaller(), late))?.type, 2_503)
})

test('silence ends a caller, and so do signs of life without media', async (t) => {
  const silent = await connected()
  silent.run.clock.advance(5_100)
  t.equal(silent.publishing.sinks[0]?.endReason, 'timeout')
  silent.run.exchange(silent.caller)
  t.ok(
    silent.caller.received.some(({ type }) => type === CONTROL.keepAlive),
    'we showed signs of life',
  )
  t.equal(silent.caller.received.at(-1)?.type, CONTROL.shutdown)

  const idle = await connected()
  for (let seconds = 0; seconds < 16; seconds += 1) {
    t.equal(idle.publishing.sinks[0]?.endReason, undefined)
    idle.run.clock.advance(1_000)
    idle.run.receive(idle.caller.control(CONTROL.keepAlive))
  }
  t.equal(idle.publishing.sinks[0]?.endReason, 'timeout')
})

test('loss is reported at once, repeated, and given up in time', async (t) => {
  const { run, caller, publishing } = await connected({ latencyMs: 200 })
  const [tables, ...frames] = audioPieces(4) as [Buffer, ...Buffer[]]
  run.receive(caller.data(tables))
  caller.data(frames[0] as Buffer)
  run.receive(caller.data(frames[1] as Buffer))
  const naks = () => {
    const before = caller.received.length
    for (const { packet } of run.sent.splice(0)) caller.receive(packet)
    return caller.received.slice(before).filter(({ type }) => type === CONTROL.nak)
  }
  t.same(
    naks().map(({ payload }) => payload.readUInt32BE(0)),
    [1_001],
  )
  run.clock.advance(199)
  t.ok(naks().length > 0, 'and again')
  t.equal(publishing.sinks[0]?.units.length, 0)
  run.clock.advance(11)
  t.equal(publishing.sinks[0]?.units.length, 1, 'the hole is given up')
  t.equal(await run.metric('packets_dropped_total', { reason: 'too-late' }), 1)
  t.equal(await run.metric('packets_lost_total'), 1)
  caller.data(frames[2] as Buffer)
  run.receive(caller.data(frames[3] as Buffer))
  const range = Buffer.alloc(8)
  range.writeUInt32BE(1_003, 0)
  range.writeUInt32BE(1_003, 4)
  run.receive(caller.control(CONTROL.dropRequest, range))
  t.equal(publishing.sinks[0]?.units.length, 2, 'what is not sent again is not waited for')
})

test('at a goodbye what waits behind a hole is handed on', async (t) => {
  const { run, caller, publishing } = await connected()
  const [tables, first, ...rest] = audioPieces(3) as [Buffer, Buffer, Buffer, Buffer]
  run.receive(caller.data(tables))
  caller.data(first)
  for (const frame of rest) run.receive(caller.data(frame))
  run.receive(caller.control(CONTROL.shutdown))
  t.equal(publishing.sinks[0]?.units.length, 2)
  t.equal(publishing.sinks[0]?.endReason, 'closed')
})

test('keys change while media go on', async (t) => {
  const { run, caller, publishing } = await connected({ passphrase: PASSPHRASE }, PASSPHRASE)
  const frames = audioPieces(3)
  run.receive(caller.data(frames[0] as Buffer)).receive(caller.data(frames[1] as Buffer))
  t.equal(publishing.sinks[0]?.units.length, 1)
  const odd = Buffer.alloc(16, 0x77)
  const announce = async (content: Buffer) => {
    run.receive(caller.control(CONTROL.userDefined, content, { subtype: EXTENSION.kmRequest }))
    for (let turn = 0; turn < 500 && run.sent.length === 0; turn += 1) await settle()
    run.exchange(caller)
    return caller.received.at(-1)
  }
  const right = keyMaterial(PASSPHRASE, odd, 2)
  t.match(await announce(right), { subtype: EXTENSION.kmResponse, payload: right })
  const wrong = await announce(keyMaterial('some other words', odd, 2))
  t.match(wrong, { subtype: EXTENSION.kmResponse, payload: Buffer.from([0, 0, 0, 4]) })
  t.match(await announce(Buffer.alloc(8)), { payload: Buffer.from([0, 0, 0, 3]) })
  caller.keys[2] = odd
  caller.key = 2
  run.receive(caller.data(frames[2] as Buffer))
  t.equal(publishing.sinks[0]?.units.length, 2)
  caller.key = 0
  run.receive(caller.data(frames[3] as Buffer))
  t.equal(await run.metric('packets_dropped_total', { reason: 'key' }), 1, 'never in the clear')
})

test('a caller has one change of keys under way', async (t) => {
  const { run, caller } = await connected({ passphrase: PASSPHRASE }, PASSPHRASE)
  for (let count = 0; count < 50; count += 1) {
    const content = keyMaterial(PASSPHRASE, Buffer.alloc(16, count), 2)
    // Another salt each time, so that another key has to be derived.
    content[16] = count
    content[31] = count + 1
    run.receive(caller.control(CONTROL.userDefined, content, { subtype: EXTENSION.kmRequest }))
  }
  for (let turn = 0; turn < 500 && run.sent.length === 0; turn += 1) await settle()
  for (let turn = 0; turn < 50; turn += 1) await settle()
  run.exchange(caller)
  const answers = caller.received.filter(({ type }) => type === CONTROL.userDefined)
  t.equal(answers.length, 1)
})

test('every 64 packets are acknowledged between ticks', async (t) => {
  const { run, caller } = await connected()
  const [tables] = audioPieces(0) as [Buffer]
  for (let count = 0; count < 130; count += 1) run.receive(caller.data(tables))
  run.exchange(caller)
  const light = caller.received.filter(({ type, info }) => type === CONTROL.ack && info === 0)
  t.same(
    light.map(({ payload }) => payload.readUInt32BE(0)),
    [1_064, 1_128],
  )
})

test('an acknowledgement that is not answered is sent again', async (t) => {
  const { run, caller } = await connected()
  run.receive(caller.data(audioPieces(0)[0] as Buffer))
  run.clock.advance(1_000)
  const acks = run.sent
    .splice(0)
    .flatMap(({ packet }) => (packet[1] === CONTROL.ack ? [packet] : []))
  t.ok(acks.length >= 2 && acks.length <= 5, `${acks.length} acknowledgements`)
})

test('a takeover, an operator and a failing sink end a caller', async (t) => {
  const removed = await connected()
  removed.publishing.requests[0]?.disconnect('an operator removed it')
  t.equal(removed.publishing.sinks[0]?.endReason, 'replaced')
  removed.run.exchange(removed.caller)
  t.equal(removed.caller.received.at(-1)?.type, CONTROL.shutdown)
  t.equal(await removed.run.metric('disconnects_total', { reason: 'replaced' }), 1)

  const ahead = await connected()
  const behind = ahead.publishing.sinks[0] as RecordingSink
  behind.wait = new Promise(() => {})
  for (const piece of audioPieces(4)) ahead.run.receive(ahead.caller.data(piece))
  ahead.publishing.requests[0]?.disconnect('another publisher took over')
  t.equal(behind.units.length, 1, 'a publication that is over takes nothing more')

  const failing = await connected()
  const sink = failing.publishing.sinks[0] as RecordingSink
  sink.write = () => {
    throw new Error('a fault of ours')
  }
  for (const piece of audioPieces(2)) failing.run.receive(failing.caller.data(piece))
  t.equal(sink.endReason, 'error')
  t.equal(await failing.run.metric('disconnects_total', { reason: 'internal' }), 1)

  const garbage = await connected()
  for (let count = 0; count < 400; count += 1) {
    garbage.run.receive(garbage.caller.data(Buffer.alloc(1_316)))
  }
  t.equal(await garbage.run.metric('disconnects_total', { reason: 'protocol' }), 1)
  const error = await connected()
  error.run.receive(error.caller.control(CONTROL.peerError))
  t.equal(await error.run.metric('disconnects_total', { reason: 'protocol' }), 1)
})

test('nobody may fill the memory with holes', async (t) => {
  const { run, caller } = await connected()
  const [tables] = audioPieces(0) as [Buffer]
  caller.data(tables)
  const huge = Buffer.alloc(60_000)
  const room = Math.ceil(srtLimits.bufferBytesMax / huge.byteLength)
  for (let count = 0; count < room + 10; count += 1) run.receive(caller.data(huge))
  t.ok((await run.metric('packets_dropped_total', { reason: 'overflow' })) >= 10)
  run.clock.advance(130)
  run.receive(caller.control(CONTROL.shutdown))
  t.equal(await run.metric('connections'), 0)
})
