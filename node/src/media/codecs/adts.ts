/**
 * AAC in ADTS frames, as MPEG-TS and `.aac` files carry it (ISO/IEC 14496-3 1.A.3.2): the raw frames, and the
 * AudioSpecificConfig that their headers stand for.
 */
import { KairoError } from '../../errors.ts'
import { aacSampleRates } from './aac.ts'

/** One frame without its ADTS header. */
export interface AdtsFrame {
  /** The raw AAC frame; a view into the input. */
  readonly data: Uint8Array
  /** AudioSpecificConfig of the frame, for `aacAudioConfig`. */
  readonly config: Uint8Array
  /** Samples a second of the core: with HE-AAC half of the output's. */
  readonly sampleRate: number
}

/** The frames of a piece of an ADTS stream. */
export interface AdtsFrames {
  readonly frames: readonly AdtsFrame[]
  /** Bytes used up; those behind it are the beginning of a frame and belong in front of the next piece. */
  readonly consumed: number
  /** Bytes among them that belong to no frame. */
  readonly skipped: number
}

const HEADER_BYTES = 7
const CRC_BYTES = 2
/** Samples of an ADTS frame with one raw data block; ADTS knows no 960. */
export const ADTS_FRAME_SAMPLES = 1_024

/**
 * Splits a piece of an ADTS stream; bytes that are no frame are passed over to the next sync word.
 * @throws KairoError `ERR_UNSUPPORTED_CODEC` for several raw blocks a frame and for channels that only the frames describe.
 */
export function adtsFrames(data: Uint8Array): AdtsFrames {
  const frames: AdtsFrame[] = []
  let offset = 0
  let skipped = 0
  while (offset + HEADER_BYTES <= data.byteLength) {
    const header = readHeader(data, offset)
    if (header === undefined) {
      offset += 1
      skipped += 1
      continue
    }
    const end = offset + header.frameBytes
    if (end > data.byteLength) break
    const { config, sampleRate, headerBytes } = header
    frames.push({ data: data.subarray(offset + headerBytes, end), config, sampleRate })
    offset = end
  }
  return { frames, consumed: offset, skipped }
}

interface AdtsHeader {
  readonly frameBytes: number
  readonly headerBytes: number
  readonly config: Uint8Array
  readonly sampleRate: number
}

/** The header at `offset`; undefined when there is none. */
function readHeader(data: Uint8Array, offset: number): AdtsHeader | undefined {
  const [first = 0, second = 0, third = 0, fourth = 0, fifth = 0, sixth = 0, seventh = 0] =
    data.subarray(offset, offset + HEADER_BYTES)
  // Sync word of twelve ones, then layer 0; the MPEG version between them does not matter.
  if (first !== 0xff || (second & 0xf6) !== 0xf0) return undefined
  const rateIndex = (third >> 2) & 15
  const sampleRate = aacSampleRates[rateIndex]
  const channels = ((third & 1) << 2) | (fourth >> 6)
  const frameBytes = ((fourth & 3) << 11) | (fifth << 3) | (sixth >> 5)
  const headerBytes = HEADER_BYTES + ((second & 1) === 1 ? 0 : CRC_BYTES)
  if (sampleRate === undefined || frameBytes <= headerBytes) return undefined
  if ((seventh & 3) !== 0) {
    throw new KairoError('ERR_UNSUPPORTED_CODEC', 'ADTS frames with several AAC blocks')
  }
  if (channels === 0) {
    throw new KairoError(
      'ERR_UNSUPPORTED_CODEC',
      'AAC whose channels are described inside its frames; send mono, stereo or 5.1',
    )
  }
  const objectType = (third >> 6) + 1
  const config = Uint8Array.of(
    (objectType << 3) | (rateIndex >> 1),
    ((rateIndex & 1) << 7) | (channels << 3),
  )
  return { frameBytes, headerBytes, config, sampleRate }
}
