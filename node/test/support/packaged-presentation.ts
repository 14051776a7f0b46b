// A video on demand in memory, made of real media: ffmpeg encodes, the packager cuts.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type {
  ArchivedRendition,
  ArchivedSegment,
  Presentation,
} from '../../src/content/archive/presentation.ts'
import { type Digest, digestOf } from '../../src/content/digest.ts'
import { readFlv } from './flv-reader.ts'
import { partnerPath } from './needs.ts'
import { PackagingRun } from './packaging-run.ts'

/** A presentation and the bytes of its objects. */
export interface PackagedPresentation {
  readonly presentation: Presentation
  readonly objects: Map<Digest, Buffer>
}

/** How the clip is made. */
export interface ClipInit {
  readonly seconds: number
  /** Pictures a second. Default 30. */
  readonly rate?: number
  /** Further options of ffmpeg's encoder. Default: B-frames and a keyframe a second. */
  readonly encoder?: readonly string[]
  /** Seconds by which the sound comes later. */
  readonly soundLate?: number
}

/** Encodes a clip with a running counter and a tone into `folder`; the path of the FLV file. */
export function encodeFlv(folder: string, init: ClipInit): string {
  const { seconds, rate = 30, soundLate = 0 } = init
  const file = join(folder, `clip-${seconds}-${rate}-${soundLate}.flv`)
  execFileSync(
    partnerPath('ffmpeg') ?? 'ffmpeg',
    [
      ...['-v', 'error', '-nostdin', '-y'],
      ...['-f', 'lavfi', '-i', `testsrc2=size=320x180:rate=${rate}:duration=${seconds}`],
      ...['-itsoffset', String(soundLate)],
      ...['-f', 'lavfi', '-i', `sine=frequency=440:sample_rate=48000:duration=${seconds}`],
      ...['-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-preset', 'veryfast', '-threads', '1'],
      ...(init.encoder ?? ['-bf', '2', '-g', String(rate), '-sc_threshold', '0']),
      ...['-c:a', 'aac', '-ac', '2', '-f', 'flv', file],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  return file
}

/** Packages an FLV file into a finished video. */
export function packagePresentation(file: string, title = 'A clip'): PackagedPresentation {
  const run = new PackagingRun()
  run.feed(readFlv(readFileSync(file), { width: 320, height: 180 })).end()
  const objects = new Map<Digest, Buffer>()
  const renditions = ['source', 'audio'].map((name): ArchivedRendition => {
    const announced = run.rendition(name)
    if (announced === undefined) throw new Error(`the packager made no ${name}`)
    const segments = new Map<number, ReturnType<PackagingRun['of']>[number][]>()
    for (const part of run.of(name)) {
      segments.set(part.msn, [...(segments.get(part.msn) ?? []), part])
    }
    return {
      info: announced.info,
      targetDurationS: announced.targetDurationS,
      segments: [...segments].map(([msn, parts]): ArchivedSegment => {
        const bytes = Buffer.concat(parts.map(({ data }) => data))
        const [first] = parts as [(typeof parts)[number]]
        const [digest, initDigest] = [digestOf(bytes), digestOf(first.init)]
        objects.set(digest, bytes).set(initDigest, first.init)
        return {
          ...{ msn, digest, initDigest, bytes: bytes.byteLength },
          durationUs: parts.reduce((sum, { durationUs }) => sum + durationUs, 0),
          startUs: first.startUs,
          programDateTimeMs: first.programDateTimeMs,
          discontinuity: first.discontinuity,
        }
      }),
    }
  })
  return {
    objects,
    presentation: {
      ...{ id: 'clip', title, createdAtMs: 1_700_000_000_000, complete: true },
      durationUs: renditions[0]?.segments.reduce((sum, one) => sum + one.durationUs, 0) ?? 0,
      ...{ renditions, captions: [], storyboard: undefined },
    },
  }
}

/** The presentation as a library gives it to downloads. */
export function libraryOf({ presentation, objects }: PackagedPresentation) {
  return {
    get(id: string): Presentation | undefined {
      return id === presentation.id ? presentation : undefined
    },
    peek: () => undefined,
    objects: {
      async read(digest: Digest): Promise<Buffer | undefined> {
        return objects.get(digest)
      },
    },
  }
}
