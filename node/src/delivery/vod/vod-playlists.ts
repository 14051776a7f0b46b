/** HLS playlists of presentations: multivariant, media (RFC 8216bis 4.4.3.5), captions and images. */
import type {
  ArchivedRendition,
  CaptionFile,
  Presentation,
  Storyboard,
} from '../../content/archive/presentation.ts'
import type { RenditionInfo } from '../../content/stream.ts'
import { ArchivedLines } from '../archived-lines.ts'
import { renderMasterPlaylist } from '../master-playlist.ts'
import { formatSeconds, type PlaylistFormat } from '../segment-lines.ts'

const PROTOCOL_VERSION = 7
/** Bits that a pixel of a sprite takes, about; the playlist must declare a rate. */
const SPRITE_BITS_PER_PIXEL = 1

/** Renditions that have something to show. */
export function playableRenditions({ renditions }: Presentation): readonly ArchivedRendition[] {
  return renditions.filter(({ segments }) => segments.length > 0)
}

/** The multivariant playlist of a presentation. */
export function vodMaster(presentation: Presentation): string {
  const renditions = playableRenditions(presentation)
  const infos = [...renditions.map(({ info }) => info), ...presentation.captions.map(captionInfo)]
  const averageBps = new Map(
    renditions.map(({ info, segments }) => {
      const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0)
      const us = segments.reduce((sum, { durationUs }) => sum + durationUs, 0)
      // A declared peak that is too low must not be below the mean that is declared beside it.
      const average = us === 0 ? 0 : Math.round((bytes * 8_000_000) / us)
      return [info.name, Math.min(average, Math.ceil(info.bandwidthBps))]
    }),
  )
  const more = presentation.storyboard === undefined ? [] : [imageStream(presentation.storyboard)]
  return renderMasterPlaylist(infos, { averageBps, more })
}

/** A caption file as a rendition. */
export function captionInfo({ name, language, label }: CaptionFile): RenditionInfo {
  return {
    name,
    kind: 'captions',
    codecs: 'wvtt',
    bandwidthBps: 1_000,
    width: 0,
    height: 0,
    frameRate: 0,
    channels: 0,
    ...(language !== 'und' && language !== '' && { language }),
    ...(label !== '' && { label }),
  }
}

/** The lines of a media playlist in pieces, of which the long ones are kept in `lines`. */
export function vodMedia(
  presentation: Presentation,
  rendition: ArchivedRendition,
  lines: ArchivedLines,
): { readonly pieces: readonly Buffer[]; readonly tag: string } {
  const { segments } = rendition
  const rendered = lines.render({ segments, from: 0, to: segments.length })
  const head = [
    ...playlistHead(presentation, rendition.targetDurationS),
    `#EXT-X-MEDIA-SEQUENCE:${segments[0]?.msn ?? 0}`,
    '#EXT-X-INDEPENDENT-SEGMENTS',
    '',
  ].join('\n')
  const tail = presentation.complete ? '#EXT-X-ENDLIST\n' : ''
  return {
    pieces: [Buffer.from(head), ...rendered.pieces, Buffer.from(tail)],
    tag: `${head}${rendered.tag}${tail}`,
  }
}

/** The kept lines of a rendition's playlist. */
export function linesFor(rendition: ArchivedRendition): ArchivedLines {
  const format: PlaylistFormat = rendition.info.kind === 'captions' ? 'captions' : 'cmaf'
  return new ArchivedLines(format)
}

/** The playlist of a caption file: one segment as long as the presentation. */
export function captionPlaylist(presentation: Presentation): string {
  const { durationUs } = presentation
  return [
    ...playlistHead(presentation, Math.max(1, Math.ceil(durationUs / 1_000_000))),
    '#EXT-X-MEDIA-SEQUENCE:0',
    `#EXTINF:${formatSeconds(durationUs)},`,
    'captions.vtt',
    ...(presentation.complete ? ['#EXT-X-ENDLIST'] : []),
    '',
  ].join('\n')
}

/** The playlist of the sprites (Roku's and Apple's image media playlist, "HLS Image Media Playlists" 1.0). */
export function imagePlaylist(presentation: Presentation, storyboard: Storyboard): string {
  const { columns, rows, intervalMs, width, height, count, sprites } = storyboard
  const tiles = columns * rows
  const lines = sprites.flatMap((_digest, index) => {
    const pictures = Math.min(tiles, count - index * tiles)
    const seconds = (pictures * intervalMs) / 1_000
    return [
      `#EXTINF:${seconds},`,
      `#EXT-X-TILES:RESOLUTION=${width}x${height},LAYOUT=${columns}x${rows},DURATION=${intervalMs / 1_000}`,
      `${index}.jpg`,
    ]
  })
  return [
    ...playlistHead(presentation, Math.ceil((tiles * intervalMs) / 1_000)),
    '#EXT-X-MEDIA-SEQUENCE:0',
    '#EXT-X-IMAGES-ONLY',
    ...lines,
    ...(presentation.complete ? ['#EXT-X-ENDLIST'] : []),
    '',
  ].join('\n')
}

function playlistHead({ complete }: Presentation, targetDurationS: number): string[] {
  return [
    '#EXTM3U',
    `#EXT-X-VERSION:${PROTOCOL_VERSION}`,
    `#EXT-X-TARGETDURATION:${targetDurationS}`,
    `#EXT-X-PLAYLIST-TYPE:${complete ? 'VOD' : 'EVENT'}`,
  ]
}

function imageStream(storyboard: Storyboard): string {
  const { width, height } = storyboard
  const bps = spriteBps(storyboard)
  return `#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=${bps},RESOLUTION=${width}x${height},CODECS="jpeg",URI="storyboard/images.m3u8"`
}

/** Bits a second that a player takes for scrubbing pictures, about. */
export function spriteBps({ width, height, intervalMs }: Storyboard): number {
  return Math.max(1, Math.ceil((width * height * SPRITE_BITS_PER_PIXEL * 1_000) / intervalMs))
}
