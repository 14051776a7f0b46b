/** Broken live streams: H.264, HEVC and AV1 over RTMP, transport streams over SRT. */
import {
  cut,
  FLV_AUDIO,
  FLV_VIDEO,
  type FlvTag,
  flipped,
  flvTags,
  isFlvConfig,
  pidOf,
  tsPackets,
  withoutNalUnits,
} from './bytes.ts'
import { AAC, type Clips, H264, ORDINARY, PICTURE, SOUND } from './clips.ts'
import type { BrokenStream, LiveEnding } from './live-run.ts'
import { avcConfigTag, hugeSps, noSizeSps } from './parameter-sets.ts'

const both = ['source', 'audio']
const whole: LiveEnding = { reason: 'closed', renditions: both, seconds: [2.6, 3.4] }
const tags = async (clips: Clips) => flvTags(await clips.bytes('plain.flv'))
const ts = (clips: Clips): Promise<Buffer> => clips.bytes('plain.ts')

const isConfigOf = (kind: number, tag: FlvTag): boolean => tag.type === kind && isFlvConfig(tag)

/** The ordinary clip, tag by tag; undefined leaves one out. */
function edited(
  edit: (tag: FlvTag, index: number) => FlvTag | undefined,
  name = 'plain.flv',
): BrokenStream['make'] {
  return async (clips) =>
    flvTags(await clips.bytes(name)).flatMap((tag, index) => edit(tag, index) ?? [])
}

/** The ordinary clip with other times. */
function retimed(time: (timeMs: number, index: number) => number): BrokenStream['make'] {
  return edited((tag, index) => ({ ...tag, timeMs: time(tag.timeMs, index) }))
}

/** Flips bits in the payload of pictures, behind their headers. */
function spoilt(share: number, name: string): BrokenStream['make'] {
  return edited(
    (tag) =>
      tag.type === FLV_VIDEO && !isFlvConfig(tag) && tag.body.byteLength > 40
        ? { ...tag, body: flipped(tag.body, share, 16) }
        : tag,
    name,
  )
}

const small = [...PICTURE, ...SOUND, '-vf', 'scale=96:54', ...H264, ...AAC]

