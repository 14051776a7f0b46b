/** Plans of files: what is copied, where segments begin, how work is shared; as properties of any file. */
import fc from 'fast-check'
import { test } from 'tap'
import { vodLimits } from '../../src/limits/vod.ts'
import type { FileAudio, FileFacts, FileVideo } from '../../src/media/child/file/file-facts.ts'
import type { LadderSource } from '../../src/media/ladder/plan.ts'
import { planVod } from '../../src/vod/plan.ts'
import { smallLadder } from '../support/vod-peer.ts'

const SECOND = 90_000

function video(seconds: number, groupS: number, more: Partial<FileVideo> = {}): FileVideo {
  const to = Math.round(seconds * SECOND)
  const every = (s: number) =>
    Array.from({ length: Math.ceil(seconds / s) }, (_, index) => Math.round(index * s * SECOND))
  return {
    ...{ stream: 0, codecName: 'h264', codec: 'h264', codecString: 'avc1.640028' },
    ...{ width: 1920, height: 1080, pixelAspect: 1, rotation: 0, frameRate: 25, videoRange: 'SDR' },
    ...{ bitrateBps: 5e6, pictures: seconds * 25, changes: false, reorder: 3_600, from: 0, to },
    ...{ keyframes: every(groupS), seconds: every(1), ...more },
  }
}

function audio(seconds: number, more: Partial<FileAudio> = {}): FileAudio {
  return {
    ...{ stream: 1, codecName: 'aac', codec: 'aac', codecString: 'mp4a.40.2', channels: 2 },
    ...{ sampleRate: 48_000, language: 'en', label: '', bitrateBps: 128_000, from: 0 },
    ...{ to: Math.round(seconds * SECOND), gapMax: 0, ...more },
  }
}

function file(pictures: FileVideo | null, sounds: readonly FileAudio[]): FileFacts {
  const duration = Math.max(pictures?.to ?? 0, ...sounds.map(({ to }) => to))
  return {
    format: 'mp4',
    origin: 0,
    duration,
    jumps: false,
    video: pictures,
    audio: sounds,
    subtitles: [],
  }
}

const options = { ladder: smallLadder, parallel: 4, mayCopy: true }

test('plan of a file', async (t) => {
  await t.test('boundaries and stretches cover the file once, at keyframes', async (t) => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.5, max: 900, noNaN: true }),
        fc.double({ min: 0.2, max: 40, noNaN: true }),
        fc.integer({ min: 1, max: 16 }),
        (seconds, groupS, parallel) => {
          const pictures = video(seconds, groupS)
          const plan = planVod(file(pictures, [audio(seconds)]), { ...options, parallel })
          const { boundaries, chunks, copyVideo, videoSegments } = plan
          if (copyVideo && !boundaries.every((one) => pictures.keyframes.includes(one)))
            return false
          const lengths = boundaries.map((one, i) => (boundaries[i + 1] ?? pictures.to) - one)
          const longest = copyVideo ? 10 : 5.1
          if (lengths.some((one) => one <= 0 || one > longest * SECOND)) return false
          if (chunks[0]?.from !== 0 || chunks.at(-1)?.to !== pictures.to) return false
          if (chunks.at(-1)?.last !== videoSegments) return false
          return chunks.every(
            ({ number, first, last, from, to }, index) =>
              number === index &&
              last > first &&
              from === boundaries[first] &&
              pictures.keyframes.includes(from) &&
              to === (chunks[index + 1]?.from ?? pictures.to),
          )
        },
      ),
    )
    t.pass()
  })

  await t.test('pictures are copied where they can be segments as they are', async (t) => {
    const copied = (more: Partial<FileVideo>, groupS = 2) =>
      planVod(file(video(60, groupS, more), []), options).copyVideo
    t.ok(copied({}))
    t.ok(copied({ codec: 'hevc' }))
    t.notOk(copied({ codec: null }))
    t.notOk(copied({ rotation: 90 }))
    t.notOk(copied({ bitrateBps: 80e6 }), 'segments too large for one object')
    t.notOk(copied({ keyframes: [9_000] }), 'the beginning would be lost')
    t.ok(copied({}, 6))
    t.notOk(copied({}, 7))
    t.notOk(planVod(file(video(60, 2), []), { ...options, mayCopy: false }).copyVideo)
  })

  await t.test('a file that is not copied asks for a rung of its own size', async (t) => {
    const asked: LadderSource[] = []
    const ladder = (source: LadderSource) => {
      asked.push(source)
      return smallLadder(source)
    }
    const odd = video(10, 2, {
      codec: null,
      rotation: 90,
      pixelAspect: 4 / 3,
      width: 720,
      height: 576,
    })
    planVod(file(odd, []), { ...options, ladder })
    t.match(asked[0]?.video, {
      codec: 'h264',
      width: 960,
      height: 576,
      rotated: true,
      bitrateBps: undefined,
    })
    t.equal(asked[0]?.video?.codecString, 'avc1.ff')
  })

  await t.test(
    'sound is copied, or encoded where it has holes or no place in a segment',
    async (t) => {
      const plan = (...tracks: FileAudio[]) => planVod(file(video(20, 2), tracks), options).sound
      t.match(plan(audio(20), audio(20, { stream: 2, language: 'de' })), [
        { name: 'audio', stream: 1, language: 'en', rung: undefined },
        { name: 'audio-2', stream: 2, language: 'de', rung: undefined },
      ])
      t.match(plan(audio(20, { gapMax: SECOND }))[0]?.rung, {
        codec: 'aac',
        channels: 2,
        sampleRate: 48_000,
      })
      t.ok(plan(audio(20, { from: SECOND }))[0]?.rung)
      const surround = audio(20, { codec: null, channels: 6, sampleRate: 44_100 })
      t.match(plan(surround)[0]?.rung, { channels: 2, sampleRate: 44_100 })
    },
  )

  await t.test('sound that lasts longer goes on in segments of its own', async (t) => {
    const plan = planVod(file(video(10, 2), [audio(21)]), options)
    t.equal(plan.videoSegments, 3)
    t.same(
      plan.boundaries.map((one) => one / SECOND),
      [0, 4, 8, 12, 16],
    )
    const song = planVod(file(null, [audio(9)]), options)
    t.same(
      song.boundaries.map((one) => one / SECOND),
      [0, 4],
    )
    t.match(song, { videoSegments: 0, chunks: [], storyboard: undefined, lead: 0 })
  })

  await t.test('pictures for scrubbing are few enough and near enough', async (t) => {
    for (const seconds of [0.1, 5, 399, 401, 7_200, 80_000]) {
      const board = planVod(file(video(seconds, 5), []), options).storyboard
      t.ok(
        board && board.count <= vodLimits.storyboardPicturesMax && board.count > 0,
        `${seconds} s`,
      )
      t.ok((board?.intervalMs ?? 0) >= 2_000 && (board?.intervalMs ?? 0) % 1_000 === 0)
    }
  })
})
