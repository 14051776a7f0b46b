/** Files whose bytes are damaged: cut off, with sizes that lie, with flipped bits, without what decoding needs. */
import type { BrokenFile, Ending } from './broken-file.ts'
import {
  boxAt,
  cut,
  FLV_AUDIO,
  FLV_VIDEO,
  flipped,
  flvFile,
  flvTags,
  isFlvConfig,
  pidOf,
  tsPackets,
  withEdit,
  withoutNalUnits,
} from './bytes.ts'
import { type Clips, ORDINARY } from './clips.ts'
import { avcConfigTag, hugeSps, noSizeSps } from './parameter-sets.ts'

const FAST = [...ORDINARY, '-movflags', 'faststart']
const WEBM = [
  ...ORDINARY.slice(0, ORDINARY.indexOf('-c:v')),
  // Not `realtime`, by which libvpx does what the load of the machine leaves time for.
  ...['-c:v', 'libvpx', '-deadline', 'good', '-cpu-used', '5', '-threads', '1', '-g', '10'],
  ...['-c:a', 'libopus', '-fflags', '+bitexact', '-flags', '+bitexact'],
]
const fast = (clips: Clips): Promise<Buffer> => clips.bytes('fast.mp4', FAST)
const plain = (clips: Clips): Promise<Buffer> => clips.bytes('plain.mp4')
const webm = (clips: Clips): Promise<Buffer> => clips.bytes('plain.webm', WEBM)
const tags = async (clips: Clips) => flvTags(await clips.bytes('plain.flv'))

const NO_MEDIA: Ending = { error: 'ERR_MEDIA', says: /no media file that Kairo can read/ }
const NO_SIZE: Ending = { error: 'ERR_MEDIA', says: /the size of its pictures is not known/ }
const both = ['source', 'audio']
const whole = { seconds: [2.8, 3.3], renditions: both } as const

/** The content of the media data box. */
function mediaRange(file: Buffer): readonly [number, number] {
  const { at, size, body } = boxAt(file, 'mdat')
  return [body, at + size]
}

const cutOff: readonly BrokenFile[] = [
  {
    ...{ name: 'zero-byte.mp4', about: 'no bytes at all' },
    make: async () => '',
    ends: { error: 'ERR_MEDIA', says: /is empty/ },
  },
  {
    ...{ name: 'one-byte.mp4', about: 'a single byte' },
    make: async () => 'x',
    ends: NO_MEDIA,
  },
  {
    ...{ name: 'header-only.mp4', about: 'the file type box and nothing else' },
    make: async (clips) => (await plain(clips)).subarray(0, 32),
    ends: NO_MEDIA,
  },
  {
    ...{ name: 'header-only.mkv', about: 'the EBML header and nothing else' },
    make: async (clips) => (await clips.bytes('plain.mkv')).subarray(0, 48),
    ends: NO_MEDIA,
  },
  {
    ...{ name: 'header-only.flv', about: 'the FLV header and nothing else' },
    make: async () => flvFile([]),
    ends: { error: 'ERR_MEDIA', says: /no pictures and no sound|no media file/ },
  },
  {
    ...{ name: 'cut-10.mp4', about: 'index in front, cut off after 10 %' },
    make: async (clips) => cut(await fast(clips), 0.1),
    ends: { seconds: [0.1, 1], renditions: ['source'] },
  },
  {
    ...{ name: 'cut-50.mp4', about: 'index in front, cut off after 50 %' },
    make: async (clips) => cut(await fast(clips), 0.5),
    ends: { seconds: [0.5, 3], renditions: both },
  },
  {
    ...{ name: 'cut-90.mp4', about: 'index in front, cut off after 90 %' },
    make: async (clips) => cut(await fast(clips), 0.9),
    ends: { seconds: [2, 3.1], renditions: both },
  },
  {
    ...{ name: 'cut-10.ts', about: 'cut off after 10 %, within a packet' },
    make: async (clips) => cut(await clips.bytes('plain.ts'), 0.1),
    ends: { seconds: [0.1, 1.5], renditions: ['source'] },
  },
  {
    ...{ name: 'cut-50.ts', about: 'cut off after 50 %, within a packet' },
    make: async (clips) => cut(await clips.bytes('plain.ts'), 0.5),
    ...{ encode: true },
    ends: { seconds: [0.5, 3], renditions: ['source', '72p', 'audio'] },
  },
  {
    ...{ name: 'cut-50.mkv', about: 'cut off after 50 %, within a block' },
    make: async (clips) => cut(await clips.bytes('plain.mkv'), 0.5),
    ends: { seconds: [0.5, 3], renditions: both },
  },
  {
    ...{ name: 'cut-90.mkv', about: 'cut off after 90 %, without its index' },
    make: async (clips) => cut(await clips.bytes('plain.mkv'), 0.9),
    ends: { seconds: [2, 3.1], renditions: both },
  },
  {
    ...{ name: 'cut-50.webm', about: 'cut off after 50 %, within a block' },
    make: async (clips) => cut(await webm(clips), 0.5),
    ends: { seconds: [0.5, 3], renditions: ['72p', 'audio'] },
  },
  {
    ...{ name: 'cut-50.flv', about: 'cut off after 50 %, within a tag' },
    make: async (clips) => cut(await clips.bytes('plain.flv'), 0.5),
    ends: { seconds: [0.5, 3], renditions: both },
  },
  {
    ...{ name: 'cut-50.mov', about: 'index behind the media, cut off after 50 %' },
    make: async (clips) => cut(await clips.bytes('plain.mov'), 0.5),
    ends: NO_MEDIA,
  },
]

