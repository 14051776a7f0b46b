/** Files that are whole and odd, and files that are no media and would like to be taken for some. */
import { pathToFileURL } from 'node:url'
import type { BrokenFile, Ending } from './broken-file.ts'
import { boxAt, withBoxBody, withEdit } from './bytes.ts'
import { AAC, type Clips, H264, ORDINARY, PICTURE, SOUND } from './clips.ts'

const both = ['source', 'audio']
const whole = { seconds: [2.8, 3.3], renditions: both } as const
const NO_MEDIA: Ending = { error: 'ERR_MEDIA', says: /no media file that Kairo can read/ }

/** A clip made of ffmpeg's arguments, under its own name. */
function made(
  name: string,
  about: string,
  args: readonly string[],
  ends: Ending,
  encode = false,
): BrokenFile {
  return { name, about, make: (clips) => clips.bytes(name, args), ends, encode }
}

const pictures = (...args: readonly string[]): readonly string[] => [...PICTURE, ...args]
const still = (size: string): readonly string[] => ['-f', 'lavfi', '-i', `color=s=${size}:d=1:r=5`]
const seconds = [2.8, 3.3] as const

const codecs: readonly BrokenFile[] = [
  made(
    ...(['prores.mov', 'ProRes and PCM'] as const),
    [...PICTURE, ...SOUND, '-c:v', 'prores_ks', '-c:a', 'pcm_s16le'],
    { seconds, renditions: ['72p', 'audio'] },
  ),
  made('mjpeg.mov', 'Motion JPEG', pictures('-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p'), {
    ...{ seconds, renditions: ['72p'] },
  }),
  made(
    ...(['dv.mov', 'DV'] as const),
    ['-f', 'lavfi', '-i', 'testsrc2=s=720x576:r=25:d=1', '-c:v', 'dvvideo', '-pix_fmt', 'yuv420p'],
    { seconds: [0.9, 1.1], renditions: ['72p'] },
  ),
  made(
    ...(['mpeg2.ts', 'MPEG-2 and MP2'] as const),
    [...PICTURE, ...SOUND, '-r', '25', '-c:v', 'mpeg2video', '-c:a', 'mp2'],
    { seconds, renditions: ['72p', 'audio'] },
  ),
  made(
    'sorenson.flv',
    'Sorenson and MP3',
    [...PICTURE, ...SOUND, '-c:v', 'flv', '-c:a', 'libmp3lame', '-ar', '44100'],
    {
      ...{ seconds, renditions: ['72p', 'audio'] },
    },
  ),
  made('raw.mkv', 'pictures that are not compressed', pictures('-c:v', 'rawvideo'), {
    ...{ seconds, renditions: ['72p'] },
  }),
  {
    ...{ name: 'unknown-codec.mp4', about: 'a codec that nobody knows' },
    make: async (clips) => {
      const file = Buffer.from(await clips.bytes('no-sound.mp4', [...PICTURE, ...H264]))
      file.write('zzzz', boxAt(file, 'moov.trak.mdia.minf.stbl.stsd').body + 12, 'latin1')
      return file
    },
    ends: { error: 'ERR_UNSUPPORTED_CODEC', says: /there is no decoder for stream 0/ },
  },
]

const shapes: readonly BrokenFile[] = [
  made(
    '1x1.webm',
    '1 x 1',
    [
      ...still('2x2'),
      '-vf',
      'scale=1:1',
      '-c:v',
      'libvpx',
      '-cpu-used',
      '8',
      '-deadline',
      'realtime',
    ],
    {
      ...{ seconds: [0.9, 1.1], renditions: ['72p'] },
    },
  ),
  made(
    '3x3.mp4',
    '3 x 3, no chroma subsampling',
    [...still('3x3'), '-c:v', 'libx264', '-pix_fmt', 'yuv444p'],
    {
      ...{ seconds: [0.9, 1.1], renditions: ['source'] },
    },
  ),
  made('15x17.mov', '15 x 17', [...still('15x17'), '-c:v', 'png'], {
    ...{ seconds: [0.9, 1.1], renditions: ['72p'] },
  }),
  made('wide.mkv', '4096 x 2', [...still('4096x2'), '-c:v', 'ffv1', '-pix_fmt', 'yuv420p'], {
    ...{ error: 'ERR_MEDIA', says: /pictures of 4096 x 2 pixels/ },
  }),
  made(
    ...(['8k.mp4', 'one picture of 7680 x 4320'] as const),
    [
      '-f',
      'lavfi',
      '-i',
      'color=s=7680x4320',
      '-frames:v',
      '1',
      '-c:v',
      'mjpeg',
      '-pix_fmt',
      'yuvj420p',
    ],
    { seconds: [0, 1.1], renditions: ['72p'] },
  ),
  {
    ...{ name: 'turned.mp4', about: 'turned by 90 degrees' },
    make: async (clips) => {
      const upright = await clips.path('no-sound.mp4', [...PICTURE, ...H264])
      const turn = ['-i', upright, '-c', 'copy', '-metadata:s:v', 'rotate=90']
      return clips.bytes('turned.mp4', turn)
    },
    ends: { seconds, renditions: ['72p'] },
  },
  made(
    ...(['interlaced.ts', 'interlaced'] as const),
    [
      '-f',
      'lavfi',
      '-i',
      'testsrc2=s=160x96:r=10:d=3',
      ...H264,
      '-flags',
      '+ilme+ildct',
      '-x264-params',
      'tff=1',
    ],
    { seconds, renditions: ['source', '72p'] },
    true,
  ),
  made(
    ...(['high-depth.mkv', '12 bits a sample, 4:4:4'] as const),
    pictures('-c:v', 'ffv1', '-pix_fmt', 'yuv444p12le'),
    { seconds, renditions: ['72p'] },
  ),
]

