/** The manifest of a recording: what its segment logs say of themselves. */
import type { Registry } from 'prom-client'
import type { AssetManifest, AssetRendition } from '../content/archive/asset-manifest.ts'
import { SegmentLog, segmentLogNames } from '../content/archive/segment-log.ts'
import { KairoError } from '../errors.ts'
import { targetDurationS, totalUs } from './segment-facts.ts'

/** A recording that lies in a folder. */
export interface Recorded {
  readonly id: string
  readonly title: string
  readonly createdAtMs: number
  readonly directory: string
}

/**
 * Reads the logs of a recording, cut back to their last whole segments. Renditions without segments or without a description are
 * left out.
 * @throws KairoError `ERR_MEDIA` when nothing is left, `ERR_STORAGE`.
 */
export async function recordedManifest(
  components: { readonly registry: Registry },
  recorded: Recorded,
): Promise<AssetManifest> {
  const { id, title, createdAtMs, directory } = recorded
  const renditions: AssetRendition[] = []
  let durationUs = 0
  for (const name of await segmentLogNames(directory)) {
    const log = await SegmentLog.open(components, { directory, name })
    const { segments, info } = log
    await log.close()
    if (info === undefined || segments.length === 0) continue
    durationUs = Math.max(durationUs, totalUs(segments))
    renditions.push({
      ...{ info, targetDurationS: targetDurationS(segments), segments: segments.length },
    })
  }
  if (renditions.length === 0) throw new KairoError('ERR_MEDIA', 'the recording holds no segments')
  return {
    ...{ id, title, createdAtMs, state: 'ready', error: undefined, sourceFile: undefined },
    ...{ origin: 'recording', durationUs, renditions, captions: [], storyboard: undefined },
  }
}
