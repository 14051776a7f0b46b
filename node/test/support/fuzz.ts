/** What fuzz tests share: what they assert of a parser, which returns or throws a KairoError and nothing else; and how long they look. */
import { isKairoError } from '../../src/errors.ts'

/** The result of `parse`, or undefined when it refused in the agreed way; any other exception passes through. */
export function parseOrRefuse<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (isKairoError(error)) return undefined
    throw error
  }
}

/** Inputs of one property: so many, and `KAIRO_FUZZ_RUNS` times that where a run is to look harder. */
export function fuzzRuns(count: number): number {
  return Math.round(count * Number(process.env.KAIRO_FUZZ_RUNS ?? 1))
}
