/** The scripts behind `npm test` decide whether a change is good: what they count, and what they refuse to call a pass. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'tap'

const scripts = new URL('../../../scripts/lib/', import.meta.url)
const { readTally, tallyLine } = await import(new URL('tally.mjs', scripts).href)
const { checkCoverage } = await import(new URL('coverage.mjs', scripts).href)
const { logTap } = await import(new URL('tap-log.mjs', scripts).href)
const { longFiles, longestFirst } = await import(new URL('longest-first.mjs', scripts).href)
const { default: coverageMap } = await import(new URL('coverage-map.mjs', scripts).href)
const { hashFiles, filesBelow } = await import(new URL('stamps.mjs', scripts).href)

const folder = mkdtempSync(join(tmpdir(), 'kairo-scripts-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

function written(name: string, text: string): string {
  const path = join(folder, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, text)
  return path
}

test('results are counted as tap counts them', async (t) => {
  const path = written('a.tap', 'ok 1 - x\n# { total: 9, pass: 6, fail: 1, todo: 1, skip: 1 }\n')
  t.strictSame(readTally(path), { passed: 6, failed: 1, skipped: 2 })
  t.equal(tallyLine({ passed: 6, failed: 1, skipped: 2 }), '6 passed, 1 failed, 2 skipped')
  t.equal(tallyLine({ passed: 6, failed: 0, skipped: 0 }), '6 passed, 0 failed')
})

test('output that was cut off passes nothing', async (t) => {
  t.strictSame(readTally(written('b.tap', 'ok 1 - x\nok 2 - y\n')), {
    passed: 0,
    failed: 0,
    skipped: 0,
  })
  t.strictSame(readTally(join(folder, 'missing.tap')), { passed: 0, failed: 0, skipped: 0 })
})

test('a source that no test loads counts against the coverage', async (t) => {
  written('node/src/a.ts', '1\n'.repeat(10))
  const report = written(
    'lcov.info',
    `SF:node/src/a.ts\n${'DA:1,1\n'.repeat(9)}DA:10,0\nend_of_record\n`,
  )
  t.match(checkCoverage(folder, report), { ok: true, summary: /90\.0 % of 10 lines in 1 files/ })
  written('node/src/b.ts', '1\n'.repeat(2))
  t.match(checkCoverage(folder, report), { ok: false, summary: /75\.0 %[\s\S]*b\.ts: 2 of 2/ })
  written('node/src/protocol/generated/c.ts', '1\n'.repeat(99))
  t.match(checkCoverage(folder, report).summary, /of 12 lines/)
  written('tracker/src/d.ts', '1\n'.repeat(8))
  t.match(checkCoverage(folder, report).summary, /45\.0 % of 20 lines in 3 files/, 'both packages')
  t.notOk(checkCoverage(folder, join(folder, 'no-report')).ok)
})

test('the log has a line a file, and all of a failure', async (t) => {
  const tap = [
    'TAP version 14',
    '# Subtest: one.test.ts',
    '    ok 1 - fine',
    '    not ok 2 - broken',
    '      ---',
    '      diff: the difference',
    '      ...',
    '    ok 3 - fine again',
    'not ok 1 - one.test.ts # time=1500ms',
    'ok 2 - two.test.ts # time=20ms',
    '# { total: 4, pass: 3, fail: 1 }',
  ]
  const lines: string[] = []
  const kept: string[] = []
  await logTap(
    Readable.from([tap.join('\n')]),
    (line: string) => lines.push(line.trim()),
    (line: string) => kept.push(line),
  )
  t.strictSame(kept, tap, 'and the file has all there is')
  t.strictSame(lines, [
    'not ok 2 - broken',
    '---',
    'diff: the difference',
    '...',
    'not ok one.test.ts (1.5 s)',
    'ok two.test.ts (0.0 s)',
    '# { total: 4, pass: 3, fail: 1 }',
  ])
})

test('stamps change with names and bytes, and build results do not count', async (t) => {
  const before = hashFiles(folder, ['a.tap', 'b.tap'])
  t.equal(hashFiles(folder, ['b.tap', 'a.tap']), before)
  t.not(hashFiles(folder, ['a.tap']), before)
  written('a.tap', 'changed')
  t.not(hashFiles(folder, ['a.tap', 'b.tap']), before)
  written('web/dist/built.js', '')
  written('web/src/page.ts', '')
  t.strictSame(filesBelow(folder, 'web'), [join('web', 'src', 'page.ts')])
})

test('long files begin first, and each is there', async (t) => {
  const [longest, second] = longFiles
  t.strictSame(longestFirst(['a', second, 'b', longest]), [longest, second, 'a', 'b'])
  const repository = new URL('../../../', import.meta.url)
  for (const file of longFiles) t.ok(existsSync(new URL(file, repository)), file)
})

test('unit tests count lines, others do not', async (t) => {
  for (const file of ['node/test/cdn/gate.test.ts', 'tracker/test/raft/simulation-log.test.ts']) {
    t.strictSame(coverageMap(file), [], file)
  }
  for (const file of [
    'node/test/interop/a.test.ts',
    'node/test/fuzz/a.test.ts',
    'node/test/cdn/purge/simulation.test.ts',
    'tracker/test/mutation/a.test.ts',
    'tracker/test/wal/damage.test.ts',
  ]) {
    t.equal(coverageMap(file), null, file)
  }
})
