/** The client library: a browser swarm for hls.js. See README.md. */

export type { KairoConfig } from './hls/hls-engine.ts'
export type { HlsWithKairo, HlsWithKairoClass, HlsWithKairoConfig } from './hls/kairo-engine.ts'
export { KairoEngine } from './hls/kairo-engine.ts'
export type { CoreOptions, KairoOptions } from './hls/options.ts'
export type {
  DownloadSource,
  PageEvents,
  PeerDetails,
  Segment,
  SegmentDetails,
  SegmentErrorDetails,
  SegmentLoadDetails,
  StreamType,
} from './hls/page-events.ts'
export type { KairoStats, PeerStats } from './seeing/stats.ts'
