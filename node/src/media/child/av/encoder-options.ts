/**
 * How each encoder is told the same thing. Encoders have their own words for presets, rate control and forced keyframes; a rung
 * has one. Pure, so that what is asked of hardware that is not here can at least be read and tested.
 */
import type { VideoColour } from '../../access-unit.ts'
import type { VideoRung } from '../../ladder/rung.ts'

/** What an encoder is opened with, beside what every encoder has in common. */
export interface EncoderOptions {
  /** FFmpeg's private options of the encoder. */
  readonly options: Readonly<Record<string, string>>
  /** FFmpeg's name of the pixel format that it is given. */
  readonly pixelFormat: string
  /** Pictures must be uploaded into a device's memory first. */
  readonly upload: 'vaapi' | undefined
}

/** What the options depend on beside the rung. */
export interface EncoderSituation {
  /** Colours of the output. */
  readonly colour: VideoColour | undefined
  /** The output has 10 bits a sample. */
  readonly tenBit: boolean
  /** Viewers wait for each picture. */
  readonly live: boolean
  readonly threads: number
}

/** Presets of x264, slow to fast, and what other encoders call the like of them. */
const presets = {
  veryslow: { svt: 4, nvenc: 'p7', qsv: 'veryslow', amf: 'quality' },
  slower: { svt: 5, nvenc: 'p7', qsv: 'slower', amf: 'quality' },
  slow: { svt: 6, nvenc: 'p6', qsv: 'slow', amf: 'quality' },
  medium: { svt: 7, nvenc: 'p5', qsv: 'medium', amf: 'balanced' },
  fast: { svt: 8, nvenc: 'p4', qsv: 'fast', amf: 'balanced' },
  faster: { svt: 9, nvenc: 'p4', qsv: 'faster', amf: 'balanced' },
  veryfast: { svt: 10, nvenc: 'p3', qsv: 'veryfast', amf: 'speed' },
  superfast: { svt: 11, nvenc: 'p2', qsv: 'veryfast', amf: 'speed' },
  ultrafast: { svt: 12, nvenc: 'p1', qsv: 'veryfast', amf: 'speed' },
} as const

/**
 * Pictures that a live encoder looks ahead, each one a picture of delay. Without B-frames more of them gained nothing that could be
 * measured (SSIM of 1080p30 at `veryfast`: 0.9499 with 4, 6 and 10).
 */
const LIVE_LOOKAHEAD = 5

/** The options of a rung's encoder. */
export function encoderOptions(rung: VideoRung, situation: EncoderSituation): EncoderOptions {
  const { encoder } = rung
  const nearest = presets[rung.preset as keyof typeof presets] ?? presets.veryfast
  const wide = situation.tenBit ? 'p010le' : 'nv12'
  if (encoder === 'libx264') return x264(rung, situation)
  if (encoder === 'libx265') return x265(rung, situation)
  if (encoder === 'libsvtav1') return svtAv1(nearest.svt, situation)
  if (encoder.endsWith('_nvenc')) {
    return { options: nvenc(nearest.nvenc, situation), pixelFormat: wide, upload: undefined }
  }
  if (encoder.endsWith('_qsv')) {
    return { options: qsv(encoder, nearest.qsv, situation), pixelFormat: wide, upload: undefined }
  }
  if (encoder.endsWith('_amf')) {
    return { options: amf(encoder, nearest.amf, situation), pixelFormat: wide, upload: undefined }
  }
  if (encoder.endsWith('_vaapi')) {
    const options = { rc_mode: 'VBR', idr_interval: '0', async_depth: situation.live ? '1' : '2' }
    return { options, pixelFormat: wide, upload: 'vaapi' }
  }
  return { options: {}, pixelFormat: 'yuv420p', upload: undefined }
}

function nvenc(preset: string, { live }: EncoderSituation): Record<string, string> {
  const options = {
    preset,
    rc: 'vbr',
    'forced-idr': '1',
    'no-scenecut': '1',
    strict_gop: '1',
    a53cc: '1',
  }
  return live ? { ...options, delay: '0', zerolatency: '1' } : options
}

/** AV1 on Quick Sync always begins groups with keyframes, and has no captions in SEI. */
function qsv(encoder: string, preset: string, { live }: EncoderSituation): Record<string, string> {
  const options = { preset, async_depth: live ? '1' : '4' }
  if (encoder === 'av1_qsv') return options
  if (encoder === 'hevc_qsv') return { ...options, forced_idr: '1' }
  return { ...options, forced_idr: '1', look_ahead: '0', a53cc: '1' }
}

