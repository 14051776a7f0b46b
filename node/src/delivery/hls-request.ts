/**
 * What a request under `/live/` asks for. Parsing is strict: numbers have one spelling, so one object has one URL in every
 * cache on the way, and a delivery directive that this server does not know is refused instead of guessed at.
 */
import { RENDITION_NAME } from '../content/stream.ts'
import { KairoError } from '../errors.ts'
import { INIT_PREFIX } from './segment-lines.ts'

/** Delivery directives of a media playlist request (RFC 8216bis 6.2.5). */
export interface PlaylistDirectives {
  readonly msn: number | undefined
  readonly part: number | undefined
  readonly skip: boolean
}

/** One request for something of a live stream. */
export type HlsRequest =
  | { readonly kind: 'master'; readonly stream: string }
  | { readonly kind: 'still'; readonly stream: string }
  | { readonly kind: 'manifest'; readonly stream: string }
  | {
      readonly kind: 'playlist'
      readonly stream: string
      readonly rendition: string
      readonly directives: PlaylistDirectives
    }
  | {
      readonly kind: 'part'
      readonly stream: string
      readonly rendition: string
      readonly msn: number
      readonly part: number
    }
  | {
      readonly kind: 'segment'
      readonly stream: string
      readonly rendition: string
      readonly msn: number
      /** What its name ends in: captions are text, everything else is CMAF. */
      readonly format: SegmentFormat
    }
  | {
      readonly kind: 'init'
      readonly stream: string
      readonly rendition: string
      /** First 16 hex digits of the init segment's digest. */
      readonly prefix: string
    }
  | {
      readonly kind: 'init-at'
      readonly stream: string
      readonly rendition: string
      /** The segment whose init segment is asked for. */
      readonly msn: number
    }

/** `m4s` is CMAF, `vtt` is WebVTT. */
export type SegmentFormat = 'm4s' | 'vtt'

/** Aliases and ids of streams. */
export const STREAM_NAME = /^[a-z0-9][a-z0-9-]{0,95}$/
/** One spelling a number, and always a safe integer. */
const NUMBER_PATTERN = /^(?:0|[1-9][0-9]{0,14})$/
const PART_NUMBER_PATTERN = /^(?:0|[1-9][0-9]{0,8})$/
const DIRECTIVE_PREFIX = '_HLS_'
const NO_DIRECTIVES: PlaylistDirectives = { msn: undefined, part: undefined, skip: false }

/**
 * Reads path and query; undefined when the path names nothing of ours.
 * @throws KairoError `ERR_INVALID_INPUT` for malformed numbers and directives, `ERR_NOT_FOUND` for names no stream can have.
 */
export function parseHlsRequest(path: string, query: string): HlsRequest | undefined {
  if (!path.startsWith('/live/')) return undefined
  const steps = path.slice('/live/'.length).split('/')
  const [stream = '', rendition = '', file = ''] = steps
  if (steps.length === 2) {
    if (rendition === 'master.m3u8') return { kind: 'master', stream: streamName(stream) }
    if (rendition === 'still.mp4') return { kind: 'still', stream: streamName(stream) }
    if (rendition === 'manifest.mpd') return { kind: 'manifest', stream: streamName(stream) }
    return undefined
  }
  if (steps.length !== 3) return undefined
  const isPlaylist = file === 'media.m3u8'
  if (!isPlaylist && !/\.(?:m4s|vtt)$/.test(file) && !/^init-.*\.mp4$/.test(file)) return undefined
  const names = { stream: streamName(stream), rendition: renditionName(rendition) }
  if (isPlaylist) return { kind: 'playlist', ...names, directives: parseDirectives(query) }
  return { ...names, ...parseFile(file) }
}

type FileRequest =
  | { kind: 'part'; msn: number; part: number }
  | { kind: 'segment'; msn: number; format: SegmentFormat }
  | { kind: 'init'; prefix: string }
  | { kind: 'init-at'; msn: number }

function parseFile(file: string): FileRequest {
  if (file.startsWith('init-at-')) {
    const msn = file.slice('init-at-'.length, -'.mp4'.length)
    return { kind: 'init-at', msn: parseNumber(msn, NUMBER_PATTERN) }
  }
  if (file.startsWith('init-')) {
    const prefix = file.slice('init-'.length, -'.mp4'.length)
    if (!INIT_PREFIX.test(prefix)) throw invalid('an init segment is named by 16 hex digits')
    return { kind: 'init', prefix }
  }
  const format = file.endsWith('.vtt') ? 'vtt' : 'm4s'
  const numbers = file.slice(0, -'.m4s'.length).split('.')
  const [msn = '', part] = numbers
  if (numbers.length > (format === 'vtt' ? 1 : 2)) {
    throw invalid('a media file is named <msn>.m4s, <msn>.<part>.m4s or <msn>.vtt')
  }
  if (part === undefined) return { kind: 'segment', msn: parseNumber(msn, NUMBER_PATTERN), format }
  return {
    kind: 'part',
    msn: parseNumber(msn, NUMBER_PATTERN),
    part: parseNumber(part, PART_NUMBER_PATTERN),
  }
}

function parseDirectives(query: string): PlaylistDirectives {
  if (!query.includes(DIRECTIVE_PREFIX)) return NO_DIRECTIVES
  const values = new Map<string, string>()
  for (const pair of query.split('&')) {
    if (!pair.startsWith(DIRECTIVE_PREFIX)) continue
    const equals = pair.indexOf('=')
    const name = equals < 0 ? pair : pair.slice(0, equals)
    if (values.has(name)) throw invalid('a delivery directive appears twice')
    values.set(name, equals < 0 ? '' : pair.slice(equals + 1))
  }
  let directives = NO_DIRECTIVES
  for (const [name, value] of values) directives = { ...directives, ...directive(name, value) }
  if (directives.part !== undefined && directives.msn === undefined) {
    throw invalid('_HLS_part needs _HLS_msn')
  }
  return directives
}

function directive(name: string, value: string): Partial<PlaylistDirectives> {
  switch (name) {
    case '_HLS_msn':
      return { msn: parseNumber(value, NUMBER_PATTERN) }
    case '_HLS_part':
      return { part: parseNumber(value, PART_NUMBER_PATTERN) }
    case '_HLS_skip':
      if (value !== 'YES' && value !== 'v2') throw invalid('_HLS_skip is YES or v2')
      return { skip: true }
    default:
      throw invalid('an unknown delivery directive: _HLS_msn, _HLS_part and _HLS_skip are known')
  }
}

function parseNumber(text: string, pattern: RegExp): number {
  if (!pattern.test(text)) throw invalid('a sequence number is decimal, without leading zeros')
  return Number(text)
}

function streamName(name: string): string {
  if (!STREAM_NAME.test(name)) throw new KairoError('ERR_NOT_FOUND', 'no such stream')
  return name
}

function renditionName(name: string): string {
  if (!RENDITION_NAME.test(name)) throw new KairoError('ERR_NOT_FOUND', 'no such rendition')
  return name
}

function invalid(message: string): KairoError {
  return new KairoError('ERR_INVALID_INPUT', message)
}
