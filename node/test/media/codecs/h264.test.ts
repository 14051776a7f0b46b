// H.264 configuration records, most of them written by x264 through FFmpeg.
import { test } from 'tap'
import { parseH264Config } from '../../../src/media/codecs/h264.ts'
import { type BitField, bits } from '../../support/bit-writer.ts'

const VECTORS = [
  {
    name: '1080p60 High with cropping',
    record:
      '0164002affe1001b6764002aacd940780227e5c044000003000400000301e03c60c65801000668ebe3cb22c0fdf8f800',
    expected: { codecString: 'avc1.64002a', width: 1920, height: 1080, frameRate: 60 },
    reorderMax: 2,
  },
  {
    name: '640x360 Constrained Baseline',
    record: '0142c01effe100196742c01ed900a02ff97011000003000100000300320f162e4801000568cb83cb20',
    expected: { codecString: 'avc1.42c01e', width: 640, height: 360, frameRate: 25 },
    reorderMax: 0,
  },
  {
    name: '322x242 High 4:4:4 at 29.97',
    record:
      '01f4000dffe1001967f4000d919b282a10f1f1f808800001f480007530078a14cb01000668ebe3c44844fff8f800',
    expected: { codecString: 'avc1.f4000d', width: 322, height: 242, frameRate: 30_000 / 1_001 },
    reorderMax: 2,
  },
  {
    name: '720p50 High 10',
    record:
      '016e0020ffe1001a676e0020a6cd9405005bb011000003000100000300640f18319601000668ebe3cb22c0fdfafa00',
    expected: { codecString: 'avc1.6e0020', width: 1280, height: 720, frameRate: 50 },
    reorderMax: 2,
  },
  {
    name: '720x576 interlaced with HRD parameters',
    record:
      '0164001effe100236764001eacd940b424d8088000000300800000193020007a12000f427261807c50a65801000568fbacb22cfdf8f800',
    expected: { codecString: 'avc1.64001e', width: 720, height: 576, frameRate: 25 },
    reorderMax: 2,
  },
  {
    name: '642x362 High 4:2:2 with scaling lists, aspect ratio and colours, without B-frames',
    record:
      '017a001effe10021677a001ebcb201485fc44fff85a805a4b501010140000003004000000c03c58b9201000768ebc3cb3002c0fef8f800',
    expected: { codecString: 'avc1.7a001e', width: 642, height: 362, frameRate: 24 },
    reorderMax: 0,
  },
] as const

for (const { name, record, expected, reorderMax } of VECTORS) {
  test(`reads ${name}`, async (t) => {
    const config = parseH264Config(Buffer.from(record, 'hex'))
    t.equal(config.codecString, expected.codecString)
    t.equal(config.nalLengthBytes, 4)
    t.equal(config.sps.width, expected.width)
    t.equal(config.sps.height, expected.height)
    t.equal(config.sps.frameRate, expected.frameRate)
    t.equal(config.sps.reorderMax, reorderMax)
  })
}

test('refuses malformed records', async (t) => {
  const good = Buffer.from(VECTORS[0].record, 'hex')
  const changed = (offset: number, value: number) => {
    const copy = Buffer.from(good)
    copy[offset] = value
    return copy
  }
  const refused = { code: 'ERR_PROTOCOL' }
  t.throws(() => parseH264Config(Buffer.alloc(0)), refused)
  t.throws(() => parseH264Config(changed(0, 2)), refused, 'version')
  t.throws(() => parseH264Config(changed(4, 0xfe)), refused, '3-byte lengths')
  t.throws(() => parseH264Config(changed(5, 0xe0)), refused, 'no SPS')
  t.throws(() => parseH264Config(changed(6, 0xff)), refused, 'SPS longer than the record')
  t.throws(() => parseH264Config(changed(8, 0x68)), refused, 'a PPS in place of the SPS')
  for (let length = 0; length < good.byteLength - 6; length += 1) {
    t.throws(() => parseH264Config(good.subarray(0, length)), refused, `cut to ${length}`)
  }
})

/** An SPS of Baseline profile with these fields after its id, with emulation prevention as an encoder adds it. */
function sps(...fields: readonly BitField[]): Uint8Array {
  const escaped: number[] = []
  for (const byte of bits([66, 8], [0, 8], [30, 8], [1, 1], ...fields)) {
    if (byte <= 3 && escaped.at(-1) === 0 && escaped.at(-2) === 0) escaped.push(3)
    escaped.push(byte)
  }
  return Uint8Array.of(0x67, ...escaped)
}

/** What a configuration with this SPS says of it. */
function parseH264Sps(unit: Uint8Array) {
  const head = [1, 66, 0, 30, 0xff, 0xe1, unit.byteLength >> 8, unit.byteLength & 255]
  return parseH264Config(Uint8Array.from([...head, ...unit, 1, 0, 1, 0x68])).sps
}

/** ue(v) of `value`. */
function ue(value: number): BitField {
  return [value + 1, Math.floor(Math.log2(value + 1)) * 2 + 1]
}

test('reads picture order type 1 and interlaced cropping', async (t) => {
  const read = parseH264Sps(
    sps(
      ...([ue(0), ue(1), [1, 1], ue(3), ue(4), ue(2), ue(1), ue(2)] as const),
      // max_num_ref_frames, gaps; 2 x 1 map units of two fields, MBAFF, direct 8x8; cropping 0, 1, 0, 1.
      ...([ue(1), [0, 1], ue(1), ue(0), [0, 1], [1, 1], [1, 1]] as const),
      ...([[1, 1], ue(0), ue(1), ue(0), ue(1), [0, 1]] as const),
    ),
  )
  t.match(read, { width: 30, height: 28, frameRate: undefined, reorderMax: 0 })
})

test('refuses absurd sizes and fields', async (t) => {
  const order = [ue(0), ue(2), ue(1), [0, 1]] as const
  const large = [...order, ue(2_000), ue(0), [1, 1], [1, 1], [0, 1], [0, 1]] as const
  t.throws(() => parseH264Sps(sps(...large)), { code: 'ERR_LIMIT' })
  const sizes = [ue(0), ue(0), [1, 1], [1, 1], [1, 1], ue(8), ue(8), ue(0), ue(0)] as const
  t.throws(() => parseH264Sps(sps(...order, ...sizes)), { code: 'ERR_PROTOCOL' }, 'all cropped')
  t.throws(() => parseH264Sps(sps(ue(0), ue(3))), { code: 'ERR_PROTOCOL' }, 'order type 3')
  t.throws(() => parseH264Sps(sps(ue(0), ue(1), [1, 1], ue(0), ue(0), ue(256))), {
    code: 'ERR_PROTOCOL',
  })
  t.throws(() => parseH264Sps(sps([0, 40])), { code: 'ERR_PROTOCOL' }, 'a code without end')
})

test('takes a cut VUI as absent and an absurd frame rate as not declared', async (t) => {
  const head = [ue(0), ue(2), ue(1), [0, 1], ue(3), ue(3), [1, 1], [1, 1], [0, 1]] as const
  t.match(parseH264Sps(sps(...head, [1, 1], [0, 2])), { width: 64, height: 64 })
  const timing = (units: number, scale: number) =>
    parseH264Sps(sps(...head, [1, 1], [0, 4], [1, 1], [units, 32], [scale, 32], [0, 5], [0, 8]))
      .frameRate
  t.equal(timing(1, 50), 25)
  t.equal(timing(1, 2_000), undefined)
  t.equal(timing(0, 50), undefined)
  t.equal(timing(0, 0), undefined)
})
