// The machine-readable clock: what is drawn is read back, and damage is refused.
import fc from 'fast-check'
import { test } from 'tap'
import { drawTimeStrip, timeStripLines } from '../../../src/ingest/test-stream/time-strip.ts'
import { readTimeStrip } from '../../support/time-strip-reader.ts'

const wallMs = 1_767_323_045_678

function drawn(width: number, height: number, time: number): Uint8Array {
  const luma = new Uint8Array(width * height).fill(90)
  drawTimeStrip(luma, width, height, time)
  return luma
}

test('reads every 48-bit time from every usual size', async (t) => {
  const sizes = fc.constantFrom([1280, 720], [1920, 1080], [960, 540], [640, 360], [320, 180])
  fc.assert(
    fc.property(sizes, fc.integer({ min: 0, max: 2 ** 48 - 1 }), (size, time) => {
      const [width, height] = size as [number, number]
      return readTimeStrip(drawn(width, height, time), { width, height }) === time
    }),
    { numRuns: 60 },
  )
  t.equal(timeStripLines(720), 32)
})

test('reads RGBA pixels with padded rows', async (t) => {
  const [width, height, rowBytes] = [640, 360, 640 * 4 + 64]
  const luma = drawn(width, height, wallMs)
  const rgba = new Uint8Array(rowBytes * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++)
      rgba.fill(luma[y * width + x] ?? 0, y * rowBytes + x * 4, y * rowBytes + x * 4 + 3)
  }
  t.equal(readTimeStrip(rgba, { width, height, rowBytes, pixelBytes: 4 }), wallMs)
})

test('stands noise and lost contrast, and refuses what is not intact', async (t) => {
  const [width, height] = [640, 360]
  const noisy = drawn(width, height, wallMs).map((value, i) => value * 0.6 + 30 + ((i * 7919) % 41))
  t.equal(readTimeStrip(noisy, { width, height }), wallMs)
  t.equal(
    readTimeStrip(new Uint8Array(width * height).fill(128), { width, height }),
    undefined,
    'plain grey',
  )

  const damaged = drawn(width, height, wallMs)
  const cell = 30
  for (let y = height - timeStripLines(height); y < height; y++) {
    for (let x = cell * 10; x < cell * 10 + 10; x++)
      damaged[y * width + x] = 251 - (damaged[y * width + x] ?? 0)
  }
  t.equal(readTimeStrip(damaged, { width, height }), undefined, 'one cell turned over')
})

test('a blend of two pictures does not read as a third time', async (t) => {
  const [width, height] = [640, 360]
  const a = drawn(width, height, wallMs)
  const b = drawn(width, height, wallMs + 33)
  for (const share of [0.3, 0.5, 0.7]) {
    const blend = a.map((value, i) => value * share + (b[i] ?? 0) * (1 - share))
    const read = readTimeStrip(blend, { width, height })
    t.ok(read === undefined || read === wallMs || read === wallMs + 33, `share ${share}`)
  }
})

test('refuses times and widths that do not fit', async (t) => {
  const luma = new Uint8Array(640 * 360)
  for (const time of [-1, 0.5, 2 ** 48]) t.throws(() => drawTimeStrip(luma, 640, 360, time))
  t.throws(() => drawTimeStrip(luma, 100, 360, wallMs))
})
