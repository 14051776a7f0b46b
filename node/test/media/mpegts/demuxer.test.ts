// The demuxer on streams written by hand: what comes out, and what becomes of what is lost, broken or refused.
import { test } from 'tap'
import { isKairoError } from '../../../src/errors.ts'
import { mpegtsLimits } from '../../../src/limits/mpegts.ts'
import { DemuxingRun } from '../../support/demuxing-run.ts'
import {
  adtsFrame,
  descriptor,
  h264Picture,
  opusUnit,
  pesBytes,
  type TsStream,
  TsWriter,
} from '../../support/ts-writer.ts'

const VIDEO: TsStream = { pid: 0x100, type: 0x1b }
const AUDIO: TsStream = { pid: 0x101, type: 0x0f }
const FRAME = 3_000

const picture = (writer: TsWriter, index: number, keyframe = index === 0, bytes = 30) =>
  writer.pes({ pid: VIDEO.pid, data: h264Picture(keyframe, bytes), pts: index * FRAME, open: true })

/** Tables and `count` pictures, an IDR first and then every `gop`. */
function video(writer: TsWriter, count: number, gop = 1_000, bytes = 30): Buffer[] {
  const pictures = Array.from({ length: count }, (_, index) =>
    picture(writer, index, index % gop === 0, bytes),
  )
  return [writer.tables(VIDEO, AUDIO), ...pictures]
}

/** A loss in the middle of a picture; one at its beginning would hit the picture before too, whose end is not known yet. */
function withoutSecondPacket(bytes: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, 188), bytes.subarray(376)])
}

test('pictures come out with lengths for start codes, and their configuration first', async (t) => {
  const writer = new TsWriter()
  const start = Buffer.concat([writer.tables(VIDEO, AUDIO), picture(writer, 0)])
  const b = writer.pes({
    ...{ pid: VIDEO.pid, data: h264Picture(false), open: true },
    ...{ pts: 3 * FRAME, dts: FRAME },
  })
  const bytes = Buffer.concat([start, b])
  for (const pieceBytes of [bytes.byteLength, 1_316, 188, 100, 7]) {
    const run = new DemuxingRun().push(bytes, pieceBytes).end()
    t.same(run.tracks, [{ video: true, audio: true }])
    t.match(run.configs, [{ kind: 'video', codec: 'h264', width: 320, height: 240 }])
    t.match(run.units, [
      { kind: 'video', dts: 0, pts: 0, keyframe: true },
      { kind: 'video', dts: FRAME, pts: 3 * FRAME, keyframe: false },
    ])
    const [first] = run.units
    t.equal(first?.data.byteLength, 34)
    t.same([...(first?.data.subarray(0, 5) ?? [])], [0, 0, 0, 30, 0x65])
    t.same(run.drops, [])
  }
})

test('a loss drops the picture it hits, and video waits for the next keyframe', async (t) => {
  const writer = new TsWriter()
  const packets = video(writer, 8, 4, 400)
  const hit = packets[2] as Buffer
  packets[2] = withoutSecondPacket(hit)
  const run = new DemuxingRun().push(Buffer.concat(packets)).end()
  t.same(
    run.times('video'),
    [0, 4, 5, 6, 7].map((index) => index * FRAME),
  )
  t.same(run.drops, ['lost', 'keyframe-wait', 'keyframe-wait'])
})

test('video goes on without a keyframe after a while', async (t) => {
  const writer = new TsWriter()
  const packets = video(writer, 200, 1_000, 400)
  const hit = packets[2] as Buffer
  packets[2] = withoutSecondPacket(hit)
  const run = new DemuxingRun().push(Buffer.concat(packets)).end()
  const [first, next] = run.times('video') as [number, number]
  t.equal(first, 0)
  t.ok(
    next >= mpegtsLimits.keyframeWaitMs * 90 && next < mpegtsLimits.keyframeWaitMs * 90 + 4 * FRAME,
  )
})

