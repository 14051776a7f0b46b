/** The browser as an engine uses it; the one place where a swarm is made. */
import { systemClock } from '../clock.ts'
import { SwarmEngine } from '../engine/engine.ts'
import { canDigest } from '../integrity/part-digests.ts'
import { browserObjects } from '../manners/browser-objects.ts'
import type { KairoComponents } from './hls-engine.ts'

/** What there is of it: in a page all of it, elsewhere (rendering on a server) only what makes an engine that does nothing. */
export function browserComponents(): KairoComponents {
  // Without digests, as on a page of plain HTTP, nothing of another page could be trusted.
  const canConnect =
    canDigest() && typeof RTCPeerConnection === 'function' && typeof WebSocket === 'function'
  return {
    clock: systemClock,
    createSwarm: canConnect
      ? (init) =>
          new SwarmEngine(
            {
              clock: systemClock,
              random: Math.random,
              fetch: (...request) => fetch(...request),
              createConnection: (config) => new RTCPeerConnection(config),
              openSocket: (url, protocol) => new WebSocket(url, protocol),
            },
            init,
          )
      : undefined,
    browser: browserObjects(),
  }
}
