/** Preferences that outlast a visit. A browser that stores nothing costs the preference, never the page. */

/** A stored text, or `undefined`. */
export function readStored(storage: () => Storage, key: string): string | undefined {
  try {
    return storage().getItem(key) ?? undefined
  } catch {
    return undefined
  }
}

/** Stores a text; `undefined` removes it. */
export function writeStored(storage: () => Storage, key: string, value: string | undefined): void {
  try {
    if (value === undefined) storage().removeItem(key)
    else storage().setItem(key, value)
  } catch {
    // Private modes and full quotas refuse; see the top of the file.
  }
}
