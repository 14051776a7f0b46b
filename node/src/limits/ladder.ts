/** Bounds of ladders: what a preset may ask for, and when a rung is worth making. */

/** Presets and ladders. */
export const ladderLimits = {
  /** Rungs of pictures of one preset: more than players can choose among usefully, below the renditions of a stream. */
  presetRungsMax: 16,
  /** A preset's file: the largest built-in one has 1 kB. */
  presetBytesMax: 64 * 1024,
  /** Presets of an operator; their folder may hold something else by mistake. */
  presetsMax: 100,
  /** A rung with at least this share of the source's short side shows the same picture. */
  nearSizeShare: 0.9,
  /** A rung with at least this share of the source's bits helps no viewer whose line is too slow for the source. */
  nearBitrateShare: 0.85,
  /** Bits grow by about this power of the number of pixels at equal quality. */
  bitratePixelPower: 0.75,
  /** What encoding once more needs on top of what its source has, at equal quality. */
  reencodeShare: 1.2,
  /** H.264 needs about this many times the bits of HEVC, VP9 or AV1 for the same picture. */
  olderCodecShare: 1.6,
  /** Below this many bits a second no encoder makes a picture worth watching. */
  bitrateBpsMin: 32_000,
  /** Peak of a rung's bit rate against its mean. */
  peakShare: 1.5,
  /** The decoder's buffer at the peak rate: players begin with about a second. */
  bufferMs: 1_000,
  /** Pictures a second above which a ladder counts as one of 60: half way between PAL's and film's double rates. */
  highFrameRate: 36,
  /** Longest side of a picture that hardware encoders of H.264 take. */
  hardwareH264SideMax: 4_096,
  /** The same for HEVC and AV1. */
  hardwareSideMax: 8_192,
  /** The most useful rung: a phone's picture, playable on nearly every line. */
  baseShortSide: 480,
  /** How much the cost of a rung counts against its use: it decides among those that are nearly as useful. */
  usefulnessPixelPower: 1 / 8,
} as const
