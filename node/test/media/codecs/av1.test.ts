// AV1 configuration records and temporal units: those of libaom, and headers with every branch written by hand.
import { test } from 'tap'
import { codecLimits } from '../../../src/limits/codecs.ts'
import { av1VideoConfig, parseAv1Config } from '../../../src/media/codecs/av1.ts'
import { readAv1Sample } from '../../../src/media/codecs/av1-sample.ts'
import { parseAv1Sequence } from '../../../src/media/codecs/av1-sequence.ts'
import { readLeb128 } from '../../../src/media/codecs/obu.ts'
import type { HdrLevels } from '../../../src/media/codecs/video-signal.ts'
import { type BitField, bits, flags } from '../../support/bit-writer.ts'

const hex = (text: string) => Buffer.from(text, 'hex')
const PROFESSIONAL = '814048000a0b400000043d07c4daf94080'
const MONOCHROME = '81081c000a0b00000042abbfc3776be4a8'

test('reads the records that libaom writes', async (t) => {
  const professional = parseAv1Config(hex(PROFESSIONAL))
  t.match(professional.sequence, { profile: 2, bitDepth: 10, width: 322, height: 242 })
  t.match(professional.sequence, { subsamplingX: true, subsamplingY: false, monochrome: false })
  const config = av1VideoConfig(professional.sequenceObu ?? Buffer.alloc(0))
  t.match(config, { codec: 'av1', codecString: 'av01.2.00M.10.0.100.01.01.01.0', width: 322 })
  t.equal(Buffer.from(config.description).toString('hex'), PROFESSIONAL)

  const grey = parseAv1Config(hex(MONOCHROME))
  t.match(grey.sequence, { monochrome: true, width: 1_920, height: 1_080, levelIdx: 8 })
  const described = av1VideoConfig(grey.sequenceObu ?? Buffer.alloc(0))
  t.match(described.codecString, /^av01\.0\.08M\.08\.1\.110\./)
  t.equal(Buffer.from(described.description).toString('hex'), MONOCHROME)
})

test('a record without a sequence header is whole; broken ones are not', async (t) => {
  t.same(parseAv1Config(hex('81080c00')), {
    sequence: undefined,
    sequenceObu: undefined,
    levels: {},
  })
  const refused = { code: 'ERR_PROTOCOL' }
  t.throws(() => parseAv1Config(hex('81080c')), refused)
  t.throws(() => parseAv1Config(hex('01080c00')), refused, 'marker')
  t.throws(() => parseAv1Config(hex('81080c000a0b00')), refused, 'cut')
  t.throws(() => parseAv1Config(hex('81080c008a00')), refused, 'forbidden bit')
  t.throws(() => av1VideoConfig(hex('1200')), refused, 'no sequence header')
  const large = Buffer.concat([hex('81080c00'), Buffer.alloc(70_000)])
  t.throws(() => parseAv1Config(large), { code: 'ERR_LIMIT' })
})

/** A sequence header; `point` comes before the size, `tail` is the colour configuration. */
function sequence(init: {
  readonly profile?: number
  readonly point?: readonly BitField[]
  readonly size?: readonly [number, number]
  readonly tools?: readonly BitField[]
  readonly tail: readonly BitField[]
}): Uint8Array {
  const [width, height] = init.size ?? [1_920, 1_080]
  return bits(
    [init.profile ?? 0, 3],
    ...flags(0, 0),
    ...(init.point ?? [
      [0, 1],
      [0, 1],
      [0, 5],
      [0, 12],
      [8, 5],
      [0, 1],
    ]),
    ...([
      [15, 4],
      [15, 4],
      [width - 1, 16],
      [height - 1, 16],
    ] as const),
    ...(init.tools ?? [...flags(0, 0, 0, 0), ...flags(0, 0, 0, 0), ...flags(0, 0, 0)]),
    ...flags(0, 0, 0),
    ...init.tail,
    [0, 8],
  )
}
const PLAIN_COLOUR = [...flags(0, 0, 0, 0), [0, 2] as const]

test('passes over timing, operating points and tools', async (t) => {
  const parsed = parseAv1Sequence(
    sequence({
      point: [
        ...([
          [1, 1],
          [1_001, 32],
          [60_000, 32],
          [1, 1],
          [0, 1],
          [1, 1],
          [0, 1],
        ] as const),
        ...([
          [1, 1],
          [9, 5],
          [1, 32],
          [0, 5],
          [0, 5],
        ] as const),
        ...([
          [1, 1],
          [1, 5],
        ] as const),
        ...([
          [1, 12],
          [9, 5],
          [1, 1],
          [1, 1],
          [5, 10],
          [6, 10],
          [0, 1],
          [1, 1],
          [3, 4],
        ] as const),
        ...([
          [0, 12],
          [4, 5],
          [0, 1],
          [0, 1],
        ] as const),
      ],
      tools: [
        ...flags(1),
        ...([
          [5, 4],
          [5, 3],
        ] as const),
        ...flags(1, 1, 1),
        ...flags(1, 1, 1, 1),
        ...flags(1, 1, 1),
        ...flags(0, 1, 0, 1),
        [6, 3],
      ],
      tail: [...flags(1, 0, 1), [9, 8], [16, 8], [9, 8], ...flags(0), [2, 2]],
    }),
  )
  // Two ticks a picture.
  t.match(parsed, { frameRate: 60_000 / 1_001 / 2, levelIdx: 9, tier: 1, bitDepth: 10 })
  t.match(parsed, { width: 1_920, height: 1_080, chromaSamplePosition: 2 })
  t.same(parsed.colour, { primaries: 9, transfer: 16, matrix: 9, fullRange: false })
})

