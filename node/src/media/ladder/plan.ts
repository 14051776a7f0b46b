/**
 * Makes a ladder out of a source and a preset: which rungs, how large, how many bits, by which encoder; and for every rung of the
 * preset that is not made, why. Pure: the same source, preset and encoders give the same ladder.
 */
import { ladderLimits } from '../../limits/ladder.ts'
import type { AudioCodec, VideoCodec } from '../access-unit.ts'
import type { VideoRange } from '../codecs/video-signal.ts'
import type { EncoderProbe } from '../encoders.ts'
import { planAudio } from './audio-plan.ts'
import { encodersFor, type VideoEncoder } from './encoder-choice.ts'
import { type Preset, type PresetRung, synthesise } from './preset.ts'
import type { AudioRung, VideoRung } from './rung.ts'

/** What is known of a source's pictures. */
export interface VideoFacts {
  readonly codec: VideoCodec
  /** RFC 6381; tells the profiles of H.264 that browsers do not play. */
  readonly codecString: string
  /** Pixels as coded. */
  readonly width: number
  readonly height: number
  /** True where pictures are shown turned by a quarter: rungs have the sizes as shown. */
  readonly rotated?: boolean
  /** Pictures a second; undefined when unknown or varying. */
  readonly frameRate: number | undefined
  /** Mean bits a second; undefined when unknown, which limits nothing. */
  readonly bitrateBps: number | undefined
  readonly videoRange: VideoRange
}

/** What is known of a source's main sound. */
export interface AudioFacts {
  readonly codec: AudioCodec
  readonly channels: number
  /** Samples a second. */
  readonly sampleRate: number
}

/** A source: pictures, sound or both. */
export interface LadderSource {
  readonly video: VideoFacts | undefined
  readonly audio: AudioFacts | undefined
}

/** A rung that is not made. */
export interface DroppedRung {
  readonly name: string
  /** A clause for people: `the source has 720 lines`. */
  readonly reason: string
}

/** What is made of a source. */
export interface LadderPlan {
  /** The largest first. */
  readonly video: readonly VideoRung[]
  readonly audio: readonly AudioRung[]
  readonly dropped: readonly DroppedRung[]
  /** True when the source's bit rate took bits from a rung, so that a better measurement would change the ladder. */
  readonly limitedByBitrate: boolean
}

/** How an encoder was found to work; hardware that is not to be used is left out by the caller. */
export type EncoderState = Pick<EncoderProbe, 'name' | 'ok'>

/** Plans a ladder. */
export function planLadder(
  source: LadderSource,
  preset: Preset,
  encoders: readonly EncoderState[],
): LadderPlan {
  const dropped: DroppedRung[] = []
  const audio = planAudio(source.audio, preset, encoders, dropped)
  const video = source.video
  if (video === undefined) return { video: [], audio, dropped, limitedByBitrate: false }
  const rungs: VideoRung[] = []
  let limitedByBitrate = false
  for (const asked of askedRungs(video, preset)) {
    const planned = planRung(asked, video, encoders)
    limitedByBitrate ||= planned.limited
    const { name, outcome } = planned
    if (typeof outcome === 'string') {
      dropped.push({ name, reason: outcome })
    } else if (rungs.some((other) => other.name === name)) {
      dropped.push({ name, reason: 'another rung comes out the same' })
    } else {
      rungs.push(outcome)
    }
  }
  return { video: rungs, audio, dropped, limitedByBitrate }
}

/** True when nearly every browser and set-top box plays the source as it is. */
export function isWidelyPlayable({ codec, codecString, videoRange }: VideoFacts): boolean {
  // Baseline, Main, Extended and High; the others have 10 bits or full chroma (ISO/IEC 14496-10 A.2).
  const profile = codecString.split('.')[1]?.slice(0, 2).toLowerCase() ?? ''
  return codec === 'h264' && videoRange === 'SDR' && ['42', '4d', '58', '64'].includes(profile)
}

