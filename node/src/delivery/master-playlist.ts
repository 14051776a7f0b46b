/**
 * Multivariant ("master") playlists (RFC 8216bis 4.4.6), rendered from the signed record alone: every peer gives the same
 * bytes. Video and sound are separate renditions; a stream of one kind only has plain variants.
 */
import type { RenditionInfo } from '../content/stream.ts'

const PROTOCOL_VERSION = 6
const AUDIO_GROUP = 'audio'

/** The playlist's text for a stream of these renditions. */
export function renderMasterPlaylist(renditions: readonly RenditionInfo[]): string {
  const videos = renditions.filter((rendition) => rendition.kind === 'video')
  const audios = renditions.filter((rendition) => rendition.kind === 'audio')
  const lines = ['#EXTM3U', `#EXT-X-VERSION:${PROTOCOL_VERSION}`, '#EXT-X-INDEPENDENT-SEGMENTS']
  if (videos.length > 0) {
    for (const [index, audio] of audios.entries()) lines.push(audioTag(audio, index === 0))
  }
  for (const variant of videos.length > 0 ? videos : audios) {
    lines.push(variantTag(variant, videos.length > 0 ? audios : []), uriOf(variant))
  }
  lines.push('')
  return lines.join('\n')
}

function audioTag(audio: RenditionInfo, isDefault: boolean): string {
  return `#EXT-X-MEDIA:${[
    'TYPE=AUDIO',
    `GROUP-ID="${AUDIO_GROUP}"`,
    `NAME="${audio.name}"`,
    `DEFAULT=${isDefault ? 'YES' : 'NO'}`,
    'AUTOSELECT=YES',
    ...(audio.channels > 0 ? [`CHANNELS="${audio.channels}"`] : []),
    `URI="${uriOf(audio)}"`,
  ].join(',')}`
}

function variantTag(variant: RenditionInfo, audios: readonly RenditionInfo[]): string {
  const audioBps = audios.reduce((most, audio) => Math.max(most, audio.bandwidthBps), 0)
  const codecs = new Set([variant, ...audios].flatMap((rendition) => rendition.codecs.split(',')))
  const sized = variant.width > 0 && variant.height > 0
  return `#EXT-X-STREAM-INF:${[
    `BANDWIDTH=${Math.max(1, Math.ceil(variant.bandwidthBps + audioBps))}`,
    `CODECS="${[...codecs].join(',')}"`,
    ...(sized ? [`RESOLUTION=${variant.width}x${variant.height}`] : []),
    ...(variant.frameRate > 0 ? [`FRAME-RATE=${variant.frameRate.toFixed(3)}`] : []),
    ...(audios.length > 0 ? [`AUDIO="${AUDIO_GROUP}"`] : []),
  ].join(',')}`
}

function uriOf(rendition: RenditionInfo): string {
  return `${rendition.name}/media.m3u8`
}
