/** What a live window has, as the region is told it: whole segments in ranges, and the parts of those that are not whole. Derived each time. */
import { swarmFeedLimits as limits } from '../limits/swarms.ts'

/** The largest media sequence number that the region takes. */
const SEGMENT_MAX = 0xffff_ffff

/** One part of a window, in its order. */
export interface WindowEntry {
  readonly msn: number
  readonly part: number
  readonly endOfSegment: boolean
}

/** What a window has. */
export interface HeldWindow {
  readonly ranges: readonly { readonly first: number; readonly count: number }[]
  readonly parts: readonly (readonly [segment: number, part: number])[]
}

/** Reads a window's entries, which are in order of segment and part. */
export function heldWindow(entries: readonly WindowEntry[]): HeldWindow {
  const ranges: { first: number; count: number }[] = []
  const parts: (readonly [number, number])[] = []
  for (let at = 0; at < entries.length; ) {
    const { msn } = entries[at] as WindowEntry
    let end = at
    while (entries[end]?.msn === msn) end += 1
    if (msn <= SEGMENT_MAX) {
      if (isWhole(entries, at, end)) addSegment(ranges, msn)
      else for (const { part } of entries.slice(at, end)) parts.push([msn, part])
    }
    at = end
  }
  const told = parts.filter(([, part]) => part < limits.partsPerSegmentMax)
  return { ranges: ranges.slice(-limits.rangesMax), parts: told.slice(-limits.partsMax) }
}

/** All parts from the first to the one that ends the segment. */
function isWhole(entries: readonly WindowEntry[], from: number, end: number): boolean {
  const last = entries[end - 1]
  return last?.endOfSegment === true && last.part === end - from - 1
}

function addSegment(ranges: { first: number; count: number }[], msn: number): void {
  const last = ranges.at(-1)
  if (last !== undefined && last.first + last.count === msn) last.count += 1
  else ranges.push({ first: msn, count: 1 })
}
