/** Names of parts and renditions. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import {
  isPartKey,
  isRenditionName,
  partKey,
  readPartKey,
  stripeOf,
} from '../../src/protocol/part-key.ts'
import { type RenditionTraits, renditionName } from '../../src/protocol/rendition-name.ts'

const traits: fc.Arbitrary<RenditionTraits> = fc.record(
  {
    kind: fc.constantFrom('main', 'audio', 'subtitle'),
    codecs: fc.string(),
    height: fc.oneof(fc.integer(), fc.double()),
    bitrate: fc.oneof(fc.integer(), fc.double()),
    language: fc.string(),
    name: fc.string({ unit: 'grapheme' }),
    channels: fc.string(),
    group: fc.string(),
  },
  { requiredKeys: ['kind'] },
)

test('a key names a place, and nothing else is one', async (t) => {
  const places = fc.record({
    rendition: fc.stringMatching(/^[A-Za-z0-9_-]{1,24}$/),
    sequence: fc.integer({ min: 0, max: 1e15 - 1 }),
    part: fc.option(fc.integer({ min: 0, max: 9_999 }), { nil: undefined }),
  })
  fc.assert(
    fc.property(places, (place) => {
      assert.deepEqual(readPartKey(partKey(place)), { ...place })
    }),
  )
  fc.assert(
    fc.property(fc.string(), (text) => isPartKey(text) === (readPartKey(text) !== undefined)),
  )
  t.equal(readPartKey(`m/${1e15}`), undefined, 'a sequence number of 16 digits')
})

test('the first parts of segments are spread over the stripes', async (t) => {
  const first = [0, 1, 2, 3].map((sequence) => stripeOf({ rendition: 'm', sequence, part: 0 }, 4))
  t.strictSame(first, [0, 1, 2, 3])
  t.equal(stripeOf({ rendition: 'm', sequence: 3, part: undefined }, 4), 3)
})

test('a rendition has one name for ever, which is one of the wire', async (t) => {
  const video = {
    kind: 'main',
    codecs: 'avc1.64001f,mp4a.40.2',
    height: 720,
    bitrate: 2_500_000,
  } as const
  t.equal(renditionName(video), 'm720_0k8lfsi0os9ggq')
  t.equal(renditionName({ kind: 'audio' }), 'a_0jiesz011ha2fs')
  fc.assert(
    fc.property(traits, (any) => {
      const name = renditionName(any)
      return isRenditionName(name) && name === renditionName({ ...any })
    }),
  )
})

test('spelling and order of codecs do not matter, nor does a small difference of the bit rate', async (t) => {
  const name = (codecs: string, bitrate: number): string =>
    renditionName({ kind: 'main', codecs, height: 720, bitrate, language: 'de' })
  const one = name('avc1.64001f,mp4a.40.2', 2_500_000)
  t.equal(name('mp4a.40.2, avc1.64001F', 2_500_000), one)
  t.equal(name('avc1.64001f,mp4a.40.2', 2_510_000), one)
  t.equal(renditionName({ kind: 'audio', height: 0, name: '' }), renditionName({ kind: 'audio' }))
})

test('renditions that differ have names that do', async (t) => {
  const one = {
    kind: 'audio',
    codecs: 'mp4a.40.2',
    height: 1,
    bitrate: 128_000,
    language: 'de',
    name: 'a',
    channels: '2',
    group: 'g',
  } as const
  const others: Partial<RenditionTraits>[] = [
    ...[{ kind: 'main' as const }, { codecs: 'mp4a.40.5' }, { height: 2 }, { bitrate: 192_000 }],
    ...[{ language: 'en' }, { name: 'b' }, { channels: '6' }, { group: 'h' }],
    // The same characters, in other fields.
    ...[
      { name: 'g', group: 'a' },
      { name: '', language: 'dea' },
      { name: 'a","2', channels: '' },
    ],
  ]
  const names = [one, ...others.map((other) => ({ ...one, ...other }))].map(renditionName)
  t.equal(new Set(names).size, names.length)
  const rungs = fc.tuple(
    fc.integer({ min: 1_000, max: 1e9 }),
    fc.double({ min: 1.1001, max: 4, noNaN: true }),
  )
  fc.assert(
    fc.property(rungs, ([bitrate, ratio]) => {
      const name = (rate: number): string => renditionName({ kind: 'main', bitrate: rate })
      return name(bitrate) !== name(bitrate * ratio)
    }),
  )
})

test('names that differ in little do not meet', async (t) => {
  const names = new Set<string>()
  for (let at = 0; at < 10_000; at += 1)
    names.add(renditionName({ kind: 'audio', name: `Audio ${at}` }))
  t.equal(names.size, 10_000)
})
