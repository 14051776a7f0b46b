/**
 * `npm test [unit|integration]`: set-up, the foreign programs that tests run against, then tap. Without a name both
 * kinds run and the line coverage of their sources must reach the floor. The last line on
 * stdout is `N passed, N failed`, counted by tap.
 */
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { checkCoverage } from './lib/coverage.mjs'
import { longestFirst } from './lib/longest-first.mjs'
import { ensurePartners } from './lib/partners.mjs'
import { exitWith } from './lib/run.mjs'
import { filesBelow } from './lib/stamps.mjs'
import { readTally, tallyLine } from './lib/tally.mjs'
import { logTap } from './lib/tap-log.mjs'
import { root, runUnderNode, setup } from './setup.mjs'

/** A whole test file; a loaded 2-core machine may take many times what a desk does. */
const FILE_TIMEOUT_S = 300
/** Test files at once: one more than processors, since those against real partners mostly wait for media to pass. */
const JOBS = availableParallelism() + 1

const INTEROP = join('test', 'interop')

// Hundreds of test processes load the same modules: what the first has compiled, the others take.
process.env.NODE_COMPILE_CACHE ??= join(root, '.cache/compiled')

const kinds = {
  unit: (/** @type {string} */ file) => !file.includes(INTEROP),
  integration: (/** @type {string} */ file) => file.includes(INTEROP),
  all: () => true,
}

await exitWith(async () => {
  const kind = /** @type {keyof typeof kinds} */ (process.argv[2] ?? 'all')
  if (kinds[kind] === undefined) {
    process.stderr.write('usage: npm test [-- unit|integration]\n')
    return 2
  }
  const node = await setup()
  await ensurePartners(['ffmpeg', 'ffprobe', 'chromium', 'nginx', 'dig', 'faketime', 'etcd'])
  const files = ['node/test', 'tracker/test', 'client-lib/test']
    .flatMap((folder) => filesBelow(root, folder, ['fixtures', 'support']))
    .filter((file) => file.endsWith('.test.ts') && kinds[kind](file))
    .sort()
  return runTests(node, longestFirst(files), kind === 'all')
})

async function runTests(
  /** @type {string} */ node,
  /** @type {string[]} */ files,
  /** @type {boolean} */ gate,
) {
  const output = join(root, '.tap/kairo-output.tap')
  const report = join(root, '.tap/report/lcov.info')
  mkdirSync(join(root, '.tap'), { recursive: true })
  rmSync(output, { force: true })
  rmSync(report, { force: true })
  // A terminal gets tap's own live report, a log file plain lines.
  const read = process.stdout.isTTY ? undefined : logInto(output)
  const code =
    files.length === 0 ? 1 : await runUnderNode(node, tapArguments(files, output, gate), read)
  rmSync(join(root, '.tap/fixtures'), { recursive: true, force: true })
  const tally = readTally(output)
  if (gate) {
    const problem = checkCoverage(root, report)
    process.stdout.write(`${problem.summary}\n`)
    if (!problem.ok) tally.failed += 1
    else tally.passed += 1
  }
  // A run that ends badly without a failed test (a crash of tap itself, no test at all) has failed all the same.
  if (tally.failed === 0 && (code !== 0 || tally.passed === 0)) tally.failed = 1
  process.stdout.write(`${tallyLine(tally)}\n`)
  return tally.failed === 0 ? 0 : 1
}

/** Tap prints everything twice when it is told to write a file beside a pipe, so here the file is written of the pipe. */
function logInto(/** @type {string} */ output) {
  return async (/** @type {import('node:stream').Readable} */ tap) => {
    const file = openSync(output, 'w')
    try {
      const log = (/** @type {string} */ line) => process.stdout.write(`${line}\n`)
      await logTap(tap, log, (line) => writeSync(file, `${line}\n`))
    } finally {
      closeSync(file)
    }
  }
}

function tapArguments(
  /** @type {string[]} */ files,
  /** @type {string} */ output,
  /** @type {boolean} */ coverage,
) {
  return [
    join(root, 'node_modules/tap/dist/esm/run.mjs'),
    'run',
    `--jobs=${JOBS}`,
    `--timeout=${FILE_TIMEOUT_S}`,
    ...(process.stdout.isTTY ? [`--output-file=${output}`, '--reporter=base'] : ['--reporter=tap']),
    ...(coverage ? ['--coverage-report=lcovonly'] : ['--disable-coverage']),
    ...files,
  ]
}
