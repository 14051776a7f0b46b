/**
 * The manifest of a live stream (ISO/IEC 23009-1, DASH-IF Low-Latency Modes for DASH), a function of the record, the signed
 * indexes and the archive. docs/protocol/dash.md says why it is as it is.
 */
import type { RenditionInfo, StreamRecord } from '../../content/stream.ts'
import { dashLimits } from '../../limits/delivery-dash.ts'
import { initName } from '../segment-lines.ts'
import { TIME_PATH } from '../time-handler.ts'
import { adaptationSets } from './adaptation-sets.ts'
import type { TimedWindow } from './media-times.ts'
import type { Period } from './periods.ts'
import { segmentTemplate, type TimedSegment } from './segment-timeline.ts'
import { element, isoDuration } from './xml.ts'

const ISO_TIME = 'urn:mpeg:dash:utc:http-iso:2014'
const LIVE_PROFILES =
  'urn:mpeg:dash:profile:isoff-live:2011,http://www.dashif.org/guidelines/low-latency-live-v5'

/** One rendition as the manifest shows it. */
export interface ManifestRendition {
  readonly info: RenditionInfo
  /** Undefined for captions and what this peer does not follow: they are shown with the times of the one that leads. */
  readonly window: TimedWindow | undefined
  /** Last whole segment of captions that are followed. */
  readonly lastMsn?: number | undefined
}

/** Everything a live manifest is made from. */
export interface LiveManifestInit {
  readonly record: StreamRecord
  readonly renditions: readonly ManifestRendition[]
  readonly lead: TimedWindow
  readonly periods: readonly Period[]
  readonly targetDurationS: number
  readonly partTargetUs: number
  readonly ended: boolean
}

/**
 * Wall time that is zero of the presentation, Unix milliseconds: the beginning of the session, so that times of the presentation
 * and of the media are nearly the same. dash.js takes one for the other in captions.
 */
export function availabilityStartMs(record: StreamRecord): number {
  return Math.floor(record.startedAtMs / 1_000) * 1_000
}

/** The manifest's text. */
export function renderLiveManifest(init: LiveManifestInit): string {
  const { record, lead, periods, ended } = init
  const startMs = availabilityStartMs(record)
  const cadenceUs = ended ? undefined : cadenceOf(lead)
  const first = lead.segments[0]
  const last = lead.segments.at(-1)
  const from = first === undefined ? 0 : presentationMs(periods, first)
  const to = last === undefined ? 0 : presentationMs(periods, last) + last.durationUs / 1_000
  const dynamic = {
    type: 'dynamic',
    availabilityStartTime: isoTime(startMs),
    publishTime: isoTime(to),
    minimumUpdatePeriod: isoDuration(updatePeriodUs(init)),
    timeShiftBufferDepth: isoDuration(Math.max(1_000_000, Math.round((to - from) * 1_000))),
    // From the end of what is listed, which is ahead of the live edge by what is still to come of the open segment.
    suggestedPresentationDelay: isoDuration(latencyMs(init, cadenceUs) * 1_000 + (cadenceUs ?? 0)),
    maxSegmentDuration: isoDuration(init.targetDurationS * 1_000_000),
    minBufferTime: isoDuration(1_000_000),
  }
  // The last Period tells its duration, so the whole need not: players that change over take that for a shift too.
  const still = {
    type: 'static',
    maxSegmentDuration: isoDuration(init.targetDurationS * 1_000_000),
    minBufferTime: isoDuration(1_000_000),
  }
  const mpd = element(
    'MPD',
    {
      xmlns: 'urn:mpeg:dash:schema:mpd:2011',
      profiles: LIVE_PROFILES,
      ...(ended ? still : dynamic),
    },
    [
      ...(ended ? [] : [serviceDescription(latencyMs(init, cadenceUs))]),
      ...periods.map((_period, index) => renderPeriod(index, init, { cadenceUs, endMs: to })),
      ...(ended ? [] : [element('UTCTiming', { schemeIdUri: ISO_TIME, value: TIME_PATH })]),
    ],
  )
  return `<?xml version="1.0" encoding="UTF-8"?>\n${mpd}\n`
}