/** Sides as shown, in even pixels: what a rung of the source's size has. */
function shownSize(source: VideoFacts): { readonly width: number; readonly height: number } {
  const [width, height] =
    source.rotated === true ? [source.height, source.width] : [source.width, source.height]
  return { width: evenBelow(width), height: evenBelow(height) }
}

/** The preset's rungs, the largest first, and one of the source's size where few could watch the source as it is. */
function askedRungs(source: VideoFacts, preset: Preset): PresetRung[] {
  const { width, height } = shownSize(source)
  const short = Math.min(width, height)
  const common = preset.video.filter(({ codec, range }) => codec === 'h264' && range === 'sdr')
  const wanted =
    !isWidelyPlayable(source) &&
    common.some((rung) => rung.height > short) &&
    !common.some((rung) => rung.height === short)
  const own = wanted ? synthesise(preset, short) : []
  return [...preset.video, ...own].toSorted((a, b) => b.height - a.height)
}

interface PlannedRung {
  readonly name: string
  /** The rung, or why there is none. */
  readonly outcome: VideoRung | string
  /** True when the source's bit rate had a say. */
  readonly limited: boolean
}

function planRung(
  asked: PresetRung,
  source: VideoFacts,
  encoders: readonly EncoderState[],
): PlannedRung {
  const shown = shownSize(source)
  const short = Math.min(shown.width, shown.height)
  const frameRate = thinnedRate(source.frameRate, asked.frameRateMax)
  const rate = frameRate ?? source.frameRate
  const without = (outcome: string): PlannedRung => ({
    name: rungName(asked, rate, asked.codec),
    outcome,
    limited: false,
  })
  if (asked.height > short) return without(`the source has ${short} lines`)
  if (asked.range === 'hdr' && source.videoRange === 'SDR') return without('the source is not HDR')
  const size = scaledSize(shown, asked.height)
  const encoder = chooseEncoder(asked, Math.max(size.width, size.height), encoders)
  if (encoder === undefined) return without(noEncoder(asked))
  const full = bitsFor(asked, rate)
  const limit = bitrateLimit(source, size, rate, encoder.codec)
  const bitrateBps = Math.floor(Math.min(full, limit))
  const name = rungName(asked, rate, encoder.codec)
  const limited = limit < full
  const useless = uselessness(asked, source, size, rate, bitrateBps)
  if (useless !== undefined) return { name, outcome: useless, limited }
  const outcome: VideoRung = {
    name,
    encoder: encoder.name,
    codec: encoder.codec,
    ...size,
    frameRate,
    bitrateBps,
    bitrateMaxBps: Math.round(bitrateBps * ladderLimits.peakShare),
    bufferMs: ladderLimits.bufferMs,
    preset: asked.speed,
    bFramesMax: asked.bFrames,
    dynamicRange: asked.range === 'hdr' ? 'keep' : 'sdr',
  }
  return { name, outcome, limited }
}

/** Why a rung would help nobody beside the source; undefined when it does. */
function uselessness(
  asked: PresetRung,
  source: VideoFacts,
  size: { readonly width: number; readonly height: number },
  rate: number | undefined,
  bitrateBps: number,
): string | undefined {
  const { nearSizeShare, nearBitrateShare, bitrateBpsMin } = ladderLimits
  const sourceKbps = Math.round((source.bitrateBps ?? 0) / 1000)
  if (bitrateBps < bitrateBpsMin) return `the source has only ${sourceKbps} kbit/s`
  // H.264 that is not widely playable has a profile that no rung has.
  const sameFamily = asked.codec === source.codec && source.codec !== 'h264'
  const servesAll =
    asked.range === 'hdr'
      ? true
      : isWidelyPlayable(source) || (source.videoRange === 'SDR' && sameFamily)
  if (!servesAll) return undefined
  const thinned = rate !== undefined && rate < (source.frameRate ?? rate) * nearSizeShare
  const shown = shownSize(source)
  const sizeShare = Math.min(size.width, size.height) / Math.min(shown.width, shown.height)
  if (sizeShare >= nearSizeShare && !thinned) return 'the source itself is this rung'
  if (source.bitrateBps !== undefined && bitrateBps >= source.bitrateBps * nearBitrateShare) {
    return `it would need nearly the ${sourceKbps} kbit/s of the source`
  }
  return undefined
}

