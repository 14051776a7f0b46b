/** Starting other programs: quietly, with their output shown only when they fail, or in our place. */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'

/** Signals that arrive within this time of one another are one Ctrl-C, delivered by terminal and npm alike. */
const SIGNAL_ECHO_MS = 1_000
/** Output kept of a quiet program, in characters; what is printed when it fails. */
const OUTPUT_CHARS_MAX = 16_384

/** A failure whose message is all that the user needs; no stack is printed for it. */
export class SetupError extends Error {}

/**
 * Runs a program to its end without showing its output.
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<string>} the end of its stdout and stderr
 * @throws {SetupError} with that output when it cannot be started or does not exit with 0
 */
export function runQuietly(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const keep = (/** @type {Buffer} */ chunk) => {
      output = (output + chunk.toString()).slice(-OUTPUT_CHARS_MAX)
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    const shown = [command, ...args].join(' ')
    child.once('error', (cause) => {
      reject(new SetupError(`could not run "${shown}": ${cause.message}`, { cause }))
    })
    child.once('close', (code, signal) => {
      if (code === 0) resolve(output)
      else reject(new SetupError(`"${shown}" ended with ${signal ?? code}:\n${output.trimEnd()}`))
    })
  })
}

/**
 * Runs a program in our place: it has our terminal, gets each signal once, and its exit code becomes ours.
 *
 * Ctrl-C reaches this process up to twice (from the terminal, and from npm, which forwards it). The program runs in a
 * process group of its own, out of the terminal's reach, so that it is told once and can stop in order.
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @param {(output: import('node:stream').Readable) => Promise<void>} [read] takes its stdout, which is ours otherwise
 * @returns {Promise<number>} its exit code; 128 plus the signal's number when a signal ended it
 */
export function runInPlace(command, args, options = {}, read = undefined) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      ...options,
      stdio: ['inherit', read === undefined ? 'inherit' : 'pipe', 'inherit'],
      detached: process.platform !== 'win32',
    })
    const reading = child.stdout === null ? undefined : read?.(child.stdout)
    let lastSignalAtMs = Number.NEGATIVE_INFINITY
    const forward = (/** @type {NodeJS.Signals} */ signal) => {
      const now = performance.now()
      const echo = now - lastSignalAtMs < SIGNAL_ECHO_MS
      lastSignalAtMs = now
      // A closed terminal is an order to stop, not to reload.
      if (!echo) child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal)
    }
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
      process.on(signal, forward)
    }
    child.once('error', (cause) => {
      reject(new SetupError(`could not run "${command}": ${cause.message}`, { cause }))
    })
    child.once('exit', (code, signal) => {
      const result = code ?? 128 + constants.signals[signal ?? 'SIGTERM']
      if (reading === undefined) resolve(result)
      else reading.then(() => resolve(result), reject)
    })
  })
}

/**
 * Ends the process with the code that `main` gives; a {@link SetupError} becomes one message and code 1.
 * @param {() => Promise<number>} main
 */
export async function exitWith(main) {
  try {
    process.exitCode = await main()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    process.stderr.write(`\n${error.message}\n`)
    process.exitCode = 1
  }
}
