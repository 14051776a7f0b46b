/** How large pictures may be, whatever their codec. */
import { KairoError } from '../../errors.ts'
import { bitstreamLimits } from '../../limits.ts'

/** @throws KairoError `ERR_LIMIT` for pictures that no decoder has room for. */
export function expectPictureSize(width: number, height: number): void {
  const { pictureSideMax, picturePixelsMax } = bitstreamLimits
  if (width <= pictureSideMax && height <= pictureSideMax && width * height <= picturePixelsMax) {
    return
  }
  throw new KairoError(
    'ERR_LIMIT',
    `a picture of ${width}x${height} exceeds ${pictureSideMax} pixels a side or ${picturePixelsMax} in all`,
  )
}