/** The best encoder of the rung's codec; HDR may go to the other codec that has it. */
function chooseEncoder(
  asked: PresetRung,
  longSide: number,
  encoders: readonly EncoderState[],
): VideoEncoder | undefined {
  const tenBits = asked.range === 'hdr'
  const codecs: VideoRung['codec'][] = [asked.codec]
  if (tenBits) codecs.push(asked.codec === 'hevc' ? 'av1' : 'hevc')
  return codecs.flatMap((codec) => encodersFor({ codec, longSide, tenBits }, encoders))[0]
}

function noEncoder({ range, codec }: PresetRung): string {
  return range === 'hdr'
    ? 'no encoder of 10-bit HEVC or AV1 works here'
    : `no encoder of ${codec} works here`
}

/** `720p`, `720p60`, `1080p-hdr`, `1080p-hevc`; HDR is HEVC unless the name says AV1. */
function rungName(
  { height, range }: PresetRung,
  frameRate: number | undefined,
  codec: VideoRung['codec'],
): string {
  const rounded = Math.round(frameRate ?? 0)
  const rate = rounded > ladderLimits.highFrameRate ? String(rounded) : ''
  const hdr = range === 'hdr' ? '-hdr' : ''
  const usual = range === 'hdr' ? 'hevc' : 'h264'
  return `${height}p${rate}${hdr}${codec === usual ? '' : `-${codec}`}`
}

/** Pictures a second after leaving out all but every n-th; undefined keeps all. */
function thinnedRate(
  frameRate: number | undefined,
  frameRateMax: number | undefined,
): number | undefined {
  if (frameRate === undefined || frameRateMax === undefined) return undefined
  // 30.3 pictures a second measured are a source of 30.
  const step = Math.ceil(frameRate / frameRateMax - 0.05)
  return step > 1 ? frameRate / step : undefined
}

function bitsFor({ kbps, kbps60 }: PresetRung, frameRate: number | undefined): number {
  const high = (frameRate ?? 0) > ladderLimits.highFrameRate
  return (high ? (kbps60 ?? kbps * 1.5) : kbps) * 1000
}

/** Bits a second beyond which a rung would show nothing that the source has. */
function bitrateLimit(
  source: VideoFacts,
  size: { readonly width: number; readonly height: number },
  frameRate: number | undefined,
  codec: VideoRung['codec'],
): number {
  if (source.bitrateBps === undefined) return Number.POSITIVE_INFINITY
  const { bitratePixelPower, reencodeShare, olderCodecShare } = ladderLimits
  const timeShare =
    frameRate === undefined || source.frameRate === undefined ? 1 : frameRate / source.frameRate
  const pixelShare = (size.width * size.height) / (source.width * source.height)
  const codecShare = codec === 'h264' && source.codec !== 'h264' ? olderCodecShare : 1
  const share = reencodeShare * codecShare * (pixelShare * timeShare) ** bitratePixelPower
  return source.bitrateBps * Math.min(1, share)
}

function scaledSize(
  shown: { readonly width: number; readonly height: number },
  short: number,
): { readonly width: number; readonly height: number } {
  const sourceShort = Math.min(shown.width, shown.height)
  if (short === sourceShort) return shown
  const scale = (side: number): number =>
    Math.max(2, Math.min(side, Math.round((side * short) / sourceShort / 2) * 2))
  return { width: scale(shown.width), height: scale(shown.height) }
}

function evenBelow(pixels: number): number {
  return Math.floor(pixels / 2) * 2
}
