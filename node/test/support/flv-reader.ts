/**
 * The smallest FLV reader that tests need: whole files as ffmpeg writes them, H.264 and AAC, to configurations and access
 * units. It knows nothing of the product's own FLV code, so that each can be checked without the other.
 */
import type {
  AccessUnit,
  AudioConfig,
  TrackConfig,
  VideoConfig,
} from '../../src/media/access-unit.ts'

/** A configuration or an access unit, in file order. */
export type FlvItem =
  | { readonly config: TrackConfig; readonly unit?: undefined }
  | { readonly unit: AccessUnit; readonly config?: undefined }

const TICKS_PER_MS = 90
const SAMPLE_RATES = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
]

/** The items of a whole FLV file. Picture sizes come from the caller, since this reader parses no SPS. */
export function readFlv(
  file: Buffer,
  video: { width: number; height: number; frameRate?: number },
): readonly FlvItem[] {
  const items: FlvItem[] = []
  let at = file.readUInt32BE(5) + 4
  while (at + 11 <= file.byteLength) {
    const type = file[at]
    const bytes = file.readUIntBE(at + 1, 3)
    const timeMs = file.readUIntBE(at + 4, 3) + (file[at + 7] ?? 0) * 0x1000000
    const body = file.subarray(at + 11, at + 11 + bytes)
    if (type === 9) items.push(...videoItem(body, timeMs, video))
    if (type === 8) items.push(...audioItem(body, timeMs))
    at += 11 + bytes + 4
  }
  return items
}

function videoItem(
  body: Buffer,
  timeMs: number,
  size: { width: number; height: number; frameRate?: number },
): readonly FlvItem[] {
  const packetType = body[1]
  const data = body.subarray(5)
  if (packetType === 0) {
    const config: VideoConfig = {
      kind: 'video',
      codec: 'h264',
      codecString: `avc1.${data.subarray(1, 4).toString('hex')}`,
      width: size.width,
      height: size.height,
      frameRate: size.frameRate,
      description: data,
    }
    return [{ config }]
  }
  if (packetType !== 1) return []
  const compositionMs = (body.readUIntBE(2, 3) << 8) >> 8
  const dts = timeMs * TICKS_PER_MS
  const unit: AccessUnit = {
    kind: 'video',
    dts,
    pts: dts + compositionMs * TICKS_PER_MS,
    keyframe: (body[0] ?? 0) >> 4 === 1,
    data,
  }
  return [{ unit }]
}

function audioItem(body: Buffer, timeMs: number): readonly FlvItem[] {
  const data = body.subarray(2)
  if (body[1] === 0) {
    const rateIndex = (((data[0] ?? 0) & 7) << 1) | ((data[1] ?? 0) >> 7)
    const config: AudioConfig = {
      kind: 'audio',
      codec: 'aac',
      codecString: `mp4a.40.${(data[0] ?? 0) >> 3}`,
      sampleRate: SAMPLE_RATES[rateIndex] ?? 48_000,
      channels: ((data[1] ?? 0) >> 3) & 15,
      samplesPerFrame: 1_024,
      description: data,
    }
    return [{ config }]
  }
  const dts = timeMs * TICKS_PER_MS
  return [{ unit: { kind: 'audio', dts, pts: dts, keyframe: true, data } }]
}
