/**
 * FLAC configuration: the STREAMINFO metadata block (RFC 9639 8.2), in the three forms that publishers and files use.
 */
import { KairoError } from '../../errors.ts'
import { codecLimits } from '../../limits/codecs.ts'
import type { AudioConfig } from '../access-unit.ts'
import { BitReader } from './bit-reader.ts'

const MAGIC = Buffer.from('fLaC', 'latin1')
const STREAM_INFO_BYTES = 34
const BLOCK_HEADER_BYTES = 4
/** The last block, of type STREAMINFO, 34 bytes long. */
const LAST_BLOCK_HEADER = Uint8Array.of(0x80, 0, 0, STREAM_INFO_BYTES)
/** Rates that fit the format are larger; nothing plays them. */
const SAMPLE_RATE_MAX = 192_000
const BLOCK_SAMPLES_MIN = 16

/**
 * The configuration of a track from STREAMINFO: bare, with its block header, or behind the `fLaC` marker of a file.
 * @throws KairoError `ERR_PROTOCOL` when it is malformed, `ERR_UNSUPPORTED_CODEC` for rates that nothing plays.
 */
export function flacAudioConfig(header: Uint8Array): AudioConfig {
  const info = streamInfoOf(header)
  const reader = new BitReader(info)
  reader.skip(16) // minimum block size
  const blockMax = reader.bits(16)
  reader.skip(24 + 24) // frame sizes
  const sampleRate = reader.bits(20)
  const channels = reader.bits(3) + 1
  if (blockMax < BLOCK_SAMPLES_MIN || sampleRate === 0) {
    throw new KairoError('ERR_PROTOCOL', 'FLAC without a usable block size or sample rate')
  }
  if (sampleRate > SAMPLE_RATE_MAX || channels > codecLimits.channelsMax) {
    throw new KairoError(
      'ERR_UNSUPPORTED_CODEC',
      `FLAC at ${sampleRate} Hz is not supported; send at most ${SAMPLE_RATE_MAX} Hz`,
    )
  }
  return {
    kind: 'audio',
    codec: 'flac',
    codecString: 'flac',
    sampleRate,
    channels,
    samplesPerFrame: blockMax,
    description: Buffer.concat([LAST_BLOCK_HEADER, info]),
  }
}

function streamInfoOf(header: Uint8Array): Uint8Array {
  if (header.byteLength === STREAM_INFO_BYTES) return header
  const marked = MAGIC.equals(header.subarray(0, MAGIC.byteLength))
  const block = marked ? header.subarray(MAGIC.byteLength) : header
  const end = BLOCK_HEADER_BYTES + STREAM_INFO_BYTES
  const isStreamInfo = ((block[0] ?? 0) & 0x7f) === 0 && block[3] === STREAM_INFO_BYTES
  if (block.byteLength < end || !isStreamInfo || block[1] !== 0 || block[2] !== 0) {
    throw new KairoError('ERR_PROTOCOL', 'not a FLAC stream header')
  }
  return block.subarray(BLOCK_HEADER_BYTES, end)
}
