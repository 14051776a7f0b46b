/** The work of the `raft` bench, the same for both sides. */

/** Bytes of a key and of a value. */
export const keyBytes = 16
export const valueBytes = 128
/** Keys that puts choose from at random. */
export const keyCount = 10_000
/** Clients that put at once. */
export const clients = 512

/** How much is asked in one round. */
export interface RoundWork {
  /** By {@link clients} at once. */
  readonly puts: number
  /** By one client, one after the other. */
  readonly singlePuts: number
  readonly reads: number
}

/** What one round read. */
export interface RoundReading {
  readonly putsPerS: number
  /** Medians of one client. */
  readonly putMs: number
  readonly readMs: number
}

/** The key that reads ask for. */
export const readKey = keyName(0)

/** A key by its number. */
export function keyName(number: number): string {
  return `key-${number.toString().padStart(keyBytes - 4, '0')}`
}
