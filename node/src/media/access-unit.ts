/**
 * The unit every media room speaks: one coded video picture or one coded audio frame, with its times.
 * Ingest makes them, the packager and (later) the relay take them; nothing between parses bitstreams again.
 */

/** Ticks a second of every `dts` and `pts` between ingest and packager (the MPEG clock, ISO/IEC 13818-1 2.4.2). */
export const TICKS_PER_SECOND = 90_000
/** Ticks a millisecond. */
export const TICKS_PER_MS = TICKS_PER_SECOND / 1_000

/** Pictures a second of a source, where neither the bitstream nor the publisher says it and none were counted. */
export const FRAME_RATE_ASSUMED = 30

/** Video codecs that Kairo packages. */
export type VideoCodec = 'h264' | 'hevc' | 'av1' | 'vp9'

/** Audio codecs that Kairo packages. */
export type AudioCodec = 'aac' | 'opus' | 'flac'

/** Code points of ISO/IEC 23091-2 (as in the `colr` box of type `nclx`), and what HDR displays must know. */
export interface VideoColour {
  readonly primaries: number
  /** 16 is PQ (HDR10), 18 is HLG. */
  readonly transfer: number
  readonly matrix: number
  readonly fullRange: boolean
  /** Payload of `mdcv` (24 bytes, ISO/IEC 14496-12 12.1.7): the mastering display's volume. */
  readonly masteringDisplay?: Uint8Array
  /** Payload of `clli` (4 bytes, ISO/IEC 14496-12 12.1.6): light levels of the content. */
  readonly contentLight?: Uint8Array
}

/** What a decoder must know before the first picture. */
export interface VideoConfig {
  readonly kind: 'video'
  /** Which of the publisher's video tracks; 0, the main one, when absent. */
  readonly track?: number
  readonly codec: VideoCodec
  /** RFC 6381 string, for example `avc1.64001f`, `hvc1.1.6.L93.B0`, `av01.0.08M.08`, `vp09.00.41.08`. */
  readonly codecString: string
  /** Picture size in pixels after cropping. */
  readonly width: number
  readonly height: number
  /** Pictures a second as declared by the bitstream or the publisher; undefined when nobody said. */
  readonly frameRate: number | undefined
  /**
   * The payload of the codec's configuration box: `avcC` (ISO/IEC 14496-15 5.3.3.1), `hvcC` (8.3.3.1), `av1C` (AV1-ISOBMFF
   * 2.3.3), `vpcC` without its full-box header (VP9-ISOBMFF 2.2).
   */
  readonly description: Uint8Array
  /** How samples are to be shown as colours; absent where the bitstream does not say: BT.709, limited range. */
  readonly colour?: VideoColour
}

/** What a decoder must know before the first sound. */
export interface AudioConfig {
  readonly kind: 'audio'
  /** Which of the publisher's audio tracks; 0, the main one, when absent. */
  readonly track?: number
  /** BCP 47 language, where the publisher says it. */
  readonly language?: string
  /** What the publisher calls the track, for people. */
  readonly label?: string
  readonly codec: AudioCodec
  /** RFC 6381 string, for example `mp4a.40.2`, `opus`, `flac`. */
  readonly codecString: string
  /** Samples a second. */
  readonly sampleRate: number
  readonly channels: number
  /**
   * Samples of one frame: 1024 for AAC-LC (960 where the config says so), 2048 output samples for HE-AAC; for Opus those of
   * the publisher's usual packet (960), where packets may differ; for FLAC the maximum block size.
   */
  readonly samplesPerFrame: number
  /**
   * AAC: AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1), the payload of the `esds` decoder-specific info. Opus: the payload of
   * `dOps` (Opus-in-ISOBMFF 4.3.2). FLAC: the payload of `dfLa` behind its full-box header, a STREAMINFO block with its header.
   */
  readonly description: Uint8Array
}

/** The configuration of one elementary stream. */
export type TrackConfig = VideoConfig | AudioConfig

/** One coded picture or audio frame. */
export interface AccessUnit {
  readonly kind: 'video' | 'audio'
  /** Which of the publisher's tracks of this kind; 0 when absent. */
  readonly track?: number
  /** Decoding time in 1/90000 s, unwrapped: it never jumps back by a counter's wrap, but may start anywhere. */
  readonly dts: number
  /** Presentation time in 1/90000 s; equals `dts` where there is no reordering. */
  readonly pts: number
  /** True for a picture from which decoding can start (IDR, CRA, AV1 or VP9 keyframe); always true for audio. */
  readonly keyframe: boolean
  /**
   * H.264, HEVC: NAL units with 4-byte lengths. AV1: a temporal unit of OBUs without temporal delimiters. VP9: a frame or
   * superframe. AAC: one raw frame without ADTS. Opus: a packet. FLAC: a frame.
   */
  readonly data: Uint8Array
}