const rtmp: readonly BrokenStream[] = [
  {
    ...{ name: 'nothing', about: 'a publisher that sends nothing' },
    make: async () => [],
    ends: { reason: 'closed', renditions: [] },
  },
  {
    ...{ name: 'empty tags', about: 'pictures and sound without bytes between others' },
    make: async (clips) =>
      (await tags(clips)).flatMap((tag) => [tag, { ...tag, body: Buffer.alloc(0) }]),
    ends: whole,
  },
  {
    ...{ name: 'no configuration', about: 'neither pictures nor sound are configured' },
    make: edited((tag) => (isFlvConfig(tag) ? undefined : tag)),
    ends: { reason: 'closed', renditions: [] },
  },
  {
    ...{ name: 'no configuration of sound', about: 'AAC without its configuration' },
    make: edited((tag) => (isConfigOf(FLV_AUDIO, tag) ? undefined : tag)),
    ends: { ...whole, renditions: ['source'] },
  },
  {
    ...{ name: 'noise for configuration', about: 'the configuration of the pictures is noise' },
    make: edited((tag) =>
      isConfigOf(FLV_VIDEO, tag) ? { ...tag, body: flipped(tag.body, 0.6, 5) } : tag,
    ),
    ends: { reason: 'limit|protocol', renditions: [] },
  },
  {
    ...{ name: 'huge pictures', about: 'the parameter set says 16384 x 16384' },
    make: edited((tag) =>
      isConfigOf(FLV_VIDEO, tag) ? { ...tag, body: avcConfigTag(hugeSps()) } : tag,
    ),
    ends: { reason: 'limit|protocol', renditions: [] },
  },
  {
    ...{ name: 'no size', about: 'the parameter set says 0 x 0' },
    make: edited((tag) =>
      isConfigOf(FLV_VIDEO, tag) ? { ...tag, body: avcConfigTag(noSizeSps()) } : tag,
    ),
    ends: { reason: 'protocol', renditions: [] },
  },
  {
    ...{ name: 'one byte in 1,000', about: 'flipped bits in the pictures' },
    make: spoilt(0.001, 'plain.flv'),
    ends: { ...whole, damaged: ['source'] },
  },
  {
    ...{ name: 'one byte in 100', about: 'flipped bits in the pictures' },
    make: spoilt(0.01, 'plain.flv'),
    ends: { ...whole, damaged: ['source'] },
  },
  {
    ...{ name: 'ten hours', about: 'begins at 10 hours' },
    make: retimed((timeMs) => timeMs + 36_000_000),
    ends: whole,
  },
  {
    ...{ name: 'wrap of 32 bits', about: 'the clock wraps after 1.5 s' },
    make: retimed((timeMs) => (timeMs + 2 ** 32 - 1_500) % 2 ** 32),
    ends: whole,
  },
  {
    ...{ name: 'backwards', about: 'the clock begins anew after 1.5 s' },
    make: retimed((timeMs) => (timeMs < 1_500 ? timeMs + 20_000 : timeMs)),
    ends: { ...whole, seconds: [2.3, 3.4] },
  },
  {
    ...{ name: 'an hour ahead', about: 'the clock jumps by an hour after 1.5 s' },
    make: retimed((timeMs) => (timeMs < 1_500 ? timeMs : timeMs + 3_600_000)),
    ends: { ...whole, seconds: [2.3, 3.4] },
  },
  {
    ...{ name: 'a clock that stands', about: 'all times are zero' },
    make: retimed(() => 0),
    ends: { reason: 'closed', renditions: both, seconds: [0, 3.4] },
  },
  {
    ...{ name: 'shown before decoded', about: 'composition offsets of an hour back' },
    make: edited((tag) => {
      if (tag.type !== FLV_VIDEO || isFlvConfig(tag)) return tag
      const body = Buffer.from(tag.body)
      body.writeIntBE(-3_600_000, 2, 3)
      return { ...tag, body }
    }),
    ends: { ...whole, seconds: [2.6, 14] },
  },
  {
    ...{ name: 'sound only', about: 'no pictures' },
    make: edited((tag) => (tag.type === FLV_AUDIO ? tag : undefined)),
    ends: { ...whole, renditions: ['audio'] },
  },
  {
    ...{ name: 'pictures only', about: 'no sound' },
    make: edited((tag) => (tag.type === FLV_VIDEO ? tag : undefined)),
    ends: { ...whole, renditions: ['source'] },
  },
  {
    ...{ name: 'no keyframe', about: 'pictures without one keyframe, and sound' },
    make: edited((tag) =>
      tag.type === FLV_VIDEO && !isFlvConfig(tag) && tag.body.readUInt8(0) >> 4 === 1
        ? undefined
        : tag,
    ),
    ends: { reason: 'closed', renditions: [] },
  },
  {
    ...{ name: 'another size', about: 'pictures become smaller on the way' },
    make: async (clips) => {
      const second = flvTags(await clips.bytes('small.flv', small))
      return [
        ...(await tags(clips)),
        ...second.map((tag) => ({ ...tag, timeMs: tag.timeMs + 3_000 })),
      ]
    },
    ends: { ...whole, seconds: [5, 6.4] },
  },
  {
    ...{ name: 'an old codec', about: 'Sorenson pictures' },
    make: async (clips) => flvTags(await clips.bytes('old.flv', [...PICTURE, '-c:v', 'flv'])),
    ends: { reason: 'unsupported-codec', renditions: [] },
  },
  {
    ...{ name: 'MP3', about: 'sound that no segment can hold' },
    make: async (clips) =>
      flvTags(
        await clips.bytes('mp3.flv', [
          ...PICTURE,
          ...SOUND,
          '-ar',
          '44100',
          ...H264,
          '-c:a',
          'libmp3lame',
        ]),
      ),
    ends: { reason: 'unsupported-codec', renditions: ['source'], seconds: [0, 1] },
  },
  {
    ...{ name: 'no codec', about: 'an Enhanced RTMP codec that nobody knows' },
    make: edited((tag) =>
      tag.type === FLV_VIDEO
        ? { ...tag, body: Buffer.concat([Buffer.from([0x90]), Buffer.from('zzzz')]) }
        : tag,
    ),
    ends: { reason: 'unsupported-codec', renditions: [] },
  },
]

