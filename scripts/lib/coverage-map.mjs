/**
 * Which test files count the lines that they run (tap's `coverage-map`, see .taprc). Counting takes from half to twice the time again, so
 * only unit tests do: random cases run the same lines thousands of times, and tests with real partners start whole peers whose parts
 * have unit tests. Processes that a file starts do as it does.
 */

const UNCOUNTED =
  /\/(?:interop|fuzz|simulation|mutation|faults)\/|\/(?:simulation|damage|crashes)\.test\.ts$/

/**
 * The sources that a test file counts: none, or all.
 * @param {string} file path of a test file from the root
 * @returns {string[] | null}
 */
// biome-ignore lint/style/noDefaultExport: tap asks for one
export default function coverageMap(file) {
  return UNCOUNTED.test(file) ? null : []
}
