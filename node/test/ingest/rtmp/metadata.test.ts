// onMetaData.
import { test } from 'tap'
import type { AmfValue } from '../../../src/ingest/rtmp/amf-value.ts'
import { readMetadata } from '../../../src/ingest/rtmp/metadata.ts'

const read = (fields: Record<string, AmfValue>) =>
  readMetadata(['@setDataFrame', 'onMetaData', new Map(Object.entries(fields))])

const silent = { frameRate: undefined, audioTracks: new Map() }

test('reads what tracks will come', async (t) => {
  t.match(read({ videocodecid: 7, audiocodecid: 10 }), { video: true, audio: true })
  t.match(read({ videocodecid: 'avc1', width: 640 }), { video: true, audio: false })
  t.match(read({ audiocodecid: 10, width: 0 }), { video: false, audio: true })
  t.same(read({ width: 640 }), { video: true, audio: undefined, ...silent })
  t.same(read({ audiosamplerate: 48_000 }), { video: undefined, audio: true, ...silent })
  t.same(read({ encoder: 'x' }), { video: undefined, audio: undefined, ...silent })
})

test('reads the frame rate', async (t) => {
  t.equal(read({ framerate: 30 })?.frameRate, 30)
  t.equal(read({ framerate: '29.97 fps' })?.frameRate, 29.97)
  t.equal(read({ fps: 25 })?.frameRate, 25)
  for (const absurd of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e9, 'many', null, true]) {
    t.equal(read({ framerate: absurd })?.frameRate, undefined)
  }
})

test('knows other messages as such', async (t) => {
  t.not(readMetadata(['onMetaData', new Map([['fps', 5]])]), undefined)
  t.equal(readMetadata(['onCuePoint', new Map()]), undefined)
  t.equal(readMetadata(['@setDataFrame', 'onMetaData', 'text']), undefined)
  t.equal(readMetadata([]), undefined)
})