test('a picture in which the stream is cut off does not come out', async (t) => {
  const writer = new TsWriter()
  const packets = video(writer, 3, 1_000, 400)
  const last = packets[3] as Buffer
  const cut = new DemuxingRun().push(Buffer.concat([...packets.slice(0, 3), last.subarray(0, 376)]))
  t.same(cut.end().times('video'), [0, FRAME])
  t.same(cut.drops, ['lost'])
  t.equal(new DemuxingRun().push(Buffer.concat(packets)).end().units.length, 3)
})

test('a repeated packet is taken once', async (t) => {
  const writer = new TsWriter()
  const packets = video(writer, 3, 1_000, 400)
  const repeated = packets[2] as Buffer
  packets[2] = Buffer.concat([repeated.subarray(0, 188), repeated])
  const run = new DemuxingRun().push(Buffer.concat(packets)).end()
  t.same(run.times('video').length, 3)
  t.same(run.drops, [])
})

test('a gap too long for the counters loses what is being collected', async (t) => {
  const writer = new TsWriter()
  const packets = video(writer, 4, 3, 400)
  const run = new DemuxingRun()
  const second = packets[2] as Buffer
  run.push(Buffer.concat([...packets.slice(0, 2), second.subarray(0, 188)]))
  run.demuxer.gap(16 * 188)
  // The counter looks right: sixteen packets are lost.
  run.push(Buffer.concat([second.subarray(188), ...packets.slice(3)])).end()
  t.same(run.times('video'), [0, 3 * FRAME])
  t.same(run.drops, ['lost', 'keyframe-wait'])
})

test('AAC frames are timed by the packet in which they begin', async (t) => {
  const writer = new TsWriter()
  const frames = [adtsFrame(50), adtsFrame(60), adtsFrame(70), adtsFrame(80)]
  const all = Buffer.concat(frames)
  const cut = 57 + 67 + 20
  const run = new DemuxingRun().push(
    Buffer.concat([
      writer.tables(AUDIO),
      writer.pes({ pid: AUDIO.pid, data: all.subarray(0, cut), pts: 9_000, streamId: 0xc0 }),
      writer.pes({ pid: AUDIO.pid, data: all.subarray(cut), pts: 15_000, streamId: 0xc0 }),
    ]),
  )
  t.match(run.configs, [
    {
      kind: 'audio',
      codec: 'aac',
      track: 0,
      sampleRate: 48_000,
      channels: 2,
      codecString: 'mp4a.40.2',
    },
  ])
  // 1,920 ticks a frame; the third began in the first packet, the fourth in the second.
  t.same(run.times('audio'), [9_000, 10_920, 12_840, 15_000])
  t.same(
    run.units.map(({ data }) => data.byteLength),
    [50, 60, 70, 80],
  )
  t.same(run.tracks, [{ video: false, audio: true }])
})

test('after a loss AAC begins again with a whole frame', async (t) => {
  const writer = new TsWriter()
  const pes = (data: Uint8Array, pts?: number) =>
    writer.pes({ pid: AUDIO.pid, data, pts, streamId: 0xc0 })
  const packets = [
    writer.tables(AUDIO),
    pes(Buffer.concat([adtsFrame(50), adtsFrame(60).subarray(0, 30)]), 0),
    pes(adtsFrame(300), 1_920).subarray(188),
    pes(adtsFrame(70), 3_840),
    pes(adtsFrame(70)),
  ]
  const run = new DemuxingRun().push(Buffer.concat(packets)).end()
  t.same(run.times('audio'), [0, 3_840])
  t.same(run.drops, ['untimed'])
})

test('several audio tracks with languages; numbers stay when the map changes', async (t) => {
  const writer = new TsWriter()
  const audio = (pid: number, language: string): TsStream => ({
    ...{ pid, type: 0x0f, descriptors: descriptor(10, `${language}\0`) },
  })
  const frame = (pid: number, pts: number) =>
    writer.pes({ pid, data: adtsFrame(40), pts, streamId: 0xc0 })
  const run = new DemuxingRun()
  run.push(
    Buffer.concat([
      writer.tables(audio(0x101, 'eng'), audio(0x102, 'ger')),
      frame(0x101, 0),
      frame(0x102, 0),
    ]),
  )
  run.push(
    Buffer.concat([
      writer.tables(audio(0x102, 'ger'), audio(0x103, 'und')),
      frame(0x102, 1_920),
      frame(0x103, 1_920),
      frame(0x101, 0),
    ]),
  )
  t.match(run.configs, [
    { track: 0, language: 'en' },
    { track: 1, language: 'de' },
    { track: 0, language: undefined },
  ])
  t.same(
    run.units.map(({ track, dts }) => [track, dts]),
    [
      [0, 0],
      [1, 0],
      [1, 1_920],
      [0, 1_920],
    ],
  )
})

