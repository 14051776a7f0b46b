/** `Content-Disposition` for files with names of any script (RFC 6266, RFC 8187). */

/** Characters that need no escape in an extended value (RFC 8187 3.2.1) and that `encodeURIComponent` leaves alone too. */
const unescaped = /['()*]/g

/** The field's value for a file that is to be saved under a name for people; whatever a name must not hold is replaced. */
export function attachment(name: string): string {
  const clean = name
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}/\\:*?"<>|]+/gu, '_')
    .replace(/^\.+/, '_')
  const ascii = clean.replace(/[^\x20-\x7e]/g, '_').replaceAll('%', '_')
  const extended = encodeURIComponent(clean).replace(
    unescaped,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `attachment; filename="${ascii}"; filename*=UTF-8''${extended}`
}
