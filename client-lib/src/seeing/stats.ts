/** What a page's engine did so far, in plain units. */

/** Another page, connected now. */
export interface PeerStats {
  readonly id: string
  readonly rttMs: number
  readonly receivedBytes: number
  readonly sentBytes: number
  /** Of late. */
  readonly downKbps: number
  readonly upKbps: number
}

/** Figures of one page since its source was loaded. */
export interface KairoStats {
  /** Media from the origin or its CDN. */
  readonly httpBytes: number
  /** Media from other pages: what the origin was saved. */
  readonly peerBytes: number
  /** Media sent to other pages. */
  readonly sentBytes: number
  /** Share of all media that other pages brought, 0 to 1. */
  readonly offload: number
  /** Parts, or segments, that are there and checked. */
  readonly parts: number
  /** Of them, brought by other pages alone. */
  readonly peerParts: number
  /** Parts whose bytes were not what they should be. They were loaded again. */
  readonly refusedParts: number
  readonly peers: readonly PeerStats[]
  /** Rate of HTTP of late; 0: not known. */
  readonly httpKbps: number
  readonly memoryBytes: number
  /** Of the WebSocket; undefined: there is none. */
  readonly edge: string | undefined
  readonly isEdgeOpen: boolean
  /** Behind the live edge, as hls.js computes it; undefined for what is not live. */
  readonly latencyMs: number | undefined
}

/** What is counted by the way. */
export interface Counters {
  httpBytes: number
  peerBytes: number
  sentBytes: number
  parts: number
  peerParts: number
  refusedParts: number
}

/** All of them 0. */
export function newCounters(): Counters {
  return { httpBytes: 0, peerBytes: 0, sentBytes: 0, parts: 0, peerParts: 0, refusedParts: 0 }
}

/** The share that others brought, 0 to 1. */
export function offloadOf({
  httpBytes,
  peerBytes,
}: Pick<Counters, 'httpBytes' | 'peerBytes'>): number {
  return peerBytes === 0 ? 0 : peerBytes / (httpBytes + peerBytes)
}
