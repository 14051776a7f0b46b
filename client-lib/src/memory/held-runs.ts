/** Writes down what is held, in as few words as can be. */
import type { HeldParts } from '../protocol/edge-messages.ts'
import { protocolLimits } from '../protocol/limits.ts'
import { type PartPlace, partKey } from '../protocol/part-key.ts'

/**
 * Runs of whole segments, and parts one by one. Those of most use stand first, since the edge listens to the first ones only; with more runs than a
 * message takes, those of least use are left out.
 * @param distance of how little use a place is
 */
export function heldRuns(
  places: readonly PartPlace[],
  distance: (place: PartPlace) => number,
): readonly HeldParts[] {
  const runs: { place: PartPlace; count: number }[] = []
  for (const place of [...places].sort(comparePlaces)) {
    const run = runs.at(-1)
    if (run !== undefined && isNext(run, place)) run.count += 1
    else runs.push({ place, count: 1 })
  }
  const far = ({ place, count }: { place: PartPlace; count: number }): number =>
    Math.min(distance(place), distance({ ...place, sequence: place.sequence + count - 1 }))
  runs.sort((a, b) => far(a) - far(b))
  const told = runs.slice(0, protocolLimits.partsPerMessageMax)
  return told.map(({ place, count }) => ({ key: partKey(place), count }))
}

function isNext(run: { place: PartPlace; count: number }, place: PartPlace): boolean {
  return (
    place.part === undefined &&
    run.place.rendition === place.rendition &&
    run.place.sequence + run.count === place.sequence &&
    run.count < protocolLimits.runPartsMax
  )
}

/** By rendition, then in the order of playback; whole segments apart from parts, so that these do not interrupt their runs. */
function comparePlaces(a: PartPlace, b: PartPlace): number {
  if (a.rendition !== b.rendition) return a.rendition < b.rendition ? -1 : 1
  const kind = Number(a.part !== undefined) - Number(b.part !== undefined)
  return kind || a.sequence - b.sequence || (a.part ?? 0) - (b.part ?? 0)
}
