/** The name of a rendition: by what it is, so that viewers who got its playlist from different hosts, or in another order, mean the same. */

/**
 * What the master playlist says of a rendition (RFC 8216 4.3.4). Only that: what a player finds out later, as from the media itself, is not known
 * to all viewers at the same time. All but the kind may be absent.
 */
export interface RenditionTraits {
  /** `main`: what a variant itself points to, video or not; else of `EXT-X-MEDIA`. */
  readonly kind: 'main' | 'audio' | 'subtitle'
  /** As in `CODECS`. */
  readonly codecs?: string | undefined
  /** Lines of the picture. */
  readonly height?: number | undefined
  /** Bits a second, as in `BANDWIDTH`. */
  readonly bitrate?: number | undefined
  readonly language?: string | undefined
  /** As in `NAME`. */
  readonly name?: string | undefined
  /** As in `CHANNELS`. */
  readonly channels?: string | undefined
  /** As in `GROUP-ID`, which tells encodes of one language apart. */
  readonly group?: string | undefined
}

/** Bit rates whose ratio is this or more are never of one class; ladders step by 1.3 and more. */
const classRatio = 1.1

/**
 * The name: `m`, `a` or `s`, the height where it is known, `_`, and a hash of everything. The same for the same traits everywhere and for ever.
 *
 * Bit rates count by their class, within which they differ by less than a tenth: encodes that were packaged twice mostly meet, and two rungs of a
 * ladder never do. Viewers on both sides of a class's border merely do not help each other. Should two renditions get one name after all, by
 * their traits or by chance (64 bits), their digests differ: the bytes of one are refused where the other plays, and come by HTTP.
 */
export function renditionName(traits: RenditionTraits): string {
  const { kind, height = 0, bitrate = 0 } = traits
  const lines = Number.isInteger(height) && height > 0 && height < 100_000 ? height : ''
  const rateClass = bitrate > 0 ? Math.round(Math.log(bitrate) / Math.log(classRatio)) : ''
  const told = [
    ...[kind, codecsOf(traits.codecs), lines, rateClass, traits.language?.toLowerCase()],
    ...[traits.name, traits.channels, traits.group],
  ]
  // JSON keeps the fields apart, whatever is in them, and writes null for one that is absent.
  return `${kind.charAt(0)}${lines}_${hash(JSON.stringify(told.map((value) => value || null)))}`
}

/** The codecs in one order and one spelling (RFC 6381 takes hexadecimal digits of both cases). */
function codecsOf(codecs = ''): string {
  const names = codecs.split(',').map((codec) => codec.trim().toLowerCase())
  return [...new Set(names)].sort().join()
}

/**
 * 64 bits of a text, as 14 digits: two runs over its UTF-16 units, each with a multiplier and a start of its own, mixed at the end as in MurmurHash3. It
 * spreads well and keeps nothing secret.
 */
function hash(text: string): string {
  let [a, b] = [0x9e37_79b9, 0x85eb_ca6b]
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at)
    a = Math.imul(a ^ unit, 0x0100_0193)
    b = Math.imul(b ^ unit, 0x5bd1_e995)
    // A multiplication carries nothing downwards.
    a ^= a >>> 15
    b ^= b >>> 13
  }
  a ^= Math.imul(b, 0xc2b2_ae35)
  b ^= Math.imul(a, 0x27d4_eb2f)
  return mix(a) + mix(b)
}

function mix(word: number): string {
  const first = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b)
  const second = Math.imul(first ^ (first >>> 13), 0xc2b2_ae35)
  return ((second ^ (second >>> 16)) >>> 0).toString(36).padStart(7, '0')
}
