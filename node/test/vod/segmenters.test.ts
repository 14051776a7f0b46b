/** Cutting pictures and sound of a file into segments: whatever the order of pictures and the rounding of times, nothing moves. */
import fc from 'fast-check'
import { test } from 'tap'
import type { SegmentWrite } from '../../src/content/archive/segment-file.ts'
import type { AccessUnit, AudioConfig, VideoConfig } from '../../src/media/access-unit.ts'
import { readFragment } from '../../src/media/cmaf/fragment-reader.ts'
import { AudioSegmenter } from '../../src/vod/audio-segmenter.ts'
import { VideoSegmenter } from '../../src/vod/video-segmenter.ts'

function videoConfig(): VideoConfig {
  return {
    ...{ kind: 'video', codec: 'h264', codecString: 'avc1.64000d', width: 320, height: 180 },
    ...{ frameRate: 30, description: Buffer.from([1, 0x64, 0, 13, 0xff, 0xe0, 0]) },
  }
}

const aac: AudioConfig = {
  kind: 'audio',
  codec: 'aac',
  codecString: 'mp4a.40.2',
  sampleRate: 44_100,
  channels: 2,
  samplesPerFrame: 1024,
  description: Buffer.from([0x12, 0x10]),
}

/** Pictures in decoding order of groups I P B B, `frame` ticks apart, with a keyframe at each of `keyframes` (in frames). */
function pictures(count: number, keyframes: readonly number[], frame: number): AccessUnit[] {
  const units: AccessUnit[] = []
  for (const [index, start] of keyframes.entries()) {
    const end = Math.min(count, keyframes[index + 1] ?? count)
    const order: number[] = [start]
    for (let at = start + 1; at < end; at += 3) {
      const anchor = Math.min(at + 2, end - 1)
      order.push(anchor)
      for (let b = at; b < anchor; b++) order.push(b)
    }
    for (const pts of order) {
      const keyframe = pts === start
      const data = Buffer.from([0, 0, 0, 2, keyframe ? 0x65 : 0x41, pts & 0xff])
      units.push({
        kind: 'video',
        dts: units.length * frame - 2 * frame,
        pts: pts * frame,
        keyframe,
        data,
      })
    }
  }
  return units
}

test('video segmenter', async (t) => {
  await t.test('segments lie end to end and every picture keeps its time', async (t) => {
    await fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(3_000, 3_003, 1_501, 3_750),
        fc.integer({ min: 0, max: 3_750 }),
        fc.boolean(),
        (lengths, frame, lead, everySecond) => {
          const keyframes = lengths.map((_, index) =>
            lengths.slice(0, index).reduce((a, b) => a + b, 0),
          )
          const count = lengths.reduce((a, b) => a + b, 0)
          // Segments may hold several groups.
          const opening = keyframes.filter((_, index) => !everySecond || index % 2 === 0)
          const writes: SegmentWrite[] = []
          const segmenter = new VideoSegmenter({
            boundaries: opening.map((one) => one * frame),
            ...{ first: 0, end: count * frame, lead },
            onSegment: (write) => writes.push(write),
          })
          segmenter.configure(videoConfig())
          for (const unit of pictures(count, keyframes, frame)) segmenter.write(unit)
          segmenter.finish()
          let next = 0
          const presented: number[] = []
          for (const [msn, { segment, parts }] of writes.entries()) {
            const view = readFragment(Buffer.concat(parts))
            if (view.baseDecodeTime !== next || segment.msn !== msn) return false
            if (view.sequence !== msn + 1 || view.baseDecodeTime !== (opening[msn] ?? -1) * frame)
              return false
            for (const sample of view.samples) {
              presented.push(next + sample.compositionOffset)
              next += sample.duration
            }
          }
          presented.sort((a, b) => a - b)
          return (
            writes.length === opening.length &&
            next === count * frame &&
            presented.every((time, index) => time === index * frame + lead)
          )
        },
      ),
    )
    t.pass()
  })

  await t.test(
    'begins in the middle, and keeps leading pictures of an open group in order',
    async (t) => {
      const writes: SegmentWrite[] = []
      const segmenter = new VideoSegmenter({
        ...{ boundaries: [0, 90_000, 180_000], first: 1, end: 270_000, lead: 0 },
        onSegment: (write) => writes.push(write),
      })
      segmenter.configure(videoConfig())
      const unit = (pts: number, keyframe: boolean): AccessUnit => ({
        ...{ kind: 'video', dts: 0, pts, keyframe, data: Buffer.from([0, 0, 0, 1, 0x65]) },
      })
      segmenter.write(unit(80_000, false))
      segmenter.write(unit(90_000, true))
      segmenter.write(unit(93_000, false))
      segmenter.write(unit(180_000, true))
      // Shown before the keyframe that it comes after.
      segmenter.write(unit(177_000, false))
      segmenter.finish()
      t.same(
        writes.map(({ segment }) => [segment.msn, segment.startUs, segment.durationUs]),
        [
          [1, 1_000_000, 966_667],
          [2, 1_966_667, 1_033_333],
        ],
      )
    },
  )

  await t.test('says which segment has no keyframe', async (t) => {
    const segmenter = new VideoSegmenter({
      ...{ boundaries: [0, 90_000, 180_000], first: 0, end: 270_000, lead: 0, onSegment: () => {} },
    })
    segmenter.configure(videoConfig())
    const [first] = pictures(1, [0], 3_000)
    if (first === undefined) throw new Error('one picture')
    segmenter.write(first)
    t.throws(() => segmenter.write({ ...first, pts: 180_000 }), {
      code: 'ERR_MEDIA',
      message: /segment 1/,
    })
  })

  await t.test('another configuration is a discontinuity', async (t) => {
    const writes: SegmentWrite[] = []
    const segmenter = new VideoSegmenter({
      ...{ boundaries: [0, 30_000], first: 0, end: 60_000, lead: 0 },
      onSegment: (write) => writes.push(write),
    })
    const config = videoConfig()
    const units = pictures(20, [0, 10], 3_000)
    segmenter.configure(config)
    for (const unit of units.slice(0, 10)) segmenter.write(unit)
    segmenter.configure({ ...config, width: 640 })
    for (const unit of units.slice(10)) segmenter.write(unit)
    segmenter.finish()
    t.same(
      writes.map(({ segment }) => segment.discontinuity),
      [false, true],
    )
    t.not(writes[0]?.segment.initDigest, writes[1]?.segment.initDigest)
  })
})

