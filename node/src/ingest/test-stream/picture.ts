/**
 * The moving picture of the built-in test stream, drawn into I420 planes: a large clock, a wave of colour, a playhead
 * that crosses once a second, a frame counter and the machine-readable time strip. Everything that stays is drawn once; a
 * frame repaints only what changed, because this runs beside the encoder on small machines.
 */

import assert from 'node:assert/strict'
import { drawText, textHeight, textWidth } from './font.ts'
import { type DigitBox, drawDigit, fillRectangle } from './seven-segment.ts'
import { drawTimeStrip, timeStripLines } from './time-strip.ts'

/** The three planes of an I420 picture, rows without padding. */
export interface Planes {
  /** `width * height` bytes. */
  readonly luma: Uint8Array
  /** `width / 2 * height / 2` bytes. */
  readonly blue: Uint8Array
  /** `width / 2 * height / 2` bytes. */
  readonly red: Uint8Array
}

/** What a test picture is made of. */
export interface TestPictureInit {
  /** A multiple of 16, at least 320. */
  readonly width: number
  /** Even, at least 180. */
  readonly height: number
  /** Frames a second, for the label and the counter. */
  readonly frameRate: number
  /** Where to draw. */
  readonly planes: Planes
}

/** Luma of the background at the top and bottom, of faint and of bright drawing. */
const lumaTop = 34
const lumaBottom = 24
const lumaFaint = 96
const lumaBright = 224
/** Chroma of the background: a dark blue. */
const backgroundBlue = 142
const backgroundRed = 122

/** Bars of the colour wave. */
const barCount = 40
/** One whole wave passes in this time. */
const wavePeriodMs = 4_000

const digitCount = 9

/** Draws frame after frame into the same planes. */
export class TestPicture {
  readonly #init: TestPictureInit
  /** Pixels at 720 lines that one unit of the layout is. */
  readonly #unit: number
  readonly #boxes: readonly DigitBox[]
  readonly #shown = new Int8Array(digitCount).fill(-1)
  readonly #barHeights = new Int32Array(barCount)
  readonly #barColours: readonly (readonly [number, number, number])[]
  #playhead = -1
  #frameLabel = ''
  #dateLabel = ''

  constructor(init: TestPictureInit) {
    assert(init.width >= 320 && init.width % 16 === 0, 'width is a multiple of 16, at least 320')
    assert(init.height >= 180 && init.height % 2 === 0, 'height is even, at least 180')
    assert.equal(init.planes.luma.length, init.width * init.height)
    assert.equal(init.planes.blue.length * 4, init.planes.luma.length)
    assert.equal(init.planes.red.length * 4, init.planes.luma.length)
    this.#init = init
    this.#unit = Math.min(init.height / 720, init.width / 1280)
    this.#boxes = this.#layOutClock()
    this.#barColours = Array.from({ length: barCount }, (_, i) => barColour(i / barCount))
    this.#drawBackground()
  }

  /** Brings the planes to frame `index`, drawn at wall time `wallMs` (milliseconds since the Unix epoch, an integer). */
  draw(index: number, wallMs: number): void {
    const { planes, width, height } = this.#init
    const local = wallMs - new Date(wallMs).getTimezoneOffset() * 60_000
    this.#drawClock(local)
    this.#drawWave(wallMs)
    this.#drawPlayhead(wallMs % 1_000)
    this.#drawLabels(index, wallMs, local)
    drawTimeStrip(planes.luma, width, height, wallMs)
  }

