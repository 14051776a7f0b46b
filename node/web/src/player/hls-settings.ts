/** How hls.js is set up for live streams and for videos. */

import type { HlsConfig } from 'hls.js'

/** The settings that differ from hls.js's own. */
export function hlsSettings({ live }: { readonly live: boolean }): Partial<HlsConfig> {
  const common: Partial<HlsConfig> = {
    // Parts need no transmuxing, so a worker would only add its start to the first picture.
    enableWorker: false,
    // The page draws captions itself; see captions.ts.
    renderTextTracksNatively: false,
    // No larger picture than the stage shows, give or take the screen's own density.
    capLevelToPlayerSize: true,
  }
  if (!live) return { ...common, lowLatencyMode: false, backBufferLength: 60, maxBufferLength: 30 }
  return {
    ...common,
    lowLatencyMode: true,
    backBufferLength: 30,
    maxLiveSyncPlaybackRate: 1.08,
    // hls.js moves a whole second away from the edge at each stall; the hold-back of low latency is about as long.
    liveSyncOnStallIncrease: 0.3,
  }
}
