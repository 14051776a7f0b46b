/** The coverage gate: lines of the packages' sources that the test run executed, over all of them. */
import { existsSync, readFileSync } from 'node:fs'
import { isAbsolute, join, relative } from 'node:path'
import { filesBelow } from './stamps.mjs'

/** Share of lines that the tests must execute. */
const LINES_MIN = 0.9
/** Whose lines count. */
const SOURCES = ['node/src', 'tracker/src', 'client-lib/src']
/** Files named in the report when the floor is missed. */
const WORST_SHOWN = 12

/**
 * Compares a run's lcov report with the sources. A source file that no test loads counts with all its lines.
 * @param {string} root
 * @param {string} report path of lcov.info
 * @returns {{ ok: boolean, summary: string }}
 */
export function checkCoverage(root, report) {
  const seen = readLcov(root, report)
  const files = SOURCES.filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => filesBelow(root, folder, ['generated']))
    .filter((file) => file.endsWith('.ts'))
  const rows = files.map((file) => seen.get(file) ?? { file, hit: 0, found: lineCount(root, file) })
  const hit = rows.reduce((sum, row) => sum + row.hit, 0)
  const found = rows.reduce((sum, row) => sum + row.found, 0)
  const share = found === 0 ? 0 : hit / found
  const ok = share >= LINES_MIN
  const summary = `coverage: ${percent(share)} of ${found} lines in ${files.length} files (at least ${percent(LINES_MIN)})`
  return { ok, summary: ok ? summary : [summary, ...worst(rows)].join('\n') }
}

/** @typedef {{ file: string, hit: number, found: number }} Row */

function readLcov(/** @type {string} */ root, /** @type {string} */ report) {
  /** @type {Map<string, Row>} */
  const rows = new Map()
  if (!existsSync(report)) return rows
  for (const record of readFileSync(report, 'utf8').split('end_of_record')) {
    const source = /^SF:(.+)$/m.exec(record)?.[1]
    if (source === undefined) continue
    const file = isAbsolute(source) ? relative(root, source) : source
    const lines = [...record.matchAll(/^DA:\d+,(\d+)/gm)]
    const hit = lines.filter((line) => line[1] !== '0').length
    rows.set(file, { file, hit, found: lines.length })
  }
  return rows
}

function lineCount(/** @type {string} */ root, /** @type {string} */ file) {
  return readFileSync(join(root, file), 'utf8').split('\n').length - 1
}

function worst(/** @type {Row[]} */ rows) {
  return rows
    .map((row) => ({ ...row, missed: row.found - row.hit }))
    .sort((a, b) => b.missed - a.missed)
    .slice(0, WORST_SHOWN)
    .map((row) => `  ${row.file}: ${row.missed} of ${row.found} lines not run`)
}

function percent(/** @type {number} */ share) {
  return `${(share * 100).toFixed(1)} %`
}
