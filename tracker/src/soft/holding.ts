/** The words of the soft state: what a peer holds of one rendition, and what it says of itself. */

/** Segments in a row, all of their parts. */
export interface SegmentRange {
  /** Media sequence number of the first. */
  readonly first: number
  /** How many, at least 1. */
  readonly count: number
}

/** The newest parts, one bit each: of segment `firstSegment` first, `partsPerSegment` bits for each segment. */
export interface PartWindow {
  readonly firstSegment: number
  /** Bits that a segment has here, as many as its parts at most. */
  readonly partsPerSegment: number
  /** Lowest bit first; the last byte is not zero. */
  readonly bits: Uint8Array
}

/** What a peer holds of one stream (rendition '') or rendition, whole: it takes the place of what was said before. */
export interface Holding {
  /** Viewers that this peer serves; said of the stream, a rendition's are its own. */
  readonly viewers: number
  /** Parts of segments that are not complete, or too new for `ranges`. */
  readonly window: PartWindow | undefined
  /** Whole segments, ascending, with gaps between them. */
  readonly ranges: readonly SegmentRange[]
}

/** Where a peer stands in the network: the distance of two, with both heights, estimates their round trip in milliseconds. */
export interface PeerCoordinate {
  readonly x: number
  readonly y: number
  readonly z: number
  readonly height: number
}

/** What a peer says of itself. */
export interface PeerLoad {
  /** What it can still send, kilobits a second. */
  readonly uploadFreeKbps: number
  /** Thousandths of what it can do that are used, 0 to 1,000. */
  readonly busyPermille: number
  /** Undefined when it does not know yet. */
  readonly coordinate: PeerCoordinate | undefined
}

/** The largest media sequence number, and the largest number of 32 bits. */
export const u32Max = 0xffff_ffff

/** Coordinates are sent in tenths of a millisecond, 16 bits each. */
export const coordinateScale = 10
