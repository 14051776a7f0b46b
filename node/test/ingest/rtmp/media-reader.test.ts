// Media messages to access units: configurations, repeated and changed, damage, other codecs, Enhanced RTMP, clocks.
import { test } from 'tap'
import { encodeAmf0 } from '../../../src/ingest/rtmp/amf0.ts'
import { MESSAGE_TYPE } from '../../../src/ingest/rtmp/message.ts'
import { rtmpLimits } from '../../../src/limits.ts'
import { SessionRun } from '../../support/rtmp-session.ts'
import {
  AUDIO_CONFIG_TAG,
  audioTag,
  mediaBytes,
  publishBytes,
  VIDEO_CONFIG_TAG,
  videoTag,
} from '../../support/rtmp-wire.ts'

const published = () => new SessionRun().receive(publishBytes())
const sendVideo = (run: SessionRun, time: number, tag: Buffer) =>
  run.receive(mediaBytes(MESSAGE_TYPE.video, time, tag))
const sendAudio = (run: SessionRun, time: number, tag: Buffer) =>
  run.receive(mediaBytes(MESSAGE_TYPE.audio, time, tag))
const dropped = (run: SessionRun, reason: string) =>
  run.metric('kairo_rtmp_access_units_dropped_total', { reason })
/** The same record, telling another level. */
const otherConfig = () => {
  const tag = Buffer.from(VIDEO_CONFIG_TAG)
  tag.writeUInt8(31, 5 + 11)
  return tag
}

test('configures once for a repeated header, and again for a changed one', async (t) => {
  const run = published()
  sendVideo(run, 0, VIDEO_CONFIG_TAG)
  sendVideo(run, 0, VIDEO_CONFIG_TAG)
  sendAudio(run, 0, AUDIO_CONFIG_TAG)
  sendAudio(run, 0, AUDIO_CONFIG_TAG)
  t.equal(run.sink.configs.length, 2)
  sendVideo(run, 0, otherConfig())
  t.match(run.sink.configs[2], { codecString: 'avc1.64001f' })
  sendAudio(run, 0, Buffer.from('af001210', 'hex'))
  t.match(run.sink.configs[3], { sampleRate: 44_100 })
})

test('an empty header and empty messages mean nothing', async (t) => {
  const run = published()
  sendVideo(run, 0, VIDEO_CONFIG_TAG.subarray(0, 5))
  sendAudio(run, 0, AUDIO_CONFIG_TAG.subarray(0, 2))
  sendVideo(run, 0, Buffer.alloc(0))
  sendAudio(run, 0, Buffer.alloc(0))
  sendVideo(run, 0, Buffer.of(0x57, 0))
  t.same(run.sink.configs, [])
  t.equal(run.closed, 0)
})

test('an end of sequence makes the next header count', async (t) => {
  const run = published()
  sendVideo(run, 0, VIDEO_CONFIG_TAG)
  sendVideo(run, 0, Buffer.of(0x17, 2, 0, 0, 0))
  sendVideo(run, 0, videoTag(true))
  t.equal(run.sink.units.length, 0)
  sendVideo(run, 0, VIDEO_CONFIG_TAG)
  sendVideo(run, 0, videoTag(true))
  t.equal(run.sink.configs.length, 2)
  t.equal(run.sink.units.length, 1)
  sendAudio(run, 0, AUDIO_CONFIG_TAG)
  sendAudio(run, 0, Buffer.concat([Buffer.of(0x92), Buffer.from('mp4a')]))
  sendAudio(run, 0, audioTag())
  t.equal(run.sink.units.length, 1)
  t.equal(await dropped(run, 'unconfigured'), 2)
})

test('drops what comes before the configuration, and says so once', async (t) => {
  const run = published()
  for (let index = 0; index < 3; index += 1) sendVideo(run, index, videoTag(true))
  sendAudio(run, 0, audioTag())
  t.equal(await dropped(run, 'unconfigured'), 4)
  t.equal(run.log.filter((line) => line.includes('dropped')).length, 1)
})

test('drops damaged frames, and gives up when nothing else comes', async (t) => {
  const run = published()
  sendVideo(run, 0, VIDEO_CONFIG_TAG)
  const damaged = videoTag(true)
  damaged.writeUInt32BE(9_999, 5)
  for (let index = 0; index < rtmpLimits.damagedFramesMax; index += 1)
    sendVideo(run, index, damaged)
  sendVideo(run, 100, videoTag(true))
  for (let index = 0; index < rtmpLimits.damagedFramesMax; index += 1)
    sendVideo(run, index, damaged)
  t.equal(run.closed, 0)
  t.equal(run.sink.units.length, 1)
  sendVideo(run, 0, damaged)
  t.equal(await run.ended('protocol'), 1)
  t.match(run.log.join('\n'), /NAL lengths/)

  const silent = published()
  sendAudio(silent, 0, AUDIO_CONFIG_TAG)
  sendAudio(silent, 0, Buffer.of(0xaf, 1))
  t.equal(await dropped(silent, 'damaged'), 1)
})