test('reads the colours of each profile', async (t) => {
  const read = (profile: number, tail: readonly BitField[]) =>
    parseAv1Sequence(sequence({ profile, tail }))
  const rgb = [...flags(0, 1), [1, 8], [13, 8], [0, 8]] as const
  t.match(read(1, rgb), { subsamplingX: false, colour: { transfer: 13, fullRange: true } })
  t.match(read(1, flags(0, 0, 1)), {
    subsamplingX: false,
    colour: { primaries: 2, fullRange: true },
  })
  const twelve = read(2, [...flags(1, 1, 0, 0, 0, 1, 1), [1, 2]])
  t.match(twelve, { bitDepth: 12, subsamplingX: true, subsamplingY: true, colour: undefined })
  t.match(read(2, flags(1, 1, 0, 0, 0, 0)), { subsamplingX: false, subsamplingY: false })
  t.match(read(0, [...flags(0, 1, 0), ...flags(1)]), { monochrome: true })
  t.match(read(0, PLAIN_COLOUR), { bitDepth: 8, colour: undefined, frameRate: undefined })
})

test('refuses absurd headers', async (t) => {
  t.throws(() => parseAv1Sequence(sequence({ profile: 3, tail: PLAIN_COLOUR })), {
    code: 'ERR_PROTOCOL',
  })
  const wide = sequence({ size: [16_385, 16], tail: PLAIN_COLOUR })
  t.throws(() => parseAv1Sequence(wide), { code: 'ERR_LIMIT' })
  const whole = sequence({ tail: PLAIN_COLOUR })
  for (let length = 0; length < 10; length += 1) {
    t.throws(() => parseAv1Sequence(whole.subarray(0, length)), { code: 'ERR_PROTOCOL' })
  }
  // A reduced still picture header: profile, still, reduced, level, size, three tools, three filters, colour.
  const still = bits(
    ...([
      [0, 3],
      [3, 2],
      [5, 5],
      [15, 4],
      [15, 4],
      [63, 16],
      [31, 16],
      [0, 3],
      [0, 3],
    ] as const),
    ...PLAIN_COLOUR,
    [0, 8],
  )
  t.match(parseAv1Sequence(still), { width: 64, height: 32, levelIdx: 5 })
})

const SEQUENCE = '0a0b00000042abbfc3776be4a8'
const KEY = '320210aa'
const INTER = '320230aa'

test('takes out delimiters and padding, and knows keyframes', async (t) => {
  const read = (text: string) => readAv1Sample(hex(text))
  const text = (data: Uint8Array | undefined) => Buffer.from(data ?? []).toString('hex')
  const key = read(`1200${SEQUENCE}${KEY}7a0100`)
  t.equal(key?.keyframe, true)
  t.equal(text(key?.data), `${SEQUENCE}${KEY}`)
  t.equal(text(key?.sequenceObu), SEQUENCE)
  const clean = hex(INTER)
  t.equal(readAv1Sample(clean)?.data, clean, 'not copied')
  t.equal(readAv1Sample(clean)?.keyframe, false)
  t.equal(read('32020010')?.keyframe, false, 'hidden')
  t.equal(read('320290aa')?.keyframe, false, 'shown again')
  t.equal(read('320250aa')?.keyframe, false, 'intra only')
  t.equal(text(read('3010aa')?.data), '320210aa', 'a size for the OBU without')
  t.equal(text(read(`3610${'02'}10aa`)?.data), '36100210aa', 'an extension byte stays')
  t.equal(read('1200'), undefined, 'no frame')
  t.equal(read('320910aa'), undefined, 'cut')
  t.equal(read('3200'), undefined, 'empty frame')
  t.equal(read(''), undefined)
  const many = Buffer.concat([Buffer.alloc((codecLimits.obusMax + 1) * 2, '1200', 'hex'), hex(KEY)])
  t.equal(readAv1Sample(many), undefined)
  const long = Buffer.concat([hex('30'), Buffer.alloc(300, 0x10)])
  t.equal(text(readAv1Sample(long)?.data).slice(0, 6), '32ac02')
})

test('reads light levels as MP4 wants them', async (t) => {
  const display = Buffer.alloc(24)
  // Red, green, blue, white in 1/65536; luminances in 24.8 and 18.14 fixed point.
  for (const [index, value] of [0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329].entries()) {
    display.writeUInt16BE(Math.round(value * 65_536), index * 2)
  }
  display.writeUInt32BE(1_000 * 256, 16)
  display.writeUInt32BE(Math.round(0.005 * 16_384), 20)
  const obus = Buffer.concat([hex('2a1902'), display, hex('2a0501'), hex('03e80190'), hex(KEY)])
  const levels: HdrLevels = readAv1Sample(obus)?.levels ?? {}
  t.same(levels.contentLight, Uint8Array.of(0x03, 0xe8, 0x01, 0x90))
  const box = Buffer.from(levels.masteringDisplay ?? [])
  const points = Array.from({ length: 8 }, (_, index) => box.readUInt16BE(index * 2))
  t.same(points, [8_500, 39_850, 6_550, 2_300, 35_400, 14_600, 15_635, 16_450])
  t.same([box.readUInt32BE(16), box.readUInt32BE(20)], [10_000_000, 50])
  t.same(readAv1Sample(hex(`2a0201ff2a0104${KEY}`))?.levels, {}, 'too short, and of other kinds')
})

test('leb128 numbers have an end', async (t) => {
  t.same(readLeb128(hex('e58e26'), 0), { value: 624_485, end: 3 })
  t.equal(readLeb128(hex('8080'), 0), undefined)
  t.equal(readLeb128(hex('ffffffffffffffffff01'), 0), undefined)
  t.equal(readLeb128(hex('ffffffffff01'), 0), undefined, 'over 32 bits')
})
