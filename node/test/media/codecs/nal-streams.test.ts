// Samples with NAL lengths, start codes, parameter sets in band, SEI messages and closed captions.
import { test } from 'tap'
import { codecLimits } from '../../../src/limits/codecs.ts'
import { annexBUnits } from '../../../src/media/codecs/annexb.ts'
import { hasClosedCaptions } from '../../../src/media/codecs/captions.ts'
import { avcConfigFrom, h264FromAnnexB } from '../../../src/media/codecs/h264-annexb.ts'
import { hevcFromAnnexB } from '../../../src/media/codecs/hevc-annexb.ts'
import { readHevcSample } from '../../../src/media/codecs/hevc-sample.ts'
import { joinNals, seiMessages } from '../../../src/media/codecs/nal-units.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const texts = (units: readonly Uint8Array[]) =>
  units.map((unit) => Buffer.from(unit).toString('hex'))

test('splits at start codes of three and four bytes, without zeros around them', async (t) => {
  t.same(texts(annexBUnits(hex('ff 000001 6501 00000001 4102 00 000001 000001 4103 0000'))), [
    '6501',
    '4102',
    '4103',
  ])
  t.same(annexBUnits(hex('')), [])
  t.same(annexBUnits(hex('0000')), [])
  t.same(annexBUnits(hex('65 0102 0000 03 01')), [])
  const many = Buffer.concat(
    Array.from({ length: codecLimits.nalUnitsMax + 1 }, () => hex('00000165')),
  )
  t.throws(() => annexBUnits(many), { code: 'ERR_LIMIT' })
})

const SPS = '6764000d acd94141 fb011000 00030010 00000303 20f14299 60'
const PPS = '68ebe3cb22c0'

test('an H.264 unit with start codes loses delimiter and parameter sets', async (t) => {
  const unit = h264FromAnnexB(
    hex(`00000001 09f0 00000001 ${SPS} 000001 ${PPS} 000001 0c80 000001 65b1`),
  )
  t.equal(Buffer.from(unit.data).toString('hex'), '0000000265b1')
  t.equal(unit.keyframe, true)
  t.same(texts(unit.parameterSets?.sps ?? []), [SPS.replaceAll(' ', '')])
  t.same(texts(unit.parameterSets?.pps ?? []), [PPS])
  const plain = h264FromAnnexB(hex('000001 41b1'))
  t.equal(plain.keyframe, false)
  t.equal(plain.parameterSets, undefined)
  t.equal(h264FromAnnexB(hex('000001 09f0')).data.byteLength, 0)
})

test('a recovery point with parameter sets is a start, one without is not', async (t) => {
  const point = '000001 06060184 80 000001 41b1'
  t.equal(h264FromAnnexB(hex(`000001 ${SPS} ${point}`)).keyframe, true)
  t.equal(h264FromAnnexB(hex(point)).keyframe, false)
})

test('builds an H.264 record as FFmpeg does', async (t) => {
  // x264, 1080p60 High: the record of h264.test.ts.
  const sps = hex('6764002aacd940780227e5c044000003000400000301e03c60c6580100'.slice(0, 54))
  const pps = hex('68ebe3cb22c0')
  const config = avcConfigFrom([sps], [pps])
  t.equal(
    Buffer.from(config.description).toString('hex'),
    `0164002affe1001b${sps.toString('hex')}010006${pps.toString('hex')}fdf8f800`,
  )
  t.match(config, { codec: 'h264', codecString: 'avc1.64002a', width: 1_920, height: 1_080 })
  const baseline = avcConfigFrom(
    [hex('6742c01ed900a02ff970110000030001 00000300320f162e48')],
    [pps],
  )
  t.equal(
    Buffer.from(baseline.description).subarray(-pps.byteLength).equals(pps),
    true,
    'no format',
  )
  t.throws(() => avcConfigFrom([], [pps]), { code: 'ERR_PROTOCOL' })
  t.throws(() => avcConfigFrom([sps], []), { code: 'ERR_PROTOCOL' })
  t.throws(() => avcConfigFrom([pps], [pps]), { code: 'ERR_PROTOCOL' })
})

