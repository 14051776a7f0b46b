/** Caption files: what is read, what is refused and how it is said, and that writing and reading agree. */
import fc from 'fast-check'
import { test } from 'tap'
import { isKairoError } from '../../../src/errors.ts'
import { captionLimits } from '../../../src/limits/captions.ts'
import {
  cleanCue,
  parseWebVtt,
  serialiseWebVtt,
  type VttCue,
} from '../../../src/media/captions/webvtt.ts'

const read = (text: string) => parseWebVtt(Buffer.from(text))

test('cues with identifiers and settings are read; notes, styles and regions are read over', async (t) => {
  const file = [
    '\uFEFFWEBVTT Kind: captions; Language: en',
    'X-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000',
    '',
    'STYLE',
    '::cue { color: red }',
    '',
    'REGION',
    'id:bill',
    '',
    'NOTE nothing --> to see',
    'here',
    '',
    '00:01.000 --> 00:02.500 line:0 align:start',
    'One',
    'two',
    '',
    '',
    'second',
    '123:00:00.001 -->\t123:00:01.000 \tposition:10%,line-left size:50% vertical:rl',
    '<i>Three</i>',
  ].join('\r\n')
  t.same(read(file), [
    { startMs: 1_000, endMs: 2_500, settings: 'line:0 align:start', text: 'One\ntwo' },
    {
      startMs: 123 * 3_600_000 + 1,
      endMs: 123 * 3_600_000 + 1_000,
      settings: 'position:10%,line-left size:50% vertical:rl',
      text: '<i>Three</i>',
      id: 'second',
    },
  ])
  t.same(read('WEBVTT'), [])
  t.same(read('WEBVTT\n\n'), [])
  t.same(read('WEBVTT\n\nSTYLE\n00:01.000 --> 00:02.000\nx'), [
    { startMs: 1_000, endMs: 2_000, text: 'x', id: 'STYLE' },
  ])
})

const refusals: readonly (readonly [string, RegExp])[] = [
  ['', /line 1: .*WEBVTT/],
  ['WEBVTTX\n', /line 1/],
  ['1\n00:00:01,000 --> 00:00:02,000\nSubRip', /line 1/],
  ['WEBVTT\n\nhello\n', /line 3: expected a cue/],
  ['WEBVTT\n\nid\nnot a time\n', /line 3/],
  ['WEBVTT\n\n00:00:01,000 --> 00:00:02,000\nx', /line 3: expected times/],
  ['WEBVTT\n\nid\n00:61.000 --> 00:62.000\nx', /line 4: expected times/],
  ['WEBVTT\n\n00:02.000 --> 00:02.000\nx', /line 3: a cue ends after/],
  ['WEBVTT\n\n9999:00:00.000 --> 9999:00:01.000\nx', /thousand hours/],
  ['WEBVTT\n\n00:01.000 --> 00:02.000 constructor:x\nx', /line 3: "constructor:x" is no setting/],
  ['WEBVTT\n\n00:01.000 --> 00:02.000 colour:red\nx', /line 3: "colour:red" is no setting/],
  ['WEBVTT\n\n00:01.000 --> 00:02.000 size:200%\nx', /size:200%/],
  ['WEBVTT\n\n00:01.000 --> 00:02.000 nonsense\nx', /nonsense/],
  ['WEBVTT\n\n00:01.000 --> 00:02.000\nx\n00:03.000 --> 00:04.000\ny', /line 4: .*arrow/],
]
for (const [file, message] of refusals) {
  test(`refuses ${JSON.stringify(file.slice(0, 50))}`, async (t) => {
    t.throws(() => read(file), { code: 'ERR_INVALID_INPUT', message })
  })
}

