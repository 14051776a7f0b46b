/** The box writer, init segments and fragments, and the reader that takes them apart. */
import fc from 'fast-check'
import { test } from 'tap'
import { isKairoError } from '../../../src/errors.ts'
import { box, fullBox } from '../../../src/media/cmaf/box.ts'
import { findBox, readBoxes } from '../../../src/media/cmaf/box-reader.ts'
import { encodeFragment } from '../../../src/media/cmaf/fragment.ts'
import { isSync, readFragment, readInit } from '../../../src/media/cmaf/fragment-reader.ts'
import { audioInitSegment, videoInitSegment } from '../../../src/media/cmaf/init-segment.ts'
import { stillFrom } from '../../../src/media/still.ts'
import { audioConfig, videoConfig } from '../../support/packaging-run.ts'

const samples = [
  { duration: 3_000, compositionOffset: 6_000, sync: true, data: Uint8Array.of(1, 2, 3) },
  { duration: 3_001, compositionOffset: -90, sync: false, data: Uint8Array.of(4) },
]

test('boxes are size, type and content', async (t) => {
  t.equal(box('free', Uint8Array.of(7)).toString('hex'), '000000096672656507')
  t.equal(fullBox('free', 1, 0x20000).toString('hex'), '0000000c6672656501020000')
})

test('a fragment is read as it was written, at 64-bit times', async (t) => {
  for (const baseDecodeTime of [0, 2 ** 32 - 1, 2 ** 33 + 5, 2 ** 50]) {
    const part = encodeFragment({
      layout: 'per-sample',
      sequence: 9,
      trackId: 1,
      baseDecodeTime,
      samples,
    })
    const read = readFragment(part)
    t.match(read, { sequence: 9, trackId: 1, baseDecodeTime })
    t.strictSame(
      read.samples.map(({ duration, compositionOffset }) => [duration, compositionOffset]),
      [
        [3_000, 6_000],
        [3_001, -90],
      ],
    )
    t.strictSame(read.samples.map(isSync), [true, false])
    t.strictSame(
      read.samples.map(({ offset, bytes }) => [...part.subarray(offset, offset + bytes)]),
      [[1, 2, 3], [4]],
    )
  }
})

test('audio fragments carry sizes only', async (t) => {
  const frame = { duration: 1_024, compositionOffset: 0, sync: true, data: Uint8Array.of(1, 2) }
  const part = encodeFragment({
    layout: 'uniform',
    sequence: 1,
    trackId: 2,
    baseDecodeTime: 5,
    samples: [frame, frame],
  })
  t.equal(
    findBox(part, 'moof', 'traf', 'trun').end - findBox(part, 'moof', 'traf', 'trun').start,
    28,
  )
  t.ok(readFragment(part).samples.every((sample) => sample.duration === 1_024 && isSync(sample)))
  t.throws(() =>
    encodeFragment({ layout: 'uniform', sequence: 1, trackId: 2, baseDecodeTime: 0, samples: [] }),
  )
  const uneven = encodeFragment({
    layout: 'uniform',
    sequence: 1,
    trackId: 2,
    baseDecodeTime: 0,
    samples: [frame, { ...frame, duration: 960 }],
  })
  t.same(
    readFragment(uneven).samples.map(({ duration, bytes, flags }) => [duration, bytes, flags]),
    [
      [1_024, 2, 0x02000000],
      [960, 2, 0x02000000],
    ],
    'durations too where they differ',
  )
})

test('init segments hold the configuration', async (t) => {
  const video = videoInitSegment(videoConfig())
  t.same(readInit(video), { trackId: 1, timescale: 90_000, handler: 'vide' })
  t.ok(video.includes(box('avcC', videoConfig().description)))
  const audio = audioInitSegment(audioConfig({ sampleRate: 96_000 }))
  t.same(readInit(audio), { trackId: 2, timescale: 96_000, handler: 'soun' })
  t.ok(audio.includes(Buffer.from('05808080021190', 'hex')), 'decoder-specific info')
})

test('a still needs a video part that begins with an IDR', async (t) => {
  const init = videoInitSegment(videoConfig())
  const part = encodeFragment({
    layout: 'per-sample',
    sequence: 3,
    trackId: 1,
    baseDecodeTime: 77,
    samples,
  })
  const still = stillFrom(init, part)
  const read = readFragment(still.subarray(init.byteLength))
  t.match(read, { sequence: 1, baseDecodeTime: 0 })
  t.strictSame(
    read.samples.map(({ compositionOffset, bytes }) => [compositionOffset, bytes]),
    [[0, 3]],
  )
  const later = encodeFragment({
    layout: 'per-sample',
    sequence: 3,
    trackId: 1,
    baseDecodeTime: 0,
    samples: samples.slice(1),
  })
  t.throws(() => stillFrom(init, later), { code: 'ERR_INVALID_INPUT' })
  t.throws(() => stillFrom(audioInitSegment(audioConfig()), part), { code: 'ERR_INVALID_INPUT' })
})

test('a broken part is refused with a code, whatever was broken', async (t) => {
  const part = encodeFragment({
    layout: 'per-sample',
    sequence: 1,
    trackId: 1,
    baseDecodeTime: 0,
    samples,
  })
  const init = videoInitSegment(videoConfig())
  const refusesOrReads = (read: () => unknown): boolean => {
    try {
      read()
      return true
    } catch (error) {
      return isKairoError(error, 'ERR_INVALID_INPUT')
    }
  }
  for (let cut = 0; cut < part.byteLength; cut++) {
    t.throws(() => readFragment(part.subarray(0, cut)), { code: 'ERR_INVALID_INPUT' })
  }
  const box = Buffer.from('0000000866726565', 'hex')
  for (const other of [Buffer.concat([part, box]), Buffer.concat([box, part]), box]) {
    t.throws(() => readFragment(other), { code: 'ERR_INVALID_INPUT', message: /one moof/ })
  }
  fc.assert(
    fc.property(
      fc.nat(part.byteLength - 1),
      fc.nat(init.byteLength - 1),
      fc.nat(255),
      (at, initAt, value) => {
        const damaged = Buffer.from(part)
        damaged[at] = value
        const damagedInit = Buffer.from(init)
        damagedInit[initAt] = value
        return (
          refusesOrReads(() => readFragment(damaged)) && refusesOrReads(() => readInit(damagedInit))
        )
      },
    ),
    { numRuns: 5_000 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) =>
      refusesOrReads(() => readBoxes(bytes)),
    ),
    { numRuns: 2_000 },
  )
  t.throws(() => findBox(part), { code: 'ERR_INVALID_INPUT' })
})
