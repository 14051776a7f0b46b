// Presets: the built-in files, an operator's own, names that are heights, and errors that say where.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { isKairoError, type KairoError } from '../../../src/errors.ts'
import { PresetStore } from '../../../src/media/ladder/preset-store.ts'

function storeWith(t: Test, files: Record<string, string>): () => PresetStore {
  const directory = join(t.testdir(), 'presets')
  mkdirSync(directory)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  return () => new PresetStore({ directory })
}

function refusal(t: Test, make: () => unknown): KairoError {
  try {
    make()
  } catch (error) {
    t.ok(isKairoError(error))
    return error as KairoError
  }
  t.fail('nothing was refused')
  throw new Error('unreachable')
}

test('built-in presets are valid and listed', async (t) => {
  const store = new PresetStore({ directory: '/nonexistent' })
  t.strictSame(
    store.list().map(({ name }) => name),
    ['auto', 'hdr', 'low-cpu', 'mobile', 'quality', 'source'],
  )
  t.ok(store.list().every(({ builtIn }) => builtIn))
  t.strictSame(store.get('source').video, [])
  t.equal(store.get('source').audio.aac, 'never')
})

test('a height is a ladder from there down', async (t) => {
  const store = new PresetStore({ directory: '/nonexistent' })
  const heights = (name: string): number[] =>
    store
      .get(name)
      .video.filter(({ range }) => range === 'sdr')
      .map(({ height }) => height)
  t.strictSame(heights('720p'), [720, 480, 360, 240])
  t.strictSame(heights('900p'), [900, 720, 480, 360, 240])
  t.match(store.get('900p').video[0], { height: 900, kbps: 3_804 })
  t.strictSame(heights('144p'), [144])
  t.ok(store.get('1080p25').video.every(({ frameRateMax }) => frameRateMax === 25))
  for (const name of ['0p', '095p', '97p', '9999p', '720p00', 'best']) {
    t.match(
      refusal(t, () => store.get(name)),
      { code: 'ERR_INVALID_INPUT', message: /auto, hdr/ },
    )
  }
})

test("an operator's presets stand beside the built-in ones, or in their place", async (t) => {
  const own = JSON.stringify({ description: 'Mine.', video: [{ height: 480, kbps: 900 }] })
  const store = storeWith(t, { 'mine.json': own, 'auto.json': own, 'readme.txt': 'no preset' })()
  t.match(store.get('mine').video, [{ height: 480, kbps: 900, speed: 'veryfast', codec: 'h264' }])
  t.equal(store.list().find(({ name }) => name === 'auto')?.builtIn, false)
  t.strictSame(
    store.get('720p').video.map(({ height }) => height),
    [720, 480],
    'heights go by the auto preset that is in force',
  )
})

test('what is wrong with a file is said with its name and the field', async (t) => {
  const video = (rung: object): string => JSON.stringify({ description: 'x', video: [rung] })
  const cases: Record<string, [string, RegExp]> = {
    'a.json': ['{', /a\.json is not JSON/],
    'b.json': [video({ height: 481, kbps: 900 }), /b\.json: video\[0\]\.height/],
    'c.json': [video({ height: 480, kbps: 900, speeed: 'fast' }), /c\.json: video\[0\]: .*speeed/],
    'd.json': [video({ height: 480, kbps: 9, range: 'hdr' }), /d\.json: video\[0\]\.kbps/],
    'e.json': [
      video({ height: 480, kbps: 900, range: 'hdr' }),
      /e\.json: video\[0\]\.codec: HDR needs/,
    ],
    'f.json': ['{"video": []}', /f\.json: description/],
    'g.json': [
      JSON.stringify({ description: 'x', video: [1, 2].map(() => ({ height: 480, kbps: 900 })) }),
      /g\.json: video\[1\]: the same/,
    ],
    'h.json': [`"${'x'.repeat(70_000)}"`, /too large/],
    '720p.json': [video({ height: 480, kbps: 900 }), /720p\.json: the name/],
    'source.json': [video({ height: 480, kbps: 900 }), /source\.json: "source" always/],
  }
  for (const [file, [text, message]] of Object.entries(cases)) {
    await t.test(file, async (t) => {
      t.match(refusal(t, storeWith(t, { [file]: text })), { code: 'ERR_CONFIG', message })
    })
  }
})

test('a folder that cannot be read is an error', async (t) => {
  const file = join(t.testdir({ presets: 'a file' }), 'presets')
  t.match(
    refusal(t, () => new PresetStore({ directory: file })),
    { code: 'ERR_CONFIG' },
  )
  const many = Array.from({ length: 101 }, (_, index) => [`p${index}.json`, '{}'])
  t.match(refusal(t, storeWith(t, Object.fromEntries(many))), { message: /at most 100/ })
})
