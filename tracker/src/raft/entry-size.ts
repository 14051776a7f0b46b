/**
 * How large entries count. The encoded size follows the protobuf encoding of an entry (type, term, index, data), so that
 * limits mean the same whatever the wire and the log file really use.
 */
import type { Entry } from './types.ts'

/** A limit that nothing reaches. */
export const noLimit: number = Number.MAX_SAFE_INTEGER

/** Bytes that a non-negative safe integer takes as a varint. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  let size = 3
  for (let rest = Math.floor(value / 0x200000); rest > 0; rest = Math.floor(rest / 0x80)) size += 1
  return size
}

/** Encoded size of one entry in bytes. */
export function entrySize(entry: Entry): number {
  const length = entry.data.length
  // The type is a number below 128, so it always takes one byte.
  const head = 4 + varintSize(entry.term) + varintSize(entry.index)
  return length === 0 ? head : head + 1 + varintSize(length) + length
}

/** Encoded size of entries in bytes. */
export function entriesSize(entries: readonly Entry[]): number {
  let size = 0
  for (const entry of entries) size += entrySize(entry)
  return size
}

/** Bytes of commands that entries carry; the empty entries of the core itself count nothing. */
export function payloadSize(entries: readonly Entry[]): number {
  let size = 0
  for (const entry of entries) size += entry.data.length
  return size
}

/**
 * The longest run of `entries[from, to)` of at most `bytesMax` encoded bytes, but at least one entry when there is one.
 * Looks no further than it takes: a follower that is far behind asks for a long range again and again.
 */
export function sliceWithin(
  entries: readonly Entry[],
  from: number,
  to: number,
  bytesMax: number,
): Entry[] {
  if (bytesMax >= noLimit) return entries.slice(from, to)
  let size = 0
  let end = from
  while (end < to) {
    size += entrySize(entries[end] as Entry)
    if (size > bytesMax && end > from) break
    end += 1
  }
  return entries.slice(from, end)
}
