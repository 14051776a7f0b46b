/**
 * The digits of the large clock: seven pointed segments, so that they stay sharp at any size and a reader at the far
 * end of a room, or of a bad encode, can still tell an 8 from a 0.
 */

/** Where and how large a digit is. Units: pixels of the luma plane. */
export interface DigitBox {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  /** Thickness of a segment. */
  readonly thickness: number
}

/** Segments of the digits 0-9: bit 0 top, 1 upper right, 2 lower right, 3 bottom, 4 lower left, 5 upper left, 6 middle. */
const segments = [0x3f, 0x06, 0x5b, 0x4f, 0x66, 0x6d, 0x7d, 0x07, 0x7f, 0x6f] as const

/** Draws one digit, 0-9, into a luma plane whose rows are `stride` bytes. The box is not cleared first. */
export function drawDigit(
  luma: Uint8Array,
  stride: number,
  digit: number,
  box: DigitBox,
  value: number,
): void {
  const bits = segments[digit] ?? 0
  const { x, y, width, height, thickness } = box
  const half = Math.floor(height / 2)
  const middle = y + half - Math.floor(thickness / 2)
  const right = x + width - thickness
  const draw = (bit: number, horizontal: boolean, left: number, top: number, length: number) => {
    if ((bits & (1 << bit)) === 0) return
    if (horizontal) fillHorizontal(luma, stride, left, top, length, thickness, value)
    else fillVertical(luma, stride, left, top, length, thickness, value)
  }
  draw(0, true, x, y, width)
  draw(6, true, x, middle, width)
  draw(3, true, x, y + height - thickness, width)
  draw(5, false, x, y, half)
  draw(1, false, right, y, half)
  draw(4, false, x, y + half, height - half)
  draw(2, false, right, y + half, height - half)
}

/** Fills a rectangle of a plane. */
export function fillRectangle(
  plane: Uint8Array,
  stride: number,
  x: number,
  y: number,
  width: number,
  height: number,
  value: number,
): void {
  for (let row = y; row < y + height; row++) {
    plane.fill(value, row * stride + x, row * stride + x + width)
  }
}

/** A lying segment, pointed at both ends, one pixel short of its neighbours so that joints show. */
function fillHorizontal(
  luma: Uint8Array,
  stride: number,
  x: number,
  y: number,
  width: number,
  thickness: number,
  value: number,
): void {
  for (let row = 0; row < thickness; row++) {
    const inset = segmentInset(row, thickness)
    const start = (y + row) * stride + x
    luma.fill(value, start + inset, start + width - inset)
  }
}

/** A standing segment. */
function fillVertical(
  luma: Uint8Array,
  stride: number,
  x: number,
  y: number,
  height: number,
  thickness: number,
  value: number,
): void {
  for (let row = 0; row < height; row++) {
    const fromEnd = Math.min(row, height - 1 - row)
    const half = Math.floor(thickness / 2)
    const inset = Math.max(0, half + 1 - fromEnd)
    if (inset * 2 >= thickness) continue
    const start = (y + row) * stride + x
    luma.fill(value, start + inset, start + thickness - inset)
  }
}

/** How far a row of a lying segment is drawn in from its ends. */
function segmentInset(row: number, thickness: number): number {
  return Math.floor(thickness / 2) + 1 - Math.min(row, thickness - 1 - row)
}
