/** Names of videos in the folder of the library. */
import { isVideoId } from '../content/videos/video-id.ts'

/** Early versions made names that do not say whose they are: 100 random bits. */
const EARLY = /^[a-z2-7]{20}$/

/** True for what may be a video's folder. */
export function isAssetId(text: string): boolean {
  return isVideoId(text) || EARLY.test(text)
}