const lies: readonly BrokenFile[] = [
  {
    ...{ name: 'no-index.mp4', about: 'the movie box is missing' },
    make: async (clips) => {
      const file = await plain(clips)
      return file.subarray(0, boxAt(file, 'moov').at)
    },
    ends: NO_MEDIA,
  },
  {
    ...{ name: 'cut-index.mp4', about: 'the movie box behind the media is cut off in the middle' },
    make: async (clips) => {
      const file = await plain(clips)
      const { at, size } = boxAt(file, 'moov')
      return file.subarray(0, at + size / 2)
    },
    ends: { seconds: [2.8, 3.3], renditions: ['source'] },
  },
  {
    ...{ name: 'media-too-long.mp4', about: 'the media box says 4 GB' },
    make: async (clips) => {
      const file = Buffer.from(await fast(clips))
      file.writeUInt32BE(0xfffffff0, boxAt(file, 'mdat').at)
      return file
    },
    ends: whole,
  },
  {
    ...{ name: 'media-too-short.mp4', about: 'the media box says 9 bytes' },
    make: async (clips) => {
      const file = Buffer.from(await fast(clips))
      file.writeUInt32BE(9, boxAt(file, 'mdat').at)
      return file
    },
    ends: whole,
  },
  {
    ...{ name: 'index-too-long.mp4', about: 'the movie box says 2 GB' },
    make: async (clips) => {
      const file = Buffer.from(await plain(clips))
      file.writeUInt32BE(0x7ffffff0, boxAt(file, 'moov').at)
      return file
    },
    ends: whole,
  },
  {
    ...{ name: 'sample-sizes.mp4', about: 'the sizes of all pictures are noise' },
    make: async (clips) =>
      withEdit(await plain(clips), 'moov.trak.mdia.minf.stbl.stsz', (body) => {
        flipped(body, 0.5, 12).copy(body)
      }),
    ends: { seconds: [2.8, 3.3], renditions: ['audio'] },
  },
  {
    ...{ name: 'many-samples.mp4', about: 'the table of sizes claims 4 billion entries' },
    make: async (clips) =>
      withEdit(await plain(clips), 'moov.trak.mdia.minf.stbl.stsz', (body) =>
        body.writeUInt32BE(0xffffffff, 8),
      ),
    ends: NO_MEDIA,
  },
  {
    ...{ name: 'offsets.mp4', about: 'pictures are said to lie behind the end of the file' },
    make: async (clips) =>
      withEdit(await plain(clips), 'moov.trak.mdia.minf.stbl.stco', (body) => {
        for (let at = 8; at < body.byteLength; at += 4) body.writeUInt32BE(0x7fffffff, at)
      }),
    ends: { seconds: [0.5, 3.3], renditions: ['audio'] },
  },
  {
    ...{
      name: 'clusters.mkv',
      about: 'one byte in ten of the first 2 KiB behind the header is noise',
    },
    make: async (clips) => flipped(await clips.bytes('plain.mkv'), 0.1, 64, 2_048),
    ends: { error: 'ERR_MEDIA', says: /no pictures and no sound/ },
  },
]

