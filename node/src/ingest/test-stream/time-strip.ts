/**
 * The machine-readable clock along the bottom edge of the test picture: tests and benches read from a decoded
 * picture when it was drawn, and so the latency from drawing to showing, without any side channel.
 *
 * Layout, independent of the picture's size so that scaled renditions read the same:
 * - The strip is the picture's whole width and its bottom 2/45 (32 of 720 lines).
 * - 64 cells of equal width from left to right, white (luma 235) for 1 and black (luma 16) for 0:
 *   cells 0-3 `1010`; cells 4-51 wall-clock milliseconds since the Unix epoch, 48 bits, most significant first;
 *   cells 52-59 CRC-8 (polynomial 0x07, start 0) of those six bytes; cells 60-63 `0101`.
 * - The end marks give the reader its threshold; the CRC refuses a blend of two pictures.
 */

import assert from 'node:assert/strict'

/** Cells of the strip: two marks of 4, 48 time bits, 8 check bits. */
const cellCount = 64
const markBits = 4
const timeBytes = 6

/** Luma of a cell that holds 1 and of one that holds 0 (limited range). */
const lumaOne = 235
const lumaZero = 16

/** How the pixels that {@link readTimeStrip} is given lie in memory. */
export interface PixelLayout {
  /** Picture width in pixels. */
  readonly width: number
  /** Picture height in pixels. */
  readonly height: number
  /** Bytes from one row to the next. Default: `width * pixelBytes`. */
  readonly rowBytes?: number
  /** Bytes from one pixel to the next: 1 for a luma plane (the default), 4 for RGBA. */
  readonly pixelBytes?: number
}

/** Lines of the strip in a picture of `height` lines. */
export function timeStripLines(height: number): number {
  return Math.max(2, Math.round((height * 2) / 45))
}

/**
 * Draws the strip for `wallMs` into a luma plane without padding. Throws an AssertionError when the time does not
 * fit 48 bits or the picture is narrower than two pixels a cell.
 */
export function drawTimeStrip(
  luma: Uint8Array,
  width: number,
  height: number,
  wallMs: number,
): void {
  assert(Number.isInteger(wallMs) && wallMs >= 0 && wallMs < 2 ** 48, 'wallMs fits 48 bits')
  assert(width >= cellCount * 2, 'a cell is at least two pixels wide')
  const first = (height - timeStripLines(height)) * width
  const bits = timeStripBits(wallMs)
  for (let cell = 0; cell < cellCount; cell++) {
    const left = Math.round((cell * width) / cellCount)
    const right = Math.round(((cell + 1) * width) / cellCount)
    luma.fill(bits[cell] === 1 ? lumaOne : lumaZero, first + left, first + right)
  }
  // Every line of the strip is the same: the first one is copied down.
  for (let row = first + width; row < height * width; row += width) {
    luma.copyWithin(row, first, first + width)
  }
}

/**
 * The wall-clock milliseconds drawn into a decoded picture, or `undefined` when it shows no intact strip. Takes a luma
 * plane or RGBA pixels (of which the red channel stands for luma: the strip has no colour). The function stands alone,
 * so that a test can also run it inside a browser page.
 */
export function readTimeStrip(pixels: ArrayLike<number>, layout: PixelLayout): number | undefined {
  const { width, height, pixelBytes = 1 } = layout
  const rowBytes = layout.rowBytes ?? width * pixelBytes
  const lines = Math.max(2, Math.round((height * 2) / 45))
  const middle = height - lines / 2
  const bits: number[] = []
  const level = (cell: number): number => {
    let sum = 0
    const x = ((cell + 0.5) * width) / 64
    for (let dy = -1; dy <= 1; dy++) {
      for (let dx = -1; dx <= 1; dx++) {
        const row = Math.floor(middle + (dy * lines) / 8)
        const column = Math.floor(x + (dx * width) / 512)
        sum += pixels[row * rowBytes + column * pixelBytes] ?? 0
      }
    }
    return sum / 9
  }
  const white = Math.min(level(0), level(2), level(61), level(63))
  const black = Math.max(level(1), level(3), level(60), level(62))
  // Less contrast than this is some other picture, not a strip.
  if (white - black < 48) return undefined
  for (let cell = 4; cell < 60; cell++) bits.push(level(cell) > (white + black) / 2 ? 1 : 0)
  let wallMs = 0
  let crc = 0
  for (let i = 0; i < 48; i++) {
    const bit = bits[i] ?? 0
    wallMs = wallMs * 2 + bit
    const carry = ((crc >> 7) & 1) ^ bit
    crc = ((crc << 1) & 0xff) ^ (carry === 1 ? 0x07 : 0)
  }
  const check = bits.slice(48).reduce((value, bit) => value * 2 + bit, 0)
  return check === crc ? wallMs : undefined
}

/** The 64 cells for one time. */
function timeStripBits(wallMs: number): Uint8Array {
  const bits = new Uint8Array(cellCount)
  bits.set([1, 0, 1, 0], 0)
  let crc = 0
  for (let i = 0; i < timeBytes * 8; i++) {
    const bit = Math.floor(wallMs / 2 ** (47 - i)) % 2
    bits[markBits + i] = bit
    const carry = ((crc >> 7) & 1) ^ bit
    crc = ((crc << 1) & 0xff) ^ (carry === 1 ? 0x07 : 0)
  }
  for (let i = 0; i < 8; i++) bits[markBits + timeBytes * 8 + i] = (crc >> (7 - i)) & 1
  bits.set([0, 1, 0, 1], cellCount - markBits)
  return bits
}