test('widens short NAL lengths and says so in the description', async (t) => {
  const run = published()
  const config = Buffer.from(VIDEO_CONFIG_TAG)
  config.writeUInt8(0xfd, 5 + 4)
  sendVideo(run, 0, config)
  sendVideo(run, 0, Buffer.from([0x17, 1, 0, 0, 0, 0, 3, 0x65, 1, 2]))
  t.equal(run.sink.configs[0]?.description[4], 0xff)
  t.same([...(run.sink.units[0]?.data ?? [])], [0, 0, 0, 3, 0x65, 1, 2])
})

test('a keyframe is an IDR, or a recovery point that the publisher calls one', async (t) => {
  const run = published()
  sendVideo(run, 0, VIDEO_CONFIG_TAG)
  const tag = (first: number, ...nal: number[]) =>
    Buffer.from([first, 1, 0, 0, 0, 0, 0, 0, nal.length, ...nal])
  const recovery = [0x06, 6, 1, 0x84, 0x80]
  const slice = [0, 0, 0, 2, 0x41, 1]
  sendVideo(run, 0, tag(0x27, 0x65, 1))
  sendVideo(run, 1, tag(0x17, 0x41, 1))
  sendVideo(run, 2, Buffer.concat([tag(0x17, ...recovery), Buffer.from(slice)]))
  const warnings = () => run.log.filter((line) => line.includes('without an IDR')).length
  t.equal(warnings(), 1)
  sendVideo(run, 2, Buffer.concat([tag(0x17, ...recovery), Buffer.from(slice)]))
  t.equal(warnings(), 1, 'told once')
  sendVideo(run, 3, Buffer.concat([tag(0x27, ...recovery), Buffer.from(slice)]))
  t.same(
    run.sink.units.map(({ keyframe }) => keyframe),
    [true, false, true, true, false],
  )
})

test('refuses other codecs by name, and names all that are taken', async (t) => {
  const ex = (first: number, codec: string) =>
    Buffer.concat([Buffer.of(first), Buffer.from(codec), Buffer.from('x')])
  const video = 'H.264 (avc1), HEVC (hvc1), AV1 (av01), VP9 (vp09)'
  const audio = 'AAC (mp4a), Opus, FLAC (fLaC)'
  for (const [type, tag, sent, taken] of [
    [MESSAGE_TYPE.video, Buffer.from([0x22, 1]), 'sends Sorenson H.263;', video],
    [MESSAGE_TYPE.video, ex(0x90, 'vp08'), 'sends VP8 (vp08);', video],
    [MESSAGE_TYPE.video, ex(0x91, '\u0001\u0002\u0003\u0004'), 'sends an unnamed codec;', video],
    [MESSAGE_TYPE.audio, Buffer.from([0x2f, 1]), 'sends MP3 (.mp3);', audio],
    [MESSAGE_TYPE.audio, Buffer.from([0xb2, 1]), 'sends Speex;', audio],
    [MESSAGE_TYPE.audio, ex(0x90, 'ac-3'), 'sends AC-3 (ac-3);', audio],
  ] as const) {
    const run = published()
    run.receive(mediaBytes(type, 0, tag))
    t.equal(await run.ended('unsupported-codec'), 1)
    const log = run.log.join('\n')
    t.ok(log.includes(sent) && log.includes(taken), sent)
    t.equal(run.server.codes().at(-1), 'NetStream.Failed')
  }
})

test('takes H.264 and AAC in Enhanced RTMP', async (t) => {
  const run = published()
  const ex = (first: number, codec: string, ...body: Uint8Array[]) =>
    Buffer.concat([Buffer.of(first), Buffer.from(codec), ...body])
  sendVideo(run, 0, ex(0x90, 'avc1', VIDEO_CONFIG_TAG.subarray(5)))
  sendAudio(run, 0, ex(0x90, 'mp4a', AUDIO_CONFIG_TAG.subarray(2)))
  const nal = videoTag(true).subarray(5)
  sendVideo(run, 40, ex(0x91, 'avc1', Buffer.of(0, 0, 80), nal))
  sendVideo(run, 80, ex(0xa3, 'avc1', nal))
  sendAudio(run, 90, ex(0x91, 'mp4a', Buffer.of(1, 2, 3)))
  t.equal(run.sink.configs.length, 2)
  t.match(run.sink.units, [
    { dts: 3_600, pts: 10_800, keyframe: true },
    { dts: 7_200, pts: 7_200 },
    { kind: 'audio', dts: 8_100 },
  ])
})

