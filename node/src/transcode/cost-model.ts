/**
 * What decoding and encoding cost, in processor cores, before anything was measured. The figures are of a common server core;
 * admission scales them all by what running children really take.
 */
import { FRAME_RATE_ASSUMED } from '../media/access-unit.ts'
import type { VideoFacts } from '../media/ladder/plan.ts'
import type { VideoRung } from '../media/ladder/rung.ts'

/** Cores for a million H.264 pixels a second by libx264. */
const x264Cores: Readonly<Record<string, number>> = {
  ultrafast: 0.0025,
  superfast: 0.004,
  veryfast: 0.0065,
  faster: 0.009,
  fast: 0.012,
  medium: 0.015,
  slow: 0.025,
  slower: 0.05,
}

/** The other software encoders against libx264 at the speed of the same name. */
const softwareShare: Readonly<Record<VideoRung['codec'], number>> = { h264: 1, hevc: 3, av1: 2.5 }

const decoderCores: Readonly<Record<VideoFacts['codec'], number>> = {
  h264: 0.0015,
  hevc: 0.0022,
  av1: 0.0025,
  vp9: 0.002,
}

/** Scaling, and handing pictures to hardware. */
const scaleCores = 0.0006
/** Mapping HDR to SDR works on floating point. */
const toneMapCores = 0.012
/** One rung of sound. */
const soundCores = 0.02

/** Cores that one rung takes, its scaling included; its codec is the encoder's. */
export function rungCores(rung: VideoRung, source: VideoFacts, hardware: boolean): number {
  const rate = rung.frameRate ?? source.frameRate ?? FRAME_RATE_ASSUMED
  const megapixels = (rung.width * rung.height * rate) / 1_000_000
  const mapped = rung.dynamicRange === 'sdr' && source.videoRange !== 'SDR'
  const speed = x264Cores[rung.preset] ?? (x264Cores.veryfast as number)
  const encoding = hardware ? 0 : speed * softwareShare[rung.codec]
  return megapixels * (scaleCores + encoding + (mapped ? toneMapCores : 0))
}

/** Cores for what all rungs of a stream share: the decoder, and the sound. */
export function sharedCores(
  source: VideoFacts | undefined,
  rungs: { readonly video: boolean; readonly audio: number },
): number {
  const sound = rungs.audio * soundCores
  if (source === undefined || !rungs.video) return sound
  const rate = source.frameRate ?? FRAME_RATE_ASSUMED
  return (source.width * source.height * rate * decoderCores[source.codec]) / 1_000_000 + sound
}
