/**
 * What a transcoder is told to make: rungs of pictures and of sound. A rung is complete, so that whoever encodes it decides
 * nothing; `plan.ts` makes rungs from a source and a preset.
 */

/** One rendition of pictures to be made. */
export interface VideoRung {
  /** Name of the rendition: `1080p`, `720p60`. */
  readonly name: string
  /** FFmpeg's name of the encoder, one that was seen to work here: `libx264`, `h264_nvenc`. */
  readonly encoder: string
  readonly codec: 'h264' | 'hevc' | 'av1'
  /** Even pixels, the source's aspect ratio kept. */
  readonly width: number
  readonly height: number
  /** Pictures a second; undefined keeps every picture of the source. */
  readonly frameRate: number | undefined
  /** Mean bits a second. */
  readonly bitrateBps: number
  /** Peak bits a second over `bufferMs`. */
  readonly bitrateMaxBps: number
  /** The decoder's buffer at the peak rate, milliseconds. */
  readonly bufferMs: number
  /** Speed of a software encoder, x264's words: `veryfast`. Hardware encoders take the nearest they have. */
  readonly preset: string
  /** B-frames in a row; 0 for the least delay. */
  readonly bFramesMax: number
  /** `keep` leaves HDR as it is (needs 10 bits), `sdr` tone-maps HDR to BT.709; the same for SDR sources. */
  readonly dynamicRange: 'keep' | 'sdr'
}

/** One rendition of sound to be made. */
export interface AudioRung {
  /** Name of the rendition: `audio-aac`, `audio-opus`. */
  readonly name: string
  readonly codec: 'aac' | 'opus'
  readonly bitrateBps: number
  readonly channels: number
  /** Samples a second; Opus has 48,000 only. */
  readonly sampleRate: number
}
