/** Playlists, fragments and media elements as hls.js has them, made by hls.js's own parser where it lets itself be asked. */
import Hls, {
  type Fragment,
  type FragmentLoaderContext,
  type HlsConfig,
  type Level,
  type LevelDetails,
  type LoaderConfiguration,
  type Part,
} from 'hls.js'
import type { Media } from '../../src/hls/deadline.ts'

/** hls.js's settings as they are by default. */
export const defaults: HlsConfig = Hls.DefaultConfig

/** What hls.js's fragment loader hands over besides: its policy without retries. */
export const loaderConfig: LoaderConfiguration = {
  loadPolicy: { ...defaults.fragLoadPolicy.default, timeoutRetry: null, errorRetry: null },
  ...{ timeout: 0, maxRetry: 0, retryDelay: 0, maxRetryDelay: 0, highWaterMark: 131_072 },
}

/** What a context is made of. */
export interface ContextOf {
  readonly sn?: number | 'initSegment'
  readonly part?: number
  readonly type?: string
  readonly level?: number
  readonly start?: number
  readonly duration?: number
  readonly range?: readonly [number, number]
  readonly bitrateTest?: boolean
  readonly url?: string
}

/** A context as hls.js's fragment loader makes it. */
export function contextOf(of: ContextOf = {}): FragmentLoaderContext {
  const { sn = 7, type = 'main', level = 0, start = 28, duration = 4, bitrateTest = false } = of
  const url = of.url ?? `https://origin.example/v/${sn}.m4s`
  const frag = { sn, type, level, start, duration, end: start + duration, bitrateTest, url }
  const part =
    of.part === undefined ? null : { index: of.part, start, duration, end: start + duration, url }
  return {
    ...{ type: 'media-fragment' as FragmentLoaderContext['type'], responseType: 'arraybuffer' },
    frag: frag as unknown as Fragment,
    part: part as unknown as Part | null,
    ...{ url, headers: {}, rangeStart: of.range?.[0] ?? 0, rangeEnd: of.range?.[1] ?? 0 },
  }
}

/** A level of a master playlist. */
export function levelOf(attrs: Record<string, string>, height = 360): Level {
  return { attrs, height } as unknown as Level
}

/** What a playlist lists: its first segment's number, how many there are, and of the last ones the parts. */
export interface DetailsOf {
  readonly first: number
  readonly segments: number
  readonly live?: boolean
  /** Parts by the number of their segment. */
  readonly parts?: Readonly<Record<number, number>>
  readonly gaps?: readonly number[]
}

/** A media playlist as hls.js has it, with segments of 4 s and parts of 1 s. */
export function detailsOf({
  first,
  segments,
  live = true,
  parts,
  gaps = [],
}: DetailsOf): LevelDetails {
  const fragments = Array.from({ length: segments }, (_, index) => {
    const sn = first + index
    const url = `https://origin.example/v/${sn}.m4s`
    return { sn, url, byteRange: [], start: sn * 4, duration: 4, gap: gaps.includes(sn) }
  })
  const partList = Object.entries(parts ?? {}).flatMap(([sn, count]) =>
    Array.from({ length: count }, (_, index) => ({
      ...{
        index,
        fragment: { sn: Number(sn) },
        gap: false,
        byteRange: [index * 10, index * 10 + 10],
      },
      url: `https://origin.example/v/${sn}.mp4`,
    })),
  )
  return {
    ...{ live, fragments, partList: parts ? partList : null, endSN: first + segments - 1 },
    ...{ edge: (first + segments) * 4, targetduration: 4, partTarget: parts ? 1 : 0 },
  } as unknown as LevelDetails
}

/** A media element with something in its buffer. */
export function mediaOf(
  currentTime: number,
  ranges: readonly (readonly [number, number])[],
  playbackRate = 1,
): Media {
  const buffered = {
    length: ranges.length,
    start: (index: number) => ranges[index]?.[0] ?? 0,
    end: (index: number) => ranges[index]?.[1] ?? 0,
  }
  return { currentTime, playbackRate, buffered }
}
