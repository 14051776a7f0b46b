// The test picture: drawing only what changed, its strip, its colours.
import { test } from 'tap'
import { drawText, textWidth } from '../../../src/ingest/test-stream/font.ts'
import { type Planes, TestPicture } from '../../../src/ingest/test-stream/picture.ts'
import { drawDigit } from '../../../src/ingest/test-stream/seven-segment.ts'
import { readTimeStrip } from '../../support/time-strip-reader.ts'

const startMs = 1_767_323_045_678

function planesOf(width: number, height: number): Planes {
  const size = width * height
  return {
    luma: new Uint8Array(size),
    blue: new Uint8Array(size / 4),
    red: new Uint8Array(size / 4),
  }
}

function picture(width: number, height: number, planes = planesOf(width, height)) {
  return { planes, picture: new TestPicture({ width, height, frameRate: 30, planes }) }
}

test('drawing only the changes gives the same picture as drawing all of it', async (t) => {
  for (const [width, height] of [
    [1280, 720],
    [640, 360],
  ] as const) {
    const kept = picture(width, height)
    for (let index = 0; index < 95; index++) {
      const wallMs = startMs + Math.round((index * 1_000) / 30)
      kept.picture.draw(index, wallMs)
      if (index % 19 !== 0) continue
      const fresh = picture(width, height)
      fresh.picture.draw(index, wallMs)
      for (const name of ['luma', 'blue', 'red'] as const) {
        t.equal(
          Buffer.compare(kept.planes[name], fresh.planes[name]),
          0,
          `${name} of frame ${index} at ${width}`,
        )
      }
    }
  }
})

test('each frame shows its time in the strip and differs from the one before', async (t) => {
  const { planes, picture: drawer } = picture(640, 360)
  let before = new Uint8Array()
  for (let index = 0; index < 30; index++) {
    const wallMs = startMs + index * 33
    drawer.draw(index, wallMs)
    t.equal(readTimeStrip(planes.luma, { width: 640, height: 360 }), wallMs)
    const above = planes.luma.slice(0, 640 * 340)
    t.not(Buffer.compare(above, before), 0, 'the picture above the strip moves')
    before = above
  }
})

test('keeps limited range and has colour', async (t) => {
  const { planes, picture: drawer } = picture(1280, 720)
  drawer.draw(0, startMs)
  t.ok(planes.luma.every((value) => value >= 16 && value <= 235))
  t.ok(planes.blue.every((value) => value >= 16 && value <= 240))
  t.ok(new Set(planes.red).size > 20, 'many hues')
})

test('refuses sizes that an encoder would not take', async (t) => {
  for (const [width, height] of [
    [650, 360],
    [160, 180],
    [640, 361],
  ] as const) {
    t.throws(
      () => new TestPicture({ width, height, frameRate: 30, planes: planesOf(width, height) }),
    )
  }
})

test('the ten digits look different, and so do the letters', async (t) => {
  const box = { x: 2, y: 2, width: 40, height: 72, thickness: 8 }
  const digits = Array.from({ length: 10 }, (_, digit) => {
    const luma = new Uint8Array(48 * 80)
    drawDigit(luma, 48, digit, box, 200)
    return Buffer.from(luma).toString('latin1')
  })
  t.equal(new Set(digits).size, 10)
  const letters = [...'ACEFIKMOPRSTU0123456789.:-+x'].map((letter) => {
    const luma = new Uint8Array(8 * 8)
    drawText(luma, 8, letter, { x: 0, y: 0, scale: 1, luma: 1 })
    return luma.join('')
  })
  t.equal(new Set(letters).size, letters.length - 1, 'O and 0 share their form')
  t.equal(textWidth('12', 3), 33)
  t.equal(textWidth('', 3), 0)
})
