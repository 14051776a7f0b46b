/** How a container wants pictures turned before they are shown. */
import { AV_PKT_DATA_DISPLAYMATRIX } from 'node-av/constants'
import type { Stream } from 'node-av/lib'

/** Degrees clockwise, a multiple of 90; 0 where the container says nothing. Mirrored pictures are shown as they are. */
export function rotationOf(stream: Stream): number {
  const matrix = stream.codecpar.getCodedSideData(AV_PKT_DATA_DISPLAYMATRIX)
  if (matrix === null || matrix.byteLength < 36) return 0
  // Native byte order, 16.16 fixed point: the first row is where the x axis goes.
  const x = matrix.readInt32LE(0)
  const y = matrix.readInt32LE(4)
  const degrees = Math.round((Math.atan2(y, x) * 180) / Math.PI / 90) * 90
  return (degrees + 360) % 360
}
