/**
 * What every fuzz test asserts of a parser: it returns or throws a KairoError, nothing else.
 */
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
