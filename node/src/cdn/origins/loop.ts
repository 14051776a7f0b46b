/** Requests that come back to who sent them on: the CDN-Loop field (RFC 8586), which unlike Via nobody on the way may take out. */
import { KairoError } from '../../errors.ts'
import { httpOriginLimits as limits } from '../../limits/cdn-origins.ts'
import type { Fields } from '../message.ts'

const ownEntry = /^kairo[\t ]*(?:;[\t ]*peer="([A-Za-z0-9]{1,128})")?/i

/**
 * Tells a request that has passed this peer already. A cache asks this before it waits for a fetch that is under way: that one may wait
 * for this very request.
 * @throws KairoError `ERR_LOOP`.
 */
export function refuseLoop(fields: Fields, peerId: string): void {
  const entries = (fields['cdn-loop'] ?? '').split(',').map((entry) => ownEntry.exec(entry.trim()))
  const own = entries.filter((entry) => entry !== null)
  if (own.some((entry) => entry[1] === peerId) || own.length >= limits.hopsMax) {
    throw new KairoError(
      'ERR_LOOP',
      'the request has been here before: the origin leads back to this network',
    )
  }
}

/** The field of a request that this peer sends on. */
export function loopField(fields: Fields, peerId: string): string {
  const own = `kairo; peer="${peerId}"`
  const before = fields['cdn-loop'] ?? ''
  return before === '' ? own : `${before}, ${own}`
}
