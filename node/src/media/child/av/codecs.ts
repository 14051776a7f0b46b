/** Which of FFmpeg's codecs is which of Kairo's. */
import {
  AV_CODEC_ID_AAC,
  AV_CODEC_ID_AV1,
  AV_CODEC_ID_FLAC,
  AV_CODEC_ID_H264,
  AV_CODEC_ID_HEVC,
  AV_CODEC_ID_OPUS,
  AV_CODEC_ID_VP9,
  type AVCodecID,
} from 'node-av/constants'
import type { AudioCodec, VideoCodec } from '../../access-unit.ts'

/** Every codec that Kairo packages. */
export type MediaCodec = VideoCodec | AudioCodec

const ids = {
  h264: AV_CODEC_ID_H264,
  hevc: AV_CODEC_ID_HEVC,
  av1: AV_CODEC_ID_AV1,
  vp9: AV_CODEC_ID_VP9,
  aac: AV_CODEC_ID_AAC,
  opus: AV_CODEC_ID_OPUS,
  flac: AV_CODEC_ID_FLAC,
} as const satisfies Record<MediaCodec, AVCodecID>

/** FFmpeg's id of a codec. */
export function codecId(codec: MediaCodec): AVCodecID {
  return ids[codec]
}

/** The codec of an id; undefined for one that Kairo does not package. */
export function codecOf(id: AVCodecID): MediaCodec | undefined {
  return (Object.keys(ids) as MediaCodec[]).find((codec) => ids[codec] === id)
}
