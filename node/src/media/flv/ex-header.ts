/**
 * What the audio and video headers of Enhanced RTMP v2 share: FourCC, modifiers (ModEx) and multitrack framing
 * ("Enhanced Video" and "Enhanced Audio" of the specification by the Veovera Software Organization).
 */
import { KairoError } from '../../errors.ts'
import { bitstreamLimits } from '../../limits.ts'

/** The packet of one track inside a message. */
export interface FlvTrackPacket {
  /** Track number; 0 is the default track, and the only one of a message without multitrack framing. */
  readonly trackId: number
  /** FourCC (`avc1`, `hvc1`, `mp4a`, `Opus`), or a readable name for a legacy codec without one. */
  readonly codec: string
  /** The bytes after all FLV headers. */
  readonly data: Uint8Array
}

/** A cursor over one message's bytes. Every read past the end throws KairoError `ERR_PROTOCOL`. */
export class FlvCursor {
  readonly #data: Uint8Array
  #offset = 0

  constructor(data: Uint8Array) {
    this.#data = data
  }

  /** Bytes not yet read. */
  get left(): number {
    return this.#data.byteLength - this.#offset
  }

  /** An unsigned big-endian number of 1 to 3 bytes. */
  unsigned(bytes: number): number {
    const data = this.take(bytes)
    let value = 0
    for (const byte of data) value = value * 256 + byte
    return value
  }

  /** The next `bytes` bytes, not copied. */
  take(bytes: number): Uint8Array {
    if (bytes > this.left) throw new KairoError('ERR_PROTOCOL', 'an FLV tag ends too early')
    const start = this.#offset
    this.#offset += bytes
    return this.#data.subarray(start, this.#offset)
  }

  /** All that is left, not copied. */
  rest(): Uint8Array {
    return this.take(this.left)
  }

  /** Four characters naming a codec. */
  fourCc(): string {
    return String.fromCharCode(...this.take(4))
  }
}

/** The fields in front of the tracks. */
export interface ExHeader {
  /** Packet type after modifiers and multitrack framing; its meaning differs between audio and video. */
  readonly packetType: number
  /** Nanoseconds to add to the message's time (ModEx TimestampOffsetNano); 0 when absent. */
  readonly nanoOffset: number
  /** Undefined without multitrack framing. */
  readonly multitrack: 'one' | 'many' | 'many-codecs' | undefined
}

const PACKET_TYPE_MULTITRACK = 5
const PACKET_TYPE_MULTITRACK_VIDEO = 6
const PACKET_TYPE_MOD_EX = 7
const MOD_EX_TIMESTAMP_OFFSET_NANO = 0
const MULTITRACK_KINDS = ['one', 'many', 'many-codecs'] as const

/**
 * Reads modifiers and multitrack framing; `packetType` is the one of the first byte.
 * @throws KairoError `ERR_PROTOCOL`, `ERR_LIMIT` with more modifiers than make sense.
 */
export function readExHeader(
  cursor: FlvCursor,
  kind: 'video' | 'audio',
  firstPacketType: number,
): ExHeader {
  let packetType = firstPacketType
  let nanoOffset = 0
  let modifiers = 0
  while (packetType === PACKET_TYPE_MOD_EX) {
    modifiers += 1
    if (modifiers > bitstreamLimits.flvModifiersMax) {
      throw new KairoError('ERR_LIMIT', 'too many modifiers in one FLV tag')
    }
    let size = cursor.unsigned(1) + 1
    if (size === 256) size = cursor.unsigned(2) + 1
    const modifier = cursor.take(size)
    const next = cursor.unsigned(1)
    packetType = next & 15
    if (next >> 4 === MOD_EX_TIMESTAMP_OFFSET_NANO && modifier.byteLength >= 3) {
      nanoOffset = new FlvCursor(modifier).unsigned(3)
    }
  }
  const multitrackType = kind === 'video' ? PACKET_TYPE_MULTITRACK_VIDEO : PACKET_TYPE_MULTITRACK
  if (packetType !== multitrackType) return { packetType, nanoOffset, multitrack: undefined }
  const framing = cursor.unsigned(1)
  packetType = framing & 15
  const multitrack = MULTITRACK_KINDS[framing >> 4]
  if (multitrack === undefined || packetType === multitrackType) {
    throw new KairoError('ERR_PROTOCOL', 'unknown multitrack framing in an FLV tag')
  }
  return { packetType, nanoOffset, multitrack }
}

/**
 * Reads the tracks after the header.
 * @throws KairoError `ERR_PROTOCOL`, `ERR_LIMIT` with too many tracks in one message.
 */
export function readTracks(
  cursor: FlvCursor,
  multitrack: ExHeader['multitrack'],
): FlvTrackPacket[] {
  if (multitrack === undefined) {
    return [{ trackId: 0, codec: cursor.fourCc(), data: cursor.rest() }]
  }
  const sharedCodec = multitrack === 'many-codecs' ? undefined : cursor.fourCc()
  const tracks: FlvTrackPacket[] = []
  do {
    if (tracks.length >= bitstreamLimits.flvTracksMax) {
      throw new KairoError('ERR_LIMIT', 'too many tracks in one FLV tag')
    }
    const codec = sharedCodec ?? cursor.fourCc()
    const trackId = cursor.unsigned(1)
    const data = multitrack === 'one' ? cursor.rest() : cursor.take(cursor.unsigned(3))
    tracks.push({ trackId, codec, data })
  } while (cursor.left > 0)
  return tracks
}
