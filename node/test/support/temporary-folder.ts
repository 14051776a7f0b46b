/** A folder of its own for a test that needs several: `t.testdir` is one a test, and empties it at each call. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** An empty folder; it goes with the test, after what was started later has stopped. */
export function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'kairo-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
