// HEVC configuration records, most of them written by x265 through FFmpeg.
import { test } from 'tap'
import { hevcConfigFrom, hevcVideoConfig, parseHevcConfig } from '../../../src/media/codecs/hevc.ts'
import { parseHevcSps } from '../../../src/media/codecs/hevc-sps.ts'
import { type BitField, bits, flags, ue } from '../../support/bit-writer.ts'

interface Vector {
  readonly name: string
  readonly header: string
  readonly vps: string
  readonly sps: string
  readonly pps: string
  readonly expected: object
}

const VECTORS: readonly Vector[] = [
  {
    name: '4:2:2 10 bit in the high tier, cropped, 24 fps',
    header: '0124080000009d080000000099f000fcfefafa00000f',
    vps: '40010c01ffff2408000003009d08000003000099959809',
    sps: '4201012408000003009d08000003000099b00a480f9c93b65959a4932bc05a020000030002000003003010',
    pps: '4401c172b46240',
    expected: {
      codecString: 'hvc1.4.10.H153.9D.8',
      width: 322,
      height: 242,
      frameRate: 24,
      colour: undefined,
    },
  },
  {
    name: '1080p60 Main with a pyramid of B-frames and default scaling lists',
    header: '0101600000009000000000007bf000fcfdf8f800000f',
    vps: '40010c01ffff01600000030090000003000003007b999809',
    sps: '42010101600000030090000003000003007ba003c08010e596666924e5780b4040000003004000000f02',
    pps: '4401c172b46240',
    expected: {
      codecString: 'hvc1.1.6.L123.90',
      width: 1920,
      height: 1080,
      frameRate: 60,
      colour: undefined,
    },
  },
  {
    name: '4:4:4 with colours in full range',
    header: '0104080000009e08000000005af000fcfff8f800000f',
    vps: '40010c01ffff0408000003009e0800000300005a959809',
    sps: '4201010408000003009e0800000300005a9000a0403c2cb2b349265780b7010101040000030004000003007820',
    pps: '4401c172860c4624',
    expected: {
      codecString: 'hvc1.4.10.L90.9E.8',
      width: 640,
      height: 480,
      frameRate: 30,
      colour: { primaries: 1, transfer: 1, matrix: 1, fullRange: true },
    },
  },
]

const array = (type: number, ...units: Uint8Array[]): Buffer =>
  Buffer.concat([
    Buffer.of(0x80 | type, 0, units.length),
    ...units.flatMap((unit) => [Buffer.of(0, unit.byteLength), unit]),
  ])
const hex = (text: string) => Buffer.from(text, 'hex')
const record = ({ header, vps, sps, pps }: Vector, ...more: Buffer[]): Buffer =>
  Buffer.concat([
    hex(header),
    Buffer.of(3 + more.length),
    array(32, hex(vps)),
    array(33, hex(sps)),
    array(34, hex(pps)),
    ...more,
  ])

for (const vector of VECTORS) {
  test(`reads ${vector.name}`, async (t) => {
    const config = hevcVideoConfig(record(vector))
    const { codecString, width, height, frameRate, colour } = config
    t.same({ codecString, width, height, frameRate, colour }, vector.expected)
    t.equal(parseHevcConfig(record(vector)).nalLengthBytes, 4)
  })

  test(`builds the record of ${vector.name} as FFmpeg does`, async (t) => {
    const { vps, sps, pps } = vector
    const built = hevcConfigFrom([hex(vps)], [hex(sps)], [hex(pps)])
    t.equal(Buffer.from(built.description).toString('hex'), record(vector).toString('hex'))
  })
}

const [FIRST] = VECTORS as readonly [Vector]

test('light levels come from SEI units in the record', async (t) => {
  // PQ colours in the third vector's place of BT.709.
  const pq = (VECTORS[2] as Vector).sps.replace('b7010101', 'b7091009')
  const light = hex('4e0190040' + '3e80190' + '80')
  const display = Buffer.concat([hex('4e018918'), Buffer.alloc(24, 7), Buffer.of(0x80)])
  const vector = { ...(VECTORS[2] as Vector), sps: pq }
  const { colour } = hevcVideoConfig(record(vector, array(39, display, light)))
  t.match(colour, { transfer: 16, fullRange: true })
  t.same(colour?.contentLight, Uint8Array.of(0x03, 0xe8, 0x01, 0x90))
  t.same(colour?.masteringDisplay, new Uint8Array(24).fill(7))
})

