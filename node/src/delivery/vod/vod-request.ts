/** What a request under `/vod/` asks for. As strict as that for live streams: one object has one URL in every cache. */
import { RENDITION_NAME } from '../../content/stream.ts'
import { KairoError } from '../../errors.ts'
import type { SegmentFormat } from '../hls-request.ts'
import { INIT_PREFIX } from '../segment-lines.ts'

/** One request for something of a presentation. */
export type VodRequest = { readonly id: string } & (
  | { readonly kind: 'master' | 'manifest' | 'storyboard' | 'images' }
  | { readonly kind: 'sprite'; readonly number: number }
  | { readonly kind: 'playlist' | 'captions'; readonly rendition: string }
  | {
      readonly kind: 'segment'
      readonly rendition: string
      readonly msn: number
      readonly format: SegmentFormat
    }
  | { readonly kind: 'init'; readonly rendition: string; readonly prefix: string }
)

/** Ids of presentations. */
export const PRESENTATION_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,95}$/
const NUMBER_PATTERN = /^(?:0|[1-9][0-9]{0,14})$/
const SEGMENT_PATTERN = /^([^.]*)\.(m4s|vtt)$/
const INIT_PATTERN = /^init-(.*)\.mp4$/
const WHOLE = {
  'master.m3u8': 'master',
  'manifest.mpd': 'manifest',
  'storyboard.vtt': 'storyboard',
} as const

/**
 * Reads a path; undefined when it names nothing of ours.
 * @throws KairoError `ERR_INVALID_INPUT` for malformed numbers, `ERR_NOT_FOUND` for names that nothing can have.
 */
export function parseVodRequest(path: string): VodRequest | undefined {
  if (!path.startsWith('/vod/')) return undefined
  const steps = path.slice('/vod/'.length).split('/')
  const [id = '', folder = '', file = ''] = steps
  if (steps.length === 2 && Object.hasOwn(WHOLE, folder)) {
    return { id: named(id, PRESENTATION_ID), kind: WHOLE[folder as keyof typeof WHOLE] }
  }
  if (steps.length !== 3) return undefined
  const request = folder === 'storyboard' ? parseSprite(file) : parseFile(folder, file)
  return request === undefined ? undefined : { id: named(id, PRESENTATION_ID), ...request }
}

type WithoutId<Request> = Request extends unknown ? Omit<Request, 'id'> : never

function parseSprite(file: string): WithoutId<VodRequest> | undefined {
  if (file === 'images.m3u8') return { kind: 'images' }
  if (!file.endsWith('.jpg')) return undefined
  return { kind: 'sprite', number: numbered(file.slice(0, -'.jpg'.length)) }
}

function parseFile(folder: string, file: string): WithoutId<VodRequest> | undefined {
  const rendition = (): string => named(folder, RENDITION_NAME)
  if (file === 'media.m3u8') return { kind: 'playlist', rendition: rendition() }
  if (file === 'captions.vtt') return { kind: 'captions', rendition: rendition() }
  const [, msn, format] = SEGMENT_PATTERN.exec(file) ?? []
  if (msn !== undefined && (format === 'm4s' || format === 'vtt')) {
    return { kind: 'segment', rendition: rendition(), msn: numbered(msn), format }
  }
  const [, prefix] = INIT_PATTERN.exec(file) ?? []
  if (prefix === undefined) return undefined
  if (!INIT_PREFIX.test(prefix)) {
    throw new KairoError('ERR_INVALID_INPUT', 'an init segment is named by 16 hex digits')
  }
  return { kind: 'init', rendition: rendition(), prefix }
}

function named(name: string, pattern: RegExp): string {
  if (!pattern.test(name)) throw new KairoError('ERR_NOT_FOUND', 'no such video or rendition')
  return name
}

function numbered(text: string): number {
  if (!NUMBER_PATTERN.test(text)) {
    throw new KairoError('ERR_INVALID_INPUT', 'a number is decimal, without leading zeros')
  }
  return Number(text)
}
