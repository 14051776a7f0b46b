/**
 * How many samples an audio frame holds. AAC frames are all alike; Opus packets say their length in their first byte, and a
 * publisher may change it from packet to packet; FLAC frames say it in their header, where the last block is often short.
 */
import type { AudioConfig } from '../access-unit.ts'

/** Opus counts at 48 kHz whatever was encoded (RFC 7845 4). */
const OPUS_SAMPLES_PER_MS = 48
/** A packet lasts 120 ms at most (RFC 6716 3.2.5). */
const OPUS_SAMPLES_MAX = 120 * OPUS_SAMPLES_PER_MS

/** Samples of a frame; those of the configuration where the frame does not say, or says what cannot be. */
export function frameSamples(config: AudioConfig, frame: Uint8Array): number {
  if (config.codec === 'aac') return config.samplesPerFrame
  const samples = config.codec === 'opus' ? opusSamples(frame) : flacSamples(frame)
  return samples ?? config.samplesPerFrame
}

/** Samples of an Opus packet at 48 kHz (RFC 6716 3.1, 3.2). */
function opusSamples(packet: Uint8Array): number | undefined {
  const [toc, counts = 0] = packet
  if (toc === undefined) return undefined
  const code = toc & 3
  const frames = code === 0 ? 1 : code < 3 ? 2 : counts & 0x3f
  const samples = frames * opusFrameMs(toc >> 3) * OPUS_SAMPLES_PER_MS
  return samples > 0 && samples <= OPUS_SAMPLES_MAX ? samples : undefined
}

function opusFrameMs(configuration: number): number {
  if (configuration < 12) return [10, 20, 40, 60][configuration & 3] ?? 20
  if (configuration < 16) return [10, 20][configuration & 1] ?? 20
  return [2.5, 5, 10, 20][configuration & 3] ?? 20
}

/** Samples of a FLAC frame (RFC 9639 9.1.1). */
function flacSamples(frame: Uint8Array): number | undefined {
  const [first, second = 0, sizes = 0] = frame
  if (first !== 0xff || (second & 0xfc) !== 0xf8) return undefined
  const code = sizes >> 4
  if (code === 1) return 192
  if (code >= 2 && code <= 5) return 576 << (code - 2)
  if (code >= 8) return 256 << (code - 8)
  if (code === 0) return undefined
  // Behind the frame's number, which is coded like a character of UTF-8.
  const at = 4 + numberBytes(frame[4] ?? 0)
  if (code === 6) return (frame[at] ?? 0) + 1
  return (((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0)) + 1
}

function numberBytes(lead: number): number {
  return lead < 0x80 ? 1 : Math.max(1, Math.clz32(~(lead << 24)))
}
