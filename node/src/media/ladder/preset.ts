/**
 * What a preset is: a ladder that a person can read, as JSON. Built-in presets are the files of `node/presets`, an operator's
 * own are those of `<home>/presets`; both are checked by the schema here.
 */
import { z } from 'zod'
import { ladderLimits } from '../../limits/ladder.ts'

const kbps = z.number().int().min(32).max(200_000)

/** Speeds of software encoders, in x264's words, the fastest first. */
const encoderSpeeds = [
  ...(['ultrafast', 'superfast', 'veryfast', 'faster'] as const),
  ...(['fast', 'medium', 'slow', 'slower'] as const),
] as const

const videoSchema = z.strictObject({
  /** Pixels of the short side, so that upright video has the same rungs. */
  height: z.number().int().min(96).max(4_320).multipleOf(2),
  /** Mean kilobits a second of sources with up to 36 pictures a second. */
  kbps,
  /** The same for faster sources. Default: one and a half times `kbps`. */
  kbps60: kbps.optional(),
  codec: z.enum(['h264', 'hevc', 'av1']).default('h264'),
  /** `sdr` shows on every screen, HDR sources are tone-mapped; `hdr` is made of HDR sources only and stays HDR. */
  range: z.enum(['sdr', 'hdr']).default('sdr'),
  /** Faster sources are thinned out evenly to at most this many pictures a second. Default: the source's rate. */
  frameRateMax: z.number().min(1).max(240).optional(),
  /** Speed of software encoders; hardware takes the nearest it has. */
  speed: z.enum(encoderSpeeds).default('veryfast'),
  /** B-frames in a row: fewer bits, later pictures. */
  bFrames: z.number().int().min(0).max(4).default(0),
})

const audioSchema = z.strictObject({
  /** `needed` makes AAC of sound that not every player takes (Opus, FLAC); `never` leaves it. */
  aac: z.enum(['needed', 'never']).default('needed'),
  aacKbps: z.number().int().min(32).max(512).default(128),
  /** Make Opus of AAC and FLAC too, for WebRTC. */
  opus: z.boolean().default(false),
  opusKbps: z.number().int().min(16).max(510).default(96),
})

/** A preset's file. Strict: a misspelt field is an error and not a silent default. */
export const presetSchema = z
  .strictObject({
    /** One sentence for people. */
    description: z.string().min(1).max(300),
    /** Rungs of pictures, in any order; those that a source has no use for are left out. Empty: none. */
    video: z.array(videoSchema).max(ladderLimits.presetRungsMax),
    audio: audioSchema.prefault({}),
  })
  .superRefine(({ video }, context) => {
    for (const [index, rung] of video.entries()) {
      const path = ['video', index]
      if (rung.range === 'hdr' && rung.codec === 'h264') {
        const message = 'HDR needs hevc or av1: H.264 encoders make 8 bits'
        context.addIssue({ code: 'custom', path: [...path, 'codec'], message })
      }
      const first = video.findIndex((other) => sameRung(other, rung))
      if (first < index) {
        const message = `the same height, codec and range as video[${first}]`
        context.addIssue({ code: 'custom', path, message })
      }
    }
  })

/** A ladder for every source. */
export type Preset = z.output<typeof presetSchema>

/** One rung of pictures as a preset asks for it. */
export type PresetRung = Preset['video'][number]

function sameRung(a: PresetRung, b: PresetRung): boolean {
  return a.height === b.height && a.codec === b.codec && a.range === b.range
}

const heightName = /^(\d{3,4})p(\d{2,3})?$/

/** True for a name such as `720p` or `1080p30`, which no file may have. */
export function isHeightName(name: string): boolean {
  return heightName.test(name)
}

/**
 * The ladder that a name such as `720p` or `1080p30` asks for: `base` from that height down, the height itself included, with at most
 * that many pictures a second. Undefined for a name that is no height between 96 and 4320.
 */
export function heightPreset(name: string, base: Preset): Preset | undefined {
  const match = heightName.exec(name)
  if (match === null) return undefined
  const height = Number(match[1])
  const frameRate = match[2] === undefined ? undefined : Number(match[2])
  if (height < 96 || height > 4_320 || height % 2 !== 0 || frameRate === 0) return undefined
  const below = base.video.filter((rung) => rung.height < height)
  const top = base.video.some((rung) => rung.height === height && rung.range === 'sdr')
    ? base.video.filter((rung) => rung.height === height)
    : synthesise(base, height)
  const video = [...top, ...below].map((rung) =>
    frameRate === undefined
      ? rung
      : { ...rung, frameRateMax: Math.min(frameRate, rung.frameRateMax ?? frameRate) },
  )
  return {
    description: `A ladder from ${name} down.`,
    video: video.slice(0, ladderLimits.presetRungsMax),
    audio: base.audio,
  }
}

/** A rung of that height with bits between those of its neighbours; none when `base` has no SDR rung to go by. */
export function synthesise(base: Preset, height: number): PresetRung[] {
  const known = base.video.filter(({ range, codec }) => range === 'sdr' && codec === 'h264')
  const nearest = known.toSorted(
    (a, b) => Math.abs(a.height - height) - Math.abs(b.height - height),
  )[0]
  if (nearest === undefined) return []
  const share = (height / nearest.height) ** (2 * ladderLimits.bitratePixelPower)
  const { kbps60, ...rung } = nearest
  const scaled = (rate: number): number => Math.min(200_000, Math.max(32, Math.round(rate * share)))
  return [
    {
      ...rung,
      height,
      kbps: scaled(rung.kbps),
      ...(kbps60 === undefined ? {} : { kbps60: scaled(kbps60) }),
    },
  ]
}
