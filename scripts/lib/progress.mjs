/**
 * One visible line for a step that takes time. On a terminal it counts the seconds in place; elsewhere (a log, a pipe)
 * it prints one line at the start and one at the end. Everything goes to stderr, so stdout stays the program's own.
 */

/**
 * Runs `work` behind a progress line.
 * @template T
 * @param {string} label what is being done, as in "Installing packages"
 * @param {() => Promise<T>} work
 * @returns {Promise<T>} what `work` gives; its error passes through after the line is closed
 */
export async function withProgress(label, work) {
  const startedAtMs = Date.now()
  const elapsed = () => `${Math.round((Date.now() - startedAtMs) / 1000)} s`
  const terminal = process.stderr.isTTY === true
  const draw = () => process.stderr.write(`\r${label} ... ${elapsed()} `)
  if (terminal) draw()
  else process.stderr.write(`${label} ...\n`)
  const timer = terminal ? setInterval(draw, 1000) : undefined
  const close = (/** @type {string} */ outcome) => {
    clearInterval(timer)
    process.stderr.write(`${terminal ? '\r' : ''}${label} ... ${outcome} after ${elapsed()}\n`)
  }
  try {
    const result = await work()
    close('done')
    return result
  } catch (error) {
    close('failed')
    throw error
  }
}
