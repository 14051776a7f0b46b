/**
 * What jobs with a remote end tell on their way, and how the peer reads it. A child has parsed a stranger's bytes with native code,
 * so its word is taken no further than its shape.
 */
import { z } from 'zod'
import { KairoError } from '../../../errors.ts'
import { pullLimits } from '../../../limits/pull.ts'
import type { Json } from '../job.ts'

const pushNoteSchema = z.discriminatedUnion('event', [
  /** The target takes the stream. */
  z.strictObject({ event: z.literal('connected') }),
  /** Bytes sent since the job began; told now and then. */
  z.strictObject({ event: z.literal('sent'), bytes: z.int().min(0) }),
])

const pullNoteSchema = z.strictObject({
  /** The source is open; its units follow. */
  event: z.literal('opened'),
  /** FFmpeg's name of the container or protocol. */
  format: z.string().max(256),
  video: z.boolean(),
  /** Tracks of sound. */
  audio: z.int().min(0).max(pullLimits.audioTracksMax),
  /** Tracks of sound that are not taken because they are too many. */
  leftOut: z.int().min(0).max(pullLimits.sourceStreamsMax),
})

/** A note of the job `push`. */
export type PushNote = z.output<typeof pushNoteSchema>

/** A note of the job `pull`. */
export type PullNote = z.output<typeof pullNoteSchema>

/**
 * A note of the job `push`.
 * @throws KairoError `ERR_WORKER` when it is none.
 */
export function readPushNote(note: Json): PushNote {
  return read('push', pushNoteSchema, note)
}

/**
 * A note of the job `pull`.
 * @throws KairoError `ERR_WORKER` when it is none.
 */
export function readPullNote(note: Json): PullNote {
  return read('pull', pullNoteSchema, note)
}

function read<Note>(job: 'push' | 'pull', schema: z.ZodType<Note>, note: Json): Note {
  const parsed = schema.safeParse(note)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const where = issue?.path.join('.') || 'its note'
  throw new KairoError('ERR_WORKER', `the ${job} said what cannot be: ${where}: ${issue?.message}`)
}