function amf(encoder: string, quality: string, { live }: EncoderSituation): Record<string, string> {
  const options = { usage: live ? 'lowlatency' : 'transcoding', quality, rc: 'vbr_peak' }
  return encoder === 'av1_amf' ? options : { ...options, forced_idr: '1' }
}

/** Lengths instead of start codes: the output is ready for a part as it is. */
function x264(rung: VideoRung, { tenBit, live }: EncoderSituation): EncoderOptions {
  const lookahead = live ? `:rc-lookahead=${LIVE_LOOKAHEAD}` : ''
  return {
    options: {
      preset: rung.preset,
      'forced-idr': '1',
      a53cc: '1',
      'x264-params': `annexb=0:scenecut=0:open-gop=0${lookahead}`,
    },
    pixelFormat: tenBit ? 'yuv420p10le' : 'yuv420p',
    upload: undefined,
  }
}

function x265(rung: VideoRung, situation: EncoderSituation): EncoderOptions {
  const { colour, tenBit, live, threads } = situation
  const params = [
    'log-level=error',
    'scenecut=0',
    'open-gop=0',
    'repeat-headers=0',
    `pools=${threads}`,
    `frame-threads=${live ? 1 : Math.min(threads, 4)}`,
    ...(live ? [`rc-lookahead=${LIVE_LOOKAHEAD}`] : []),
    ...hdr10Params(colour),
  ]
  return {
    options: {
      preset: rung.preset,
      'forced-idr': '1',
      a53cc: '1',
      'x265-params': params.join(':'),
    },
    pixelFormat: tenBit ? 'yuv420p10le' : 'yuv420p',
    upload: undefined,
  }
}

function hdr10Params(colour: VideoColour | undefined): string[] {
  const { masteringDisplay, contentLight } = colour ?? {}
  const params: string[] = []
  if (masteringDisplay !== undefined) {
    // `mdcv` has x265's own units and order.
    const { green, blue, red, white, luminance } = displayVolume(masteringDisplay)
    params.push('hdr10=1', 'hdr10-opt=1')
    params.push(`master-display=G(${green})B(${blue})R(${red})WP(${white})L(${luminance})`)
  }
  if (contentLight !== undefined) params.push(`max-cll=${lightLevels(contentLight)}`)
  return params
}

function svtAv1(preset: number, situation: EncoderSituation): EncoderOptions {
  const { colour, tenBit, live, threads } = situation
  const { masteringDisplay, contentLight } = colour ?? {}
  const params = [
    'scd=0',
    // Variable rate needs pictures ahead; without them the constant one is what holds a bit rate.
    ...(live ? ['pred-struct=1', 'rc=2'] : ['rc=1']),
    `lp=${threads}`,
  ]
  if (masteringDisplay !== undefined) {
    const { green, blue, red, white, luminance } = displayVolume(masteringDisplay, {
      point: 50_000,
      light: 10_000,
    })
    params.push(`mastering-display=G(${green})B(${blue})R(${red})WP(${white})L(${luminance})`)
  }
  if (contentLight !== undefined) params.push(`content-light=${lightLevels(contentLight)}`)
  return {
    options: { preset: String(preset), 'svtav1-params': params.join(':') },
    pixelFormat: tenBit ? 'yuv420p10le' : 'yuv420p',
    upload: undefined,
  }
}

interface DisplayVolume {
  readonly green: string
  readonly blue: string
  readonly red: string
  readonly white: string
  readonly luminance: string
}

/** The fields of an `mdcv` payload, divided into the units that an encoder wants. */
function displayVolume(mdcv: Uint8Array, per = { point: 1, light: 1 }): DisplayVolume {
  const bytes = Buffer.from(mdcv)
  const point = (at: number): string =>
    [bytes.readUInt16BE(at), bytes.readUInt16BE(at + 2)].map((one) => one / per.point).join(',')
  const light = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)].map((one) => one / per.light)
  return {
    green: point(0),
    blue: point(4),
    red: point(8),
    white: point(12),
    luminance: light.join(','),
  }
}

/** The two levels of a `clli` payload. */
function lightLevels(clli: Uint8Array): string {
  const bytes = Buffer.from(clli)
  return `${bytes.readUInt16BE(0)},${bytes.readUInt16BE(2)}`
}
