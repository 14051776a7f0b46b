/**
 * What an elementary stream is, by its type and descriptors, and what Kairo makes of it.
 */
import type { Descriptor, StreamEntry } from './program-tables.ts'

/** A stream that Kairo takes, one that it does not, or data beside picture and sound. */
export type StreamKind =
  | { readonly kind: 'video'; readonly codec: 'h264' | 'hevc' }
  | { readonly kind: 'audio'; readonly codec: 'aac'; readonly language: string | undefined }
  | {
      readonly kind: 'audio'
      readonly codec: 'opus'
      readonly language: string | undefined
      /** Channel configuration of the Opus descriptor: 1 to 8 channels as in Vorbis order, 0 dual mono. */
      readonly channelConfiguration: number
    }
  | { readonly kind: 'unsupported'; readonly media: 'video' | 'audio'; readonly name: string }
  | { readonly kind: 'data' }

/** What may be sent, for messages to people. */
export const supportedInTransportStreams = 'H.264 or HEVC video, AAC (ADTS) or Opus audio'

const TYPE_H264 = 0x1b
const TYPE_HEVC = 0x24
const TYPE_AAC_ADTS = 0x0f
const TYPE_PRIVATE = 0x06
const TAG_REGISTRATION = 0x05
const TAG_LANGUAGE = 0x0a
const TAG_EXTENSION = 0x7f
const OPUS_EXTENSION = 0x80

const UNSUPPORTED_TYPES: Readonly<Record<number, readonly ['video' | 'audio', string]>> = {
  1: ['video', 'MPEG-1 video'],
  2: ['video', 'MPEG-2 video'],
  3: ['audio', 'MP2 or MP3'],
  4: ['audio', 'MP2 or MP3'],
  16: ['video', 'MPEG-4 part 2 video'],
  17: ['audio', 'AAC in LATM'],
  28: ['audio', 'MPEG-4 audio without ADTS'],
  32: ['video', 'MVC'],
  33: ['video', 'JPEG 2000'],
  45: ['audio', 'MPEG-H audio'],
  51: ['video', 'VVC'],
  66: ['video', 'AVS'],
  129: ['audio', 'AC-3'],
  130: ['audio', 'DTS'],
  131: ['audio', 'TrueHD'],
  135: ['audio', 'E-AC-3'],
  210: ['video', 'AVS2'],
  234: ['video', 'VC-1'],
}
/** Private streams, by the format that they are registered as. */
const UNSUPPORTED_FORMATS: Readonly<Record<string, readonly ['video' | 'audio', string]>> = {
  'AC-3': ['audio', 'AC-3'],
  EAC3: ['audio', 'E-AC-3'],
  'AC-4': ['audio', 'AC-4'],
  AV01: ['video', 'AV1'],
  VP09: ['video', 'VP9'],
  BSSD: ['audio', 'SMPTE 302M audio'],
  DTS1: ['audio', 'DTS'],
  DTS2: ['audio', 'DTS'],
  DTS3: ['audio', 'DTS'],
  'VC-1': ['video', 'VC-1'],
  drac: ['video', 'Dirac'],
}
/** Private streams by the descriptors of ETSI EN 300 468. */
const UNSUPPORTED_TAGS: Readonly<Record<number, readonly ['video' | 'audio', string]>> = {
  106: ['audio', 'AC-3'],
  122: ['audio', 'E-AC-3'],
  123: ['audio', 'DTS'],
}

/** Judges one stream of a program. */
export function streamKind({ type, descriptors }: StreamEntry): StreamKind {
  if (type === TYPE_H264) return { kind: 'video', codec: 'h264' }
  if (type === TYPE_HEVC) return { kind: 'video', codec: 'hevc' }
  const language = languageOf(descriptors)
  if (type === TYPE_AAC_ADTS) return { kind: 'audio', codec: 'aac', language }
  if (type !== TYPE_PRIVATE) return unsupported(UNSUPPORTED_TYPES[type])
  const format = descriptors
    .find(({ tag }) => tag === TAG_REGISTRATION)
    ?.content.toString('latin1', 0, 4)
  if (format === 'HEVC') return { kind: 'video', codec: 'hevc' }
  if (format === 'Opus') {
    return {
      kind: 'audio',
      codec: 'opus',
      language,
      channelConfiguration: opusChannels(descriptors),
    }
  }
  const byTag = descriptors.map(({ tag }) => UNSUPPORTED_TAGS[tag]).find((found) => found)
  return unsupported(byTag ?? UNSUPPORTED_FORMATS[format ?? ''])
}

function unsupported(found: readonly ['video' | 'audio', string] | undefined): StreamKind {
  if (found === undefined) return { kind: 'data' }
  return { kind: 'unsupported', media: found[0], name: found[1] }
}

/** Stereo when the stream does not say. */
function opusChannels(descriptors: readonly Descriptor[]): number {
  const opus = descriptors.find(
    ({ tag, content }) => tag === TAG_EXTENSION && content[0] === OPUS_EXTENSION,
  )
  return opus?.content[1] ?? 2
}

/** BCP 47 language of an ISO 639 descriptor (2.6.18): its three letters in their canonical, shorter form. */
function languageOf(descriptors: readonly Descriptor[]): string | undefined {
  const content = descriptors.find(({ tag }) => tag === TAG_LANGUAGE)?.content
  const code = content?.toString('latin1', 0, 3).toLowerCase() ?? ''
  if (!/^[a-z]{3}$/.test(code) || code === 'und') return undefined
  return Intl.getCanonicalLocales(code)[0]
}