test('Opus, mono and surround', async (t) => {
  const writer = new TsWriter()
  const opus = (channels: number): TsStream => ({
    ...{ pid: 0x101, type: 6 },
    descriptors: Buffer.concat([
      descriptor(5, 'Opus'),
      descriptor(0x7f, Uint8Array.of(0x80, channels)),
    ]),
  })
  // CELT, 20 ms, one frame; then SILK, 10 ms, two frames.
  const long = Buffer.alloc(300, 0xf8)
  const short = Buffer.from([(0 << 3) | 1, 1, 2, 3])
  const run = new DemuxingRun().push(
    Buffer.concat([
      writer.tables(opus(6)),
      writer.pes({
        pid: 0x101,
        streamId: 0xbd,
        pts: 0,
        data: Buffer.concat([opusUnit(long), opusUnit(short), opusUnit(long)]),
      }),
    ]),
  )
  t.match(run.configs, [{ codec: 'opus', channels: 6, track: 0 }])
  t.same(run.times('audio'), [0, 1_800, 3_600])
  t.same(
    run.units.map(({ data }) => data.byteLength),
    [300, 4, 300],
  )
  t.throws(
    () =>
      new DemuxingRun().push(
        Buffer.concat([
          writer.tables(opus(0)),
          writer.pes({ pid: 0x101, streamId: 0xbd, pts: 0, data: opusUnit(long) }),
        ]),
      ),
    /channel configuration 0 is not supported/,
  )
  const broken = new DemuxingRun()
  broken.push(
    Buffer.concat([
      writer.tables(opus(2)),
      writer.pes({ pid: 0x101, streamId: 0xbd, pts: 0, data: long }),
    ]),
  )
  t.same(broken.drops, ['damaged'])
})

test('times go on over the wrap of 33 bits, and tracks stay together', async (t) => {
  const writer = new TsWriter()
  const end = 2 ** 33
  const run = new DemuxingRun().push(
    Buffer.concat([
      writer.tables(VIDEO, AUDIO),
      writer.pes({
        pid: VIDEO.pid,
        data: h264Picture(true),
        pts: 10,
        dts: end - 3_000,
        open: true,
      }),
      writer.pes({ pid: AUDIO.pid, data: adtsFrame(20), pts: 900, streamId: 0xc0 }),
      writer.pes({ pid: VIDEO.pid, data: h264Picture(false), pts: 3_010, dts: 0, open: true }),
    ]),
  )
  run.end()
  t.same(
    run.units.map(({ kind, dts, pts }) => [kind, dts, pts]),
    [
      // Audio ends with its packet, video with the next one's beginning.
      ['audio', 900, 900],
      ['video', -3_000, 10],
      ['video', 0, 3_010],
    ].toSorted((a, b) => (a[0] === 'audio' ? -1 : 1) - (b[0] === 'audio' ? -1 : 1)),
  )
})

test('a picture that is shown before it is decoded keeps its times', async (t) => {
  const writer = new TsWriter()
  const data = h264Picture(true)
  const late = writer.pes({ pid: VIDEO.pid, data, pts: 2 ** 33 - 100, dts: 200 })
  const tables = new TsWriter().tables(VIDEO)
  t.match(new DemuxingRun().push(Buffer.concat([tables, late])).units, [{ dts: 200, pts: -100 }])
})

