// The pure parts of a rung: which pictures it takes, where its keyframes are, what its encoder is asked for, how many threads.
import fc from 'fast-check'
import { test } from 'tap'
import { encoderOptions } from '../../../../src/media/child/av/encoder-options.ts'
import { KeyframeTimes } from '../../../../src/media/child/av/keyframe-times.ts'
import { PictureSelector } from '../../../../src/media/child/av/picture-selector.ts'
import { decoderThreads, encoderThreads } from '../../../../src/media/child/av/threads.ts'
import type { VideoRung } from '../../../../src/media/ladder/rung.ts'

const rung: VideoRung = {
  ...{ name: '720p', encoder: 'libx264', codec: 'h264', width: 1_280, height: 720 },
  ...{ frameRate: undefined, bitrateBps: 1e6, bitrateMaxBps: 1e6, bufferMs: 1_000 },
  ...{ preset: 'veryfast', bFramesMax: 0, dynamicRange: 'sdr' },
}

test('every picture is taken where no rate is asked for', async (t) => {
  const selector = new PictureSelector({ frameRate: undefined, resumeAt: undefined })
  const times = [5, 1_505, 9_000, 8_000, 3_000_000, 10]
  t.same(
    times.map((pts) => selector.select(pts, false)),
    ['begin', 'take', 'take', 'take', 'take', 'take'],
  )
})

test('a lower rate drops evenly, whatever the jitter', async (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom([60, 30], [50, 25], [60, 20], [59.94, 29.97], [30, 15]),
      fc.array(fc.integer({ min: -180, max: 180 }), { minLength: 240, maxLength: 240 }),
      ([from = 60, to = 30], jitter) => {
        const selector = new PictureSelector({ frameRate: to, resumeAt: undefined })
        const taken = jitter.flatMap((late, index) => {
          const pts = Math.round((index * 90_000) / from) + late
          return selector.select(pts, index % 120 === 0) === 'drop' ? [] : [index]
        })
        const step = Math.round(from / to)
        t.same(
          taken,
          jitter.map((_, index) => index).filter((index) => index % step === 0),
        )
      },
    ),
    { numRuns: 30 },
  )
})

test('keyframes and jumps begin the row anew', async (t) => {
  const selector = new PictureSelector({ frameRate: 30, resumeAt: undefined })
  t.equal(selector.select(0, true), 'begin')
  t.equal(selector.select(1_500, false), 'drop')
  t.equal(selector.select(4_500, true), 'take', 'a keyframe is always taken')
  t.equal(selector.select(6_000, false), 'drop')
  t.equal(selector.select(7_500, false), 'take')
  t.equal(selector.select(900_000, false), 'take', 'after a gap')
  t.equal(selector.select(100, false), 'take', 'after a step back')
})

test('what lies before the place to go on is left out', async (t) => {
  const selector = new PictureSelector({ frameRate: undefined, resumeAt: 6_000 })
  t.equal(selector.select(0, true), 'skip')
  t.equal(selector.select(3_000, false), 'skip')
  t.equal(selector.select(5_999, false), 'begin', 'rounding is forgiven')
  t.equal(selector.select(9_000, false), 'take')
})

test('a keyframe that never comes out makes one of the next picture', async (t) => {
  const times = new KeyframeTimes()
  times.add(0)
  times.add(9_000)
  t.equal(times.take(0), true)
  t.equal(times.take(3_000), false)
  t.equal(times.take(12_000), true)
  t.equal(times.take(15_000), false)
  for (let index = 0; index < 200; index += 1) times.add(1e6 + index)
  t.equal(times.take(1e6 + 100), false, 'old ones are forgotten')
})

test('each encoder is asked in its own words', async (t) => {
  const situation = { colour: undefined, tenBit: false, live: true, threads: 2 }
  const asked = (encoder: string, more = {}) =>
    encoderOptions({ ...rung, encoder }, { ...situation, ...more })
  t.match(asked('libx264').options, { preset: 'veryfast', 'forced-idr': '1' })
  t.match(asked('libx264').options['x264-params'], /annexb=0.*rc-lookahead/)
  t.notMatch(asked('libx264', { live: false }).options['x264-params'], /rc-lookahead/)
  t.match(asked('h264_nvenc'), { options: { preset: 'p3', 'forced-idr': '1', delay: '0' } })
  t.notOk(asked('h264_nvenc', { live: false }).options.delay)
  t.match(asked('hevc_nvenc', { tenBit: true }).pixelFormat, 'p010le')
  t.match(asked('h264_qsv').options, { forced_idr: '1', a53cc: '1', look_ahead: '0' })
  t.same(Object.keys(asked('av1_qsv').options).sort(), ['async_depth', 'preset'])
  t.match(asked('hevc_qsv', { live: false }).options, { async_depth: '4', forced_idr: '1' })
  t.match(asked('h264_amf').options, { usage: 'lowlatency', quality: 'speed', forced_idr: '1' })
  t.notOk(asked('av1_amf').options.forced_idr)
  t.match(asked('h264_vaapi'), { upload: 'vaapi', pixelFormat: 'nv12' })
  t.same(asked('h264_v4l2m2m'), { options: {}, pixelFormat: 'yuv420p', upload: undefined })
  const unknown = encoderOptions({ ...rung, encoder: 'h264_nvenc', preset: 'odd' }, situation)
  t.equal(unknown.options.preset, 'p3', 'an unknown preset is the usual one')
})

test('light levels reach the encoders in their units', async (t) => {
  const masteringDisplay = Buffer.from(
    '33c286c41d4c0bb884d03e803d13404200989680' + '00000001',
    'hex',
  )
  const colour = {
    ...{ primaries: 9, transfer: 16, matrix: 9, fullRange: false, masteringDisplay },
    contentLight: Buffer.from([3, 232, 1, 144]),
  }
  const situation = { colour, tenBit: true, live: false, threads: 1 }
  const x265 = encoderOptions({ ...rung, encoder: 'libx265' }, situation)
  t.match(
    x265.options['x265-params'],
    'master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400',
  )
  const svt = encoderOptions({ ...rung, encoder: 'libsvtav1' }, situation)
  t.match(svt.options['svtav1-params'], 'G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)')
  t.match(svt.options['svtav1-params'], 'L(1000,0.0001):content-light=1000,400')
})

test('threads follow the work and the cores', async (t) => {
  t.equal(encoderThreads({ ...rung, width: 426, height: 240 }, 30, 16), 1)
  t.equal(encoderThreads(rung, 30, 16), 2)
  t.equal(encoderThreads(rung, 30, 1), 1)
  t.equal(encoderThreads({ ...rung, width: 3_840, height: 2_160 }, 60, 64), 8)
  const config = { ...({ kind: 'video', codec: 'h264', codecString: '' } as const), width: 1_920 }
  const source = { ...config, height: 1_080, frameRate: undefined, description: new Uint8Array() }
  t.equal(decoderThreads(source, 16), 1)
  t.equal(decoderThreads({ ...source, width: 3_840, height: 2_160, frameRate: 60 }, 16), 4)
})
