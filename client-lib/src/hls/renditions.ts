/** What the renditions of a player are called in the swarm, and where its parts lie. */
import type { Fragment, FragmentLoaderContext, Level, LevelDetails, MediaPlaylist } from 'hls.js'
import type { PartSource } from '../engine/part-request.ts'
import { partKey } from '../protocol/part-key.ts'
import { renditionName } from '../protocol/rendition-name.ts'

/** What of a player is looked at. */
export interface Tracks {
  readonly levels: readonly Level[]
  readonly allAudioTracks: readonly MediaPlaylist[]
}

/** A segment or part as hls.js has it. */
type Located = Pick<Fragment, 'url' | 'byteRange'>

/** A rendition of this player, by the kind of its playlist and its number there; undefined when there is none, or it is nothing for the swarm. */
export function renditionOf(
  tracks: Tracks | undefined,
  type: string,
  number: number,
): string | undefined {
  if (type === 'main') {
    const level = tracks?.levels[number]
    return level && levelName(level)
  }
  const track = tracks?.allAudioTracks.find(({ id }) => id === number)
  return type === 'audio' && track !== undefined ? trackName(track) : undefined
}

/** Where a part, or a whole segment, lies. */
export function sourceOf(
  rendition: string,
  located: Located,
  sequence: number,
  part: number | undefined,
): PartSource {
  const [from, to] = located.byteRange
  const key = partKey({ rendition, sequence, part })
  if (from === undefined || to === undefined) return { key, url: located.url }
  return { key, url: located.url, range: { from, to } }
}

/**
 * Where lies what a loader was asked for; undefined when it is nothing for the swarm: init segments, subtitles, a test of the bandwidth, and parts of sound. Those
 * are a kilobyte or less each, many a second, and in no tree: asking who has one takes longer than it does, and they would hold up the picture.
 */
export function sourceOfContext(
  tracks: Tracks | undefined,
  { frag, part, url, rangeStart, rangeEnd }: FragmentLoaderContext,
): PartSource | undefined {
  const { sn, type, level, bitrateTest } = frag
  if (typeof sn !== 'number' || bitrateTest || !isWeb(url)) return undefined
  if (part !== null && type !== 'main') return undefined
  const rendition = renditionOf(tracks, type, level)
  if (rendition === undefined) return undefined
  const byteRange: [number, number] | [] = rangeEnd ? [rangeStart ?? 0, rangeEnd] : []
  return sourceOf(rendition, { url, byteRange }, sn, part?.index)
}

/** Whether a player loads parts of that playlist, not whole segments alone. */
export function hasParts(details: LevelDetails, isLowLatency: boolean): boolean {
  return isLowLatency && (details.partList?.length ?? 0) > 0
}

/** Pages keep media in `blob:` and `data:` URLs, too, which are nobody else's. */
function isWeb(url: string): boolean {
  return /^https?:/i.test(url)
}

function levelName({ attrs, height }: Level): string {
  return renditionName({
    ...{ kind: 'main', codecs: attrs.CODECS, height, bitrate: Number(attrs.BANDWIDTH) },
    group: attrs.AUDIO,
  })
}

function trackName({ attrs }: MediaPlaylist): string {
  return renditionName({
    ...{ kind: 'audio', language: attrs.LANGUAGE, name: attrs.NAME },
    ...{ channels: attrs.CHANNELS, group: attrs['GROUP-ID'] },
  })
}
