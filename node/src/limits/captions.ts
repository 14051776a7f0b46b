/** Bounds of captions. */
export const captionLimits = {
  /** One WebVTT file; the subtitles of a three-hour film take about 200 KiB. */
  fileBytesMax: 8 * 1024 * 1024,
  /** Cues of one file; a caption every half second for four hours. */
  cuesMax: 30_000,
  /** Characters of one cue's text, with its line breaks; a screen holds some hundred. */
  cueCharsMax: 4_096,
  /** Characters of one cue's identifier, and of its settings. */
  cueHeadCharsMax: 256,
  /** Times of cues: 1,000 hours. */
  cueMsMax: 1_000 * 3_600_000,
  /** Live cues that wait for their segments or are still shown; the oldest go. */
  liveCuesMax: 1_000,
  /** A live cue lasts at most this long, so that one without an end does not repeat in every segment. */
  liveCueMsMax: 60_000,
} as const
