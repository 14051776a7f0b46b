/** Looks at what a library serves: every segment by the checker, and renditions as files for others to look at. */
import type { ArchivedRendition } from '../../src/content/archive/presentation.ts'
import type { VodLibrary } from '../../src/vod/library.ts'
import { type CheckedRendition, checkRenditions } from './cmaf-checker.ts'

const { signal } = new AbortController()

/** The whole rendition as one file. */
export async function assemble(library: VodLibrary, rendition: ArchivedRendition): Promise<Buffer> {
  const digests = [
    rendition.segments[0]?.initDigest ?? '',
    ...rendition.segments.map(({ digest }) => digest),
  ]
  return Buffer.concat(await Promise.all(digests.map((digest) => library.read(digest, { signal }))))
}

/** A rendition as the checker takes it: each segment is one part. */
async function checkable(
  library: VodLibrary,
  rendition: ArchivedRendition,
): Promise<CheckedRendition> {
  const inits = new Map<string, Buffer>()
  for (const { initDigest } of rendition.segments) {
    if (!inits.has(initDigest)) inits.set(initDigest, await library.read(initDigest, { signal }))
  }
  const parts = await Promise.all(
    rendition.segments.map(async (segment) => ({
      ...{ msn: segment.msn, part: 0, data: await library.read(segment.digest, { signal }) },
      ...{ durationUs: segment.durationUs, independent: true, endOfSegment: true },
      ...{ discontinuity: segment.discontinuity, init: inits.get(segment.initDigest) as Buffer },
      programDateTimeMs: Math.round(segment.startUs / 1_000),
    })),
  )
  return {
    ...{ name: rendition.info.name, parts, targetDurationS: rendition.targetDurationS },
    partTargetUs: Math.max(...parts.map(({ durationUs }) => durationUs)),
  }
}

/** Every rule that segments of a video break. H.264 and sound only: the checker reads no other pictures. */
export async function violations(library: VodLibrary, id: string): Promise<readonly unknown[]> {
  const found: unknown[] = []
  for (const rendition of library.get(id)?.renditions ?? []) {
    const { kind, codecs } = rendition.info
    if (kind === 'video' && !codecs.startsWith('avc1')) continue
    const name = rendition.info.name
    const broken = checkRenditions([{ ...(await checkable(library, rendition)), name }])
    // A segment of a file may hold several groups of pictures, which a live part may not.
    found.push(...broken.filter(({ rule }) => rule !== 'sync-inside'))
  }
  return found
}