test('an HEVC unit with start codes loses delimiter and parameter sets', async (t) => {
  const unit = hevcFromAnnexB(
    hex('000001 460150 000001 40010c 000001 420101 000001 4401c1 000001 4e01050180 000001 2601af'),
  )
  t.equal(Buffer.from(unit.data).toString('hex'), '000000054e01050180000000032601af')
  t.equal(unit.keyframe, true)
  t.same(texts(unit.parameterSets?.vps ?? []), ['40010c'])
  t.same(texts(unit.parameterSets?.sps ?? []), ['420101'])
  t.same(texts(unit.parameterSets?.pps ?? []), ['4401c1'])
  const plain = hevcFromAnnexB(hex('000001 0201d0'))
  t.same([plain.keyframe, plain.parameterSets], [false, undefined])
})

test('an HEVC sample starts decoding with IDR, CRA and BLA pictures', async (t) => {
  const starts = (type: number) =>
    readHevcSample(joinNals([Buffer.of(type << 1, 1, 9)]), 4)?.keyframe
  for (const type of [16, 19, 20, 21]) t.equal(starts(type), true, `type ${type}`)
  for (const type of [0, 1, 9, 15, 22, 23]) t.equal(starts(type), false, `type ${type}`)
  t.equal(readHevcSample(hex('00000009 26'), 4), undefined)
  t.equal(readHevcSample(hex(''), 4), undefined)
  const short = readHevcSample(hex('0003 2601af'), 2)
  t.equal(Buffer.from(short?.data ?? []).toString('hex'), '000000032601af')
  const sei = joinNals([hex('4e01 9004 03e80190 80'), hex('2601af')])
  t.same(texts((readHevcSample(sei, 4)?.sei ?? []).map(({ payload }) => payload)), ['03e80190'])
  const many = joinNals(Array.from({ length: codecLimits.nalUnitsMax + 1 }, () => hex('0201')))
  t.equal(readHevcSample(many, 4), undefined)
})

test('SEI messages: long types and sizes, emulation prevention, claims beyond the end', async (t) => {
  t.match(seiMessages(hex('ff01 02 aabb 05 01 cc 80')), [
    { type: 256, payload: Buffer.of(0xaa, 0xbb) },
    { type: 5, payload: Buffer.of(0xcc) },
  ])
  t.match(seiMessages(hex('04 04 000003 0102 80')), [{ payload: Buffer.of(0, 0, 1, 2) }])
  t.same(seiMessages(hex('04 09 0102 80')), [])
  const many = Buffer.concat([...Array.from({ length: 200 }, () => hex('0500')), hex('8080')])
  t.equal(seiMessages(many).length, codecLimits.seiMessagesMax)
})

test('finds closed captions', async (t) => {
  const caption = 'b500 31 47413934 03 41 ff fc9420 ff 80'
  const size = (hex(caption).byteLength - 1).toString(16).padStart(2, '0')
  const h264 = joinNals([hex(`06 04${size} ${caption}`), hex('65b1')])
  const hevc = joinNals([hex(`4e01 04${size} ${caption}`), hex('2601af')])
  t.equal(hasClosedCaptions('h264', h264), true)
  t.equal(hasClosedCaptions('hevc', hevc), true)
  t.equal(hasClosedCaptions('hevc', h264), false)
  t.equal(hasClosedCaptions('av1', h264), false)
  t.equal(hasClosedCaptions('h264', joinNals([hex('65b1')])), false)
  const empty = caption.replace('fc9420', 'f89420')
  t.equal(hasClosedCaptions('h264', joinNals([hex(`06 04${size} ${empty}`)])), false, 'not valid')
  const other = caption.replace('47413934', '44544731')
  t.equal(hasClosedCaptions('h264', joinNals([hex(`06 04${size} ${other}`)])), false, 'AFD')
  t.equal(hasClosedCaptions('h264', joinNals([hex('06 04 03 b50031 80')])), false, 'short')
})
