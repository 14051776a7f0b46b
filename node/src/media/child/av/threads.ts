/** How many threads a decoder or an encoder gets: as few as keep up, since each costs processor time and a picture of delay. */
import { FRAME_RATE_ASSUMED, type VideoConfig } from '../../access-unit.ts'
import type { VideoRung } from '../../ladder/rung.ts'

/** What one thread of an ordinary core decodes, samples of luma a second: 1080p at 60, with room to spare. */
const DECODED_PER_THREAD = 1_920 * 1_080 * 62
/** What one thread encodes live beside the others: 480p at 60. With one thread only, encoding holds up decoding. */
const ENCODED_PER_THREAD = 854 * 480 * 62
/** More threads than this make pictures worse and gain little. */
const THREADS_MAX = 8

/** Threads of the decoder of a live source. */
export function decoderThreads(config: VideoConfig, cores: number): number {
  const rate = config.width * config.height * (config.frameRate ?? FRAME_RATE_ASSUMED)
  return clamp(rate / DECODED_PER_THREAD, cores)
}

/** Threads of a live rung's encoder. */
export function encoderThreads(rung: VideoRung, frameRate: number, cores: number): number {
  return clamp((rung.width * rung.height * frameRate) / ENCODED_PER_THREAD, cores)
}

function clamp(wanted: number, cores: number): number {
  return Math.max(1, Math.min(Math.ceil(wanted), cores, THREADS_MAX))
}