test('adds nanoseconds of modifiers', async (t) => {
  const run = published()
  sendVideo(run, 0, VIDEO_CONFIG_TAG)
  // 500,000 ns are 45 ticks.
  const modifier = Buffer.from([0x97, 2, 0x07, 0xa1, 0x20, 0x03])
  sendVideo(run, 10, Buffer.concat([modifier, Buffer.from('avc1'), videoTag(true).subarray(5)]))
  t.match(run.sink.units, [{ dts: 945, pts: 945 }])
})

test('takes several tracks in each framing, and counts what is too many or not known', async (t) => {
  const run = published()
  sendVideo(run, 0, VIDEO_CONFIG_TAG)
  sendAudio(run, 0, AUDIO_CONFIG_TAG)
  const nal = videoTag(true).subarray(5)
  const config = VIDEO_CONFIG_TAG.subarray(5)
  const sized = (id: number, body: Buffer) =>
    Buffer.concat([Buffer.of(id, 0, 0, body.byteLength), body])
  const ex = (hex: string, ...rest: (string | Buffer)[]) =>
    Buffer.concat([Buffer.from(hex, 'hex'), ...rest.map((piece) => Buffer.from(piece))])
  // One track: the second video track's header; many tracks of one codec: both tracks' pictures.
  sendVideo(run, 0, ex('9600', 'avc1', Buffer.of(1), config))
  sendVideo(run, 40, ex('9613', 'avc1', sized(1, nal), sized(0, nal)))
  // Many tracks, many codecs: an AAC and an Opus track beside the main one.
  const head = Buffer.from('OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00', 'latin1')
  const aac = AUDIO_CONFIG_TAG.subarray(2)
  sendAudio(run, 40, ex('9520', 'mp4a', sized(1, aac), 'Opus', sized(2, head)))
  sendAudio(run, 40, ex('9521', 'mp4a', sized(1, Buffer.of(1)), 'Opus', sized(2, Buffer.of(2))))
  t.match(
    run.sink.configs.map(({ codec, track }) => [codec, track]),
    [
      ['h264', undefined],
      ['aac', undefined],
      ['h264', 1],
      ['aac', 1],
      ['opus', 2],
    ],
  )
  t.match(
    run.sink.units.map(({ kind, track, dts }) => [kind, track, dts]),
    [
      ['video', 1, 3_600],
      ['video', undefined, 3_600],
      ['audio', 1, 3_600],
      ['audio', 2, 3_600],
    ],
  )
  sendVideo(run, 40, ex('98', 'avc1'))
  sendVideo(run, 40, ex('95', 'avc1x'))
  sendAudio(run, 40, Buffer.of(0xaf, 9))
  t.equal(await dropped(run, 'unknown-packet'), 3)
  for (let id = 3; id < 12; id += 1) sendAudio(run, 40, ex('9501', 'mp4a', Buffer.of(id, 9)))
  t.equal(await dropped(run, 'unconfigured'), 5)
  t.equal(await dropped(run, 'extra-track'), 4)
  for (let id = 2; id < 12; id += 1) sendVideo(run, 40, ex('9600', 'avc1', Buffer.of(id), config))
  t.equal(await dropped(run, 'extra-track'), 8)
  sendVideo(run, 40, ex('94', 'avc1x'))
  sendAudio(run, 40, ex('94', 'mp4ax'))
  t.equal(run.closed, 0)
})

test('waits for the slowest sink of one message', async (t) => {
  const run = published()
  sendVideo(run, 0, VIDEO_CONFIG_TAG)
  const nal = videoTag(true).subarray(5)
  const config = VIDEO_CONFIG_TAG.subarray(5)
  const one = Buffer.concat([Buffer.from('9600', 'hex'), Buffer.from('avc1\x01'), config])
  sendVideo(run, 0, one)
  const { promise, resolve } = Promise.withResolvers<void>()
  run.sink.wait = promise
  const sized = (id: number) => Buffer.concat([Buffer.of(id, 0, 0, nal.byteLength), nal])
  const many = Buffer.concat([Buffer.from('9613', 'hex'), Buffer.from('avc1'), sized(0), sized(1)])
  sendVideo(run, 40, many)
  t.equal(run.paused, true)
  run.sink.wait = undefined
  resolve()
  await new Promise((settled) => setImmediate(settled))
  t.equal(run.paused, false)
  t.equal(run.sink.units.length, 2)
})

