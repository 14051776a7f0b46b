/** Files whose times are wrong, or right and far from ordinary; and tracks that do not lie beside one another. */
import type { BrokenFile } from './broken-file.ts'
import {
  FLV_SCRIPT,
  type FlvTag,
  flvFile,
  flvTags,
  tsPackets,
  withEdit,
  withPesHeaders,
} from './bytes.ts'
import { AAC, type Clips, H264, ORDINARY, PICTURE, SOUND } from './clips.ts'

const both = ['source', 'audio']
const whole = { seconds: [2.8, 3.3], renditions: both } as const

/** The ordinary clip, its times moved by so many seconds. */
function moved(name: string, seconds: number): (clips: Clips) => Promise<Buffer> {
  return (clips) => clips.bytes(name, [...ORDINARY, '-output_ts_offset', String(seconds)])
}

/** The ordinary clip as FLV with other times. */
function retimed(time: (tag: FlvTag, index: number) => number): (clips: Clips) => Promise<Buffer> {
  return async (clips) =>
    flvFile(
      flvTags(await clips.bytes('plain.flv')).map((tag, index) => ({
        ...tag,
        // The metadata stay in front; elsewhere they would be a subtitle.
        timeMs: tag.type === FLV_SCRIPT ? 0 : time(tag, index),
      })),
    )
}

/** Two clips as transport streams, one behind the other. */
function joined(
  first: (clips: Clips) => Promise<Buffer>,
  second: (clips: Clips) => Promise<Buffer>,
): (clips: Clips) => Promise<Buffer> {
  return async (clips) => Buffer.concat([await first(clips), await second(clips)])
}

const plainTs = (clips: Clips): Promise<Buffer> => clips.bytes('plain.ts')
const small = [...PICTURE, ...SOUND, '-vf', 'scale=96:54', ...H264, ...AAC]

/** Two pictures of one colour, so many seconds apart. */
function slides(seconds: number): readonly string[] {
  const picture = `color=s=160x90:r=1/${seconds}:d=${seconds * 2}`
  return ['-f', 'lavfi', '-i', picture, ...H264]
}

const far: readonly BrokenFile[] = [
  {
    ...{ name: 'ten-hours.ts', about: 'begins at 10 hours' },
    make: moved('ten-hours.ts', 36_000),
    ends: whole,
  },
  {
    ...{ name: 'ten-hours.flv', about: 'begins at 10 hours' },
    make: retimed(({ timeMs }) => timeMs + 36_000_000),
    ends: whole,
  },
  {
    ...{ name: 'ten-hours.mkv', about: 'begins at 10 hours' },
    make: moved('ten-hours.mkv', 36_000),
    ends: whole,
  },
  {
    ...{ name: 'wraps.ts', about: 'its 33-bit clock wraps after 2 s' },
    make: moved('wraps.ts', 95_440.3),
    ends: whole,
  },
  {
    ...{ name: 'wraps.flv', about: 'its 32-bit clock wraps after 2 s' },
    make: retimed(({ timeMs }) => (timeMs + 2 ** 32 - 2_000) % 2 ** 32),
    ends: whole,
  },
  {
    ...{ name: 'negative.mkv', about: 'begins a second before zero' },
    make: (clips) =>
      clips.bytes('negative.mkv', [
        ...ORDINARY,
        ...['-output_ts_offset', '-1', '-avoid_negative_ts', 'disabled'],
      ]),
    ends: { seconds: [1.8, 3.3], renditions: both },
  },
]

const jumps: readonly BrokenFile[] = [
  {
    ...{ name: 'backwards.ts', about: 'begins anew in the middle, with the same times' },
    make: joined(plainTs, plainTs),
    ...{ encode: true },
    ends: { seconds: [5.5, 6.5], renditions: ['source', '72p', 'audio'] },
  },
  {
    ...{ name: 'backwards.flv', about: 'its clock goes back by 1.5 s in the middle' },
    make: retimed(({ timeMs }) => (timeMs < 1_500 ? timeMs + 1_500 : timeMs)),
    ends: { seconds: [2.8, 4.7], renditions: both },
  },
  {
    ...{ name: 'jumps.ts', about: 'an hour is missing in the middle' },
    make: joined(plainTs, moved('an-hour.ts', 3_600)),
    ends: { seconds: [5.5, 6.5], renditions: both },
  },
  {
    ...{ name: 'jumps-a-day.ts', about: '25 hours are missing in the middle' },
    make: joined(plainTs, moved('a-day.ts', 90_000)),
    ends: { seconds: [5.5, 6.5], renditions: both },
  },
  {
    ...{ name: 'stands-still.flv', about: 'all times are zero' },
    make: retimed(() => 0),
    ends: { error: 'ERR_MEDIA', says: /nothing of a sound track/ },
  },
  {
    ...{ name: 'shuffled.flv', about: 'the times of neighbours are exchanged' },
    make: retimed(({ timeMs }, index) => timeMs + (index % 2 === 0 ? 120 : 0)),
    ends: { seconds: [2.8, 3.5], renditions: both },
  },
  {
    ...{ name: 'early.mp4', about: 'pictures are shown a minute before they are decoded' },
    make: async (clips) =>
      withEdit(await clips.bytes('plain.mp4'), 'moov.trak.mdia.minf.stbl.ctts', (body) => {
        body.writeUInt8(1)
        for (let at = 12; at < body.byteLength; at += 16) body.writeInt32BE(-60 * 10_240, at)
      }),
    ends: { seconds: [0.1, 125], renditions: ['72p', 'audio'] },
  },
  {
    ...{ name: 'no-times.ts', about: 'pictures have no times at all' },
    make: async (clips) =>
      withPesHeaders(await plainTs(clips), (header, pid) => {
        if (pid === 256) header.writeUInt8(header.readUInt8(7) & 0x3f, 7)
      }),
    ends: { seconds: [2.5, 4], renditions: ['audio'] },
  },
]