const groups: readonly BrokenFile[] = [
  made('only-keyframes.mp4', 'every picture is a keyframe', [...ORDINARY, '-g', '1'], whole),
  made(
    'one-keyframe.mkv',
    'one keyframe in 9 s',
    [...['-f', 'lavfi', '-i', 'testsrc2=s=160x90:r=10:d=9', ...H264, '-g', '900']],
    { seconds: [8.8, 9.3], renditions: ['72p'] },
  ),
  made(
    'open.mkv',
    'open groups of pictures',
    pictures(...H264, '-x264-params', 'open-gop=1:bframes=3'),
    // Their keyframes are recovery points, from which decoders start too.
    { seconds, renditions: ['source', '72p'], allowed: ['idr-sync'] },
    true,
  ),
  made(
    'no-keyframes.ts',
    'not one keyframe, and sound',
    [...ORDINARY, '-bsf:v', 'filter_units=remove_types=5'],
    { error: 'ERR_MEDIA', says: /no picture between 0.0 and 3.0 s can be decoded/ },
  ),
  made(
    'bare-sound.mp4',
    'a cover picture beside the sound',
    [
      ...[
        ...SOUND,
        ...PICTURE,
        '-map',
        '0',
        '-map',
        '1',
        '-frames:v',
        '1',
        '-c:v',
        'mjpeg',
        '-pix_fmt',
        'yuvj420p',
        ...AAC,
      ],
      ...['-disposition:v', 'attached_pic'],
    ],
    { seconds, renditions: ['audio'] },
  ),
]

const bombs: readonly BrokenFile[] = [
  {
    ...{ name: 'days.mp4', about: 'a small file that claims to last days' },
    make: async (clips) =>
      withEdit(await clips.bytes('plain.mp4'), 'moov.trak.mdia.minf.stbl.stts', (body) => {
        body.writeUInt32BE(0x7fffffff, 12)
      }),
    ends: { error: 'ERR_MEDIA', says: /claims to last \d+ hours/ },
  },
  made(
    'fragments.mp4',
    '10,000 fragments',
    [
      ...['-f', 'lavfi', '-i', 'color=s=16x16:r=250:d=40', ...H264, '-g', '250'],
      ...['-movflags', 'frag_every_frame+empty_moov'],
    ],
    { seconds: [39.5, 40.5], renditions: ['source'] },
  ),
  made(
    'tracks.mp4',
    '200 tracks',
    [
      ...[
        '-f',
        'lavfi',
        '-i',
        'sine=d=0.05',
        ...Array.from({ length: 200 }, () => ['-map', '0:a']).flat(),
        ...AAC,
      ],
    ],
    NO_MEDIA,
  ),
  made(
    'tracks.mkv',
    '20 tracks',
    [
      ...[
        '-f',
        'lavfi',
        '-i',
        'sine=d=0.5',
        ...Array.from({ length: 20 }, () => ['-map', '0:a']).flat(),
        ...AAC,
      ],
    ],
    {
      seconds: [0.4, 0.7],
      renditions: ['audio', ...Array.from({ length: 7 }, (_, index) => `audio-${index + 2}`)],
    },
  ),
  made(
    'silence.mp4',
    'ten minutes of one picture and silence',
    [
      ...[
        '-f',
        'lavfi',
        '-i',
        'color=s=16x16:r=1:d=600',
        '-f',
        'lavfi',
        '-i',
        'anullsrc=r=8000:cl=mono',
      ],
      ...['-t', '600', ...H264, '-g', '4', ...AAC],
    ],
    { seconds: [598, 602], renditions: both },
  ),
]

