// Broken transport streams: units or a KairoError come out, nothing else, and nothing grows without bound.
import fc from 'fast-check'
import { test } from 'tap'
import { SectionReader } from '../../src/media/mpegts/section-reader.ts'
import { DemuxingRun } from '../support/demuxing-run.ts'
import { fuzzRuns, parseOrRefuse } from '../support/fuzz.ts'
import { mutate, mutations } from '../support/mutate.ts'
import { adtsFrame, descriptor, h264Picture, opusUnit, TsWriter } from '../support/ts-writer.ts'

/** Tables and a second of video, AAC and Opus. */
function stream(): Buffer {
  const writer = new TsWriter()
  const opus = Buffer.concat([descriptor(5, 'Opus'), descriptor(0x7f, Uint8Array.of(0x80, 2))])
  const tables = (): Buffer =>
    writer.tables(
      { pid: 0x100, type: 0x1b },
      { pid: 0x101, type: 0x0f, descriptors: descriptor(10, 'eng\0') },
      { pid: 0x102, type: 6, descriptors: opus },
    )
  const pieces: Buffer[] = []
  for (let index = 0; index < 10; index += 1) {
    if (index % 4 === 0) pieces.push(tables())
    const pts = index * 3_000
    const video = h264Picture(index % 5 === 0, 300)
    pieces.push(
      writer.pes({ pid: 0x100, data: video, pts: pts + 6_000, dts: pts, open: true }),
      writer.pes({ pid: 0x101, data: adtsFrame(100), pts, streamId: 0xc0 }),
      writer.pes({ pid: 0x102, data: opusUnit(Buffer.alloc(80, 0xf8)), pts, streamId: 0xbd }),
    )
  }
  return Buffer.concat(pieces)
}

const seed = stream()

test('mutated streams', async () => {
  fc.assert(
    fc.property(mutations(12), fc.integer({ min: 1, max: 2_000 }), (changes, pieceBytes) => {
      const run = new DemuxingRun()
      parseOrRefuse(() => run.push(mutate(seed, changes), pieceBytes).end())
      return run.units.every(({ data, dts, pts }) => {
        return data.byteLength > 0 && Number.isSafeInteger(dts) && Number.isSafeInteger(pts)
      })
    }),
    { numRuns: fuzzRuns(1_500) },
  )
})

test('mutated table and header bytes, where they hurt most', async () => {
  const change = fc.record({ packet: fc.nat(30), at: fc.nat(30), value: fc.nat(255) })
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
      const bytes = Buffer.from(seed)
      for (const { packet, at, value } of changes) bytes[packet * 188 + at] = value
      parseOrRefuse(() => new DemuxingRun().push(bytes, 1_316).end())
    }),
    { numRuns: fuzzRuns(1_500) },
  )
})

test('noise', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1_000 }), (bytes) => {
      const run = new DemuxingRun()
      parseOrRefuse(() => run.push(Buffer.from(bytes), 100).end())
    }),
    { numRuns: fuzzRuns(1_000) },
  )
})

test('sections out of any payloads', async () => {
  const payload = fc.record({
    bytes: fc.uint8Array({ minLength: 1, maxLength: 184 }),
    start: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(payload, { maxLength: 50 }), (payloads) => {
      const reader = new SectionReader()
      for (const { bytes, start } of payloads) reader.push(Buffer.from(bytes), start)
    }),
    { numRuns: fuzzRuns(1_000) },
  )
})

test('lost packets of a stream lose units, and never mix them', async () => {
  fc.assert(
    fc.property(fc.array(fc.nat(seed.byteLength / 188 - 1), { maxLength: 20 }), (lost) => {
      const packets: Buffer[] = []
      for (let index = 0; index * 188 < seed.byteLength; index += 1) {
        if (!lost.includes(index)) packets.push(seed.subarray(index * 188, index * 188 + 188))
      }
      const run = new DemuxingRun().push(Buffer.concat(packets)).end()
      return run.units.every(({ kind, track, data }) => {
        if (kind === 'video') return data.byteLength === 304
        return data.byteLength === (track === 0 ? 100 : 80)
      })
    }),
    { numRuns: fuzzRuns(500) },
  )
})
