/** The badge that says whether there is something to see. */

import type { Stream } from './api.ts'
import { setText } from './dom.ts'

/** Makes `badge` the one of `stream`: live, ended, or live somewhere with no peer left to take it from. */
export function showBadge(badge: HTMLElement, stream: Stream): void {
  const text = stream.state === 'ended' ? 'ENDED' : stream.status === 'lost' ? 'NO SOURCE' : 'LIVE'
  badge.className = text === 'LIVE' ? 'badge-live' : 'badge-live badge-quiet'
  setText(badge, text)
}
