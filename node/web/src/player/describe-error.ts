/** Failures of hls.js in words. */

import type { ErrorData } from 'hls.js'

/** An error of hls.js in words for a viewer. */
export function describeError(data: Pick<ErrorData, 'type' | 'response'>, live: boolean): string {
  const status = data.response?.code
  if (status === 404) return `This peer does not know the ${live ? 'stream' : 'video'}.`
  if (status === 503 || status === 504) return 'No peer that has it answers.'
  if (data.type === 'networkError') return 'The connection to this peer is broken.'
  return 'Playback failed.'
}
