/** How a DVR window is cut into files: old segments leave by whole files. Pure. */
import { recordingLimits as limits } from '../limits/recording.ts'

/** Segments of one file, so that a window is made of several files. */
export function fileSegments(windowUs: number, segmentUs: number): number {
  if (windowUs === 0) return limits.fileSegmentsMax
  const wanted = Math.ceil(windowUs / Math.max(1, segmentUs) / limits.filesPerWindow)
  return Math.min(limits.fileSegmentsMax, Math.max(limits.fileSegmentsMin, wanted))
}
