/**
 * `node tracker/test/conformance/run.ts <file>...`: runs Raft scenario files (interaction, confchange, quorum) against
 * the core, prints the first difference with file and line, and exits with 1 if there was one, 2 for wrong usage.
 */
import { readFileSync } from 'node:fs'
import { type Difference, runScenario } from './scenario.ts'

process.exitCode = runFiles(process.argv.slice(2))

function runFiles(files: readonly string[]): number {
  if (files.length === 0) {
    process.stderr.write('usage: node tracker/test/conformance/run.ts <file>...\n')
    return 2
  }
  let failed = 0
  for (const file of files) {
    try {
      const { directives, difference } = runScenario(readFileSync(file, 'utf8'))
      if (difference === undefined) {
        process.stdout.write(`ok   ${file} (${directives} directives)\n`)
        continue
      }
      process.stdout.write(describe(file, difference))
    } catch (error) {
      process.stdout.write(`FAIL ${file}: ${error instanceof Error ? error.message : error}\n`)
    }
    failed += 1
  }
  process.stdout.write(`${files.length - failed} passed, ${failed} failed\n`)
  return failed === 0 ? 0 : 1
}

function describe(
  file: string,
  { line, command, differsAt, expected, actual }: Difference,
): string {
  return [
    `FAIL ${file}:${differsAt}: ${command} (line ${line}) differs`,
    '--- expected',
    `${expected}--- actual`,
    `${actual}---`,
    '',
  ].join('\n')
}
