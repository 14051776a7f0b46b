/** Which encoder makes a rung: one that was seen to work here, hardware first. */
import { ladderLimits } from '../../limits/ladder.ts'
import type { EncoderProbe } from '../encoders.ts'
import type { VideoRung } from './rung.ts'

/** A video encoder by what it can do. */
export interface VideoEncoder {
  /** FFmpeg's name. */
  readonly name: string
  readonly codec: VideoRung['codec']
  /** The hardware's interface (`nvenc`, `qsv`, `vaapi`); undefined for software. */
  readonly hardware: string | undefined
}

const software: ReadonlyMap<string, VideoRung['codec']> = new Map([
  ['libx264', 'h264'],
  ['libx265', 'hevc'],
  ['libsvtav1', 'av1'],
])

const hardwareName = /^(h264|hevc|av1)_([a-z0-9]+)$/

/** What an encoder's name says; undefined for one that makes no pictures that Kairo packages. */
function videoEncoder(name: string): VideoEncoder | undefined {
  const codec = software.get(name)
  if (codec !== undefined) return { name, codec, hardware: undefined }
  const match = hardwareName.exec(name)
  if (match === null) return undefined
  return { name, codec: match[1] as VideoRung['codec'], hardware: match[2] }
}

/** What is needed of an encoder. */
export interface EncoderNeed {
  readonly codec: VideoRung['codec']
  /** Pixels of the longer side. */
  readonly longSide: number
  /** True for HDR. */
  readonly tenBits: boolean
}

/** The encoders that fill a need, best first: hardware in the order of the probe, then software. */
export function encodersFor(
  need: EncoderNeed,
  encoders: readonly Pick<EncoderProbe, 'name' | 'ok'>[],
): VideoEncoder[] {
  const able = encoders
    .filter(({ ok }) => ok)
    .map(({ name }) => videoEncoder(name))
    .filter((encoder) => encoder !== undefined)
    .filter((encoder) => encoder.codec === need.codec)
    .filter((encoder) => encoder.hardware === undefined || fitsHardware(encoder, need))
  const isHardware = ({ hardware }: VideoEncoder): boolean => hardware !== undefined
  return [...able.filter(isHardware), ...able.filter((encoder) => !isHardware(encoder))]
}

function fitsHardware(encoder: VideoEncoder, need: EncoderNeed): boolean {
  const { hardwareH264SideMax, hardwareSideMax } = ladderLimits
  const sideMax = encoder.codec === 'h264' ? hardwareH264SideMax : hardwareSideMax
  // Encoders behind V4L2 sit in small boards: none is known to make 10 bits.
  return need.longSide <= sideMax && !(need.tenBits && encoder.hardware === 'v4l2m2m')
}
