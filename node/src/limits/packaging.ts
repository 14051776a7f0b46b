/** Bounds of what is made beside the packager: derived renditions, several tracks, listeners, captions. */

import { codecLimits } from './codecs.ts'

/** Sessions of publishers and what is derived from them. */
export const sessionLimits = {
  /** Tracks of one kind that a publisher may send; further ones are not packaged. */
  tracksMax: codecLimits.tracksMax,
  /** Listeners of one session: transcoder, relay, thumbnails, and each restream target. */
  listenersMax: 64,
  /** Cuts remembered for derived renditions; one that lags by more segments goes on with the oldest that is left. */
  cutsMax: 32,
  /** A derived segment begins up to this much before its cut: encoders round times to their own frame rate. */
  cutEarlyMsMax: 10,
  /** A derived segment is begun without a keyframe this long after its cut, for an encoder that ignores where they are due. */
  cutLateMsMax: 500,
  /** A gap that a new encoder left is bridged by the picture before it up to this; a longer one leaves a short segment. */
  gapMsMax: 1_000,
  /** Time for what an encoder sends behind its last picture, once a publisher is gone. */
  drainMs: 250,
  /** Silence is put into a gap of derived audio up to this; after a longer one it goes on with the next segment. */
  silenceMsMax: 3_000,
  /** Groups of pictures in which captions are looked for before it is settled that there are none. */
  captionGroupsMax: 5,
} as const