  /** Layout units to whole pixels. */
  #px(units: number): number {
    return Math.max(1, Math.round(units * this.#unit))
  }

  /** Layout units to an even number of pixels, for what has colour. */
  #evenPx(units: number): number {
    return Math.max(2, Math.round((units * this.#unit) / 2) * 2)
  }

  /** Places HH MM SS large and the milliseconds smaller on the same base line, all centred. */
  #layOutClock(): DigitBox[] {
    const large = { width: this.#px(92), height: this.#px(168), thickness: this.#px(18) }
    const small = { width: this.#px(58), height: this.#px(106), thickness: this.#px(12) }
    const gap = this.#px(20)
    const separator = this.#px(46)
    const total = 6 * large.width + 3 * small.width + 5 * gap + 3 * separator
    const top = this.#px(186)
    const boxes: DigitBox[] = []
    let x = Math.round((this.#init.width - total) / 2)
    for (let i = 0; i < digitCount; i++) {
      const size = i < 6 ? large : small
      boxes.push({ x, y: top + large.height - size.height, ...size })
      const endsGroup = i === 1 || i === 3 || i === 5
      x += size.width + (endsGroup ? separator : gap)
    }
    return boxes
  }

  #drawBackground(): void {
    const { planes, width, height, frameRate } = this.#init
    for (let y = 0; y < height; y++) {
      const value = Math.round(lumaTop + ((lumaBottom - lumaTop) * y) / height)
      planes.luma.fill(value, y * width, (y + 1) * width)
    }
    planes.blue.fill(backgroundBlue)
    planes.red.fill(backgroundRed)
    const scale = this.#px(4)
    const margin = this.#px(56)
    const format = `${width}x${height}  ${frameRate} FPS`
    drawText(planes.luma, width, 'KAIRO  TEST PICTURE', {
      x: margin,
      y: margin,
      scale,
      luma: lumaBright,
    })
    drawText(planes.luma, width, format, {
      x: width - margin - textWidth(format, scale),
      y: margin,
      scale,
      luma: lumaFaint,
    })
    this.#drawSeparators()
    // The strip has no colour, whatever lies under it.
    const stripRow = Math.floor((height - timeStripLines(height)) / 2)
    planes.blue.fill(128, (stripRow * width) / 2)
    planes.red.fill(128, (stripRow * width) / 2)
  }

  /** The two colons and the point of the clock. */
  #drawSeparators(): void {
    const { planes, width } = this.#init
    const dot = this.#px(18)
    for (const after of [1, 3, 5]) {
      const left = this.#boxes[after]
      const right = this.#boxes[after + 1]
      assert(left !== undefined && right !== undefined)
      const x = Math.round((left.x + left.width + right.x - dot) / 2)
      const bottom = left.y + left.height
      const tops =
        after === 5
          ? [bottom - dot]
          : [left.y + Math.round(left.height * 0.28), bottom - Math.round(left.height * 0.28) - dot]
      for (const y of tops) fillRectangle(planes.luma, width, x, y, dot, dot, lumaBright)
    }
  }

  #drawClock(localMs: number): void {
    const { planes, width } = this.#init
    const digits = clockDigits(localMs)
    for (const [i, box] of this.#boxes.entries()) {
      const digit = digits[i] ?? 0
      if (this.#shown[i] === digit) continue
      this.#shown[i] = digit
      this.#clearLuma(box.x, box.y, box.width, box.height)
      drawDigit(planes.luma, width, digit, box, lumaBright)
    }
  }

  /** Repaints the background's luma under a rectangle. */
  #clearLuma(x: number, y: number, width: number, height: number): void {
    const { planes, width: stride } = this.#init
    for (let row = y; row < y + height; row++) {
      // The pixel left of the drawing area is always background and has this line's shade.
      const shade = planes.luma[row * stride] ?? lumaBottom
      planes.luma.fill(shade, row * stride + x, row * stride + x + width)
    }
  }

  /** Each bar grows or shrinks by the difference to the last frame: only that difference is painted. */
  #drawWave(wallMs: number): void {
    const { width } = this.#init
    const margin = this.#evenPx(56)
    const bottom = this.#evenPx(612)
    const pitch = Math.floor((width - 2 * margin) / barCount / 2) * 2
    const barWidth = Math.max(2, Math.floor((pitch * 0.66) / 2) * 2)
    const left = Math.floor((width - pitch * barCount + pitch - barWidth) / 4) * 2
    const phase = ((wallMs % wavePeriodMs) / wavePeriodMs) * 2 * Math.PI
    for (let i = 0; i < barCount; i++) {
      const swing = 0.5 + 0.3 * Math.sin(phase + i * 0.31) + 0.2 * Math.sin(2 * phase - i * 0.53)
      const height = this.#evenPx(20 + 110 * swing)
      const before = this.#barHeights[i] ?? 0
      if (height === before) continue
      this.#barHeights[i] = height
      const x = left + i * pitch
      if (height > before) this.#paintBar(i, x, bottom - height, barWidth, height - before)
      else this.#eraseBar(x, bottom - before, barWidth, before - height)
    }
  }

  #paintBar(index: number, x: number, y: number, width: number, height: number): void {
    const { planes, width: stride } = this.#init
    const [luma, blue, red] = this.#barColours[index] ?? [lumaBright, 128, 128]
    fillRectangle(planes.luma, stride, x, y, width, height, luma)
    fillRectangle(planes.blue, stride / 2, x / 2, y / 2, width / 2, height / 2, blue)
    fillRectangle(planes.red, stride / 2, x / 2, y / 2, width / 2, height / 2, red)
  }

  #eraseBar(x: number, y: number, width: number, height: number): void {
    const { planes, width: stride } = this.#init
    this.#clearLuma(x, y, width, height)
    fillRectangle(planes.blue, stride / 2, x / 2, y / 2, width / 2, height / 2, backgroundBlue)
    fillRectangle(planes.red, stride / 2, x / 2, y / 2, width / 2, height / 2, backgroundRed)
  }

