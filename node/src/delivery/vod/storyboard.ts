/** Scrubbing pictures as WebVTT: each cue names a piece of a sprite by a media fragment (W3C Media Fragments 4.2.2). */
import type { Storyboard } from '../../content/archive/presentation.ts'
import { serialiseWebVtt, type VttCue } from '../../media/captions/webvtt.ts'

/** The track's text; URLs are relative to it. */
export function storyboardTrack(storyboard: Storyboard, durationUs: number): string {
  const { columns, rows, count, intervalMs, width, height } = storyboard
  const tiles = columns * rows
  const cues = Array.from({ length: count }, (_, index): VttCue => {
    const place = index % tiles
    const x = (place % columns) * width
    const y = Math.floor(place / columns) * height
    const isLast = index === count - 1
    const endMs = (index + 1) * intervalMs
    return {
      startMs: index * intervalMs,
      endMs: isLast ? Math.max(endMs, Math.round(durationUs / 1_000)) : endMs,
      text: `storyboard/${Math.floor(index / tiles)}.jpg#xywh=${x},${y},${width},${height}`,
    }
  })
  return serialiseWebVtt(cues).toString()
}
