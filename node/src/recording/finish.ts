/** A recording becomes a video: what can be played from beginning to end stays, the rest goes. */
import { rm, stat } from 'node:fs/promises'
import type { Registry } from 'prom-client'
import type { ArchivedSegment } from '../content/archive/presentation.ts'
import { SegmentLog, segmentFilePath, segmentLogNames } from '../content/archive/segment-log.ts'
import { selectRenditions } from './selection.ts'

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