test('languages and names of audio tracks come with the metadata, before or after the header', async (t) => {
  const run = published()
  const tracks = (...infos: [string, Record<string, string>][]) =>
    mediaBytes(
      MESSAGE_TYPE.dataAmf0,
      0,
      encodeAmf0([
        'onMetaData',
        new Map([
          [
            'audioTrackIdInfoMap',
            new Map(infos.map(([id, fields]) => [id, new Map(Object.entries(fields))])),
          ],
        ]),
      ]),
    )
  run.receive(tracks(['0', { language: 'EN', name: 'Main\nstage' }], ['x', { language: 'de' }]))
  sendAudio(run, 0, AUDIO_CONFIG_TAG)
  t.match(run.sink.configs, [{ language: 'en', label: 'Main stage' }])
  const second = Buffer.concat([Buffer.from('9500', 'hex'), Buffer.from('mp4a\x01')])
  sendAudio(run, 0, Buffer.concat([second, AUDIO_CONFIG_TAG.subarray(2)]))
  t.notOk('language' in (run.sink.configs[1] ?? {}))
  const both = tracks(['0', { language: 'en', name: 'Main stage' }], ['1', { lang: 'pt-BR' }])
  run.receive(both)
  run.receive(both)
  t.equal(run.sink.configs.length, 3, 'told once')
  t.match(run.sink.configs[2], { track: 1, language: 'pt-br' })
  run.receive(tracks(['0', { language: 'no language', name: ' ' }]))
  t.notOk('language' in (run.sink.configs[3] ?? {}))
  run.receive(tracks(['0', { language: 'en-a-b-c-d-e-f', name: 'Long' }]))
  t.match(run.sink.configs[4], { label: 'Long' })
  t.notOk('language' in (run.sink.configs[4] ?? {}), 'no record could carry it')
})

test('goes on over the wrap of 32-bit times, audio and video on one clock', async (t) => {
  const run = published()
  sendVideo(run, 2 ** 32 - 20, VIDEO_CONFIG_TAG)
  sendAudio(run, 2 ** 32 - 20, AUDIO_CONFIG_TAG)
  sendVideo(run, 2 ** 32 - 10, videoTag(true))
  sendAudio(run, 10, audioTag())
  sendVideo(run, 2 ** 32 - 5, videoTag(false))
  t.same(
    run.sink.units.map(({ dts }) => dts / 90 - 2 ** 32),
    [-10, 10, -5],
  )
})

test('tells the sink what the metadata announces', async (t) => {
  const run = published()
  const data = (fields: Record<string, number>) =>
    mediaBytes(
      MESSAGE_TYPE.dataAmf0,
      0,
      encodeAmf0(['@setDataFrame', 'onMetaData', new Map(Object.entries(fields))]),
    )
  run.receive(data({ videocodecid: 7, audiocodecid: 10, framerate: 50 }))
  run.receive(data({ videocodecid: 7 }))
  run.receive(data({ audiosamplerate: 1 }))
  run.receive(data({ unknown: 1 }))
  run.receive(mediaBytes(MESSAGE_TYPE.dataAmf0, 0, encodeAmf0(['onTextData'])))
  t.same(run.sink.expected, [
    { video: true, audio: true },
    { video: true, audio: false },
    { audio: true },
  ])
})

test('a declared frame rate counts where the bitstream has none', async (t) => {
  const run = published()
  const metadata = new Map([['framerate', 48]])
  run.receive(mediaBytes(MESSAGE_TYPE.dataAmf0, 0, encodeAmf0(['onMetaData', metadata])))
  // The Baseline record of another encoder, its VUI flag cleared by a cut SPS.
  const sps = '6742c01e95a0501ec8'
  const record = `0142c01effe1${(sps.length / 2).toString(16).padStart(4, '0')}${sps}01000468ce3c80`
  sendVideo(run, 0, Buffer.from(`1700000000${record}`, 'hex'))
  t.match(run.sink.configs, [{ kind: 'video', frameRate: 48 }])
})

test('malformed configurations end the connection', async (t) => {
  const run = published()
  sendVideo(run, 0, VIDEO_CONFIG_TAG.subarray(0, 20))
  t.equal(await run.ended('protocol'), 1)
  const other = published()
  sendAudio(other, 0, Buffer.of(0xaf, 0, 0xff))
  t.equal(await other.ended('protocol'), 1)
})
