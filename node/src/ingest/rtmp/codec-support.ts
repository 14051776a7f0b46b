/**
 * The codecs that publishers may send over RTMP, by their FourCC of Enhanced RTMP, and the words that refuse all others.
 */
import { KairoError } from '../../errors.ts'
import type { AudioCodec, VideoCodec } from '../../media/access-unit.ts'

/** Video codecs by FourCC. */
export const videoFourCcs: ReadonlyMap<string, VideoCodec> = new Map([
  ['avc1', 'h264'],
  ['hvc1', 'hevc'],
  ['av01', 'av1'],
  ['vp09', 'vp9'],
])

/** Audio codecs by FourCC. */
export const audioFourCcs: ReadonlyMap<string, AudioCodec> = new Map([
  ['mp4a', 'aac'],
  ['Opus', 'opus'],
  ['fLaC', 'flac'],
])

/** What people call the codecs, those that are taken and those that publishers are likely to try. */
const codecNames: Readonly<Record<string, string>> = {
  '.mp3': 'MP3',
  'ac-3': 'AC-3',
  'ec-3': 'E-AC-3',
  avc1: 'H.264',
  av01: 'AV1',
  fLaC: 'FLAC',
  hvc1: 'HEVC',
  mp4a: 'AAC',
  vp08: 'VP8',
  vp09: 'VP9',
  vvc1: 'VVC',
}

/**
 * The video codec of a FourCC.
 * @throws KairoError `ERR_UNSUPPORTED_CODEC`, naming what was sent and everything that is taken.
 */
export function requireVideoCodec(fourCc: string): VideoCodec {
  const codec = videoFourCcs.get(fourCc)
  if (codec === undefined) throw refusal(fourCc, videoFourCcs)
  return codec
}

/**
 * The audio codec of a FourCC.
 * @throws KairoError `ERR_UNSUPPORTED_CODEC`, naming what was sent and everything that is taken.
 */
export function requireAudioCodec(fourCc: string): AudioCodec {
  const codec = audioFourCcs.get(fourCc)
  if (codec === undefined) throw refusal(fourCc, audioFourCcs)
  return codec
}

function refusal(sent: string, taken: ReadonlyMap<string, string>): KairoError {
  const readable = /^[\x20-\x7e]+$/.test(sent) ? sent : 'an unnamed codec'
  const list = [...taken.keys()].map(named).join(', ')
  return new KairoError(
    'ERR_UNSUPPORTED_CODEC',
    `the publisher sends ${named(readable)}; this peer takes ${list} here`,
  )
}

function named(fourCc: string): string {
  const name = codecNames[fourCc]
  return name === undefined ? fourCc : `${name} (${fourCc})`
}