const enhanced: readonly BrokenStream[] = ['hevc', 'av1'].flatMap(
  (codec): readonly BrokenStream[] => [
    {
      ...{ name: `${codec}: one byte in 200`, about: 'flipped bits in the pictures' },
      make: spoilt(0.005, `${codec}.flv`),
      ends: { reason: 'closed', renditions: ['source'], seconds: [1.5, 2.2], damaged: ['source'] },
    },
    {
      ...{ name: `${codec}: noise for configuration`, about: 'the configuration is noise' },
      make: edited(
        (tag) => (isConfigOf(FLV_VIDEO, tag) ? { ...tag, body: flipped(tag.body, 0.6, 5) } : tag),
        `${codec}.flv`,
      ),
      ends: { reason: 'limit|protocol', renditions: [] },
    },
    {
      ...{ name: `${codec}: no configuration`, about: 'pictures are not configured' },
      make: edited((tag) => (isFlvConfig(tag) ? undefined : tag), `${codec}.flv`),
      ends: { reason: 'closed', renditions: [] },
    },
  ],
)

const srt: readonly BrokenStream[] = [
  {
    ...{ name: 'ts: cut off', about: 'ends within a packet' },
    make: async (clips) => cut(await ts(clips), 0.7),
    ends: { ...whole, seconds: [1, 3], damaged: ['source'] },
  },
  {
    ...{ name: 'ts: one byte in 1,000', about: 'flipped bits' },
    make: async (clips) => flipped(await ts(clips), 0.001, 1_880),
    ends: { reason: 'closed', seconds: [0.5, 3.4], damaged: both },
  },
  {
    ...{ name: 'ts: one byte in 100', about: 'flipped bits' },
    make: async (clips) => flipped(await ts(clips), 0.01, 1_880),
    ends: { reason: 'closed', seconds: [0.2, 3.4], damaged: both },
  },
  {
    ...{ name: 'ts: lost packets', about: 'every twentieth packet is missing' },
    make: async (clips) =>
      Buffer.concat(tsPackets(await ts(clips)).filter((_, index) => index < 20 || index % 20 > 0)),
    ends: { reason: 'closed', seconds: [0.5, 3.4], damaged: both },
  },
  {
    ...{ name: 'ts: no tables', about: 'the tables of its programs are missing' },
    make: async (clips) =>
      Buffer.concat(
        tsPackets(await ts(clips)).filter((one) => pidOf(one) >= 256 && pidOf(one) < 4_096),
      ),
    ends: { reason: 'closed', renditions: [] },
  },
  {
    ...{ name: 'ts: no parameter sets', about: 'pictures without any parameter set, and sound' },
    make: async (clips) => withoutNalUnits(await ts(clips), [7, 8]),
    ends: { ...whole, renditions: ['audio'] },
  },
  {
    ...{ name: 'ts: wrap of 33 bits', about: 'the clock wraps after 2 s' },
    make: (clips) => clips.bytes('wraps.ts', [...ORDINARY, '-output_ts_offset', '95440.3']),
    ends: whole,
  },
  {
    ...{ name: 'ts: backwards', about: 'begins anew, with the same times' },
    make: async (clips) => Buffer.concat([await ts(clips), await ts(clips)]),
    ends: { ...whole, seconds: [2.6, 6.4] },
  },
  {
    ...{ name: 'ts: MPEG-2', about: 'pictures that no browser plays' },
    make: (clips) => clips.bytes('mpeg2-video.ts', [...PICTURE, '-r', '25', '-c:v', 'mpeg2video']),
    ends: { reason: 'unsupported-codec', renditions: [] },
  },
  {
    ...{ name: 'ts: noise', about: 'no transport stream at all' },
    make: async () => flipped(Buffer.alloc(50_000, 0x55), 0.5),
    ends: { reason: 'closed', renditions: [] },
  },
]

/** All of them. */
export const brokenStreams: readonly BrokenStream[] = [...rtmp, ...enhanced, ...srt]