test('several pictures in one PES packet are taken apart', async (t) => {
  const writer = new TsWriter()
  const data = Buffer.concat([h264Picture(true), h264Picture(false), h264Picture(false)])
  const run = new DemuxingRun()
    .push(Buffer.concat([writer.tables(VIDEO), writer.pes({ pid: VIDEO.pid, data, pts: 90 })]))
    .end()
  t.equal(run.units.length, 3)
  t.same(
    run.times('video').map((dts) => (dts - 90) % 3_000),
    [0, 0, 0],
  )
})

test('unsupported codecs are refused by name; beside a supported one they are left out', async (t) => {
  const writer = new TsWriter()
  const refused = (...streams: TsStream[]) => {
    try {
      new DemuxingRun().push(writer.tables(...streams))
      return 'taken'
    } catch (error) {
      return isKairoError(error, 'ERR_UNSUPPORTED_CODEC') ? error.message : String(error)
    }
  }
  const registered = (format: string): TsStream => ({
    pid: 0x120,
    type: 6,
    descriptors: descriptor(5, format),
  })
  t.match(
    refused({ pid: 0x100, type: 2 }),
    /sends MPEG-2 video; .*H\.264 or HEVC.*AAC \(ADTS\) or Opus/,
  )
  t.match(refused(VIDEO, { pid: 0x101, type: 0x11 }), /AAC in LATM/)
  t.match(refused(VIDEO, { pid: 0x101, type: 0x81 }), /AC-3/)
  t.match(refused(VIDEO, { pid: 0x101, type: 4 }), /MP2 or MP3/)
  t.match(refused(registered('AV01')), /AV1/)
  t.match(refused({ pid: 0x101, type: 6, descriptors: descriptor(0x6a, Uint8Array.of(0)) }), /AC-3/)
  t.equal(
    refused(VIDEO, { pid: 0x120, type: 0x86 }, registered('KLVA')),
    'taken',
    'data is no codec',
  )
  const run = new DemuxingRun().push(
    writer.tables(VIDEO, AUDIO, { pid: 0x102, type: 0x81 }, { pid: 0x103, type: 0x24 }),
  )
  t.same(run.drops, ['extra-track', 'extra-track'])
  t.same(run.tracks, [{ video: true, audio: true }])
})

test('garbage is passed over, and refused when there is nothing else', async (t) => {
  const writer = new TsWriter()
  const packets = video(writer, 4, 2)
  const noise = Buffer.alloc(500, 0x47)
  noise.fill(0x11, 100)
  packets.splice(2, 0, noise)
  const run = new DemuxingRun().push(Buffer.concat(packets)).end()
  t.equal(run.times('video').length, 4)
  t.ok(run.drops.every((reason) => reason === 'garbage'))
  t.throws(
    () => new DemuxingRun().push(Buffer.alloc(mpegtsLimits.garbageBytesMax + 1_000, 0x11), 1_316),
    { code: 'ERR_PROTOCOL', message: /other than MPEG-TS/ },
  )
})

test('a stream that shows no tracks is refused', async (t) => {
  const writer = new TsWriter()
  const other = writer.packets(0x50, Buffer.alloc(184 * 700))
  t.throws(
    () => {
      const run = new DemuxingRun()
      for (let count = 0; count < 100; count += 1) run.push(other)
    },
    { code: 'ERR_PROTOCOL', message: /no program/ },
  )
})

test('scrambled streams are refused, not decoded', async (t) => {
  const writer = new TsWriter()
  const run = new DemuxingRun().push(writer.tables(VIDEO))
  const scrambled = (): Buffer =>
    writer.pes({
      pid: VIDEO.pid,
      data: h264Picture(true, 20_000),
      pts: 0,
      open: true,
      scrambled: true,
    })
  run.push(scrambled())
  t.equal(run.units.length, 0)
  t.ok(run.drops.includes('scrambled'))
  t.throws(
    () => {
      for (let count = 0; count < 20; count += 1) run.push(scrambled())
    },
    { code: 'ERR_UNSUPPORTED_CODEC', message: /scrambled/ },
  )
})