  /** A marker that crosses the picture once a second; the tone sounds when it starts on the left. */
  #drawPlayhead(msOfSecond: number): void {
    const { planes, width } = this.#init
    const margin = this.#px(56)
    const size = this.#px(16)
    const y = this.#px(404)
    const lineY = y + Math.floor(size / 2)
    const lineHeight = Math.max(1, this.#px(2))
    if (this.#playhead >= 0) this.#clearLuma(this.#playhead, y, size, size)
    fillRectangle(planes.luma, width, margin, lineY, width - 2 * margin, lineHeight, lumaFaint)
    const x = margin + Math.round(((width - 2 * margin - size) * msOfSecond) / 1_000)
    fillRectangle(planes.luma, width, x, y, size, size, lumaBright)
    this.#playhead = x
  }

  #drawLabels(index: number, wallMs: number, localMs: number): void {
    const scale = this.#px(3)
    const margin = this.#px(56)
    const y = this.#px(642)
    const frame = `FRAME ${String(index).padStart(6, '0')}`
    if (frame !== this.#frameLabel) {
      this.#frameLabel = frame
      this.#label(frame, margin, y, scale)
    }
    const date = `${new Date(localMs).toISOString().slice(0, 10)}  ${zoneLabel(localMs - wallMs)}`
    if (date !== this.#dateLabel) {
      this.#dateLabel = date
      this.#label(date, this.#init.width - margin - textWidth(date, scale), y, scale)
    }
  }

  #label(text: string, x: number, y: number, scale: number): void {
    this.#clearLuma(x, y, textWidth(text, scale), textHeight(scale))
    drawText(this.#init.planes.luma, this.#init.width, text, { x, y, scale, luma: 168 })
  }
}

/** The nine digits of HH:MM:SS.mmm. */
function clockDigits(localMs: number): number[] {
  const text = new Date(localMs).toISOString().slice(11, 23).replace(/\D/g, '')
  return [...text].map(Number)
}

/** `UTC+02:00` for an offset in milliseconds. */
function zoneLabel(offsetMs: number): string {
  const minutes = Math.round(Math.abs(offsetMs) / 60_000)
  const hours = String(Math.floor(minutes / 60)).padStart(2, '0')
  return `UTC${offsetMs < 0 ? '-' : '+'}${hours}:${String(minutes % 60).padStart(2, '0')}`
}

/** Luma, blue and red difference (BT.709, limited range) of a hue between 0 and 1. */
function barColour(hue: number): readonly [number, number, number] {
  const channel = (shift: number) => {
    const wave = Math.cos((hue - shift) * 2 * Math.PI)
    return 0.52 + 0.42 * wave
  }
  const [r, g, b] = [channel(0), channel(1 / 3), channel(2 / 3)] as const
  const y = 0.2126 * r + 0.7152 * g + 0.0722 * b
  return [
    Math.round(16 + 219 * y),
    Math.round(128 + (224 * (b - y)) / 1.8556),
    Math.round(128 + (224 * (r - y)) / 1.5748),
  ]
}
