/** What the WebTorrent tracker says, as the text of its frames. */
import { webtorrentLimits as limits } from '../limits/signalling.ts'
import type { Answer, Offer } from './tracker-message.ts'

/** How many are in a swarm. */
export interface SwarmCounts {
  /** Those that have everything, and the others. */
  readonly complete: number
  readonly incomplete: number
}

/** To a peer that announced itself. */
export function announceAnswer(infoHash: string, { complete, incomplete }: SwarmCounts): string {
  const interval = limits.announceIntervalMs / 1_000
  return JSON.stringify({ action: 'announce', info_hash: infoHash, interval, complete, incomplete })
}

/** To a peer that cannot be in a swarm; clients show the reason and try again with their next announce. */
export function announceFailure(infoHash: string, reason: string): string {
  return JSON.stringify({ action: 'announce', info_hash: infoHash, 'failure reason': reason })
}

/** An offer, to the peer that was chosen for it. */
export function givenOffer(infoHash: string, peerId: string, { offerId, sdp }: Offer): string {
  const offer = { type: 'offer', sdp }
  return JSON.stringify({
    ...{ action: 'announce', info_hash: infoHash, peer_id: peerId },
    ...{ offer_id: offerId, offer },
  })
}

/** An answer, to the peer whose offer it takes up. */
export function givenAnswer({ infoHash, peerId, offerId, sdp }: Answer): string {
  const answer = { type: 'answer', sdp }
  return JSON.stringify({
    ...{ action: 'announce', info_hash: infoHash, peer_id: peerId },
    ...{ offer_id: offerId, answer },
  })
}

/** To whoever asked how many are in swarms; `downloaded` is the fewest that there may have been, as in the reference. */
export function scrapeAnswer(swarms: readonly (readonly [string, SwarmCounts])[]): string {
  const files = swarms.map(([infoHash, { complete, incomplete }]) => [
    infoHash,
    { complete, incomplete, downloaded: complete },
  ])
  const flags = { min_request_interval: limits.announceIntervalMs / 1_000 }
  return JSON.stringify({ action: 'scrape', files: Object.fromEntries(files), flags })
}
