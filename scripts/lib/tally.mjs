/** Reads tap's own count of results out of its raw output. */
import { existsSync, readFileSync } from 'node:fs'

/** @typedef {{ passed: number, failed: number, skipped: number }} Tally */

/**
 * The totals of the comment with which tap ends a run, as in `# { total: 3, pass: 2, skip: 1 }`. Output without one was
 * cut off: nothing passed.
 * @param {string} path raw TAP of one run
 * @returns {Tally}
 */
export function readTally(path) {
  const output = existsSync(path) ? readFileSync(path, 'utf8') : ''
  const totals = output.match(/^# \{ .*\}$/gm)?.at(-1) ?? ''
  const count = (/** @type {string} */ name) =>
    Number(new RegExp(`\\b${name}: (\\d+)`).exec(totals)?.[1] ?? 0)
  return { passed: count('pass'), failed: count('fail'), skipped: count('skip') + count('todo') }
}

/**
 * The line that ends a test run.
 * @param {Tally} tally
 */
export function tallyLine({ passed, failed, skipped }) {
  const end = skipped > 0 ? `, ${skipped} skipped` : ''
  return `${passed} passed, ${failed} failed${end}`
}
