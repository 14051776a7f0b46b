/**
 * Coded silence, which fills gaps in audio: a gap would stop players, a silent frame does not.
 *
 * AAC: raw AAC-LC frames (ISO/IEC 14496-3 4.4.2); decoders of HE-AAC take them too, as frames without the high-band extension.
 * Opus: CELT packets of 20 ms. FLAC: a frame of constant subframes (RFC 9639 9.2.4).
 */
import type { AudioConfig } from '../access-unit.ts'

/** By number of channels, in hexadecimal; each is one access unit with all its elements. */
const AAC_FRAMES: Readonly<Record<number, Buffer>> = {
  1: Buffer.from('00c800802380', 'hex'),
  2: Buffer.from('210049900219002380', 'hex'),
  3: Buffer.from('00c8008020840126400864008e', 'hex'),
  4: Buffer.from('00c80080208401264008640080' + '2c80080238', 'hex'),
  5: Buffer.from('00c80080208401264008640082' + '3004990021900238', 'hex'),
  6: Buffer.from('00c80080208401264008640082' + '3004990021900200b2002008e0', 'hex'),
}

const OPUS_FRAMES: Readonly<Record<number, Buffer>> = {
  1: Buffer.from('f8fffe', 'hex'),
  2: Buffer.from('fcfffe', 'hex'),
}
const OPUS_FRAME_SAMPLES = 960

/** Bytes of a metadata block's header, before STREAMINFO (RFC 9639 8.1). */
const FLAC_BLOCK_HEADER_BYTES = 4

/** A silent frame. */
export interface Silence {
  readonly data: Buffer
  readonly samples: number
}

/** A silent frame for a track, or undefined for layouts that have none here. */
export function silenceFor(config: AudioConfig): Silence | undefined {
  const { codec, channels, samplesPerFrame } = config
  if (codec === 'flac') return { data: flacSilence(config), samples: samplesPerFrame }
  const data = (codec === 'aac' ? AAC_FRAMES : OPUS_FRAMES)[channels]
  if (data === undefined) return undefined
  return { data, samples: codec === 'aac' ? samplesPerFrame : OPUS_FRAME_SAMPLES }
}

function flacSilence({ channels, samplesPerFrame, description }: AudioConfig): Buffer {
  const info = FLAC_BLOCK_HEADER_BYTES
  const bitsPerSample =
    ((((description[info + 12] ?? 0) & 1) << 4) | ((description[info + 13] ?? 0xf0) >> 4)) + 1
  // Fixed block size in 16 bits behind the header; rate and sample size as STREAMINFO has them; frame number 0.
  const head = Buffer.from([0xff, 0xf8, 0x70, (channels - 1) << 4, 0, 0, 0])
  head.writeUInt16BE(samplesPerFrame - 1, 5)
  // Of each channel a subframe header and one value, all zero.
  const body = Buffer.alloc(Math.ceil((channels * (8 + bitsPerSample)) / 8))
  const frame = Buffer.concat([head, Uint8Array.of(crc(head, 8, 0x07)), body])
  const check = crc(frame, 16, 0x8005)
  return Buffer.concat([frame, Uint8Array.of(check >> 8, check & 0xff)])
}

/** A cyclic redundancy check, most significant bit first, from zero (RFC 9639 9.1.8, 9.3). */
function crc(bytes: Uint8Array, width: 8 | 16, polynomial: number): number {
  const top = 1 << (width - 1)
  const mask = 2 ** width - 1
  let value = 0
  for (const byte of bytes) {
    value ^= byte << (width - 8)
    for (let bit = 0; bit < 8; bit++) {
      value = ((value & top) === 0 ? value << 1 : (value << 1) ^ polynomial) & mask
    }
  }
  return value
}
