/**
 * The body of an FLV video tag, which is also an RTMP video message: legacy (Adobe FLV 10.1 E.4.3) and Enhanced RTMP v2.
 */
import { FlvCursor, type FlvTrackPacket, readExHeader, readTracks } from './ex-header.ts'

/** What a video message carries. */
export type FlvVideoPacketKind =
  | 'sequence-start'
  | 'coded-frames'
  | 'sequence-end'
  | 'metadata'
  | 'mpeg2ts-sequence-start'
  | 'command'
  | 'unknown'

/** One track's part of a video message. */
export interface FlvVideoTrackPacket extends FlvTrackPacket {
  /** Presentation minus decoding time in milliseconds, signed; 0 where the format has no such field. */
  readonly compositionMs: number
}

/** A parsed video message. */
export interface FlvVideoTag {
  readonly kind: FlvVideoPacketKind
  /** The publisher calls this picture seekable (frame type 1). */
  readonly keyframe: boolean
  /** Nanoseconds to add to the message's time. */
  readonly nanoOffset: number
  /** Empty for commands and for packet types that are not known. */
  readonly tracks: readonly FlvVideoTrackPacket[]
}

const FRAME_TYPE_KEY = 1
const FRAME_TYPE_COMMAND = 5
const CODED_FRAMES = 1
/** FourCC of legacy codec ids, where there is one (12 is the Chinese CDNs' HEVC), else a readable name. */
const LEGACY_CODECS: Readonly<Record<number, string>> = {
  2: 'Sorenson H.263',
  3: 'Screen video',
  4: 'VP6',
  5: 'VP6 with alpha',
  6: 'Screen video 2',
  7: 'avc1',
  12: 'hvc1',
}
const LEGACY_KINDS: readonly FlvVideoPacketKind[] = [
  'sequence-start',
  'coded-frames',
  'sequence-end',
]
const EX_KINDS: readonly FlvVideoPacketKind[] = [
  'sequence-start',
  'coded-frames',
  'sequence-end',
  'coded-frames',
  'metadata',
  'mpeg2ts-sequence-start',
]
/** Codecs whose coded frames begin with a composition time. */
const COMPOSED_CODECS = new Set(['avc1', 'hvc1', 'vvc1'])

/**
 * Parses a video message; undefined when it is empty, which old encoders send as filler.
 * @throws KairoError `ERR_PROTOCOL`, `ERR_LIMIT`.
 */
export function parseVideoTag(data: Uint8Array): FlvVideoTag | undefined {
  const first = data[0]
  if (first === undefined) return undefined
  const cursor = new FlvCursor(data)
  cursor.unsigned(1)
  const frameType = (first >> 4) & 7
  const keyframe = frameType === FRAME_TYPE_KEY
  if ((first & 0x80) !== 0) return parseEnhanced(cursor, frameType, first & 15)
  if (frameType === FRAME_TYPE_COMMAND) return command(0)
  const codec = LEGACY_CODECS[first & 15] ?? `FLV video codec ${first & 15}`
  if (!COMPOSED_CODECS.has(codec)) {
    const tracks = [{ trackId: 0, codec, compositionMs: 0, data: cursor.rest() }]
    return { kind: 'coded-frames', keyframe, nanoOffset: 0, tracks }
  }
  const kind = LEGACY_KINDS[cursor.unsigned(1)] ?? 'unknown'
  const compositionMs = signed24(cursor.unsigned(3))
  const tracks = [{ trackId: 0, codec, compositionMs, data: cursor.rest() }]
  return { kind, keyframe, nanoOffset: 0, tracks }
}

function parseEnhanced(cursor: FlvCursor, frameType: number, firstPacketType: number): FlvVideoTag {
  const { packetType, nanoOffset, multitrack } = readExHeader(cursor, 'video', firstPacketType)
  const kind = EX_KINDS[packetType] ?? 'unknown'
  if (frameType === FRAME_TYPE_COMMAND && kind !== 'metadata') return command(nanoOffset)
  const keyframe = frameType === FRAME_TYPE_KEY
  if (kind === 'unknown') return { kind, keyframe, nanoOffset, tracks: [] }
  const tracks = readTracks(cursor, multitrack).map((track) => {
    if (packetType !== CODED_FRAMES || !COMPOSED_CODECS.has(track.codec)) {
      return { ...track, compositionMs: 0 }
    }
    const body = new FlvCursor(track.data)
    const compositionMs = signed24(body.unsigned(3))
    return { ...track, compositionMs, data: body.rest() }
  })
  return { kind, keyframe, nanoOffset, tracks }
}

function command(nanoOffset: number): FlvVideoTag {
  return { kind: 'command', keyframe: false, nanoOffset, tracks: [] }
}

function signed24(value: number): number {
  return value >= 0x80_0000 ? value - 0x100_0000 : value
}