test('files are bounded, and UTF-8', async (t) => {
  t.throws(() => parseWebVtt(Uint8Array.of(0x57, 0xff)), { code: 'ERR_INVALID_INPUT' })
  t.throws(() => parseWebVtt(Buffer.alloc(captionLimits.fileBytesMax + 1)), { code: 'ERR_LIMIT' })
  const cue = '00:01.000 --> 00:02.000\nx\n\n'
  t.throws(() => read(`WEBVTT\n\n${cue.repeat(captionLimits.cuesMax + 1)}`), { code: 'ERR_LIMIT' })
  t.throws(
    () => read(`WEBVTT\n\n00:01.000 --> 00:02.000\n${'x'.repeat(captionLimits.cueCharsMax + 1)}`),
    { code: 'ERR_LIMIT', message: /line 4/ },
  )
})

test('a cue is cleaned of what a file cannot hold', async (t) => {
  t.same(cleanCue({ startMs: 1.4, endMs: 9.6, text: 'a\r\n\r\n b --> c \n', id: 'x\ny' }), {
    startMs: 1,
    endMs: 10,
    text: 'a\n b --&gt; c ',
    id: 'x y',
  })
  t.throws(() => cleanCue({ startMs: 0, endMs: 1, text: ' \n ' }), { code: 'ERR_INVALID_INPUT' })
  t.throws(() => cleanCue({ startMs: Number.NaN, endMs: 1, text: 'x' }), {
    code: 'ERR_INVALID_INPUT',
  })
  t.throws(() => cleanCue({ startMs: 0, endMs: 1, text: 'x', settings: 'size:5' }), {
    code: 'ERR_INVALID_INPUT',
  })
})

const cueText = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 })

test('what is written is read again as it was', async () => {
  const cue = fc.record(
    {
      startMs: fc.integer({ min: 0, max: 400 * 3_600_000 }),
      durationMs: fc.integer({ min: 1, max: 100_000 }),
      text: fc.oneof(cueText, fc.constant('a --> b\n\nc'), fc.constant('NOTE x\nSTYLE')),
      id: fc.option(cueText, { nil: undefined }),
      settings: fc.constantFrom(undefined, 'line:5%,end', 'align:center size:100%'),
    },
    { requiredKeys: ['startMs', 'durationMs', 'text'] },
  )
  fc.assert(
    fc.property(fc.array(cue), (cues) => {
      const clean: VttCue[] = []
      for (const { durationMs, id, settings, ...one } of cues) {
        if (one.text.trim() === '') continue
        const endMs = one.startMs + durationMs
        const wanted = { ...one, endMs, ...(id ? { id } : {}), ...(settings ? { settings } : {}) }
        clean.push(cleanCue(wanted))
      }
      const again = parseWebVtt(serialiseWebVtt(clean, { mpegTs: 5, localMs: 7 }))
      if (JSON.stringify(sorted(again)) !== JSON.stringify(sorted(clean))) {
        throw new Error(`${JSON.stringify(again)} instead of ${JSON.stringify(clean)}`)
      }
    }),
  )
})

const sorted = (cues: readonly VttCue[]) =>
  cues.map(({ startMs, endMs, id, settings, text }) => [startMs, endMs, id, settings, text])

test('garbage is read or refused with a code, never anything else', async () => {
  const line = fc.constantFrom(
    ...['WEBVTT', '', 'NOTE', 'STYLE', '-->', 'x', '00:01.000 --> 00:02.000', '00:01.000 -->'],
    ...['00:00:00.000 --> 99:00:00.000 align:left', '\t', 'REGION', ' --> ', '\0'],
  )
  const text = fc.oneof(
    fc.array(line).map((lines) => ['WEBVTT', ...lines].join('\n')),
    fc.string({ unit: 'binary' }).map((rest) => `WEBVTT\n\n${rest}`),
  )
  fc.assert(
    fc.property(
      fc.oneof(
        text.map((one) => Buffer.from(one)),
        fc.uint8Array(),
      ),
      (file) => {
        try {
          for (const cue of parseWebVtt(file)) if (cue.endMs <= cue.startMs) throw new Error('time')
        } catch (error) {
          if (!isKairoError(error)) throw error
        }
      },
    ),
    { numRuns: 1_000 },
  )
})
