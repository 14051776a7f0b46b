/** How the frames that a filter chain will be given are described to its first filter. */
import assert from 'node:assert/strict'
import type { AVPixelFormat, AVSampleFormat } from 'node-av/constants'
import {
  avChannelLayoutDefault,
  avChannelLayoutDescribe,
  avGetPixFmtName,
  avGetSampleFmtName,
  type Frame,
} from 'node-av/lib'
import type { FilterStep } from './filter-chain.ts'

/** A channel layout that says how many channels there are and not which. */
const ORDER_UNSPECIFIED = 0

/** Width over height of a picture's pixels; square where nobody says. */
export function pixelAspectOf({ sampleAspectRatio }: Frame): { num: number; den: number } {
  const { num, den } = sampleAspectRatio
  return num > 0 && den > 0 ? { num, den } : { num: 1, den: 1 }
}

/** Pictures like this one, whose times count in 1/90000 s. */
export function pictureSource(frame: Frame): FilterStep {
  const { width, height, format, colorSpace, colorRange } = frame
  const pixelFormat = avGetPixFmtName(format as AVPixelFormat)
  assert(pixelFormat !== null, 'a decoded picture has a format')
  const aspect = pixelAspectOf(frame)
  const options = [
    `video_size=${width}x${height}`,
    `pix_fmt=${pixelFormat}`,
    'time_base=1/90000',
    `pixel_aspect=${aspect.num}/${aspect.den}`,
    `colorspace=${colorSpace}`,
    `range=${colorRange}`,
  ]
  return ['buffer', options.join(':')]
}

/** Sound like this, whose times count in 1/90000 s. */
export function soundSource(frame: Frame): FilterStep {
  const { channelLayout, channels, sampleRate } = frame
  const isUnspecified = channelLayout.order === ORDER_UNSPECIFIED
  const layout = isUnspecified ? avChannelLayoutDefault(channels) : channelLayout
  const sampleFormat = avGetSampleFmtName(frame.format as AVSampleFormat)
  const described = avChannelLayoutDescribe(layout)
  assert(sampleFormat !== null && described !== null, 'decoded sound has a format')
  const options = [
    'time_base=1/90000',
    `sample_rate=${sampleRate}`,
    `sample_fmt=${sampleFormat}`,
    `channel_layout=${described}`,
  ]
  return ['abuffer', options.join(':')]
}
