/**
 * The machine-readable clock along the bottom edge of the test picture: tests and benches read from a decoded
 * picture when it was drawn, and so the latency from drawing to showing, without any side channel.
 *
 * Layout, independent of the picture's size so that scaled renditions read the same:
 * - The strip is the picture's whole width and its bottom 2/45 (32 of 720 lines).
 * - 64 cells of equal width from left to right, white (luma 235) for 1 and black (luma 16) for 0:
 *   cells 0-3 `1010`; cells 4-51 wall-clock milliseconds since the Unix epoch, 48 bits, most significant first;
 *   cells 52-59 CRC-8 (polynomial 0x07, start 0) of those six bytes; cells 60-63 `0101`.
 * - The end marks give a reader its threshold; the CRC refuses a blend of two pictures.
 */

import assert from 'node:assert/strict'

/** Cells of the strip: two marks of 4, 48 time bits, 8 check bits. */
const cellCount = 64
const markBits = 4
const timeBytes = 6

/** Luma of a cell that holds 1 and of one that holds 0 (limited range). */
const lumaOne = 235
const lumaZero = 16

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
