/** Entity tags, by which a client says what it has already (RFC 9110 8.8.3). */

/**
 * True when an `If-None-Match` field names the tag, by weak comparison (RFC 9110 13.1.2). The tag comes with its quotes; those
 * that Kairo makes hold no commas.
 */
export function matchesTag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  return ifNoneMatch.split(',').some((tag) => ['*', etag, `W/${etag}`].includes(tag.trim()))
}
