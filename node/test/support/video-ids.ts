/** Names of videos of one peer, for tests. */
import { randomBytes } from 'node:crypto'
import { makeVideoId } from '../../src/content/videos/video-id.ts'

/** The peer that these videos are of. */
export const VIDEO_PEER = '12D3KooWLxFaUbhMrtHhjXCsmqGHch9ZLdTFRNHXJiwF3xCWpUap'

/** A new name. */
export function newVideoId(): string {
  return makeVideoId(VIDEO_PEER, randomBytes)
}