const rates: readonly BrokenFile[] = [
  {
    ...{ name: 'slides.mp4', about: 'a picture in 1,000 s' },
    make: (clips) => clips.bytes('slides.mp4', slides(1_000)),
    ends: { seconds: [1_000, 2_001], renditions: ['72p'] },
  },
  {
    ...{ name: 'uneven.mkv', about: 'pictures come after 1 ms and after 2 s' },
    make: (clips) =>
      clips.bytes('uneven.mkv', [
        ...PICTURE,
        ...['-vf', "settb=1/1000,setpts='floor(N/10)*2000+mod(N,10)'", '-vsync', 'passthrough'],
        ...['-enc_time_base', '1/1000'],
        ...H264,
      ]),
    ends: { seconds: [3.5, 4.5], renditions: ['source'] },
  },
  {
    ...{ name: 'fast-rate.mp4', about: '1,000 pictures a second' },
    make: (clips) =>
      clips.bytes('fast-rate.mp4', [
        ...['-f', 'lavfi', '-i', 'testsrc2=s=64x36:r=1000:d=1', ...H264],
      ]),
    ends: { seconds: [0.9, 1.1], renditions: ['source'] },
  },
  {
    ...{ name: 'sizes-change.ts', about: 'pictures become smaller in the middle' },
    make: joined(plainTs, (clips) => clips.bytes('small.ts', [...small, '-output_ts_offset', '3'])),
    ends: { seconds: [5.5, 6.5], renditions: ['72p', 'audio'] },
  },
  {
    ...{ name: 'sizes-change.flv', about: 'pictures become smaller in the middle' },
    make: async (clips) => {
      const second = flvTags(await clips.bytes('small.flv', small))
      const later = second
        .filter(({ type }) => type !== FLV_SCRIPT)
        .map((tag) => ({ ...tag, timeMs: tag.timeMs + 3_000 }))
      return flvFile([...flvTags(await clips.bytes('plain.flv')), ...later])
    },
    ends: { seconds: [5.5, 6.5], renditions: ['72p', 'audio'] },
  },
  {
    ...{ name: 'sound-changes.ts', about: 'sound goes from 48 to 44.1 kHz in the middle' },
    make: joined(plainTs, (clips) =>
      clips.bytes('slow-sound.ts', [...ORDINARY, '-ar', '44100', '-output_ts_offset', '3']),
    ),
    ends: { seconds: [5.5, 6.5], renditions: ['72p', 'audio'] },
  },
]

const tracks: readonly BrokenFile[] = [
  {
    ...{ name: 'no-pictures.mp4', about: 'sound only' },
    make: (clips) => clips.bytes('no-pictures.mp4', [...SOUND, ...AAC]),
    ends: { seconds: [2.8, 3.3], renditions: ['audio'] },
  },
  {
    ...{ name: 'no-sound.mkv', about: 'pictures only' },
    make: (clips) => clips.bytes('no-sound.mkv', [...PICTURE, ...H264]),
    ends: { seconds: [2.8, 3.3], renditions: ['source'] },
  },
  {
    ...{ name: 'long-sound.mp4', about: 'sound goes on for 27 s after the pictures' },
    make: (clips) =>
      clips.bytes('long-sound.mp4', [
        ...[...PICTURE, '-f', 'lavfi', '-i', 'sine=f=440:r=48000:d=30', ...H264, ...AAC],
      ]),
    ends: { seconds: [29.5, 30.5], renditions: both },
  },
  {
    ...{ name: 'late-pictures.mkv', about: 'pictures begin 30 s after the sound' },
    make: (clips) =>
      clips.bytes('late-pictures.mkv', [
        ...['-itsoffset', '30', ...PICTURE, '-f', 'lavfi', '-i', 'sine=f=440:r=48000:d=33'],
        ...[...H264, ...AAC],
      ]),
    ends: { seconds: [32, 34], renditions: both },
  },
  {
    ...{ name: 'late-sound.mkv', about: 'sound begins 30 s after the pictures, which end' },
    make: (clips) =>
      clips.bytes('late-sound.mkv', [...PICTURE, '-itsoffset', '30', ...SOUND, ...H264, ...AAC]),
    ends: { seconds: [32, 34], renditions: both },
  },
  {
    ...{ name: 'silent-hour.mkv', about: 'an hour of the sound is missing' },
    make: (clips) =>
      clips.bytes('silent-hour.mkv', [
        ...[...SOUND, '-af', "asetpts='PTS+gte(T,1)*3600/TB'", ...AAC],
      ]),
    ends: { seconds: [3_600, 3_605], renditions: ['audio'] },
  },
  {
    ...{ name: 'apart.ts', about: 'all pictures first, then all sound' },
    make: async (clips) => {
      const packets = tsPackets(await plainTs(clips))
      const isSound = (packet: Buffer): boolean => (packet.readUInt16BE(1) & 0x1fff) === 257
      return Buffer.concat([
        ...packets.filter((packet) => !isSound(packet)),
        ...packets.filter(isSound),
      ])
    },
    ends: whole,
  },
]

/** All of them. */
export const mistimedFiles: readonly BrokenFile[] = [...far, ...jumps, ...rates, ...tracks]
