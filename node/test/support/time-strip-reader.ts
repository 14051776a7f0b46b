/**
 * Reads the test stream's machine-readable clock out of a decoded picture, for tests and benches that measure latency. The
 * layout is described in src/ingest/test-stream/time-strip.ts.
 */

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
