/** Presentations in memory, for tests of whoever shows them. */
import type {
  ArchivedRendition,
  ArchivedSegment,
  PlayableSource,
  Presentation,
} from '../../src/content/archive/presentation.ts'
import { type Digest, digestOf } from '../../src/content/digest.ts'
import type { RenditionInfo } from '../../src/content/stream.ts'
import { KairoError } from '../../src/errors.ts'

/** A source of what a test puts in. */
export class MemoryPresentations implements PlayableSource {
  readonly presentations = new Map<string, Presentation>()
  readonly objects = new Map<Digest, Buffer>()
  /** Objects that are not in RAM. */
  readonly cold = new Set<Digest>()

  get(id: string): Presentation | undefined {
    return this.presentations.get(id)
  }

  list(): readonly Presentation[] {
    return [...this.presentations.values()]
  }

  outline(id: string): Presentation | undefined {
    return this.get(id)
  }

  async open(id: string): Promise<Presentation> {
    const presentation = this.get(id)
    if (presentation === undefined) throw new KairoError('ERR_NOT_FOUND', 'no such video')
    return presentation
  }

  peek(digest: Digest): Buffer | undefined {
    return this.cold.has(digest) ? undefined : this.objects.get(digest)
  }

  async read(digest: Digest, options: { readonly signal: AbortSignal }): Promise<Buffer> {
    options.signal.throwIfAborted()
    const bytes = this.objects.get(digest)
    if (bytes === undefined) throw new KairoError('ERR_NOT_FOUND', 'no such object')
    return bytes
  }

  /** Keeps bytes and gives back their digest. */
  store(bytes: Buffer | string): Digest {
    const buffer = Buffer.from(bytes)
    const digest = digestOf(buffer)
    this.objects.set(digest, buffer)
    return digest
  }
}

/** Archived segments of equal length that follow each other, numbered from `firstMsn`. */
export function archivedSegments(
  count: number,
  init: {
    readonly firstMsn?: number
    readonly durationUs?: number
    readonly digestOf?: (msn: number) => Digest
    readonly initDigest?: Digest
    readonly startMs?: number
    readonly cuts?: readonly number[]
  } = {},
): ArchivedSegment[] {
  const { firstMsn = 0, durationUs = 2_000_000, startMs, cuts = [] } = init
  return Array.from({ length: count }, (_, index) => {
    const msn = firstMsn + index
    return {
      msn,
      digest: init.digestOf?.(msn) ?? msn.toString(16).padStart(64, '0'),
      bytes: 1_000,
      durationUs,
      startUs: index * durationUs,
      programDateTimeMs: startMs === undefined ? undefined : startMs + (index * durationUs) / 1_000,
      discontinuity: cuts.includes(msn),
      initDigest: init.initDigest ?? 'a'.repeat(64),
    }
  })
}

/** One rendition of these segments. */
export function archivedRendition(
  info: RenditionInfo,
  segments: readonly ArchivedSegment[],
): ArchivedRendition {
  return { info, segments, targetDurationS: 2 }
}
