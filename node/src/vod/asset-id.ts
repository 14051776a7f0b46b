/** Names of videos: 100 random bits, so that an unlisted one cannot be guessed, in letters that any URL and file system takes. */

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
const LENGTH = 20
const PATTERN = /^[a-z2-7]{20}$/

/** A new id: 20 characters of base32 (RFC 4648, lower case). */
export function assetId(random: (bytes: number) => Uint8Array): string {
  return Array.from(random(LENGTH), (byte) => ALPHABET[byte & 31]).join('')
}

/** True for what {@link assetId} makes. */
export function isAssetId(text: string): boolean {
  return PATTERN.test(text)
}
