/** What of a presentation goes into a file, and in which order its segments lie there. */
import { createHash } from 'node:crypto'
import type {
  ArchivedRendition,
  ArchivedSegment,
  Presentation,
} from '../../content/archive/presentation.ts'
import { KairoError } from '../../errors.ts'
import { downloadLimits } from '../../limits/upload.ts'

/** What a client asks for. */
export interface DownloadChoice {
  /** Name of the video rendition; undefined takes the best. */
  readonly rendition: string | undefined
  /** Name of the audio rendition; undefined takes the first, `none` no sound. */
  readonly audio: string | undefined
  /** Sound alone. */
  readonly audioOnly: boolean
}

/** One segment's place in the file. */
export interface PlannedSegment {
  /** Index of its track. */
  readonly track: number
  /** Index among the track's segments. */
  readonly index: number
  readonly segment: ArchivedSegment
}

/** A file to be made. */
export interface DownloadPlan {
  /** Id of the video. */
  readonly id: string
  /** Names the content: the same tracks with the same segments give the same key. */
  readonly key: string
  readonly tracks: readonly ArchivedRendition[]
  /** Segments of all tracks in the order of their times. */
  readonly order: readonly PlannedSegment[]
}

/** Changes when files are laid out otherwise, so that no old index is used. */
const LAYOUT = 'kairo-mp4-1'

/**
 * Chooses tracks and their order.
 * @throws KairoError `ERR_NOT_FOUND` for a rendition that is not there, `ERR_LOCKED` while it still grows, `ERR_LIMIT`.
 */
export function planDownload(presentation: Presentation, choice: DownloadChoice): DownloadPlan {
  if (!presentation.complete) {
    throw new KairoError(
      'ERR_LOCKED',
      'this video is still being made; download it once it is ready',
    )
  }
  const tracks = chooseTracks(presentation.renditions, choice).filter(
    ({ segments }) => segments.length > 0,
  )
  if (tracks.length === 0) throw new KairoError('ERR_NOT_FOUND', 'there is nothing to download')
  if (tracks.some(({ segments }) => segments.length > downloadLimits.segmentsMax)) {
    throw new KairoError('ERR_LIMIT', 'this video is too long for one file')
  }
  const hash = createHash('sha256').update(LAYOUT)
  const order: PlannedSegment[] = []
  for (const [track, { segments }] of tracks.entries()) {
    hash.update(`/${segments.length}`)
    for (const [index, segment] of segments.entries()) {
      hash.update(segment.digest).update(segment.initDigest)
      order.push({ track, index, segment })
    }
  }
  // Segments stay in their track's order even where a broken clock says otherwise.
  const times = tracks.map(({ segments }) => risingTimes(segments))
  const timeOf = ({ track, index }: PlannedSegment): number => times[track]?.[index] ?? 0
  order.sort((a, b) => timeOf(a) - timeOf(b) || a.track - b.track || a.index - b.index)
  return { id: presentation.id, key: hash.digest('hex'), tracks, order }
}

function risingTimes(segments: readonly ArchivedSegment[]): number[] {
  let latest = Number.NEGATIVE_INFINITY
  return segments.map(({ startUs }) => {
    latest = Math.max(latest, startUs)
    return latest
  })
}

function chooseTracks(
  renditions: readonly ArchivedRendition[],
  { rendition, audio, audioOnly }: DownloadChoice,
): ArchivedRendition[] {
  const videos = renditions.filter(({ info }) => info.kind === 'video')
  const sounds = renditions.filter(({ info }) => info.kind === 'audio')
  const best = videos.toSorted(
    (a, b) => b.info.height - a.info.height || b.info.bandwidthBps - a.info.bandwidthBps,
  )[0]
  const video = audioOnly ? undefined : pick(videos, rendition, best)
  const sound = audio === 'none' && !audioOnly ? undefined : pick(sounds, audio, sounds[0])
  return [video, sound].filter((track) => track !== undefined)
}

function pick(
  renditions: readonly ArchivedRendition[],
  name: string | undefined,
  fallback: ArchivedRendition | undefined,
): ArchivedRendition | undefined {
  if (name === undefined) return fallback
  const found = renditions.find(({ info }) => info.name === name)
  if (found !== undefined) return found
  const names = renditions.map(({ info }) => info.name).join(', ')
  throw new KairoError('ERR_NOT_FOUND', `there is no rendition ${name}; there are: ${names}`)
}
