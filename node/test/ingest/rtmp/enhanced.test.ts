// Enhanced RTMP in memory: every codec's header and frames, HDR metadata, tracks that wait for their keyframe.
import { test } from 'tap'
import type { AmfValue } from '../../../src/ingest/rtmp/amf-value.ts'
import { encodeAmf0 } from '../../../src/ingest/rtmp/amf0.ts'
import { readColourInfo } from '../../../src/ingest/rtmp/colour-info.ts'
import { MESSAGE_TYPE } from '../../../src/ingest/rtmp/message.ts'
import { rtmpLimits } from '../../../src/limits.ts'
import { SessionRun } from '../../support/rtmp-session.ts'
import { mediaBytes, publishBytes } from '../../support/rtmp-wire.ts'

const hex = (text: string) => Buffer.from(text, 'hex')
const published = () => new SessionRun().receive(publishBytes())
const ex = (first: string, codec: string, body: Uint8Array) =>
  Buffer.concat([hex(first), Buffer.from(codec), body])
const sendVideo = (run: SessionRun, time: number, tag: Buffer) =>
  run.receive(mediaBytes(MESSAGE_TYPE.video, time, tag))
const sendAudio = (run: SessionRun, time: number, tag: Buffer) =>
  run.receive(mediaBytes(MESSAGE_TYPE.audio, time, tag))
const dropped = (run: SessionRun, reason: string) =>
  run.metric('kairo_rtmp_access_units_dropped_total', { reason })

/** x265, 1080p60 Main. */
const HVCC = hex(
  '0101600000009000000000007bf000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003000003007b999809' +
    'a10001002a42010101600000030090000003000003007ba003c08010e596666924e5780b4040000003004000000f02a2000100074401c172b46240',
)
const AV1C = hex('81081c000a0b00000042abbfc3776be4a8')
const VPCC = hex('021fa20202090000')
const VP9_KEY = hex('924983425027f8167b031c120e0c2c0c02da7fd9')
const OPUS_HEAD = Buffer.concat([Buffer.from('OpusHead'), hex('0102380180bb0000000000')])

/** `colorInfo` as the metadata packet of a codec. */
const colourInfo = (fields: Record<string, Record<string, AmfValue>>) =>
  encodeAmf0([
    'colorInfo',
    new Map(Object.entries(fields).map(([name, value]) => [name, new Map(Object.entries(value))])),
  ])
const HDR = {
  colorConfig: {
    bitDepth: 10,
    colorPrimaries: 9,
    transferCharacteristics: 16,
    matrixCoefficients: 9,
  },
  hdrCll: { maxFall: 400, maxCLL: 1_000 },
  hdrMdcv: {
    ...{ redX: 0.708, redY: 0.292, greenX: 0.17, greenY: 0.797, blueX: 0.131, blueY: 0.046 },
    ...{ whitePointX: 0.3127, whitePointY: 0.329, maxLuminance: 1_000, minLuminance: 0.005 },
  },
}

test('HEVC by FourCC, with and without composition times, and by its old codec id', async (t) => {
  const run = published()
  sendVideo(run, 0, ex('90', 'hvc1', HVCC))
  const picture = hex('000000032601af')
  sendVideo(run, 40, ex('91', 'hvc1', Buffer.concat([hex('000050'), picture])))
  sendVideo(run, 80, ex('a3', 'hvc1', hex('000000030201d0')))
  t.match(run.sink.configs, [{ codec: 'hevc', width: 1_920, codecString: 'hvc1.1.6.L123.90' }])
  t.match(run.sink.units, [
    { dts: 3_600, pts: 10_800, keyframe: true },
    { dts: 7_200, pts: 7_200, keyframe: false },
  ])
  const old = published()
  sendVideo(old, 0, Buffer.concat([hex('1c00000000'), HVCC]))
  sendVideo(old, 40, Buffer.concat([hex('1c01000000'), picture]))
  t.match(old.sink.configs, [{ codec: 'hevc' }])
  t.match(old.sink.units, [{ keyframe: true }])
})

