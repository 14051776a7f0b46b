/** Writes messages of all three kinds. What is measured is a fraction, and may be anything; on the wire numbers are whole and have bounds. */
import type { EdgeMessage, PageMessage } from './edge-messages.ts'
import { protocolLimits as limits } from './limits.ts'
import type { MeshMessage } from './mesh-messages.ts'

/**
 * The text of a message. Numbers are rounded, and those below 0, beyond a span's or rate's largest, or not numbers at all, are moved to the next
 * one that can be told. Lists and texts are the caller's to bound (`protocolLimits`).
 */
export function writeMessage(message: PageMessage | EdgeMessage | MeshMessage): string {
  return JSON.stringify(message, writeValue)
}

function writeValue(name: string, value: unknown): unknown {
  if (typeof value !== 'number') return value
  // Units stand last in names.
  const max = name.endsWith('Ms') ? limits.waitMsMax : limits.bpsMax
  // NaN is not more than 0 either.
  return value > 0 ? Math.min(Math.round(value), max) : 0
}
