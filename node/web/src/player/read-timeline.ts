/** Where playback is, as the video element and hls.js tell it. */

import type Hls from 'hls.js'
import type { LevelDetails } from 'hls.js'
import { bufferedEnd, type Timeline } from './timeline.ts'

/** The span of a live stream or of a video. */
export function readTimeline(
  video: HTMLVideoElement,
  hls: Hls | undefined,
  live: boolean,
): Timeline {
  const positionS = video.currentTime
  const bufferedS = bufferedEnd(video) ?? positionS
  const last = video.seekable.length - 1
  const common = { live, positionS, bufferedS, endDateMs: undefined }
  const details = hls?.latestLevelDetails
  if (live && details) {
    const edgeS = details.live ? (hls?.liveSyncPosition ?? details.edge) : details.edge
    // At the edge the playhead runs a little ahead of and behind what hls.js aims at.
    const endS = Math.max(edgeS, positionS)
    return { ...common, startS: details.fragmentStart, endS, endDateMs: dateAt(details, endS) }
  }
  if (!live && Number.isFinite(video.duration)) {
    return { ...common, startS: 0, endS: video.duration }
  }
  const startS = last < 0 ? 0 : video.seekable.start(0)
  return { ...common, startS, endS: last < 0 ? 0 : video.seekable.end(last) }
}

/** Wall time of a moment in milliseconds, by the newest segment that has a date. */
function dateAt({ fragments }: LevelDetails, timeS: number): number | undefined {
  const dated = fragments.findLast(({ programDateTime }) => programDateTime !== null)
  const dateMs = dated?.programDateTime
  return dated === undefined || dateMs == null ? undefined : dateMs + (timeS - dated.start) * 1_000
}
