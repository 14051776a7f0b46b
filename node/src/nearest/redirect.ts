/**
 * Where `/nearest/<path>` leads: the same path at the best peer for the client. Only ever to an address that a known peer has
 * signed, and never out of its path: whoever writes the link chooses what is asked for, not who is asked.
 */
import { KairoError } from '../errors.ts'
import { rankingLimits } from '../limits/nearest.ts'
import { safePath } from './client-url.ts'
import type { NearestPeers } from './nearest-peers.ts'

/** Paths under which the best peer is found. */
export const NEAREST_PREFIX = '/nearest/'

/**
 * The `Location` for a client.
 * @param target the path behind `/nearest`, with its query: `/live/stream/master.m3u8?x=1`.
 * @returns an absolute URL, or the path alone where this peer is the best itself, or knows no other.
 * @throws KairoError `ERR_INVALID_INPUT` when the path could lead elsewhere, or round in circles.
 */
export function redirectTarget(
  nearest: Pick<NearestPeers, 'rank'>,
  client: { readonly address: string },
  target: string,
): string {
  const path = safePath(target, rankingLimits.pathCharsMax)
  if (path === undefined || path.startsWith(NEAREST_PREFIX)) {
    throw new KairoError('ERR_INVALID_INPUT', 'no path that a client can be redirected to')
  }
  const [best] = nearest.rank(client)
  // At this peer the client stays on the name it came by, which a proxy in front may have given.
  if (best === undefined || best.isSelf) return path
  return `${best.urls[0]}${path}`
}
