/** What a part of a stream is called between viewers: by what it is and where it stands in the playlist, never by its URL. */

/**
 * A part, or a whole segment where the playlist has no parts: `<rendition>/<media sequence>` or `<rendition>/<media sequence>.<part>`.
 * The rendition is up to 24 characters of base64url; see `renditionName`.
 */
export type PartKey = string

/** A part's place. */
export interface PartPlace {
  readonly rendition: string
  /** `EXT-X-MEDIA-SEQUENCE` plus the segment's place in the playlist (RFC 8216 4.3.3.2). */
  readonly sequence: number
  /** Place of a partial segment in its segment, from 0 (RFC 8216bis 4.4.4.9); undefined for a whole segment. */
  readonly part: number | undefined
}

const pattern = /^([A-Za-z0-9_-]{1,24})\/(0|[1-9]\d{0,14})(?:\.(0|[1-9]\d{0,3}))?$/
const renditionPattern = /^[A-Za-z0-9_-]{1,24}$/

/** The key of a place. */
export function partKey({ rendition, sequence, part }: PartPlace): PartKey {
  return part === undefined ? `${rendition}/${sequence}` : `${rendition}/${sequence}.${part}`
}

/** The place that a key names; undefined for what is no key. */
export function readPartKey(key: string): PartPlace | undefined {
  const [, rendition, sequence, part] = pattern.exec(key) ?? []
  if (rendition === undefined || sequence === undefined) return undefined
  return {
    rendition,
    sequence: Number(sequence),
    part: part === undefined ? undefined : Number(part),
  }
}

/** Whether a text is a key. */
export function isPartKey(key: string): boolean {
  return pattern.test(key)
}

/** Whether a text is the name of a rendition. */
export function isRenditionName(name: string): boolean {
  return renditionPattern.test(name)
}

/**
 * The stripe of a live part: which of `stripes` trees brings it. Segments go by their sequence number, parts by a running number in which
 * each segment begins where its own sequence number says, so that the first parts of segments do not all fall to one stripe.
 */
export function stripeOf({ sequence, part }: PartPlace, stripes: number): number {
  return (sequence + (part ?? 0)) % stripes
}
