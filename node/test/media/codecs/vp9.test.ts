// VP9 records and frame headers, most of them written by libvpx.
import { test } from 'tap'
import { parseVp9Config, readVp9Sample, vp9VideoConfig } from '../../../src/media/codecs/vp9.ts'
import { type BitField, bits, flags } from '../../support/bit-writer.ts'

const hex = (text: string) => Buffer.from(text, 'hex')
const RECORD = '021fa20202090000'
const KEY_10_BIT = '924983425027f8167b031c120e0c2c0c02da7fd9'
const KEY_444 = 'a249834200028201e2c0c70483830940016c7fd9'

test('reads a record, with or without the header of its box', async (t) => {
  const expected = {
    level: 31,
    colour: { primaries: 2, transfer: 2, matrix: 9, fullRange: false },
  }
  t.same(parseVp9Config(hex(RECORD)), expected)
  t.same(parseVp9Config(hex(`01000000${RECORD}`)), expected)
  t.same(parseVp9Config(hex('0000820202020000')), { level: undefined, colour: undefined })
  t.throws(() => parseVp9Config(hex('021fa202')), { code: 'ERR_PROTOCOL' })
  t.throws(() => parseVp9Config(hex('041fa20202090000')), { code: 'ERR_PROTOCOL' })
})

test('reads keyframes of libvpx', async (t) => {
  t.same(readVp9Sample(hex(KEY_10_BIT))?.keyframe, {
    ...{ profile: 2, bitDepth: 10, chromaSubsampling: 1, fullRange: false, matrix: 9 },
    ...{ width: 1_280, height: 720 },
  })
  t.match(readVp9Sample(hex(KEY_444))?.keyframe, {
    ...{ profile: 1, bitDepth: 8, chromaSubsampling: 3, width: 322, height: 242 },
  })
})

/** A header of a profile, its colour fields and a size. */
const keyframe = (profile: number, ...colour: BitField[]) =>
  bits(
    ...([
      [2, 2],
      [profile & 1, 1],
      [profile >> 1, 1],
    ] as const),
    ...(profile === 3 ? flags(0) : []),
    ...flags(0, 0, 1, 0),
    [0x498342, 24],
    ...colour,
    ...([
      [639, 16],
      [359, 16],
      [0, 8],
    ] as const),
  )

test('reads the colours of each profile', async (t) => {
  const read = (profile: number, ...colour: BitField[]) =>
    readVp9Sample(keyframe(profile, ...colour))?.keyframe
  t.match(read(0, [2, 3], [1, 1]), { matrix: 1, fullRange: true, width: 640, height: 360 })
  t.match(read(1, [7, 3], [0, 1]), { matrix: 0, chromaSubsampling: 3, fullRange: true, width: 640 })
  t.match(read(1, [1, 3], ...flags(0, 1, 0, 0)), { chromaSubsampling: 2, width: 640 })
  t.match(read(3, [1, 1], [5, 3], ...flags(0, 1, 1, 0)), { bitDepth: 12, chromaSubsampling: 1 })
  t.match(read(2, [0, 1], [7, 3]), { bitDepth: 10, chromaSubsampling: 3, height: 360 })
})

test('tells keyframes from others and from noise', async (t) => {
  t.same(readVp9Sample(hex('8600400092')), { keyframe: undefined })
  t.same(readVp9Sample(hex('88')), { keyframe: undefined }, 'shown again')
  t.equal(readVp9Sample(hex('')), undefined)
  t.equal(readVp9Sample(hex('4249834200')), undefined, 'marker')
  t.equal(readVp9Sample(hex('8249834300027f01670000')), undefined, 'sync code')
  t.equal(readVp9Sample(hex(KEY_444).subarray(0, 7)), undefined, 'cut')
  t.equal(
    readVp9Sample(bits([2, 2], [0, 6], [0x498342, 24], [0, 4], [16_384, 16], [0, 24])),
    undefined,
  )
})

test('tells the configuration', async (t) => {
  const wide = readVp9Sample(hex(KEY_10_BIT))?.keyframe
  const full = readVp9Sample(hex(KEY_444))?.keyframe
  if (wide === undefined || full === undefined) throw new Error('not read')
  const config = vp9VideoConfig(wide, parseVp9Config(hex(RECORD)), 60)
  t.match(config, {
    ...{ codec: 'vp9', codecString: 'vp09.02.31.10.01.02.02.09.00', frameRate: 60 },
    ...{ width: 1_280, height: 720, colour: { matrix: 9 } },
  })
  t.equal(Buffer.from(config.description).toString('hex'), RECORD)
  t.match(vp9VideoConfig(full).codecString, /^vp09\.01\.20\.08\.03\./)
  const plain = { ...wide, profile: 0, bitDepth: 8 as const, matrix: 2 }
  t.equal(vp9VideoConfig(plain, undefined, 30).codecString, 'vp09.00.31.08')
  t.equal(vp9VideoConfig(plain, undefined, 60).codecString, 'vp09.00.40.08')
  const huge = { ...plain, width: 16_384, height: 16_384 }
  t.equal(vp9VideoConfig(huge, undefined, 480).codecString, 'vp09.00.62.08')
})
