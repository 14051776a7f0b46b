/** The shapes of answers about the content store: the routes declare them, the command line checks against them. */
import { z } from 'zod'
import { keepers } from '../content/store/keepers.ts'

/** An object's public name. */
export const cidSchema = z
  .string()
  .regex(/^b[a-z2-7]{58}$/, 'expected a CID: version 1, raw codec, SHA-256, base32')

/** What the store holds. */
export const storeSchema = z.object({
  status: z.enum(['ok', 'degraded']),
  reason: z.string().describe('What is wrong; empty when all is well.'),
  memoryBytes: z.number(),
  diskBytes: z.number(),
  keptObjects: z.number(),
})

/** Kept objects. */
export const keptSchema = z.object({
  total: z.number(),
  objects: z.array(
    z.object({
      cid: cidSchema,
      bytes: z.number().nullable().describe('null while the object is not here.'),
      by: z.array(z.enum(keepers)).describe('Who keeps it. The operator lets go of its own.'),
    }),
  ),
})

/** One kept object. */
export const keptObjectSchema = z.object({ cid: cidSchema, bytes: z.number() })

/** What a tenant or stream has on disk. */
export const ownerUsageSchema = z.object({
  bytes: z.number(),
  objects: z.number(),
  bytesMax: z.number().describe('0: no bound.'),
})