test('a PES packet without end is dropped at its limit', async (t) => {
  const writer = new TsWriter()
  const run = new DemuxingRun().push(Buffer.concat(video(writer, 1)))
  const endless = writer.packets(
    VIDEO.pid,
    Buffer.concat([
      pesBytes({ pid: VIDEO.pid, data: new Uint8Array(0), pts: 3_000, open: true }),
      Buffer.alloc(mpegtsLimits.pesBytesMax),
    ]),
  )
  run.push(endless)
  t.same(run.drops, ['oversized'])
  run.push(picture(writer, 2, true)).end()
  t.same(run.times('video'), [0, 2 * FRAME])
})

test('damaged pictures in a row are refused in the end', async (t) => {
  const writer = new TsWriter()
  const broken = Buffer.concat([
    Uint8Array.of(0, 0, 0, 1, 0x67, 0xff),
    Uint8Array.of(0, 0, 0, 1, 0x68, 0xff),
    h264Picture(false),
  ])
  const run = new DemuxingRun().push(writer.tables(VIDEO))
  t.throws(
    () => {
      for (let index = 0; index < 200; index += 1) {
        run.push(writer.pes({ pid: VIDEO.pid, data: broken, pts: index * FRAME }))
      }
    },
    { code: 'ERR_PROTOCOL', message: /damaged pictures in a row/ },
  )
  t.equal(run.drops.filter((reason) => reason === 'damaged').length, mpegtsLimits.damagedUnitsMax)
})

test('audio that is no ADTS is refused in the end', async (t) => {
  const writer = new TsWriter()
  const run = new DemuxingRun().push(writer.tables(AUDIO))
  t.throws(
    () => {
      for (let index = 0; index < 200; index += 1) {
        run.push(writer.pes({ pid: AUDIO.pid, data: Buffer.alloc(50, 0x33), pts: index * FRAME }))
      }
    },
    { code: 'ERR_PROTOCOL', message: /holds no ADTS frames/ },
  )
})

test('a changed picture size is a new configuration', async (t) => {
  const writer = new TsWriter()
  const pps = Buffer.concat([
    Uint8Array.of(0, 0, 0, 1),
    Uint8Array.of(0x68, 0xee, 0x3c, 0x80),
    h264Picture(false),
  ])
  const run = new DemuxingRun().push(
    Buffer.concat([
      ...video(writer, 3, 1),
      writer.pes({ pid: VIDEO.pid, data: pps, pts: 3 * FRAME }),
    ]),
  )
  t.equal(run.configs.length, 2, 'repeated sets are no news, another one is')
})

test('sections over several packets, stuffing and wrong checksums', async (t) => {
  const many = Array.from(
    { length: 8 },
    (_, index): TsStream => ({
      ...{ pid: 0x200 + index, type: 0x0f, descriptors: descriptor(10, `eng\0${'x'.repeat(40)}`) },
    }),
  )
  const writer = new TsWriter()
  const tables = writer.tables(...many)
  const run = new DemuxingRun().push(tables)
  t.same(run.tracks, [{ video: false, audio: true }])
  const spoilt = new TsWriter().tables(...many)
  spoilt[188 + 60] = 0x55
  t.same(new DemuxingRun().push(spoilt).tracks, [])
})

test('sound without a length, and pictures without number, cost no more than their bytes', async (t) => {
  const writer = new TsWriter()
  const run = new DemuxingRun().push(writer.tables(VIDEO, AUDIO))
  const sound = pesBytes({ pid: AUDIO.pid, data: new Uint8Array(0), pts: 0, open: true })
  run.push(
    writer.packets(AUDIO.pid, Buffer.concat([sound, Buffer.alloc(mpegtsLimits.audioPesBytesMax)])),
  )
  t.same(run.drops, ['oversized'])
  const delimiters = Buffer.alloc(1_000_000, Buffer.of(0, 0, 1, 9))
  const data = Buffer.concat([h264Picture(true), delimiters])
  run.push(writer.pes({ pid: VIDEO.pid, data, pts: 0, open: true })).end()
  t.equal(run.units.length, 1)
  t.same(run.drops, ['oversized', 'damaged'], 'what is beyond the last picture is one')
})