function renderPeriod(
  index: number,
  init: LiveManifestInit,
  facts: { readonly cadenceUs: number | undefined; readonly endMs: number },
): string {
  const { cadenceUs } = facts
  const period = shown(init, index)
  const startMs = availabilityStartMs(init.record)
  const inPeriod = (segments: readonly TimedSegment[]): readonly TimedSegment[] =>
    segments.filter(({ msn }) => msn >= period.firstMsn && msn < period.endMsn)
  const early =
    cadenceUs === undefined ? undefined : Math.max(0, cadenceUs - init.partTargetUs) / 1_000_000
  const sources = init.renditions.flatMap(
    ({ info, window, lastMsn = Number.POSITIVE_INFINITY }) => {
      // What is followed but has nothing yet is shown like what is not followed: it is about to come.
      const own = window === undefined || window.segments.length === 0 ? undefined : window
      const isText = info.kind === 'captions'
      // Captions are made when their segment has ended.
      const all = listed(own ?? init.lead, isText ? undefined : cadenceUs)
      const segments = inPeriod(all).filter(({ msn }) => msn <= lastMsn)
      const first = segments[0]
      if (first === undefined) return []
      const name = own === undefined ? `init-at-${first.msn}.mp4` : initName(first.initDigest)
      const template = segmentTemplate(
        {
          media: isText ? `${info.name}/$Number$.vtt` : `${info.name}/$Number$.m4s`,
          initialization: isText ? undefined : `${info.name}/${name}`,
          presentationTimeOffsetUs: period.offsetUs,
          availabilityTimeOffsetS: isText ? undefined : early,
        },
        segments,
      )
      return [{ info, media: [template] }]
    },
  )
  const reference = element(
    'ProducerReferenceTime',
    {
      id: 0,
      inband: 'false',
      type: 'encoder',
      wallClockTime: isoTime(period.startMs),
      presentationTime: period.offsetUs,
    },
    [element('UTCTiming', { schemeIdUri: ISO_TIME, value: TIME_PATH })],
  )
  const untilMs = init.periods[index + 1]?.startMs ?? facts.endMs
  // After the end only the first start is told and every duration: players that change over shift what they hold by it.
  const startUs = Math.round((period.startMs - startMs) * 1_000)
  const durationUs = Math.max(0, Math.round((untilMs - period.startMs) * 1_000))
  return element(
    'Period',
    {
      id: period.id,
      start: init.ended && index > 0 ? undefined : isoDuration(startUs),
      duration: init.ended ? isoDuration(durationUs) : undefined,
    },
    adaptationSets(sources, { producerReferenceTime: init.ended ? undefined : reference }),
  )
}

/**
 * A Period as it is shown. After the end the first begins with its first segment, where players that change over from the live
 * manifest take the presentation to begin.
 */
function shown({ periods, lead, ended }: LiveManifestInit, index: number): Period {
  const period = periods[index] as Period
  const first = lead.segments[0]
  if (!ended || index > 0 || first === undefined) return period
  return { ...period, startMs: presentationMs(periods, first), offsetUs: first.startUs }
}

/**
 * The segments to list. The open one is listed with the duration that it will most likely have, a little more rather than less:
 * players go on behind the end that they were told, and one that they were told too early makes them load the segment twice.
 * Captions and streams without a cadence show whole segments only.
 */
function listed(window: TimedWindow, cadenceUs: number | undefined): readonly TimedSegment[] {
  const { segments, open } = window
  const last = segments.at(-1)
  if (!open || last === undefined) return segments
  if (cadenceUs === undefined) return segments.slice(0, -1)
  // Sound ends with a whole frame, so its segments vary around the cadence of the pictures.
  const recent = segments.slice(-1 - dashLimits.cadenceSegments)
  const longest = recent.reduce((us, each) => Math.max(us, each.durationUs), cadenceUs)
  const durationUs = longest + dashLimits.openSegmentMarginUs
  return [...segments.slice(0, -1), { ...last, durationUs }]
}

/** How long segments are while they come regularly; undefined when they do not, so that no end can be foretold. */
function cadenceOf({ segments, open }: TimedWindow): number | undefined {
  const whole = open ? segments.slice(0, -1) : segments
  const recent = whole.slice(-dashLimits.cadenceSegments)
  if (recent.length < dashLimits.cadenceSegments) return undefined
  const durations = recent.map(({ durationUs }) => durationUs)
  const most = Math.max(...durations)
  return most - Math.min(...durations) <= dashLimits.cadenceJitterUs ? most : undefined
}

/** How often players look for news: often enough to find a new segment well before what they hold runs out. */
function updatePeriodUs({ targetDurationS }: LiveManifestInit): number {
  const { updatePeriodUsMin, updatePeriodUsMax } = dashLimits
  return Math.min(updatePeriodUsMax, Math.max(updatePeriodUsMin, targetDurationS * 500_000))
}

/** The distance from the live edge that the stream is made for, milliseconds. */
function latencyMs(init: LiveManifestInit, cadenceUs: number | undefined): number {
  const update = updatePeriodUs(init) / 1_000
  const segment = (cadenceUs === undefined ? init.targetDurationS * 1_000 : 0) + update
  return Math.round(segment + (3 * init.partTargetUs) / 1_000 + dashLimits.latencyReserveMs)
}

function serviceDescription(targetMs: number): string {
  return element('ServiceDescription', { id: 0 }, [
    element('Latency', {
      referenceId: 0,
      target: targetMs,
      min: Math.round(targetMs / 2),
      max: targetMs * 2,
    }),
    element('PlaybackRate', { min: '0.96', max: '1.04' }),
  ])
}

/** Wall time of a segment's first presentation as its Period puts it, Unix milliseconds. */
function presentationMs(periods: readonly Period[], segment: TimedSegment): number {
  const period = periods.findLast(({ firstMsn }) => firstMsn <= segment.msn)
  if (period === undefined) return 0
  return period.startMs + (segment.startUs - period.offsetUs) / 1_000
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
