/** Addresses as they may be shown: their paths, queries and credentials may be secret. */

/** Scheme, host and port of a URL, and nothing else of it. */
export function hostOf(url: string): string {
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}

/** A text without percent-encoding; as it is where it is not encoded after all. */
export function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
