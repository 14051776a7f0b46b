/** Turns raw TAP into a log that a person can read: one line a test file, and what failed with its details. */
import { createInterface } from 'node:readline'

/**
 * Copies what matters of a TAP stream to `write` until it ends.
 * @param {import('node:stream').Readable} tap
 * @param {(line: string) => void} write
 * @param {(line: string) => void} [keep] gets every line, as it is
 */
export async function logTap(tap, write, keep = () => {}) {
  let inFailure = false
  for await (const line of createInterface({ input: tap })) {
    keep(line)
    const isResult = /^\s*(?:not )?ok \d/.test(line)
    if (isResult) inFailure = /^\s*not ok/.test(line) && !/# (?:SKIP|TODO)/.test(line)
    const isFile = /^(?:not )?ok \d/.test(line)
    // Diagnostics follow their result as a YAML block, ended by "...".
    if (isFile || inFailure || /^# [^S]/.test(line)) write(isFile ? fileLine(line) : line)
    if (/^\s*\.\.\.$/.test(line)) inFailure = false
    if (isFile && !line.startsWith('not')) inFailure = false
  }
}

function fileLine(/** @type {string} */ line) {
  const match = /^((?:not )?ok) \d+ - (.*?)(?: # time=([\d.]+)ms)?(?: \{)?$/.exec(line)
  if (match === null) return line
  const [, verdict, file, timeMs] = match
  return `${verdict} ${file}${timeMs === undefined ? '' : ` (${(Number(timeMs) / 1000).toFixed(1)} s)`}`
}