const flips: readonly BrokenFile[] = [
  {
    ...{ name: 'flips-1000.ts', about: 'a bit in one byte of 1,000 is flipped' },
    make: async (clips) => flipped(await clips.bytes('plain.ts'), 0.001),
    ...{ encode: true },
    ends: { seconds: [2, 3.4], damaged: both },
  },
  {
    ...{ name: 'flips-100.ts', about: 'a bit in one byte of 100 is flipped' },
    make: async (clips) => flipped(await clips.bytes('plain.ts'), 0.01),
    ...{ encode: true },
    ends: { seconds: [2, 3.4], damaged: both },
  },
  {
    ...{ name: 'flips-100.mp4', about: 'a bit in one byte of 100 of the media is flipped' },
    make: async (clips) => {
      const file = await plain(clips)
      return flipped(file, 0.01, ...mediaRange(file))
    },
    ...{ encode: true },
    ends: { seconds: [2, 3.4], damaged: both },
  },
  {
    ...{ name: 'flips-100.mkv', about: 'a bit in one byte of 100 behind the header is flipped' },
    make: async (clips) => flipped(await clips.bytes('plain.mkv'), 0.01, 1_024),
    ...{ encode: true },
    ends: { seconds: [0.5, 3.4], damaged: both },
  },
  {
    ...{ name: 'flips-1000.flv', about: 'a bit in one byte of 1,000 is flipped' },
    make: async (clips) => flipped(await clips.bytes('plain.flv'), 0.001, 13),
    ...{ encode: true },
    ends: { seconds: [2, 3.4], damaged: both },
  },
  {
    ...{
      name: 'flips-1000.webm',
      about: 'a bit in one byte of 1,000 behind the header is flipped',
    },
    make: async (clips) => flipped(await webm(clips), 0.001, 600),
    ends: { seconds: [2, 3.3], renditions: ['72p', 'audio'], damaged: ['audio'] },
  },
  {
    ...{ name: 'zeroed.mp4', about: 'the media from 30 to 60 % are zeros' },
    make: async (clips) => {
      const file = Buffer.from(await plain(clips))
      const [from, to] = mediaRange(file)
      const share = (to - from) / 10
      return file.fill(0, from + Math.floor(share * 3), from + Math.floor(share * 6))
    },
    ...{ encode: true },
    ends: {
      ...{ seconds: [2.8, 3.3], renditions: ['source', '72p', 'audio'] },
      damaged: ['source', 'audio'],
    },
  },
  {
    ...{ name: 'zeroed.ts', about: 'the packets from 30 to 60 % are zeros' },
    make: async (clips) => {
      const file = Buffer.from(await clips.bytes('plain.ts'))
      const share = file.byteLength / 10
      return file.fill(0, Math.floor(share * 3), Math.floor(share * 6))
    },
    ...{ encode: true },
    ends: { seconds: [2.8, 3.3], renditions: ['source', '72p', 'audio'], damaged: ['source'] },
  },
  {
    ...{ name: 'lost-packets.ts', about: 'every twentieth packet is missing' },
    make: async (clips) =>
      Buffer.concat(
        tsPackets(await clips.bytes('plain.ts')).filter((_, index) => index < 20 || index % 20 > 0),
      ),
    ...{ encode: true },
    ends: { seconds: [2, 3.4], damaged: both },
  },
]

const parameterSets: readonly BrokenFile[] = [
  {
    ...{ name: 'no-parameter-sets.ts', about: 'pictures without any parameter set, and sound' },
    make: async (clips) => withoutNalUnits(await clips.bytes('plain.ts'), [7, 8]),
    ends: NO_SIZE,
  },
  {
    ...{
      name: 'late-parameter-sets.ts',
      about: 'the first parameter sets stand in the second half',
    },
    make: async (clips) => {
      const file = await clips.bytes('plain.ts')
      const half = Math.floor(file.byteLength / 376) * 188
      const blind = withoutNalUnits(file.subarray(0, half), [7, 8])
      return Buffer.concat([blind, file.subarray(half)])
    },
    ends: { seconds: [1, 3.3], renditions: both },
  },
  {
    ...{ name: 'no-tables.ts', about: 'a transport stream without the tables of its programs' },
    make: async (clips) =>
      Buffer.concat(
        tsPackets(await clips.bytes('plain.ts')).filter(
          (packet) => pidOf(packet) >= 256 && pidOf(packet) < 4_096,
        ),
      ),
    ends: { seconds: [2.5, 3.3], renditions: both },
  },
  {
    ...{ name: 'no-config.flv', about: 'neither pictures nor sound are configured' },
    make: async (clips) => flvFile((await tags(clips)).filter((tag) => !isFlvConfig(tag))),
    ends: { error: 'ERR_MEDIA', says: /before its first picture or sound/ },
  },
  {
    ...{ name: 'no-sound-config.flv', about: 'AAC without its configuration' },
    make: async (clips) =>
      flvFile((await tags(clips)).filter((tag) => tag.type !== FLV_AUDIO || !isFlvConfig(tag))),
    ends: whole,
  },
  {
    ...{ name: 'noise-config.flv', about: 'the configuration of the pictures is noise' },
    make: async (clips) =>
      flvFile(
        (await tags(clips)).map((tag) =>
          tag.type === FLV_VIDEO && isFlvConfig(tag)
            ? { ...tag, body: flipped(tag.body, 0.5, 5) }
            : tag,
        ),
      ),
    ends: NO_SIZE,
  },
  {
    ...{ name: 'huge-pictures.flv', about: 'the parameter set says 16384 x 16384' },
    make: async (clips) => flvFile(reconfigured(await tags(clips), hugeSps())),
    ends: { error: 'ERR_MEDIA', says: /16384 x 16384|the size of its pictures is not known/ },
  },
  {
    ...{ name: 'no-size.flv', about: 'the parameter set says 0 x 0' },
    make: async (clips) => flvFile(reconfigured(await tags(clips), noSizeSps())),
    ends: NO_SIZE,
  },
]

function reconfigured(all: Awaited<ReturnType<typeof tags>>, sps: Uint8Array) {
  return all.map((tag) =>
    tag.type === FLV_VIDEO && isFlvConfig(tag) ? { ...tag, body: avcConfigTag(sps) } : tag,
  )
}

/** All of them. */
export const damagedFiles: readonly BrokenFile[] = [...cutOff, ...lies, ...flips, ...parameterSets]