test('AV1 and VP9, whose size comes with the first keyframe', async (t) => {
  const run = published()
  sendVideo(run, 0, ex('90', 'av01', AV1C))
  sendVideo(run, 0, ex('91', 'av01', hex('1200320210aa')))
  t.match(run.sink.configs, [{ codec: 'av1', width: 1_920 }])
  t.same(run.sink.units[0]?.data, Buffer.concat([AV1C.subarray(4), hex('320210aa')]))

  const vp9 = published()
  sendVideo(vp9, 0, ex('90', 'vp09', Buffer.concat([hex('01000000'), VPCC])))
  sendVideo(vp9, 0, ex('a1', 'vp09', hex('8600400092')))
  t.equal(await dropped(vp9, 'unconfigured'), 1)
  sendVideo(vp9, 40, ex('91', 'vp09', VP9_KEY))
  t.match(vp9.sink.configs, [{ codec: 'vp9', width: 1_280, height: 720 }])
  t.match(vp9.sink.units, [{ dts: 3_600, keyframe: true }])
  // Another level: the next keyframe completes it, and what comes before belongs to nothing.
  sendVideo(vp9, 80, ex('90', 'vp09', hex('0228a20202090000')))
  sendVideo(vp9, 80, ex('a1', 'vp09', hex('8600400092')))
  t.equal(await dropped(vp9, 'unconfigured'), 2)
  sendVideo(vp9, 120, ex('91', 'vp09', VP9_KEY))
  t.match(vp9.sink.configs[1], { codecString: /^vp09\.02\.40\./ })
  t.equal(vp9.sink.units.length, 2)
})

test('a codec that changes under way needs its header first', async (t) => {
  const run = published()
  sendVideo(run, 0, ex('90', 'av01', AV1C))
  sendVideo(run, 0, ex('91', 'vp09', VP9_KEY))
  sendAudio(run, 0, ex('90', 'Opus', OPUS_HEAD))
  sendAudio(run, 0, ex('91', 'fLaC', hex('fff8')))
  t.equal(await dropped(run, 'unconfigured'), 2)
  sendAudio(run, 20, ex('91', 'Opus', hex('fc00')))
  t.match(run.sink.units, [{ kind: 'audio', dts: 1_800 }])
})

test('HDR metadata changes the colours, once', async (t) => {
  const run = published()
  sendVideo(run, 0, ex('90', 'hvc1', HVCC))
  t.notOk('colour' in (run.sink.configs[0] ?? {}))
  sendVideo(run, 0, ex('94', 'hvc1', colourInfo(HDR)))
  sendVideo(run, 0, ex('94', 'hvc1', colourInfo(HDR)))
  t.equal(run.sink.configs.length, 2)
  t.match(run.sink.configs[1], {
    colour: { primaries: 9, transfer: 16, matrix: 9, fullRange: false },
  })
  sendVideo(run, 0, ex('94', 'hvc1', encodeAmf0(['other', 1])))
  sendVideo(run, 0, ex('94', 'hvc1', hex('ff')))
  t.equal(run.sink.configs.length, 2)
  const early = published()
  sendVideo(early, 0, ex('94', 'hvc1', colourInfo(HDR)))
  sendVideo(early, 0, ex('90', 'hvc1', HVCC))
  t.match(early.sink.configs, [{ colour: { transfer: 16 } }])
})

test('colour info in the units of MP4; fields that cannot be are left out', async (t) => {
  const info = readColourInfo(colourInfo(HDR))
  const box = Buffer.from(info?.masteringDisplay ?? [])
  const points = Array.from({ length: 8 }, (_, index) => box.readUInt16BE(index * 2))
  t.same(points, [8_500, 39_850, 6_550, 2_300, 35_400, 14_600, 15_635, 16_450])
  t.same([box.readUInt32BE(16), box.readUInt32BE(20)], [10_000_000, 50])
  t.same(info?.contentLight, Uint8Array.of(0x03, 0xe8, 0x01, 0x90))
  const absurd = {
    colorConfig: { colorPrimaries: 9.5, transferCharacteristics: 'PQ', matrixCoefficients: 256 },
    hdrCll: { maxFall: -1, maxCLL: 1_000 },
    hdrMdcv: { ...HDR.hdrMdcv, redX: 2 },
  }
  t.same(readColourInfo(colourInfo(absurd)), {})
  const dark = { hdrMdcv: { ...HDR.hdrMdcv, maxLuminance: 1e9 } }
  t.same(readColourInfo(colourInfo(dark)), {})
  t.equal(readColourInfo(encodeAmf0(['colorInfo', 'text'])), undefined)
})

test('frames that are something else end the connection', async (t) => {
  const run = published()
  sendVideo(run, 0, ex('90', 'av01', AV1C))
  for (let index = 0; index <= rtmpLimits.damagedFramesMax; index += 1) {
    sendVideo(run, index, ex('91', 'av01', hex('ffff')))
  }
  t.equal(await run.ended('protocol'), 1)
})

test('the end of a sequence makes the next header count', async (t) => {
  const run = published()
  const end = (codec: string) => Buffer.concat([hex('92'), Buffer.from(codec)])
  sendVideo(run, 0, ex('90', 'hvc1', HVCC))
  sendVideo(run, 0, end('hvc1'))
  sendVideo(run, 0, ex('91', 'hvc1', hex('000000000000032601af')))
  sendVideo(run, 0, ex('90', 'hvc1', HVCC))
  t.equal(run.sink.configs.length, 2)
  t.equal(run.sink.units.length, 0)
})