/** Where a file that must not be opened lies, as an address. */
const secret = async (clips: Clips): Promise<string> =>
  pathToFileURL(await clips.path('secret.mp4', [...SOUND, ...AAC])).href

const disguises: readonly BrokenFile[] = [
  {
    ...{ name: 'text.mp4', about: 'a text' },
    make: async () => 'This is not a film.\n'.repeat(100),
    ends: NO_MEDIA,
  },
  {
    ...{ name: 'page.mkv', about: 'an HTML page' },
    make: async () => '<!DOCTYPE html><html><body><video src="x.mp4"></video></body></html>',
    ends: NO_MEDIA,
  },
  {
    ...{ name: 'playlist.mp4', about: 'an HLS playlist that names another file' },
    make: async (clips) =>
      `#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n${await secret(clips)}\n#EXT-X-ENDLIST\n`,
    ends: NO_MEDIA,
  },
  {
    ...{ name: 'list.mkv', about: 'a concat list that names another file' },
    make: async (clips) =>
      `ffconcat version 1.0\nfile '${await clips.path('secret.mp4', [...SOUND, ...AAC])}'\n`,
    ends: NO_MEDIA,
  },
  {
    ...{ name: 'session.ts', about: 'an SDP description that names an address' },
    make: async () =>
      'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n',
    ends: NO_MEDIA,
  },
  {
    ...{ name: 'manifest.webm', about: 'a DASH manifest that names another file' },
    make: async (clips) =>
      `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT3S"><Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1"><BaseURL>${await secret(clips)}</BaseURL></Representation></AdaptationSet></Period></MPD>`,
    ends: NO_MEDIA,
  },
  {
    ...{ name: 'elsewhere.mov', about: 'media that is said to lie in another file' },
    make: async (clips) => {
      const file = await clips.bytes('no-sound.mov', [...PICTURE, ...H264])
      const path = await clips.path('secret.mp4', [...SOUND, ...AAC])
      return withBoxBody(file, 'moov.trak.mdia.minf.dinf.dref', alias(path))
    },
    ends: { error: 'ERR_MEDIA', says: /before its first picture or sound|no media file/ },
  },
  {
    ...{ name: 'address.mp4', about: 'media that is said to lie at an address' },
    make: async (clips) => {
      const file = await clips.bytes('no-sound.mp4', [...PICTURE, ...H264])
      const url = Buffer.from('http://127.0.0.1:9/secret.mp4\0')
      return withBoxBody(file, 'moov.trak.mdia.minf.dinf.dref', references('url ', url))
    },
    ends: { seconds, renditions: ['source'] },
  },
  {
    ...{ name: 'picture.mp4', about: 'a PNG' },
    make: (clips) =>
      clips.bytes('picture.png', ['-f', 'lavfi', '-i', 'testsrc2=s=16x16', '-frames:v', '1']),
    ends: NO_MEDIA,
  },
  {
    ...{ name: 'zeros.ts', about: '100 KB of zeros' },
    make: async () => Buffer.alloc(100_000),
    ends: NO_MEDIA,
  },
]

/** The content of a data reference box with one entry that is not the file itself. */
function references(type: string, content: Uint8Array): Buffer {
  const head = Buffer.alloc(20)
  head.writeUInt32BE(1, 4)
  head.writeUInt32BE(12 + content.byteLength, 8)
  head.write(type, 12, 'latin1')
  return Buffer.concat([head, content])
}

/** A Macintosh alias to an absolute path, as QuickTime wrote it. */
function alias(path: string): Buffer {
  const record = Buffer.alloc(154)
  const name = path.slice(path.lastIndexOf('/') + 1)
  record.writeUInt8(name.length, 50)
  record.write(name, 51, 'latin1')
  record.writeInt16BE(-1, 130)
  record.writeInt16BE(-1, 132)
  const text = Buffer.from(path.length % 2 === 0 ? path : `${path}\0`)
  record.writeUInt16BE(2, 150)
  record.writeUInt16BE(text.byteLength, 152)
  const end = Buffer.of(0xff, 0xff, 0, 0)
  return references('alis', Buffer.concat([record, text, end]))
}

/** All of them. */
export const oddFiles: readonly BrokenFile[] = [
  ...codecs,
  ...shapes,
  ...groups,
  ...bombs,
  ...disguises,
]
