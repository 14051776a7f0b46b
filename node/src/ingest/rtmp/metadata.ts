/**
 * `onMetaData`, the publisher's announcement of what it will send (Adobe FLV 10.1 E.5).
 */
import type { AmfObject, AmfValue } from './amf-value.ts'

/** What this peer takes from the announcement; undefined means that it says nothing. */
export interface StreamMetadata {
  readonly video: boolean | undefined
  readonly audio: boolean | undefined
  /** Pictures a second. */
  readonly frameRate: number | undefined
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

function positiveNumber(value: AmfValue): number | undefined {
  const number = typeof value === 'string' ? Number.parseFloat(value) : value
  const usable = typeof number === 'number' && number > 0 && number <= FRAME_RATE_MAX
  return usable ? number : undefined
}
