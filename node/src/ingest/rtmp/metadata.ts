/**
 * `onMetaData`, the publisher's announcement of what it will send (Adobe FLV 10.1 E.5, and "Enhancing onMetaData" of Enhanced
 * RTMP v2 for several tracks).
 */
import { LANGUAGE_TAG } from '../../content/stream.ts'
import { codecLimits } from '../../limits/codecs.ts'
import type { AmfObject, AmfValue } from './amf-value.ts'

/** What this peer takes from the announcement; undefined means that it says nothing. */
export interface StreamMetadata {
  readonly video: boolean | undefined
  readonly audio: boolean | undefined
  /** Pictures a second. */
  readonly frameRate: number | undefined
  /** What it says of its audio tracks, by track id. */
  readonly audioTracks: ReadonlyMap<number, TrackInfo>
}

/** What a publisher says of one track for people; absent fields are not told. */
export interface TrackInfo {
  /** BCP 47 language, lower case. */
  readonly language?: string
  readonly label?: string
}

const FRAME_RATE_MAX = 480
const VIDEO_HINTS = ['videocodecid', 'width', 'height', 'videodatarate', 'framerate']
const AUDIO_HINTS = ['audiocodecid', 'audiodatarate', 'audiosamplerate', 'audiochannels']

/**
 * Reads the values of a data message; undefined when they are no `onMetaData`. Most encoders wrap it as
 * `@setDataFrame, onMetaData, {…}`.
 */
export function readMetadata(values: readonly AmfValue[]): StreamMetadata | undefined {
  const start = values[0] === '@setDataFrame' ? 1 : 0
  const fields = values[start + 1]
  if (values[start] !== 'onMetaData' || !(fields instanceof Map)) return undefined
  return {
    ...announcedKinds(fields),
    frameRate: positiveNumber(fields.get('framerate') ?? fields.get('fps')),
    audioTracks: trackInfos(fields.get('audioTrackIdInfoMap')),
  }
}

/**
 * An encoder that names one codec id and not the other says that there is no other track. Without any codec id, fields
 * that only make sense with a track announce it, and their absence says nothing.
 */
function announcedKinds(fields: AmfObject): Pick<StreamMetadata, 'video' | 'audio'> {
  const namesCodecs = fields.has('videocodecid') || fields.has('audiocodecid')
  const kind = (hints: readonly string[], codecId: string): boolean | undefined => {
    if (namesCodecs) return fields.has(codecId)
    return hints.some((hint) => fields.has(hint)) ? true : undefined
  }
  return { video: kind(VIDEO_HINTS, 'videocodecid'), audio: kind(AUDIO_HINTS, 'audiocodecid') }
}

/** The tracks of a `…TrackIdInfoMap`, keyed by the decimal text of their ids. */
function trackInfos(value: AmfValue): ReadonlyMap<number, TrackInfo> {
  const infos = new Map<number, TrackInfo>()
  if (!(value instanceof Map)) return infos
  for (const [key, fields] of value) {
    if (!/^\d{1,3}$/.test(key) || !(fields instanceof Map)) continue
    if (infos.size === codecLimits.tracksMax) break
    const language = languageOf(fields.get('language') ?? fields.get('lang'))
    const label = labelOf(fields.get('name') ?? fields.get('label') ?? fields.get('title'))
    infos.set(Number(key), {
      ...(language === undefined ? {} : { language }),
      ...(label === undefined ? {} : { label }),
    })
  }
  return infos
}

function languageOf(value: AmfValue): string | undefined {
  return typeof value === 'string' && LANGUAGE_TAG.test(value) ? value.toLowerCase() : undefined
}

/** A name on one line; control characters would reach playlists. */
function labelOf(value: AmfValue): string | undefined {
  if (typeof value !== 'string') return undefined
  const label = value
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, codecLimits.labelCharsMax)
  return label === '' ? undefined : label
}

function positiveNumber(value: AmfValue): number | undefined {
  const number = typeof value === 'string' ? Number.parseFloat(value) : value
  const usable = typeof number === 'number' && number > 0 && number <= FRAME_RATE_MAX
  return usable ? number : undefined
}
