// FLV audio tags, legacy and Enhanced RTMP v2.
import { test } from 'tap'
import { parseAudioTag } from '../../../src/media/flv/audio-tag.ts'

const bytes = (...parts: readonly (number | string)[]) =>
  Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.of(part))),
  )

test('reads legacy AAC', async (t) => {
  t.match(parseAudioTag(bytes(0xaf, 0, 0x11, 0x90)), {
    kind: 'sequence-start',
    nanoOffset: 0,
    tracks: [{ trackId: 0, codec: 'mp4a', data: Buffer.of(0x11, 0x90) }],
  })
  t.match(parseAudioTag(bytes(0xaf, 1, 'raw')), { kind: 'coded-frames' })
  t.match(parseAudioTag(bytes(0xaf, 7)), { kind: 'unknown' })
  t.equal(parseAudioTag(Buffer.alloc(0)), undefined)
  t.throws(() => parseAudioTag(bytes(0xaf)), { code: 'ERR_PROTOCOL' })
})

test('names legacy formats', async (t) => {
  const codecOf = (first: number) => parseAudioTag(bytes(first, 0))?.tracks[0]?.codec
  t.equal(codecOf(0x2f), '.mp3')
  t.equal(codecOf(0xb2), 'Speex')
  t.equal(codecOf(0xcf), 'FLV sound format 12')
})

test('reads Enhanced RTMP packets', async (t) => {
  t.match(parseAudioTag(bytes(0x90, 'mp4a', 0x11, 0x90)), {
    kind: 'sequence-start',
    tracks: [{ codec: 'mp4a', data: Buffer.of(0x11, 0x90) }],
  })
  t.match(parseAudioTag(bytes(0x91, 'Opus', 'raw')), {
    kind: 'coded-frames',
    tracks: [{ codec: 'Opus' }],
  })
  t.match(parseAudioTag(bytes(0x92, 'mp4a')), { kind: 'sequence-end' })
  t.match(parseAudioTag(bytes(0x94, 'mp4a', 0, 2)), { kind: 'multichannel-config' })
  t.match(parseAudioTag(bytes(0x96, 'mp4a')), { kind: 'unknown', tracks: [] })
  t.match(parseAudioTag(bytes(0x97, 2, 0, 0, 9, 0x01, 'mp4a', 'raw')), {
    kind: 'coded-frames',
    nanoOffset: 9,
  })
  t.match(parseAudioTag(bytes(0x95, 0x01, 'mp4a', 1, 'raw')), {
    tracks: [{ trackId: 1, codec: 'mp4a', data: Buffer.from('raw') }],
  })
  t.throws(() => parseAudioTag(bytes(0x91, 'mp')), { code: 'ERR_PROTOCOL' })
})