test('short NAL lengths and an early version are brought up to date in the description', async (t) => {
  const old = record(FIRST)
  old[0] = 0
  old[21] = 0x0d
  t.equal(parseHevcConfig(old).nalLengthBytes, 2)
  const { description } = hevcVideoConfig(old)
  t.equal(description[0], 1)
  t.equal(description[21], 0x0f)
})

test('refuses malformed records', async (t) => {
  const good = record(FIRST)
  const changed = (offset: number, value: number) => {
    const copy = Buffer.from(good)
    copy[offset] = value
    return copy
  }
  const refused = { code: 'ERR_PROTOCOL' }
  const limited = { code: 'ERR_LIMIT' }
  t.throws(() => parseHevcConfig(changed(0, 2)), refused, 'version')
  t.throws(() => parseHevcConfig(changed(21, 0x0e)), refused, '3-byte lengths')
  t.throws(() => parseHevcConfig(changed(22, 2)), refused, 'no PPS')
  t.throws(() => parseHevcConfig(changed(22, 200)), limited, 'arrays')
  t.throws(() => parseHevcConfig(changed(24, 1)), limited, 'parameter sets')
  t.throws(() => parseHevcConfig(Buffer.concat([good, Buffer.alloc(70_000)])), limited, 'size')
  for (let length = 0; length < good.byteLength; length += 1) {
    t.throws(() => parseHevcConfig(good.subarray(0, length)), refused, `cut to ${length}`)
  }
  const vps = [hex(FIRST.vps)]
  const sps = [hex(FIRST.sps)]
  t.throws(() => hevcConfigFrom(vps, sps, []), refused)
  t.throws(() => hevcConfigFrom(vps, [], [hex(FIRST.pps)]), refused)
  t.throws(() => hevcConfigFrom(vps, vps, [hex(FIRST.pps)]), refused, 'a VPS in place of the SPS')
})

/** With emulation prevention. */
function escaped(rbsp: Uint8Array): Uint8Array {
  const out: number[] = []
  for (const byte of rbsp) {
    if (byte <= 3 && out.at(-1) === 0 && out.at(-2) === 0) out.push(3)
    out.push(byte)
  }
  return Uint8Array.from(out)
}

/** An SPS of Main profile with `fields` after the sample format. */
function sps(init: {
  readonly subLayers?: readonly BitField[]
  readonly layers?: number
  readonly chroma?: readonly BitField[]
  readonly size?: readonly [number, number]
  readonly crop?: readonly number[]
  readonly depth?: number
  readonly rest: readonly BitField[]
}): Uint8Array {
  const [width, height] = init.size ?? [640, 360]
  const layers = init.layers ?? 0
  return escaped(
    bits(
      ...([
        [33, 7],
        [1, 9],
        [0, 4],
        [layers, 3],
        [1, 1],
      ] as const),
      ...([
        [1, 8],
        [0x60000000, 32],
        [0x900000, 24],
        [0, 24],
        [93, 8],
      ] as const),
      ...(init.subLayers ?? []),
      ...[ue(0), ...(init.chroma ?? [ue(1)]), ue(width), ue(height)],
      ...(init.crop === undefined ? flags(0) : [...flags(1), ...init.crop.map(ue)]),
      ...[ue(init.depth ?? 0), ue(init.depth ?? 0), ...init.rest],
    ),
  )
}

/** From the picture order to the coding tools, everything plain. */
const PLAIN: readonly BitField[] = [
  ...[ue(4), [1, 1] as const, ue(1), ue(0), ue(0)],
  ...[ue(0), ue(1), ue(0), ue(1), ue(0), ue(0)],
]
/** A VUI with a timing of `rate` pictures or fields a second. */
const timing = (rate: number, fields: 0 | 1 = 0): readonly BitField[] => [
  ...flags(0, 0, 0, 0, 0, fields, 0, 0, 1),
  [1, 32],
  [rate, 32],
]

