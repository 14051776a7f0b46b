/** Where a viewer left a video, kept in this browser alone. */

import { readStored, writeStored } from '../shared/stored.ts'

const storageKey = 'kairo.positions'
const local = () => localStorage
/** Videos remembered; those not seen for the longest time go. */
const videosMax = 200
/** Left within this time of either end, a video begins anew. */
const marginS = 10

type Positions = readonly (readonly [id: string, seconds: number])[]

/** Where to begin a video, in seconds; undefined for the beginning. */
export function storedPosition(id: string): number | undefined {
  return read().find(([name]) => name === id)?.[1]
}

/** Remembers where a video was left. */
export function storePosition(id: string, positionS: number, durationS: number): void {
  const rest = read().filter(([name]) => name !== id)
  const isWorth = positionS > marginS && positionS < durationS - marginS
  const next = isWorth ? [[id, Math.floor(positionS)] as const, ...rest] : rest
  writeStored(local, storageKey, JSON.stringify(next.slice(0, videosMax)))
}

function read(): Positions {
  try {
    const value: unknown = JSON.parse(readStored(local, storageKey) ?? '[]')
    return Array.isArray(value) ? value.filter(isPosition) : []
  } catch {
    // Somebody else wrote under our name; nothing is remembered then.
    return []
  }
}

function isPosition(value: unknown): value is readonly [string, number] {
  return Array.isArray(value) && typeof value[0] === 'string' && typeof value[1] === 'number'
}
