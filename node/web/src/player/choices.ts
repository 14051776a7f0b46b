/** What a viewer may choose of a stream: qualities, sound tracks, captions; read from hls.js, kept as names that outlast it. */

import type Hls from 'hls.js'
import type { Level, MediaPlaylist } from 'hls.js'
import { bitrate, linesText } from '../shared/format.ts'

/** One line of a menu. */
export interface Choice {
  readonly id: string
  readonly label: string
  /** Smaller text beside the label. */
  readonly detail: string
  readonly selected: boolean
}

/** Every menu of a stream at one moment. */
export interface Choices {
  /** Empty where the browser plays HLS by itself and lets nobody choose. */
  readonly qualities: readonly Choice[]
  /** What is played now, as `720p`; empty when unknown. */
  readonly playing: string
  readonly sounds: readonly Choice[]
  /** Without the choice to have none. */
  readonly captions: readonly Choice[]
}

/** Id of the choice to let the player choose. */
export const autoId = 'auto'

/** Name of a rendition from the address of its playlist, `/live/test/720p/media.m3u8`. */
export function renditionOf(url: string): string {
  const steps = url.split(/[?#]/, 1)[0]?.split('/') ?? []
  return steps.at(-2) ?? url
}

/** The qualities, best first, `Auto` before all. */
export function qualityChoices(hls: Hls, wanted: string): readonly Choice[] {
  const seen = new Map<string, Level>()
  for (const level of hls.levels) {
    const id = renditionOf(level.uri)
    if (!seen.has(id)) seen.set(id, level)
  }
  if (seen.size < 2) return []
  const now = hls.levels[hls.currentLevel]
  const selected = seen.has(wanted) ? wanted : autoId
  const rungs = [...seen].sort(([, a], [, b]) => b.height - a.height || b.bitrate - a.bitrate)
  const names = rungs.map(([, level]) => levelName(level))
  return [
    {
      id: autoId,
      label: 'Auto',
      detail: now === undefined || selected !== autoId ? '' : levelName(now),
      selected: selected === autoId,
    },
    ...rungs.map(([id, level], index) => {
      const name = names[index] as string
      const twin = names.filter((other) => other === name).length > 1
      return {
        id,
        // Two of one size are told apart by what they are called at the peer.
        label: twin ? `${name} · ${id}` : name,
        detail: bitrate(level.bitrate),
        selected: id === selected,
      }
    }),
  ]
}

/** Index of the level for a quality, with the sound that plays now; -1 for `auto` and for one that there is not. */
export function levelIndex(hls: Hls, id: string): number {
  if (id === autoId) return -1
  const group = hls.audioTracks[hls.audioTrack]?.groupId
  const fits = (level: Level) => renditionOf(level.uri) === id
  const same = hls.levels.findIndex(
    (level) => fits(level) && (group === undefined || level.audioGroups?.includes(group) === true),
  )
  return same >= 0 ? same : hls.levels.findIndex(fits)
}

/** `720p60`, `1080p HDR`, `Sound only`. */
export function levelName(
  level: Pick<Level, 'width' | 'height' | 'frameRate' | 'videoRange'>,
): string {
  if (level.height <= 0) return 'Sound only'
  const rate = level.frameRate > 31 ? String(Math.round(level.frameRate)) : ''
  const range = level.videoRange !== undefined && level.videoRange !== 'SDR' ? ' HDR' : ''
  return `${linesText(level)}${rate}${range}`
}

/** The sound tracks; none when there is only one. */
export function soundChoices(hls: Hls): readonly Choice[] {
  const tracks = hls.audioTracks
  if (tracks.length < 2) return []
  return tracks.map((track, index) => ({
    id: track.name,
    label: trackName(track),
    detail: channels(track),
    selected: index === hls.audioTrack,
  }))
}

/** A track's name; one that is only a language code is that language in the viewer's own. */
export function trackName({ name, lang }: Pick<MediaPlaylist, 'name' | 'lang'>): string {
  if (lang === undefined || name.toLowerCase() !== lang.toLowerCase()) return name
  try {
    return new Intl.DisplayNames(navigator.language, { type: 'language' }).of(lang) ?? name
  } catch {
    // Not a language code after all.
    return name
  }
}

function channels({ channels: text }: MediaPlaylist): string {
  const count = Number.parseInt(text ?? '', 10)
  if (!(count > 0)) return ''
  const names: Readonly<Record<number, string>> = { 1: 'mono', 2: 'stereo', 6: '5.1', 8: '7.1' }
  return names[count] ?? `${count} channels`
}

/** Id of captions that come as a playlist. */
export function subtitleId(track: Pick<MediaPlaylist, 'name'>): string {
  return `sub:${track.name}`
}

/** Id of captions that are inside the pictures (CEA-608). */
export function closedCaptionsId(label: string): string {
  return `cc:${label}`
}

/** The captions there are; `closed` are the labels of those inside the pictures. */
export function captionChoices(
  subtitles: readonly MediaPlaylist[],
  closed: readonly string[],
  wanted: string | undefined,
): readonly Choice[] {
  const choice = (id: string, label: string, detail: string) => ({
    id,
    label,
    detail,
    selected: id === wanted,
  })
  return [
    ...subtitles.map((track) => choice(subtitleId(track), trackName(track), '')),
    ...closed.map((label) => choice(closedCaptionsId(label), label, 'in the picture')),
  ]
}
