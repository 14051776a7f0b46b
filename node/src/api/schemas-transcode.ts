/** The shapes of the API's answers about transcoding. */
import { z } from 'zod'

const rung = z.object({
  name: z.string(),
  kind: z.enum(['video', 'audio']),
  width: z.number().int(),
  height: z.number().int(),
  frameRate: z.number().nullable().describe('Pictures a second; null for sound, and when unknown.'),
  bitrateBps: z.number(),
  encoder: z.string(),
  state: z
    .enum(['live', 'behind', 'waiting'])
    .describe('`waiting`: nothing yet, or its child is being replaced.'),
  lagMs: z.number().nullable().describe('Behind the source; null before there is a child.'),
})

const source = z.object({
  video: z
    .object({
      codec: z.string(),
      codecString: z.string(),
      width: z.number().int(),
      height: z.number().int(),
      frameRate: z.number().nullable(),
      bitrateBps: z.number().nullable(),
      videoRange: z.enum(['SDR', 'PQ', 'HLG']),
    })
    .nullable(),
  audio: z
    .object({ codec: z.string(), channels: z.number().int(), sampleRate: z.number().int() })
    .nullable(),
})

const stream = z.object({
  stream: z.string(),
  quality: z.string().describe('Name of the preset.'),
  phase: z.enum(['measuring', 'idle', 'starting', 'running', 'draining', 'failed', 'stopped']),
  source: source.nullable().describe('Null until it was measured.'),
  rungs: z.array(rung),
  dropped: z
    .array(z.object({ name: z.string(), reason: z.string() }))
    .describe('Rungs of the preset that are not made, and why.'),
  pid: z.number().int().nullable(),
  cores: z.number().nullable().describe('Processor cores that its child takes.'),
  speed: z.number().nullable().describe('Media time made in a second; 1 keeps pace.'),
  restarts: z.number().int(),
  problem: z.string().nullable(),
})

/** GET /api/transcoding. */
export const transcodingSchema = z.object({
  budgetCores: z.number().describe('Processor cores that live transcoding may use.'),
  usedCores: z.number().describe('Those that the admitted rungs are thought to take.'),
  headroomCores: z.number(),
  streams: z.array(stream),
})

const presetRung = z.object({
  height: z.number().int(),
  kbps: z.number(),
  kbps60: z.number().optional(),
  codec: z.enum(['h264', 'hevc', 'av1']),
  range: z.enum(['sdr', 'hdr']),
  frameRateMax: z.number().optional(),
  speed: z.string(),
  bFrames: z.number().int(),
})

/** GET /api/presets. */
export const presetsSchema = z.object({
  presets: z.array(
    z.object({
      name: z.string(),
      builtIn: z.boolean().describe("False for the operator's own."),
      description: z.string(),
      video: z.array(presetRung),
      audio: z.object({
        aac: z.enum(['needed', 'never']),
        aacKbps: z.number(),
        opus: z.boolean(),
        opusKbps: z.number(),
      }),
    }),
  ),
})
