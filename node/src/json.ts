/** JSON from outside: files that may have been edited, answers of other programs. */

/** The value, for a schema to judge; undefined, which every schema here refuses, when the text is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The caller's schema says what was wrong, and where it was read.
    return undefined
  }
}
