/**
 * The unit every media room speaks: one coded video picture or one coded audio frame, with its times.
 * Ingest makes them, the packager and (later) the relay take them; nothing between parses bitstreams again.
 */

/** Ticks a second of every `dts` and `pts` between ingest and packager (the MPEG clock, ISO/IEC 13818-1 2.4.2). */
export const TICKS_PER_SECOND = 90_000

/** What a decoder must know before the first picture. */
export interface VideoConfig {
  readonly kind: 'video'
  readonly codec: 'h264'
  /** RFC 6381 string, for example `avc1.64001f`. */
  readonly codecString: string
  /** Picture size in pixels after cropping. */
  readonly width: number
  readonly height: number
  /** Pictures a second as declared by the bitstream or the publisher; undefined when nobody said. */
  readonly frameRate: number | undefined
  /** AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1), the payload of `avcC`. */
  readonly description: Uint8Array
}

/** What a decoder must know before the first sound. */
export interface AudioConfig {
  readonly kind: 'audio'
  readonly codec: 'aac'
  /** RFC 6381 string, for example `mp4a.40.2`. */
  readonly codecString: string
  /** Samples a second. */
  readonly sampleRate: number
  readonly channels: number
  /** Samples of one frame: 1024 for AAC-LC (960 where the config says so), 2048 output samples for HE-AAC. */
  readonly samplesPerFrame: number
  /** AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1), the payload of the `esds` decoder-specific info. */
  readonly description: Uint8Array
}

/** The configuration of one elementary stream. */
export type TrackConfig = VideoConfig | AudioConfig

/** One coded picture or audio frame. */
export interface AccessUnit {
  readonly kind: 'video' | 'audio'
  /** Decoding time in 1/90000 s, unwrapped: it never jumps back by a counter's wrap, but may start anywhere. */
  readonly dts: number
  /** Presentation time in 1/90000 s; equals `dts` where there is no reordering. */
  readonly pts: number
  /** True for a picture from which decoding can start (IDR); always true for audio. */
  readonly keyframe: boolean
  /** Video: NAL units with 4-byte lengths (AVC sample format). Audio: one raw frame without ADTS. */
  readonly data: Uint8Array
}
