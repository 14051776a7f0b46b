/** The page for operators lists the rules by the names of their tests; it goes out of date with them, not later. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

const page = readFileSync(join(import.meta.dirname, '../../../../docs/cdn-rules.md'), 'utf8')

/** The line of a table that a test has: its name, and what stands behind it in brackets. */
function rowOf(name: string): string {
  const [, rule = name, from = 'Kairo'] = /^(.*) \((RFC [^)]*)\)$/.exec(name) ?? []
  return `| ${rule} | ${from} |`.toLowerCase()
}

test('every rule that has a test is on the page, and every rule on the page has a test', async (t) => {
  const files = readdirSync(import.meta.dirname).filter((file) => file !== 'documentation.test.ts')
  const names = files.flatMap((file) => {
    const text = readFileSync(join(import.meta.dirname, file), 'utf8')
    return [...text.matchAll(/^test\(\s*'([^']+)'/gm)].map(([, name = '']) => name)
  })
  const rows = page
    .split('\n')
    .filter((line) => /^\| (?!rule \||---)/.test(line))
    .map((line) => line.toLowerCase())
  t.strictSame(rows.toSorted(), names.map(rowOf).toSorted())
})
