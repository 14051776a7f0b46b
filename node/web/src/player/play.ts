/** Starting where the browser lets one. */

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
