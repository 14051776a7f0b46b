/**
 * Opus configuration: the identification header that Ogg, Matroska and Enhanced RTMP carry (RFC 7845 5.1) and the `dOps` box
 * of MP4 (Opus-in-ISOBMFF 4.3.2), which says the same in the other byte order.
 */
import { KairoError } from '../../errors.ts'
import { codecLimits } from '../../limits/codecs.ts'
import type { AudioConfig } from '../access-unit.ts'

const MAGIC = Buffer.from('OpusHead', 'latin1')
const HEAD_BYTES = 19
const FAMILY_OFFSET = 18
/** Opus is decoded at 48 kHz whatever was encoded (RFC 7845 4). */
const SAMPLE_RATE = 48_000
/** 20 ms, what encoders send unless told otherwise. */
const SAMPLES_PER_PACKET = 960

/**
 * The configuration of a track from its identification header.
 * @throws KairoError `ERR_PROTOCOL` when it is malformed, `ERR_UNSUPPORTED_CODEC` for more channels than browsers play and for
 * mappings other than mono, stereo and surround.
 */
export function opusAudioConfig(head: Uint8Array): AudioConfig {
  const bytes = Buffer.from(head)
  // The upper half of the version is what makes headers incompatible.
  if (!bytes.subarray(0, 8).equals(MAGIC) || bytes.length < HEAD_BYTES || (bytes[8] ?? 0) > 15) {
    throw new KairoError('ERR_PROTOCOL', 'not an Opus identification header')
  }
  const channels = bytes[9] ?? 0
  const family = bytes[FAMILY_OFFSET] ?? 0
  if (channels === 0) throw new KairoError('ERR_PROTOCOL', 'an Opus track without channels')
  if (channels > codecLimits.channelsMax || family > 1 || (family === 0 && channels > 2)) {
    throw new KairoError(
      'ERR_UNSUPPORTED_CODEC',
      `Opus with ${channels} channels in mapping family ${family} is not supported; send mono, stereo or up to 7.1 surround`,
    )
  }
  const mapping = bytes.subarray(HEAD_BYTES, HEAD_BYTES + 2 + channels)
  if (family === 1) checkMapping(mapping, channels)
  const description = Buffer.alloc(11)
  description[1] = channels
  description.writeUInt16BE(bytes.readUInt16LE(10), 2) // pre-skip
  description.writeUInt32BE(bytes.readUInt32LE(12), 4) // input sample rate
  description.writeInt16BE(bytes.readInt16LE(16), 8) // output gain
  description[10] = family
  return {
    kind: 'audio',
    codec: 'opus',
    codecString: 'opus',
    sampleRate: SAMPLE_RATE,
    channels,
    samplesPerFrame: SAMPLES_PER_PACKET,
    description: family === 0 ? description : Buffer.concat([description, mapping]),
  }
}

/** Stream count, coupled count and, for each channel, which decoded channel it is; 255 is silence (RFC 7845 5.1.1). */
function checkMapping(mapping: Uint8Array, channels: number): void {
  const [streams = 0, coupled = 0, ...indices] = mapping
  const decoded = streams + coupled
  const whole = indices.length === channels && streams > 0 && coupled <= streams
  if (!whole || indices.some((index) => index >= decoded && index !== 255)) {
    throw new KairoError('ERR_PROTOCOL', 'an Opus channel mapping that does not add up')
  }
}
