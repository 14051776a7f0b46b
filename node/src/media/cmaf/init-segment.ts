/**
 * Init segments of CMAF tracks (ISO/IEC 23000-19 7.3.1): one track a file, no edit list, every sample described by its
 * fragment. Video and audio share one timeline, so players need no offset to put them together.
 */
import type { AudioConfig, VideoConfig } from '../access-unit.ts'
import { TICKS_PER_SECOND } from '../access-unit.ts'
import { box, fullBox, uint16, uint32 } from './box.ts'
import { audioSampleEntry, videoSampleEntry } from './sample-entry.ts'

/** Track id of the video track in its own file. */
export const VIDEO_TRACK_ID = 1
/** Track id of the audio track; differs from the video's so that a recorder may put both into one file. */
export const AUDIO_TRACK_ID = 2

/** Ticks a second of the movie header, which holds no durations here. */
const MOVIE_TIMESCALE = 1_000
/** Identity transformation matrix (ISO/IEC 14496-12 8.2.2). */
const MATRIX = uint32(0x00010000, 0, 0, 0, 0x00010000, 0, 0, 0, 0x40000000)
/** ISO 639-2 `und`, packed as three 5-bit letters. */
const LANGUAGE_UNDETERMINED = 0x55c4
/** Track is enabled, used in the presentation, used in previews. */
const TRACK_FLAGS = 0x000007
/** The init segment of a video track; timescale 90,000. */
export function videoInitSegment(config: VideoConfig): Buffer {
  return initSegment({
    trackId: VIDEO_TRACK_ID,
    timescale: TICKS_PER_SECOND,
    handler: 'vide',
    width: config.width,
    height: config.height,
    volume: 0,
    language: LANGUAGE_UNDETERMINED,
    mediaHeader: fullBox('vmhd', 0, 1, new Uint8Array(8)),
    entry: videoSampleEntry(config),
  })
}

/** The init segment of an audio track; its timescale is the sample rate, so that frame durations are exact. */
export function audioInitSegment(config: AudioConfig): Buffer {
  return initSegment({
    trackId: AUDIO_TRACK_ID,
    timescale: config.sampleRate,
    handler: 'soun',
    width: 0,
    height: 0,
    volume: 0x0100,
    language: packedLanguage(config.language),
    mediaHeader: fullBox('smhd', 0, 0, new Uint8Array(4)),
    entry: audioSampleEntry(config),
  })
}

interface TrackDescription {
  readonly trackId: number
  readonly timescale: number
  readonly handler: 'vide' | 'soun'
  readonly width: number
  readonly height: number
  readonly volume: number
  /** ISO 639-2 code, packed. */
  readonly language: number
  readonly mediaHeader: Buffer
  readonly entry: Buffer
}

function initSegment(track: TrackDescription): Buffer {
  const fileType = box(
    'ftyp',
    Buffer.from('iso6', 'latin1'),
    uint32(1),
    Buffer.from('iso6cmfcmp41', 'latin1'),
  )
  const movieHeader = fullBox(
    'mvhd',
    0,
    0,
    uint32(0, 0, MOVIE_TIMESCALE, 0, 0x00010000),
    uint16(0x0100, 0),
    new Uint8Array(8),
    MATRIX,
    new Uint8Array(24),
    uint32(track.trackId + 1),
  )
  const extends_ = box('mvex', fullBox('trex', 0, 0, uint32(track.trackId, 1, 0, 0, 0)))
  return Buffer.concat([fileType, box('moov', movieHeader, trackBox(track), extends_)])
}

function trackBox(track: TrackDescription): Buffer {
  const trackHeader = fullBox(
    'tkhd',
    0,
    TRACK_FLAGS,
    uint32(0, 0, track.trackId, 0, 0),
    new Uint8Array(8),
    uint16(0, 0, track.volume, 0),
    MATRIX,
    uint32(track.width * 0x10000, track.height * 0x10000),
  )
  const mediaHeader = fullBox(
    'mdhd',
    0,
    0,
    uint32(0, 0, track.timescale, 0),
    uint16(track.language, 0),
  )
  const handler = fullBox(
    'hdlr',
    0,
    0,
    uint32(0),
    Buffer.from(track.handler, 'latin1'),
    new Uint8Array(12),
    Buffer.from('kairo\0', 'latin1'),
  )
  // Flag 1 of the url box: the media lie in this file.
  const dataReference = box('dinf', fullBox('dref', 0, 0, uint32(1), fullBox('url ', 0, 1)))
  const sampleTable = box(
    'stbl',
    fullBox('stsd', 0, 0, uint32(1), track.entry),
    fullBox('stts', 0, 0, uint32(0)),
    fullBox('stsc', 0, 0, uint32(0)),
    fullBox('stsz', 0, 0, uint32(0, 0)),
    fullBox('stco', 0, 0, uint32(0)),
  )
  const mediaInformation = box('minf', track.mediaHeader, dataReference, sampleTable)
  return box('trak', trackHeader, box('mdia', mediaHeader, handler, mediaInformation))
}

/** A three-letter language as the media header packs it; others are undetermined there, and told in playlists only. */
function packedLanguage(language: string | undefined): number {
  if (language === undefined || !/^[a-z]{3}$/.test(language)) return LANGUAGE_UNDETERMINED
  const [first = 0, second = 0, third = 0] = Buffer.from(language, 'latin1')
  return ((first - 0x60) << 10) | ((second - 0x60) << 5) | (third - 0x60)
}
