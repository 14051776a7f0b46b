/** Chance that a seed repeats. */
import { drawFrom } from '../../support/log-stage.ts'

/** Numbers in [0, 1). */
export function seededRandom(seed: number): () => number {
  const draw = drawFrom(seed)
  return () => draw(2 ** 32) / 2 ** 32
}
