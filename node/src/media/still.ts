/**
 * A still picture of a live stream without decoding anything: the init segment and one fragment with only the first
 * picture of an independent part. A page shows it with `<video src>`.
 */
import { KairoError } from '../errors.ts'
import { encodeFragment } from './cmaf/fragment.ts'
import { isSync, readFragment, readInit } from './cmaf/fragment-reader.ts'

/** How long the one picture lasts, in seconds. */
const STILL_SECONDS = 1

/**
 * A tiny MP4 that shows the first picture of `part`, an independent part of the track that `init` begins.
 * @throws KairoError `ERR_INVALID_INPUT` when they are not a video track and a part that begins with an IDR.
 */
export function stillFrom(init: Buffer, part: Buffer): Buffer {
  const track = readInit(init)
  const fragment = readFragment(part)
  const first = fragment.samples[0]
  if (track.handler !== 'vide' || first === undefined || !isSync(first)) {
    throw new KairoError('ERR_INVALID_INPUT', 'a still needs a video part that begins with an IDR')
  }
  const still = encodeFragment({
    layout: 'per-sample',
    sequence: 1,
    trackId: track.trackId,
    baseDecodeTime: 0,
    samples: [
      {
        duration: STILL_SECONDS * track.timescale,
        compositionOffset: 0,
        sync: true,
        data: part.subarray(first.offset, first.offset + first.bytes),
      },
    ],
  })
  return Buffer.concat([init, still])
}
