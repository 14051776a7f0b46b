/**
 * The body of an FLV audio tag, which is also an RTMP audio message: legacy (Adobe FLV 10.1 E.4.2) and Enhanced RTMP v2.
 */
import { FlvCursor, type FlvTrackPacket, readExHeader, readTracks } from './ex-header.ts'

/** What an audio message carries. */
export type FlvAudioPacketKind =
  | 'sequence-start'
  | 'coded-frames'
  | 'sequence-end'
  | 'multichannel-config'
  | 'unknown'

/** A parsed audio message. */
export interface FlvAudioTag {
  readonly kind: FlvAudioPacketKind
  /** Nanoseconds to add to the message's time. */
  readonly nanoOffset: number
  /** Empty for packet types that are not known. */
  readonly tracks: readonly FlvTrackPacket[]
}

const SOUND_FORMAT_EX = 9
/** FourCC of legacy sound formats, where there is one, else a readable name. */
const LEGACY_CODECS: Readonly<Record<number, string>> = {
  0: 'PCM',
  1: 'ADPCM',
  2: '.mp3',
  3: 'PCM (little endian)',
  4: 'Nellymoser 16 kHz',
  5: 'Nellymoser 8 kHz',
  6: 'Nellymoser',
  7: 'G.711 A-law',
  8: 'G.711 mu-law',
  10: 'mp4a',
  11: 'Speex',
  13: 'Opus',
  14: '.mp3',
}
const EX_KINDS: Readonly<Record<number, FlvAudioPacketKind>> = {
  0: 'sequence-start',
  1: 'coded-frames',
  2: 'sequence-end',
  4: 'multichannel-config',
}
const AAC_KINDS: readonly FlvAudioPacketKind[] = ['sequence-start', 'coded-frames']

/**
 * Parses an audio message; undefined when it is empty, which Flash encoders send as silence.
 * @throws KairoError `ERR_PROTOCOL`, `ERR_LIMIT`.
 */
export function parseAudioTag(data: Uint8Array): FlvAudioTag | undefined {
  const first = data[0]
  if (first === undefined) return undefined
  const cursor = new FlvCursor(data)
  cursor.unsigned(1)
  const format = first >> 4
  if (format === SOUND_FORMAT_EX) {
    const header = readExHeader(cursor, 'audio', first & 15)
    const kind = EX_KINDS[header.packetType] ?? 'unknown'
    const tracks = kind === 'unknown' ? [] : readTracks(cursor, header.multitrack)
    return { kind, nanoOffset: header.nanoOffset, tracks }
  }
  const codec = LEGACY_CODECS[format] ?? `FLV sound format ${format}`
  const kind = codec === 'mp4a' ? (AAC_KINDS[cursor.unsigned(1)] ?? 'unknown') : 'coded-frames'
  return { kind, nanoOffset: 0, tracks: [{ trackId: 0, codec, data: cursor.rest() }] }
}
