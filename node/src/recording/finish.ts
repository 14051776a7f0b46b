/** A recording becomes a video: what can be played from beginning to end stays, the rest goes. */
import { rm, stat } from 'node:fs/promises'
import type { Registry } from 'prom-client'
import type { ArchivedSegment } from '../content/archive/presentation.ts'
import { SegmentLog, segmentFilePath, segmentLogNames } from '../content/archive/segment-log.ts'
import { recordingLimits as limits } from '../limits/recording.ts'

/** Segments of one rendition. */
export interface RecordedTrack {
  readonly name: string
  readonly segments: readonly Pick<ArchivedSegment, 'msn'>[]
}

/** What stays of a recording. */
export interface Selection {
  /** The rendition that the others are measured by; undefined when there is nothing. */
  readonly lead: string | undefined
  /** Renditions, and how many of their segments: up to the first gap. */
  readonly kept: ReadonlyMap<string, number>
  /** Renditions that were not there all the time. */
  readonly leftOut: readonly string[]
}

/**
 * Chooses what stays. Players need every rendition from the beginning to the end without gaps; encoders that were started late, or
 * stopped, have less. The source always stays. Pure.
 */
export function selectRenditions(tracks: readonly RecordedTrack[]): Selection {
  const whole = tracks
    .map(({ name, segments }) => ({ name, count: withoutGap(segments), segments }))
    .filter(({ count }) => count > 0)
  const lead =
    whole.find(({ name }) => name === 'source') ??
    whole.reduce<(typeof whole)[number] | undefined>(
      (most, one) => (most === undefined || one.count > most.count ? one : most),
      undefined,
    )
  const kept = new Map<string, number>()
  const leftOut: string[] = []
  if (lead === undefined) {
    return { lead: undefined, kept, leftOut: tracks.map(({ name }) => name) }
  }
  const from = firstOf(lead)
  const to = from + lead.count
  // Of a short recording half must be there.
  const slack = Math.min(limits.missingSegmentsMax, Math.floor(lead.count / 2))
  for (const one of whole) {
    const starts = firstOf(one) <= from + slack
    const lasts = firstOf(one) + one.count >= to - slack
    if (one === lead || (starts && lasts)) kept.set(one.name, one.count)
  }
  for (const { name } of tracks) if (!kept.has(name)) leftOut.push(name)
  return { lead: lead.name, kept, leftOut }
}

/** What is left of a folder. */
export interface TidyRecording {
  /** Segments of the rendition that leads. */
  readonly segments: readonly ArchivedSegment[]
  /** Names of the renditions that are left out. */
  readonly leftOut: readonly string[]
}

/**
 * Leaves in a folder only what can be played.
 * @throws KairoError `ERR_STORAGE`, the file system's error.
 */
export async function tidyRecording(
  components: { readonly registry: Registry },
  directory: string,
): Promise<TidyRecording> {
  const logs: SegmentLog[] = []
  for (const name of await segmentLogNames(directory)) {
    logs.push(await SegmentLog.open(components, { directory, name, writable: false }))
  }
  const { lead, kept, leftOut } = selectRenditions(logs)
  const leading = logs.find(({ name }) => name === lead)?.segments ?? []
  const segments = leading.slice(0, kept.get(lead ?? ''))
  for (const log of logs) {
    // Gaps lie between files: a log begins a new one behind each.
    const beyond = log.segments[kept.get(log.name) ?? 0]
    const from = beyond === undefined ? undefined : log.locate(beyond.digest)?.number
    if (kept.has(log.name) && from === undefined) continue
    for (const number of log.numbers) {
      if (kept.has(log.name) && number < (from ?? 0)) continue
      const path = segmentFilePath(directory, log.name, number)
      await rm(`${path}.index`, { force: true })
      await rm(`${path}.mp4`, { force: true })
    }
    await log.close()
  }
  return { segments, leftOut }
}

/** When a recording without a note began, about. */
export async function folderTimeMs(directory: string): Promise<number> {
  return Math.round((await stat(directory)).birthtimeMs)
}

function withoutGap(segments: RecordedTrack['segments']): number {
  const first = segments[0]
  if (first === undefined) return 0
  const gap = segments.findIndex(({ msn }, index) => msn !== first.msn + index)
  return gap === -1 ? segments.length : gap
}

function firstOf({ segments }: RecordedTrack): number {
  return segments[0]?.msn ?? 0
}