test('audio segmenter', async (t) => {
  await t.test('counts samples, whatever the rounding of times', async (t) => {
    await fc.assert(
      fc.property(
        fc.constantFrom(1, 90, 32),
        fc.integer({ min: 20, max: 400 }),
        fc.nat(3_000),
        (grid, count, lead) => {
          const writes: SegmentWrite[] = []
          const boundaries = [
            0, 90_000, 180_000, 270_000, 360_000, 450_000, 540_000, 630_000, 720_000, 810_000,
          ]
          const segmenter = new AudioSegmenter({
            boundaries,
            lead,
            onSegment: (write) => writes.push(write),
          })
          segmenter.configure(aac)
          for (let index = 0; index < count; index++) {
            const exact = (index * 1024 * 90_000) / 44_100
            const pts = Math.round(exact / grid) * grid
            segmenter.write({
              kind: 'audio',
              dts: pts,
              pts,
              keyframe: true,
              data: Buffer.from([index & 0xff]),
            })
          }
          segmenter.finish()
          let next = Math.round((lead * 44_100) / 90_000)
          let frames = 0
          for (const { parts } of writes) {
            const view = readFragment(Buffer.concat(parts))
            if (view.baseDecodeTime !== next) return false
            if (view.samples.some(({ duration }) => duration !== 1024)) return false
            next += view.samples.length * 1024
            frames += view.samples.length
          }
          return frames === count && writes.length === Math.floor(((count - 1) * 1024) / 44_100) + 1
        },
      ),
    )
    t.pass()
  })

  await t.test(
    'a hole makes the frame before it longer, and a whole segment of silence is an error',
    async (t) => {
      const writes: SegmentWrite[] = []
      const segmenter = new AudioSegmenter({
        ...{ boundaries: [0, 90_000, 180_000], lead: 0, onSegment: (write) => writes.push(write) },
      })
      segmenter.configure({ ...aac, sampleRate: 48_000 })
      const write = (pts: number): void =>
        segmenter.write({ kind: 'audio', dts: pts, pts, keyframe: true, data: Buffer.of(1) })
      for (const pts of [0, 1_920, 1_920, 19_200, 21_120]) write(pts)
      t.throws(() => write(190_000), { code: 'ERR_MEDIA', message: /segment 1/ })
      segmenter.finish()
      const view = readFragment(Buffer.concat(writes[0]?.parts ?? []))
      t.same(
        view.samples.map(({ duration }) => duration),
        [1_024, 9_216, 1_024, 1_024],
      )
      t.throws(() => segmenter.configure(aac), { code: 'ERR_MEDIA' })
    },
  )

  await t.test('frames of Opus last until the next one', async (t) => {
    const writes: SegmentWrite[] = []
    const segmenter = new AudioSegmenter({
      ...{ boundaries: [0], lead: 0, onSegment: (write) => writes.push(write) },
    })
    const description = Buffer.from([0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0])
    segmenter.configure({
      ...aac,
      ...{
        codec: 'opus',
        codecString: 'opus',
        sampleRate: 48_000,
        samplesPerFrame: 960,
        description,
      },
    })
    for (const pts of [0, 1_800, 2_700, 4_500]) {
      segmenter.write({ kind: 'audio', dts: pts, pts, keyframe: true, data: Buffer.of(1) })
    }
    segmenter.finish()
    const view = readFragment(Buffer.concat(writes[0]?.parts ?? []))
    t.same(
      view.samples.map(({ duration }) => duration),
      [960, 480, 960, 960],
    )
  })
})
