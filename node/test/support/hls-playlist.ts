/**
 * A small reader of media playlists for the checker (hls-checker.ts). It shares nothing with the code that renders them, so a
 * mistake made there is not made here again. Times are whole microseconds.
 */

/** One EXT-X-PART. */
export interface ReadPart {
  readonly uri: string
  readonly durationUs: number
  readonly independent: boolean
  readonly digest: string | undefined
}

/** One media segment; the open one has no URI yet. */
export interface ReadSegment {
  readonly msn: number
  uri: string | undefined
  durationUs: number
  parts: ReadPart[]
  pdtMs: number | undefined
  discontinuity: boolean
  /** URI of the EXT-X-MAP in force. */
  map: string | undefined
  digest: string | undefined
  /** Its lines as they stand. */
  lines: string[]
}

/** A media playlist taken apart. */
export interface ReadPlaylist {
  /** Every line, without the newline. */
  readonly lines: readonly string[]
  /** Playlist tags by name, every occurrence. */
  readonly tags: ReadonlyMap<string, readonly string[]>
  /** Lines before the first segment or EXT-X-SKIP. */
  readonly head: readonly string[]
  /** Lines after the last segment. */
  readonly tail: readonly string[]
  readonly skipped: number
  readonly mediaSequence: number
  readonly discontinuitySequence: number
  readonly targetDurationUs: number
  readonly partTargetUs: number
  readonly segments: readonly ReadSegment[]
  /** Things that are wrong with the syntax itself. */
  readonly faults: readonly string[]
}

const SEGMENT_TAGS = new Set([
  'EXT-X-DISCONTINUITY',
  'EXT-X-MAP',
  'EXT-X-PROGRAM-DATE-TIME',
  'EXT-X-PART',
  'EXTINF',
])
const TAIL_TAGS = new Set(['EXT-X-PRELOAD-HINT', 'EXT-X-RENDITION-REPORT', 'EXT-X-ENDLIST'])
const HEAD_TAGS = new Set([
  'EXTM3U',
  'EXT-X-VERSION',
  'EXT-X-TARGETDURATION',
  'EXT-X-SERVER-CONTROL',
  'EXT-X-PART-INF',
  'EXT-X-MEDIA-SEQUENCE',
  'EXT-X-DISCONTINUITY-SEQUENCE',
  'EXT-X-INDEPENDENT-SEGMENTS',
  'EXT-X-SKIP',
])

/** Attributes of an attribute list (RFC 8216bis 4.2); quoted strings lose their quotes. */
export function attributesOf(text: string): Map<string, string> {
  const attributes = new Map<string, string>()
  for (const match of text.matchAll(/([A-Z0-9-]+)=("[^"]*"|[^",]*)(?:,|$)/g)) {
    attributes.set(match[1] ?? '', (match[2] ?? '').replace(/^"|"$/g, ''))
  }
  return attributes
}

/** Decimal seconds as microseconds; NaN when the text is no such number. */
export function secondsToUs(text: string | undefined): number {
  if (text === undefined || !/^\d+(\.\d+)?$/.test(text)) return Number.NaN
  return Math.round(Number(text) * 1_000_000)
}

/** Takes a playlist apart; what is wrong with it goes to `faults`, nothing throws. */
export function readPlaylist(text: string): ReadPlaylist {
  const faults: string[] = []
  if (!text.endsWith('\n')) faults.push('the last line has no end')
  const lines = text.replace(/\n$/, '').split('\n')
  const tags = new Map<string, string[]>()
  const head: string[] = []
  const tail: string[] = []
  const segments: ReadSegment[] = []
  let open: ReadSegment | undefined
  let map: string | undefined
  const numberOf = (name: string): number => Number(tags.get(name)?.[0] ?? 0)
  const skipped = (): number =>
    Number(attributesOf(tags.get('EXT-X-SKIP')?.[0] ?? '').get('SKIPPED-SEGMENTS') ?? 0)
  const current = (): ReadSegment => {
    if (tail.length > 0) faults.push('a segment stands after the tags that end the playlist')
    open ??= {
      msn: numberOf('EXT-X-MEDIA-SEQUENCE') + skipped() + segments.length,
      uri: undefined,
      durationUs: Number.NaN,
      parts: [],
      pdtMs: undefined,
      discontinuity: false,
      map,
      digest: undefined,
      lines: [],
    }
    return open
  }
  for (const line of lines) {
    const match = /^#(EXT[^:]*)(?::(.*))?$/.exec(line)
    const name = match?.[1] ?? ''
    const value = match?.[2] ?? ''
    if (name !== '') tags.set(name, [...(tags.get(name) ?? []), value])
    if (HEAD_TAGS.has(name)) {
      if (segments.length > 0 || open !== undefined) faults.push(`${name} stands after a segment`)
      if (name !== 'EXT-X-SKIP') head.push(line)
    } else if (TAIL_TAGS.has(name)) {
      tail.push(line)
    } else if (SEGMENT_TAGS.has(name)) {
      const segment = current()
      segment.lines.push(line)
      const attributes = attributesOf(value)
      if (name === 'EXT-X-DISCONTINUITY') segment.discontinuity = true
      if (name === 'EXT-X-PROGRAM-DATE-TIME') segment.pdtMs = Date.parse(value)
      if (name === 'EXTINF') segment.durationUs = secondsToUs(value.split(',')[0])
      if (name === 'EXT-X-MAP') map = segment.map = attributes.get('URI')
      if (name === 'EXT-X-PART') {
        segment.parts.push({
          uri: attributes.get('URI') ?? '',
          durationUs: secondsToUs(attributes.get('DURATION')),
          independent: attributes.get('INDEPENDENT') === 'YES',
          digest: attributes.get('X-KAIRO-SHA256'),
        })
      }
    } else if (line.startsWith('#X-KAIRO-SEGMENT-SHA256:')) {
      const segment = current()
      segment.lines.push(line)
      segment.digest = line.slice(line.indexOf(':') + 1)
    } else if (line.startsWith('#X-KAIRO-SIGNATURE:')) {
      head.push(line)
    } else if (line.startsWith('#') || line === '') {
      faults.push(`an unexpected line: ${line}`)
    } else {
      const segment = current()
      segment.lines.push(line)
      segment.uri = line
      segments.push(segment)
      open = undefined
    }
  }
  if (open !== undefined) segments.push(open)
  return {
    lines,
    tags,
    head,
    tail,
    skipped: skipped(),
    mediaSequence: numberOf('EXT-X-MEDIA-SEQUENCE'),
    discontinuitySequence: numberOf('EXT-X-DISCONTINUITY-SEQUENCE'),
    targetDurationUs: numberOf('EXT-X-TARGETDURATION') * 1_000_000,
    partTargetUs: secondsToUs(
      attributesOf(tags.get('EXT-X-PART-INF')?.[0] ?? '').get('PART-TARGET'),
    ),
    segments,
    faults,
  }
}
