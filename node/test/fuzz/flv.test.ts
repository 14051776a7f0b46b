// FLV tags and the codec headers inside them against noise and against changed real ones.
import fc from 'fast-check'
import { test } from 'tap'
import { bitstreamLimits } from '../../src/limits.ts'
import { aacAudioConfig } from '../../src/media/codecs/aac.ts'
import { parseH264Config } from '../../src/media/codecs/h264.ts'
import { readH264Sample } from '../../src/media/codecs/h264-sample.ts'
import { parseAudioTag } from '../../src/media/flv/audio-tag.ts'
import { parseVideoTag } from '../../src/media/flv/video-tag.ts'
import { fuzzRuns, parseOrRefuse } from '../support/fuzz.ts'
import { mutate, mutations } from '../support/mutate.ts'
import { AUDIO_CONFIG_TAG, audioTag, VIDEO_CONFIG_TAG, videoTag } from '../support/rtmp-wire.ts'

const text = (hex: string, codec: string, ...rest: Buffer[]) =>
  Buffer.concat([Buffer.from(hex, 'hex'), Buffer.from(codec), ...rest])
const VIDEO_SEEDS = [
  VIDEO_CONFIG_TAG,
  videoTag(true, 66),
  text('91', 'avc1', videoTag(true).subarray(2)),
  text('9702000001', 'avc1', videoTag(true).subarray(5)),
  text('9702010203' + '13', 'hvc1', Buffer.from('data')),
  text('9611', 'avc1', Buffer.from('0000000400000761010000030000ff', 'hex')),
  text('9623', 'avc1', Buffer.from('00000001616863766331010000016276', 'hex')),
]
const AUDIO_SEEDS = [
  AUDIO_CONFIG_TAG,
  audioTag(),
  text('90', 'mp4a', Buffer.from('1190', 'hex')),
  text('9501', 'mp4a', Buffer.from('00210a', 'hex')),
]

/** What the publication does with a tag, without the sink. */
function checkVideo(bytes: Uint8Array): void {
  const tag = parseOrRefuse(() => parseVideoTag(bytes))
  const tracks = tag?.tracks ?? []
  if (tracks.length > bitstreamLimits.flvTracksMax) throw new Error('too many tracks')
  for (const { compositionMs, data } of tracks) {
    if (!Number.isInteger(compositionMs) || Math.abs(compositionMs) > 2 ** 23) {
      throw new Error('composition time out of range')
    }
    checkConfig(data)
    for (const lengthBytes of [1, 2, 4]) checkSample(data, lengthBytes)
  }
}

function checkConfig(data: Uint8Array): void {
  const config = parseOrRefuse(() => parseH264Config(data))
  if (config === undefined) return
  const { width, height, frameRate } = config.sps
  const sideMax = bitstreamLimits.pictureSideMax
  if (!(width > 0 && width <= sideMax && height > 0 && height <= sideMax)) {
    throw new Error(`picture of ${width}x${height}`)
  }
  if (frameRate !== undefined && !(frameRate >= 1 && frameRate <= 480)) {
    throw new Error(`frame rate ${frameRate}`)
  }
}

/** A sample that is taken has lengths that add up, four bytes each. */
function checkSample(data: Uint8Array, lengthBytes: number): void {
  const sample = readH264Sample(data, lengthBytes)
  if (sample === undefined) return
  const bytes = Buffer.from(sample.data)
  let offset = 0
  while (offset < bytes.byteLength) offset += 4 + bytes.readUInt32BE(offset)
  if (offset !== bytes.byteLength) throw new Error('lengths do not add up')
}

function checkAudio(bytes: Uint8Array): void {
  const tag = parseOrRefuse(() => parseAudioTag(bytes))
  for (const { data } of tag?.tracks ?? []) checkAac(data)
}

function checkAac(data: Uint8Array): void {
  const config = parseOrRefuse(() => aacAudioConfig(data))
  if (config === undefined) return
  const { sampleRate, samplesPerFrame, channels } = config
  if (!(sampleRate > 0 && samplesPerFrame > 0 && channels > 0)) {
    throw new Error(JSON.stringify(config))
  }
}

test('changed video tags', async () => {
  fc.assert(
    fc.property(fc.constantFrom(...VIDEO_SEEDS), mutations(), (seed, changes) =>
      checkVideo(mutate(seed, changes)),
    ),
    { numRuns: fuzzRuns(15_000) },
  )
})

test('changed H.264 configurations', async () => {
  const record = VIDEO_CONFIG_TAG.subarray(5)
  fc.assert(
    fc.property(mutations(4), (changes) => checkConfig(mutate(record, changes, 8))),
    { numRuns: fuzzRuns(10_000) },
  )
})

test('changed audio tags', async () => {
  fc.assert(
    fc.property(fc.constantFrom(...AUDIO_SEEDS), mutations(), (seed, changes) =>
      checkAudio(mutate(seed, changes)),
    ),
    { numRuns: fuzzRuns(5_000) },
  )
})

test('noise', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 48 }), (noise) => {
      checkVideo(noise)
      checkAudio(noise)
      checkAac(noise)
    }),
    { numRuns: fuzzRuns(10_000) },
  )
})
