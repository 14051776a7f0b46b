/** What peers write of a stream into the region: who owns it, and which numbers are taken. JSON, so that an operator can read it. */
import { z } from 'zod'
import { streamLeaseLimits as limits } from '../limits/stream-leases.ts'

/** Under this key of a stream's keyspace, on the owner's lease, stands a {@link StreamOwner}. */
export const OWNER_KEY = 'owner'

/** The keyspace of a stream. */
export function ownerKeyspace(id: string): string {
  return `streams/${id}`
}

const ownerSchema = z.object({
  /** Peer id, base58. */
  peerId: z.string().min(1).max(128),
  /** Tells apart what one peer holds before and after a restart. */
  hold: z.string().min(1).max(64),
  /** Wall milliseconds when it was taken, by the owner's clock. */
  sinceMs: z.number().int().nonnegative(),
})
const sequenceSchema = z.object({
  /** The peer that has reserved up to here. */
  peerId: z.string().min(1).max(128),
  nextMsn: z.number().int().nonnegative(),
  discontinuitySequence: z.number().int().nonnegative(),
})

/** Who owns a stream. */
export type StreamOwner = z.output<typeof ownerSchema>

/** Up to where the numbers of a stream are reserved. */
export type ReservedNumbers = z.output<typeof sequenceSchema>

/** A value as the region keeps it. */
export function encodeValue(value: StreamOwner | ReservedNumbers): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

/** The owner that a value names; undefined for one that no peer of this version writes. */
export function readOwner(value: Uint8Array): StreamOwner | undefined {
  return ownerSchema.safeParse(parse(value)).data
}

/** The numbers in a value; undefined for one that no peer of this version writes. */
export function readReserved(value: Uint8Array): ReservedNumbers | undefined {
  return sequenceSchema.safeParse(parse(value)).data
}

function parse(value: Uint8Array): unknown {
  if (value.byteLength > limits.valueBytesMax) return undefined
  try {
    return JSON.parse(Buffer.from(value).toString())
  } catch {
    // Not JSON: no value of ours, as the callers say.
    return undefined
  }
}
