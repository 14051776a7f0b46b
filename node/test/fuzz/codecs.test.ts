// Codec headers and samples against noise and against changed real ones: they are read within their limits or refused.
import fc from 'fast-check'
import { test } from 'tap'
import { readColourInfo } from '../../src/ingest/rtmp/colour-info.ts'
import { bitstreamLimits } from '../../src/limits.ts'
import type { AudioCodec, TrackConfig, VideoCodec } from '../../src/media/access-unit.ts'
import { audioInitSegment, videoInitSegment } from '../../src/media/cmaf/init-segment.ts'
import { adtsFrames } from '../../src/media/codecs/adts.ts'
import { annexBUnits } from '../../src/media/codecs/annexb.ts'
import { audioConfigFrom } from '../../src/media/codecs/audio-config.ts'
import { hasClosedCaptions } from '../../src/media/codecs/captions.ts'
import { avcConfigFrom, h264FromAnnexB } from '../../src/media/codecs/h264-annexb.ts'
import { hevcConfigFrom } from '../../src/media/codecs/hevc.ts'
import { hevcFromAnnexB } from '../../src/media/codecs/hevc-annexb.ts'
import { openVideoBitstream } from '../../src/media/codecs/video-bitstream.ts'
import { fuzzRuns, parseOrRefuse } from '../support/fuzz.ts'
import { mutate, mutations } from '../support/mutate.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const VPS = '40010c01ffff0408000003009e0800000300005a959809'
const SPS =
  '4201010408000003009e0800000300005a9000a0403c2cb2b349265780b7091009040000030004000003007820'
const PPS = '4401c172860c4624'
const HVCC = hex(
  `0104080000009e08000000005af000fcfff8f800000f03 a000010017${VPS} a10001002d${SPS} a200010008${PPS}`,
)
const AVCC = hex(
  '0164002affe1001b6764002aacd940780227e5c044000003000400000301e03c60c65801000668ebe3cb22c0fdf8f800',
)
const VIDEO: readonly (readonly [VideoCodec, Buffer, Buffer])[] = [
  ['h264', AVCC, hex('00000006 060184018080 00000003 65b180')],
  ['hevc', HVCC, hex('00000009 4e01900403e8019080 00000003 2601af')],
  [
    'av1',
    hex('814048000a0b400000043d07c4daf94080'),
    hex('12000a0b00000042abbfc3776be4a82a050103e80190320210aa'),
  ],
  ['vp9', hex('021fa20202090000'), hex('924983425027f8167b031c120e0c2c0c02da7fd9')],
]
const AUDIO: readonly (readonly [AudioCodec, Buffer])[] = [
  ['aac', hex('1190')],
  [
    'opus',
    Buffer.concat([Buffer.from('OpusHead'), hex('0106380180bb0000000001040200040102 0305')]),
  ],
  [
    'flac',
    Buffer.concat([
      Buffer.from('fLaC'),
      hex(`80000022 12001200 000000000000 0bb802f0 ${'00'.repeat(20)}`),
    ]),
  ],
]

/** A configuration that was taken can be written into an init segment, and lies within the limits. */
function checkConfig(config: TrackConfig | undefined): void {
  if (config === undefined) return
  if (config.kind === 'audio') {
    const { sampleRate, channels, samplesPerFrame } = config
    if (!(sampleRate > 0 && channels > 0 && samplesPerFrame > 0)) throw new Error('absurd audio')
    audioInitSegment(config)
    return
  }
  const { width, height, frameRate, codecString } = config
  const sideMax = bitstreamLimits.pictureSideMax
  if (!(width > 0 && width <= sideMax && height > 0 && height <= sideMax)) {
    throw new Error(`picture of ${width}x${height}`)
  }
  if (frameRate !== undefined && !(frameRate >= 1 && frameRate <= 480)) {
    throw new Error(`frame rate ${frameRate}`)
  }
  if (!/^[\w.]{4,60}$/.test(codecString)) throw new Error(`codec string ${codecString}`)
  videoInitSegment(config)
}

function checkVideo(codec: VideoCodec, record: Uint8Array, samples: readonly Uint8Array[]): void {
  const track = parseOrRefuse(() => openVideoBitstream(codec, record))
  checkConfig(track?.config)
  for (const data of samples) {
    const sample = parseOrRefuse(() => track?.read(data))
    checkConfig(sample?.config)
    if (sample !== undefined) hasClosedCaptions(codec, sample.data)
  }
}

function checkStartCodes(data: Uint8Array): void {
  parseOrRefuse(() => annexBUnits(data))
  const h264 = parseOrRefuse(() => h264FromAnnexB(data))?.parameterSets
  if (h264 !== undefined) checkConfig(parseOrRefuse(() => avcConfigFrom(h264.sps, h264.pps)))
  const hevc = parseOrRefuse(() => hevcFromAnnexB(data))?.parameterSets
  if (hevc !== undefined) {
    checkConfig(parseOrRefuse(() => hevcConfigFrom(hevc.vps, hevc.sps, hevc.pps)))
  }
}

test('changed configuration records', async () => {
  fc.assert(
    fc.property(fc.constantFrom(...VIDEO), mutations(4), ([codec, record, sample], changes) =>
      checkVideo(codec, mutate(record, changes), [sample]),
    ),
    { numRuns: fuzzRuns(15_000) },
  )
})

test('changed samples', async () => {
  fc.assert(
    fc.property(fc.constantFrom(...VIDEO), mutations(4), ([codec, record, sample], changes) =>
      checkVideo(codec, record, [mutate(sample, changes), sample]),
    ),
    { numRuns: fuzzRuns(10_000) },
  )
})

test('changed audio headers', async () => {
  fc.assert(
    fc.property(fc.constantFrom(...AUDIO), mutations(4), ([codec, header], changes) =>
      checkConfig(parseOrRefuse(() => audioConfigFrom(codec, mutate(header, changes)))),
    ),
    { numRuns: fuzzRuns(5_000) },
  )
})

test('changed parameter sets between start codes', async () => {
  const start = '00000001'
  const hevc = hex(`${start}460150${start}${VPS}${start}${SPS}${start}${PPS}${start}2601af`)
  const h264 = hex(
    `${start}09f0${start}6764002aacd940780227e5c044000003000400000301e03c60c658${start}68ebe3cb22c0${start}65b1`,
  )
  fc.assert(
    fc.property(fc.constantFrom(hevc, h264), mutations(4), (seed, changes) =>
      checkStartCodes(mutate(seed, changes)),
    ),
    { numRuns: fuzzRuns(5_000) },
  )
})

test('noise', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (noise) => {
      for (const [codec, record] of VIDEO) {
        checkVideo(codec, noise, [noise])
        checkVideo(codec, record, [noise])
      }
      for (const [codec] of AUDIO) checkConfig(parseOrRefuse(() => audioConfigFrom(codec, noise)))
      checkStartCodes(noise)
      parseOrRefuse(() => adtsFrames(noise))
      parseOrRefuse(() => readColourInfo(noise))
    }),
    { numRuns: fuzzRuns(3_000) },
  )
})
