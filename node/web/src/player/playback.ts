/** Small parts of playing: starting where the browser lets one, and saying what went wrong. */

import { type ErrorData, ErrorTypes } from 'hls.js'

/** Plays; a browser that allows no sound before a touch plays without, and false is returned. */
export async function playUnlessRefused(video: HTMLVideoElement): Promise<boolean> {
  try {
    await video.play()
    return true
  } catch (error) {
    // AbortError: a newer load took this one's place and plays by itself.
    if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return true
    if (video.muted) return false
    video.muted = true
    await playUnlessRefused(video)
    return false
  }
}

/** An error of hls.js in words for a viewer. */
export function describeError(data: Pick<ErrorData, 'type' | 'response'>, live: boolean): string {
  const status = data.response?.code
  if (status === 404) return `This peer does not know the ${live ? 'stream' : 'video'}.`
  if (status === 503 || status === 504) return 'No peer that has it answers.'
  if (data.type === ErrorTypes.NETWORK_ERROR) return 'The connection to this peer is broken.'
  return 'Playback failed.'
}
