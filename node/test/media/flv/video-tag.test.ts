// FLV video tags, legacy and Enhanced RTMP v2.
import { test } from 'tap'
import { parseVideoTag } from '../../../src/media/flv/video-tag.ts'

const bytes = (...parts: readonly (number | string)[]) =>
  Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.of(part))),
  )
const refused = { code: 'ERR_PROTOCOL' }

test('reads legacy AVC', async (t) => {
  t.match(parseVideoTag(bytes(0x17, 0, 0, 0, 0, 'conf')), {
    kind: 'sequence-start',
    keyframe: true,
    tracks: [{ trackId: 0, codec: 'avc1', data: Buffer.from('conf') }],
  })
  t.match(parseVideoTag(bytes(0x27, 1, 0, 0, 80, 'x')), {
    kind: 'coded-frames',
    keyframe: false,
    tracks: [{ compositionMs: 80 }],
  })
  t.match(parseVideoTag(bytes(0x27, 1, 0xff, 0xff, 0xfe, 'x')), { tracks: [{ compositionMs: -2 }] })
  t.match(parseVideoTag(bytes(0x27, 1, 0x80, 0, 0, 'x')), {
    tracks: [{ compositionMs: -(2 ** 23) }],
  })
  t.match(parseVideoTag(bytes(0x27, 1, 0x7f, 0xff, 0xff, 'x')), {
    tracks: [{ compositionMs: 2 ** 23 - 1 }],
  })
  t.match(parseVideoTag(bytes(0x17, 2, 0, 0, 0)), { kind: 'sequence-end' })
  t.match(parseVideoTag(bytes(0x17, 9, 0, 0, 0)), { kind: 'unknown' })
  t.equal(parseVideoTag(Buffer.alloc(0)), undefined)
  t.throws(() => parseVideoTag(bytes(0x17, 1, 0)), refused)
})

test('names legacy codecs', async (t) => {
  const codecOf = (...tag: number[]) => parseVideoTag(bytes(...tag))?.tracks[0]?.codec
  t.equal(codecOf(0x12, 1), 'Sorenson H.263')
  t.equal(codecOf(0x1c, 0, 0, 0, 0), 'hvc1')
  t.equal(codecOf(0x1f, 0), 'FLV video codec 15')
})

test('reads commands', async (t) => {
  t.match(parseVideoTag(bytes(0x57, 0)), { kind: 'command', tracks: [] })
  t.match(parseVideoTag(bytes(0x80 | 0x50 | 1, 0)), { kind: 'command', tracks: [] })
})

test('reads Enhanced RTMP packets', async (t) => {
  t.match(parseVideoTag(bytes(0x90, 'avc1', 'conf')), {
    kind: 'sequence-start',
    keyframe: true,
    tracks: [{ trackId: 0, codec: 'avc1', compositionMs: 0, data: Buffer.from('conf') }],
  })
  t.match(parseVideoTag(bytes(0xa1, 'hvc1', 0xff, 0xff, 0xff, 'nal')), {
    kind: 'coded-frames',
    keyframe: false,
    tracks: [{ codec: 'hvc1', compositionMs: -1, data: Buffer.from('nal') }],
  })
  t.match(parseVideoTag(bytes(0xa1, 'av01', 1, 2, 3)), {
    tracks: [{ codec: 'av01', compositionMs: 0, data: Buffer.of(1, 2, 3) }],
  })
  t.match(parseVideoTag(bytes(0xa3, 'avc1', 1, 2, 3)), {
    kind: 'coded-frames',
    tracks: [{ compositionMs: 0, data: Buffer.of(1, 2, 3) }],
  })
  t.match(parseVideoTag(bytes(0x92, 'avc1')), { kind: 'sequence-end' })
  t.match(parseVideoTag(bytes(0x94, 'avc1', 'amf')), { kind: 'metadata' })
  t.match(parseVideoTag(bytes(0xd4, 'avc1', 'amf')), { kind: 'metadata' }, 'not a command')
  t.match(parseVideoTag(bytes(0x95, 'av01', 'd')), { kind: 'mpeg2ts-sequence-start' })
  t.match(parseVideoTag(bytes(0x98, 'avc1')), { kind: 'unknown', tracks: [] })
  t.throws(() => parseVideoTag(bytes(0x91, 'avc')), refused)
  t.throws(() => parseVideoTag(bytes(0x91, 'avc1', 0)), refused)
})

test('reads modifiers', async (t) => {
  // A nanosecond offset of 0x01e240, then coded frames.
  t.match(parseVideoTag(bytes(0xa7, 2, 1, 0xe2, 0x40, 0x03, 'avc1', 'x')), {
    kind: 'coded-frames',
    nanoOffset: 123_456,
    tracks: [{ data: Buffer.from('x') }],
  })
  const long = Buffer.alloc(300)
  t.match(parseVideoTag(Buffer.concat([bytes(0xa7, 255, 1, 43), long, bytes(0x13, 'avc1', 'x')])), {
    kind: 'coded-frames',
    nanoOffset: 0,
    tracks: [{ codec: 'avc1' }],
  })
  const modifier = bytes(0, 9, 0x17)
  t.throws(
    () => parseVideoTag(Buffer.concat([bytes(0xa7), ...new Array<Buffer>(9).fill(modifier)])),
    { code: 'ERR_LIMIT' },
  )
  t.throws(() => parseVideoTag(bytes(0xa7, 9, 1)), refused)
})

test('reads multitrack framing', async (t) => {
  t.match(parseVideoTag(bytes(0xa6, 0x03, 'avc1', 5, 'data')), {
    tracks: [{ trackId: 5, codec: 'avc1', data: Buffer.from('data') }],
  })
  t.match(parseVideoTag(bytes(0xa6, 0x11, 'hvc1', 0, 0, 0, 4, 0, 0, 7, 'a', 1, 0, 0, 3, 0, 0, 9)), {
    kind: 'coded-frames',
    tracks: [
      { trackId: 0, compositionMs: 7, data: Buffer.from('a') },
      { trackId: 1, compositionMs: 9, data: Buffer.alloc(0) },
    ],
  })
  t.match(parseVideoTag(bytes(0xa6, 0x23, 'avc1', 0, 0, 0, 1, 'a', 'hvc1', 1, 0, 0, 1, 'b')), {
    tracks: [
      { trackId: 0, codec: 'avc1', data: Buffer.from('a') },
      { trackId: 1, codec: 'hvc1', data: Buffer.from('b') },
    ],
  })
  t.throws(() => parseVideoTag(bytes(0xa6, 0x33, 'avc1', 0)), refused, 'unknown framing')
  t.throws(() => parseVideoTag(bytes(0xa6, 0x06, 'avc1', 0)), refused, 'framing in framing')
  t.throws(() => parseVideoTag(bytes(0xa6, 0x13, 'avc1', 0, 0, 0, 9, 'a')), refused, 'cut')
  const track = bytes(0, 0, 0, 0)
  t.throws(
    () =>
      parseVideoTag(
        Buffer.concat([bytes(0xa6, 0x13, 'avc1'), ...new Array<Buffer>(17).fill(track)]),
      ),
    { code: 'ERR_LIMIT' },
  )
})