test('finds the VUI behind scaling lists, PCM, predicted reference sets and long-term pictures', async (t) => {
  const lists: BitField[] = []
  for (let size = 0; size < 4; size += 1) {
    for (let matrix = 0; matrix < 6; matrix += size === 3 ? 3 : 1) {
      if (matrix === 0) {
        lists.push([1, 1], ...(size > 1 ? [ue(3)] : []))
        for (let index = 0; index < Math.min(64, 16 << (2 * size)); index += 1) lists.push(ue(2))
      } else lists.push([0, 1], ue(1))
    }
  }
  const sets = [
    ue(2),
    ...[ue(2), ue(1), ue(0), [1, 1] as const, ue(0), [0, 1] as const, ue(0), [1, 1] as const],
    // Predicted from the first: four entries, of which one is neither used nor kept.
    ...[[1, 1] as const, [0, 1] as const, ue(0), ...flags(1, 0, 1, 0, 0, 1)],
  ]
  const longTerm = [[1, 1] as const, ue(2), [5, 8] as const, [1, 1] as const, [6, 8] as const]
  const parsed = parseHevcSps(
    sps({
      rest: [
        ...PLAIN,
        ...flags(1, 1),
        ...lists,
        ...flags(1, 1),
        ...flags(1),
        ...([[0x77, 8], ue(0), ue(1), [1, 1]] as const),
        ...sets,
        ...longTerm,
        [1, 1],
        ...flags(1, 1),
        ...flags(1),
        ...timing(50, 1),
      ],
    }),
  )
  t.equal(parsed.frameRate, 25, 'fields are halves of pictures')
})

test('finds the VUI behind sub-layers, and reads aspect, overscan and windows in it', async (t) => {
  const parsed = parseHevcSps(
    sps({
      layers: 2,
      subLayers: [...flags(1, 1, 0, 1), [0, 12], [0, 32], [0, 32], [0, 24], [93, 8], [90, 8]],
      crop: [1, 1, 0, 2],
      rest: [
        ...[ue(4), [0, 1] as const, ue(1), ue(0), ue(0)],
        ...[ue(0), ue(1), ue(0), ue(1), ue(0), ue(0)],
        ...flags(0, 0, 0, 0),
        ...[ue(0), ...flags(0, 0, 0, 1)],
        ...[[1, 1] as const, [255, 8] as const, [0x10001, 32] as const],
        ...flags(1, 1),
        ...[[1, 1] as const, [5, 3] as const, ...flags(0, 1)],
        ...([
          [9, 8],
          [18, 8],
          [9, 8],
        ] as const),
        ...[...flags(1), ue(0), ue(0), ...flags(0, 0, 0, 1), ue(0), ue(0), ue(0), ue(0)],
        ...([
          [1, 1],
          [1_001, 32],
          [60_000, 32],
        ] as const),
      ],
    }),
  )
  t.match(parsed, {
    width: 636,
    height: 356,
    temporalLayers: 3,
    frameRate: 60_000 / 1_001,
    colour: { primaries: 9, transfer: 18, matrix: 9, fullRange: false },
  })
})

test('bounds pictures, and takes a damaged tail as silence', async (t) => {
  const absurd = [...PLAIN, ...flags(0, 0, 0, 0), ue(65)]
  t.match(parseHevcSps(sps({ rest: absurd })), { frameRate: undefined, colour: undefined })
  const crowded = [...PLAIN, ...flags(0, 0, 0, 0), ue(1), ue(9), ue(9)]
  t.match(parseHevcSps(sps({ rest: crowded })), { frameRate: undefined, width: 640 })
  t.equal(parseHevcSps(sps({ rest: [ue(60)] })).frameRate, undefined)
  const rate = (value: number) =>
    parseHevcSps(
      sps({
        rest: [...PLAIN, ...flags(0, 0, 0, 0), ue(0), ...flags(0, 0, 0, 1), ...timing(value)],
      }),
    ).frameRate
  t.equal(rate(25), 25)
  t.equal(rate(90_000), undefined)
  const planes = sps({ chroma: [ue(3), [1, 1]], crop: [1, 0, 1, 0], rest: [ue(60)] })
  t.match(parseHevcSps(planes), { width: 639, height: 359, chromaFormat: 3 })
  const protocol = { code: 'ERR_PROTOCOL' }
  t.throws(() => parseHevcSps(sps({ chroma: [ue(4)], rest: [] })), protocol)
  t.throws(() => parseHevcSps(sps({ depth: 9, rest: [] })), protocol)
  t.throws(() => parseHevcSps(sps({ crop: [320, 0, 0, 0], rest: [] })), protocol)
  t.throws(() => parseHevcSps(sps({ size: [16_385, 16], rest: [] })), { code: 'ERR_LIMIT' })
})
