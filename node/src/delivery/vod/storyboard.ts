/** Scrubbing pictures as WebVTT: each cue names a piece of a sprite by a media fragment (W3C Media Fragments 4.2.2). */
import type { Storyboard } from '../../content/archive/presentation.ts'

/** The track's text; URLs are relative to it. */
export function storyboardTrack(storyboard: Storyboard, durationUs: number): string {
  const { columns, rows, count, intervalMs, width, height } = storyboard
  const tiles = columns * rows
  const lines = ['WEBVTT', '']
  for (let index = 0; index < count; index += 1) {
    const place = index % tiles
    const x = (place % columns) * width
    const y = Math.floor(place / columns) * height
    const isLast = index === count - 1
    const endMs = (index + 1) * intervalMs
    const until = isLast ? Math.max(endMs, Math.round(durationUs / 1_000)) : endMs
    lines.push(
      `${cueTime(index * intervalMs)} --> ${cueTime(until)}`,
      `storyboard/${Math.floor(index / tiles)}.jpg#xywh=${x},${y},${width},${height}`,
      '',
    )
  }
  return lines.join('\n')
}

function cueTime(ms: number): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const hours = Math.floor(ms / 3_600_000)
  const minutes = Math.floor(ms / 60_000) % 60
  const seconds = Math.floor(ms / 1_000) % 60
  return `${two(hours)}:${two(minutes)}:${two(seconds)}.${String(ms % 1_000).padStart(3, '0')}`
}
