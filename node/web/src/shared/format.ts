/** Numbers and names as people read them. */

import type { Rendition } from './api.ts'

/** A stream or a video, by what it is made of. */
export interface Renditions {
  readonly renditions: readonly Rendition[]
}

/** `12D3…x9Qz`: the end of a peer id tells peers apart, its beginning only its kind. */
export function shortPeerId(peerId: string): string {
  return peerId.length <= 12 ? peerId : `${peerId.slice(0, 4)}…${peerId.slice(-6)}`
}

/** Bits a second as `2.4 Mbit/s`. */
export function bitrate(bitsPerSecond: number): string {
  if (bitsPerSecond < 1_000_000) return `${Math.round(bitsPerSecond / 1_000)} kbit/s`
  return `${(bitsPerSecond / 1_000_000).toFixed(1)} Mbit/s`
}

/** Bytes as `12.4 MiB`. */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = count
  let unit = 0
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** Seconds as `1 d 4 h`, `3 min`, `12 s`: the two largest units. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const parts: string[] = []
  for (const [size, unit] of [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
    [1, 's'],
  ] as const) {
    const count =
      Math.floor(whole / size) % (unit === 'd' ? Number.POSITIVE_INFINITY : unit === 'h' ? 24 : 60)
    if (count > 0) parts.push(`${count} ${unit}`)
  }
  return parts.slice(0, 2).join(' ') || '0 s'
}

/** Seconds as players write them: `0:07`, `12:30`, `1:02:03`. */
export function clockTime(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const two = (value: number) => String(value).padStart(2, '0')
  const hours = Math.floor(whole / 3_600)
  const minutes = Math.floor(whole / 60) % 60
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}

/** The name of a codec by its RFC 6381 string. */
export function codecName(codec: string): string {
  const kind = codec.trim().split('.')[0] ?? ''
  const names: Readonly<Record<string, string>> = {
    avc1: 'H.264',
    avc3: 'H.264',
    hvc1: 'HEVC',
    hev1: 'HEVC',
    av01: 'AV1',
    vp09: 'VP9',
    mp4a: 'AAC',
    opus: 'Opus',
    Opus: 'Opus',
  }
  return names[kind] ?? kind
}

/** The video rendition that viewers get first: the largest. */
export function mainVideo(stream: Renditions): Rendition | undefined {
  return stream.renditions
    .filter((rendition) => rendition.kind === 'video')
    .reduce<Rendition | undefined>(
      (best, next) => (best === undefined || next.height > best.height ? next : best),
      undefined,
    )
}

/** `720p · 30 fps · H.264 + AAC`; empty when the stream tells nothing of its renditions. */
export function describeRenditions(stream: Renditions): string {
  const video = mainVideo(stream)
  const audio = stream.renditions.find((rendition) => rendition.kind === 'audio')
  const parts: string[] = []
  if (video !== undefined && video.height > 0) parts.push(linesText(video))
  if (video !== undefined && video.frameRate > 0) parts.push(`${Math.round(video.frameRate)} fps`)
  const codecs = [video, audio].filter((rendition) => rendition !== undefined)
  const names = new Set(codecs.flatMap(({ codecs }) => codecs.split(',')).map(codecName))
  names.delete('')
  if (names.size > 0) parts.push([...names].join(' + '))
  return parts.join(' · ')
}

/** `720p`, upright video too: renditions are named after the short side. */
export function linesText(size: { readonly width: number; readonly height: number }): string {
  return `${size.width > 0 ? Math.min(size.width, size.height) : size.height}p`
}

/** `1 viewer`, `3 viewers`. */
export function count(value: number, one: string, many = `${one}s`): string {
  return `${value} ${value === 1 ? one : many}`
}
