// AudioSpecificConfigs: plain, escaped, HE-AAC in both signallings, and channel layouts.
import { test } from 'tap'
import { aacAudioConfig } from '../../../src/media/codecs/aac.ts'
import { bits } from '../../support/bit-writer.ts'

const GENERAL = [0, 3] as const

test('reads what encoders send', async (t) => {
  t.match(aacAudioConfig(Uint8Array.of(0x11, 0x90)), {
    codecString: 'mp4a.40.2',
    sampleRate: 48_000,
    channels: 2,
    samplesPerFrame: 1_024,
  })
  t.match(aacAudioConfig(Uint8Array.of(0x12, 0x10)), { sampleRate: 44_100, channels: 2 })
  // FFmpeg: AAC-LC that says by a sync extension that there is no SBR.
  t.match(aacAudioConfig(Uint8Array.of(0x11, 0x88, 0x56, 0xe5, 0x00)), {
    codecString: 'mp4a.40.2',
    sampleRate: 48_000,
    channels: 1,
    samplesPerFrame: 1_024,
  })
  t.match(aacAudioConfig(Uint8Array.of(0x11, 0x94)), { samplesPerFrame: 960 })
})

test('reads an escaped sample rate', async (t) => {
  const config = bits([2, 5], [15, 4], [37_800, 24], [2, 4], GENERAL)
  t.match(aacAudioConfig(config), { sampleRate: 37_800, channels: 2, samplesPerFrame: 1_024 })
  for (const rate of [0, 1, 7_349, 96_001, 16_000_000]) {
    t.throws(
      () => aacAudioConfig(bits([2, 5], [15, 4], [rate, 24], [2, 4], GENERAL)),
      { code: 'ERR_PROTOCOL' },
      `${rate} Hz`,
    )
  }
})

test('reads explicit SBR and PS', async (t) => {
  t.match(aacAudioConfig(bits([5, 5], [6, 4], [2, 4], [3, 4], [2, 5], GENERAL)), {
    codecString: 'mp4a.40.5',
    sampleRate: 48_000,
    channels: 2,
    samplesPerFrame: 2_048,
  })
  t.match(aacAudioConfig(bits([29, 5], [6, 4], [1, 4], [3, 4], [2, 5], GENERAL)), {
    codecString: 'mp4a.40.29',
    sampleRate: 48_000,
    channels: 2,
    samplesPerFrame: 2_048,
  })
  t.match(
    aacAudioConfig(bits([5, 5], [6, 4], [2, 4], [6, 4], [2, 5], GENERAL)),
    { sampleRate: 24_000, samplesPerFrame: 1_024 },
    'downsampled SBR',
  )
})

test('reads backward compatible SBR and PS', async (t) => {
  const sbr = [
    [0x2b7, 11],
    [5, 5],
    [1, 1],
    [4, 4],
  ] as const
  t.match(aacAudioConfig(bits([2, 5], [7, 4], [1, 4], GENERAL, ...sbr)), {
    codecString: 'mp4a.40.5',
    sampleRate: 44_100,
    channels: 1,
    samplesPerFrame: 2_048,
  })
  t.match(aacAudioConfig(bits([2, 5], [7, 4], [1, 4], GENERAL, ...sbr, [0x548, 11], [1, 1])), {
    codecString: 'mp4a.40.29',
    channels: 2,
  })
  t.match(aacAudioConfig(bits([2, 5], [3, 4], [2, 4], GENERAL, [0x2b7, 11], [7, 5], [0, 8])), {
    codecString: 'mp4a.40.2',
  })
})

test('reads channel layouts', async (t) => {
  const channelsOf = (layout: number) =>
    aacAudioConfig(bits([2, 5], [3, 4], [layout, 4], GENERAL)).channels
  t.same([1, 2, 3, 4, 5, 6, 7, 11, 12, 14].map(channelsOf), [1, 2, 3, 4, 5, 6, 8, 7, 8, 8])
  for (const reserved of [8, 9, 10, 15]) {
    t.throws(() => channelsOf(reserved), { code: 'ERR_PROTOCOL' })
  }
})

test('counts the channels of a program config element', async (t) => {
  const element = (front: number, coupling: number) =>
    bits(
      ...([[2, 5], [3, 4], [0, 4], GENERAL] as const),
      // Tag, type, rate; front, side 0, back 1, one LFE, one data element, coupling elements.
      ...([
        [0, 4],
        [1, 2],
        [3, 4],
        [front, 4],
        [0, 4],
        [1, 4],
        [1, 2],
        [1, 3],
        [coupling, 4],
      ] as const),
      ...([
        [1, 1],
        [0, 4],
        [1, 1],
        [0, 4],
        [1, 1],
        [0, 3],
      ] as const),
      // Front: one single, then pairs; back: a pair.
      ...Array.from({ length: front + 1 }, (_, index) => [index === 0 ? 0 : 0x10, 5] as const),
      ...([
        [0, 4],
        [0, 4],
        [0, 5 * coupling],
      ] as const),
    )
  const withComment = (config: Uint8Array) => Uint8Array.from([...config, 2, 65, 66])
  // 1 + 2 in front, 2 in back, 1 LFE.
  t.equal(aacAudioConfig(withComment(element(2, 0))).channels, 6)
  t.throws(() => aacAudioConfig(element(15, 15).subarray(0, 12)), { code: 'ERR_PROTOCOL' })
  const silent = bits([2, 5], [3, 4], [0, 4], GENERAL, [0, 10], [0, 21], [0, 3])
  t.throws(() => aacAudioConfig(Uint8Array.from([...silent, 0, 0, 0])), { code: 'ERR_PROTOCOL' })
})

test('refuses other object types and malformed configurations', async (t) => {
  t.throws(() => aacAudioConfig(bits([23, 5], [3, 4], [2, 4], [0, 8])), {
    code: 'ERR_UNSUPPORTED_CODEC',
    message: /23/,
  })
  t.throws(() => aacAudioConfig(bits([31, 5], [10, 6], [3, 4], [2, 4])), {
    code: 'ERR_UNSUPPORTED_CODEC',
    message: /42/,
  })
  t.throws(() => aacAudioConfig(bits([2, 5], [13, 4], [2, 4], GENERAL)), { code: 'ERR_PROTOCOL' })
  t.throws(() => aacAudioConfig(new Uint8Array()), { code: 'ERR_PROTOCOL' })
  t.throws(() => aacAudioConfig(Uint8Array.of(0x11)), { code: 'ERR_PROTOCOL' })
  t.throws(
    () =>
      aacAudioConfig(bits([5, 5], [15, 4], [8_000, 24], [2, 4], [15, 4], [1, 24], [2, 5], GENERAL)),
    {
      code: 'ERR_PROTOCOL',
    },
  )
})
