/**
 * The manifest of a presentation (ISO/IEC 23009-1, static): one Period for each stretch of continuous time and configuration,
 * with captions and scrubbing pictures where the whole is one Period.
 */
import type {
  ArchivedRendition,
  ArchivedSegment,
  CaptionFile,
  Presentation,
  Storyboard,
} from '../../content/archive/presentation.ts'
import { initName } from '../segment-lines.ts'
import { captionInfo, playableRenditions, spriteBps } from '../vod/vod-playlists.ts'
import { adaptationSets } from './adaptation-sets.ts'
import { segmentTemplate } from './segment-timeline.ts'
import { element, escapeXml, isoDuration } from './xml.ts'

interface Stretch {
  readonly firstMsn: number
  readonly endMsn: number
  readonly startUs: number
  readonly durationUs: number
  /** Time on the presentation's timeline at the start. */
  readonly offsetUs: number
}

/** The manifest's text, or undefined while there is nothing to play. */
export function renderStaticManifest(presentation: Presentation): string | undefined {
  const renditions = playableRenditions(presentation).filter(({ info }) => info.kind !== 'captions')
  const lead = renditions.find(({ info }) => info.kind === 'video') ?? renditions[0]
  if (lead === undefined) return undefined
  const stretches = stretchesOf(lead, renditions)
  const last = stretches.at(-1)
  const durationUs = (last?.startUs ?? 0) + (last?.durationUs ?? 0)
  const longest = Math.max(...renditions.map(({ targetDurationS }) => targetDurationS))
  const mpd = element(
    'MPD',
    {
      xmlns: 'urn:mpeg:dash:schema:mpd:2011',
      profiles: 'urn:mpeg:dash:profile:isoff-live:2011',
      type: 'static',
      mediaPresentationDuration: isoDuration(durationUs),
      maxSegmentDuration: isoDuration(longest * 1_000_000),
      minBufferTime: isoDuration(2_000_000),
    },
    [
      element('ProgramInformation', {}, [element('Title', {}, [escapeXml(presentation.title)])]),
      ...stretches.map((stretch, index) =>
        renderPeriod(stretch, index, {
          renditions,
          extras: stretches.length === 1 ? presentation : undefined,
        }),
      ),
    ],
  )
  return `<?xml version="1.0" encoding="UTF-8"?>\n${mpd}\n`
}

/** Where the leading rendition, or the configuration of any other, does not go on. */
function stretchesOf(
  lead: ArchivedRendition,
  renditions: readonly ArchivedRendition[],
): readonly Stretch[] {
  const cuts = new Set(renditions.flatMap(({ segments }) => cutsOf(segments)))
  const { segments } = lead
  const starts = segments.flatMap(({ msn }, index) => (index === 0 || cuts.has(msn) ? [index] : []))
  let startUs = 0
  return starts.map((from, index) => {
    const to = starts[index + 1] ?? segments.length
    const durationUs = segments.slice(from, to).reduce((us, segment) => us + segment.durationUs, 0)
    const first = segments[from] as ArchivedSegment
    const stretch = {
      firstMsn: index === 0 ? Number.NEGATIVE_INFINITY : first.msn,
      endMsn: segments[to]?.msn ?? Number.POSITIVE_INFINITY,
      startUs,
      durationUs,
      offsetUs: first.startUs,
    }
    startUs += durationUs
    return stretch
  })
}

function cutsOf(segments: readonly ArchivedSegment[]): number[] {
  return segments.flatMap((segment, index) => {
    const before = segments[index - 1]
    const changes = before !== undefined && before.initDigest !== segment.initDigest
    return index > 0 && (segment.discontinuity || changes) ? [segment.msn] : []
  })
}

function renderPeriod(
  stretch: Stretch,
  index: number,
  content: {
    readonly renditions: readonly ArchivedRendition[]
    /** Captions and pictures are of the whole presentation, so they stand in a Period that is the whole. */
    readonly extras: Presentation | undefined
  },
): string {
  const sources = content.renditions.flatMap(({ info, segments }) => {
    const own = segments.filter(({ msn }) => msn >= stretch.firstMsn && msn < stretch.endMsn)
    const first = own[0]
    if (first === undefined) return []
    const template = segmentTemplate(
      {
        media: `${info.name}/$Number$.m4s`,
        initialization: `${info.name}/${initName(first.initDigest)}`,
        presentationTimeOffsetUs: stretch.offsetUs,
      },
      own.map((segment) => ({ ...segment, wallMs: segment.programDateTimeMs })),
    )
    return [{ info, media: [template] }]
  })
  const { extras } = content
  const captions = (extras?.captions ?? []).map(captionSource)
  return element(
    'Period',
    {
      id: String(index),
      start: isoDuration(stretch.startUs),
      duration: isoDuration(stretch.durationUs),
    },
    [
      ...adaptationSets([...sources, ...captions]),
      ...(extras?.storyboard === undefined ? [] : [imageSet(extras.storyboard)]),
    ],
  )
}

function captionSource(file: CaptionFile) {
  const url = element('BaseURL', {}, [escapeXml(`${file.name}/captions.vtt`)])
  return { info: captionInfo(file), media: [url] }
}

/** Tiles of thumbnails (DASH-IF IOP 6.2.6). */
function imageSet(storyboard: Storyboard): string {
  const { columns, rows, width, height, intervalMs } = storyboard
  return element('AdaptationSet', { id: 300, contentType: 'image', mimeType: 'image/jpeg' }, [
    element('SegmentTemplate', {
      media: 'storyboard/$Number$.jpg',
      timescale: 1_000,
      duration: intervalMs * columns * rows,
      startNumber: 0,
    }),
    element(
      'Representation',
      {
        id: 'storyboard',
        bandwidth: spriteBps(storyboard),
        width: width * columns,
        height: height * rows,
      },
      [
        element('EssentialProperty', {
          schemeIdUri: 'http://dashif.org/thumbnail_tile',
          value: `${columns}x${rows}`,
        }),
      ],
    ),
  ])
}
