/**
 * Checks what a probe child says of a file. The child has parsed a stranger's bytes with native code, so its word is taken no
 * further than its shape: numbers that a plan can be made of, texts that fit their places.
 */
import { z } from 'zod'
import { KairoError } from '../../../errors.ts'
import type { Json } from '../job.ts'
import type { FileFacts } from './file-facts.ts'

/** Ticks, bits and pictures: whole or not, but never beyond what a double holds exactly. */
const amount = z.number().min(0).max(Number.MAX_SAFE_INTEGER)
/** 1/90000 s after the file's start, a little before it too. */
const tick = z.number().min(-Number.MAX_SAFE_INTEGER).max(Number.MAX_SAFE_INTEGER)
const index = z.int().min(0).max(100_000)
const times = z.array(tick)
const name = z.string().max(64)
const codecString = z.string().regex(/^[A-Za-z0-9.,_ +-]{0,128}$/)
/** As stream records want them, or nothing. */
const language = z.string().regex(/^(?:[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4})?$/)
const label = z.string().max(1_024)

const video = z.strictObject({
  stream: index,
  codecName: name,
  codec: z.enum(['h264', 'hevc', 'av1', 'vp9']).nullable(),
  codecString,
  width: z.int().min(1),
  height: z.int().min(1),
  pixelAspect: z.number().positive(),
  rotation: z.literal([0, 90, 180, 270]),
  frameRate: amount,
  videoRange: z.enum(['SDR', 'PQ', 'HLG']),
  bitrateBps: amount,
  pictures: amount,
  changes: z.boolean(),
  reorder: amount,
  from: tick,
  to: tick,
  keyframes: times,
  seconds: times,
})

const audio = z.strictObject({
  stream: index,
  codecName: name,
  codec: z.enum(['aac', 'opus', 'flac']).nullable(),
  codecString,
  channels: z.int().min(1).max(255),
  sampleRate: z.int().min(1),
  language,
  label,
  bitrateBps: amount,
  from: tick,
  to: tick,
  gapMax: amount,
})

const schema: z.ZodType<FileFacts> = z.strictObject({
  format: name,
  origin: tick,
  duration: amount,
  jumps: z.boolean(),
  video: video.nullable(),
  audio: z.array(audio),
  subtitles: z.array(z.strictObject({ stream: index, codecName: name, language, label })),
})

/**
 * The result of a probe.
 * @throws KairoError `ERR_WORKER` when it is none.
 */
export function readFileFacts(result: Json): FileFacts {
  const parsed = schema.safeParse(result)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new KairoError(
    'ERR_WORKER',
    `the probe of the file said what cannot be: ${issue?.path.join('.')}: ${issue?.message}`,
  )
}
