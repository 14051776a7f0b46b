// What a media child has open: nothing of its peer's.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'

const CHILD = fileURLToPath(new URL('../../src/media/child/child.ts', import.meta.url))
const skip = process.platform !== 'linux' && 'descriptors are looked at in /proc'

test('files that the peer has open are closed', { skip }, async (t) => {
  const path = join(t.testdir(), 'state.log')
  writeFileSync(path, 'state')
  const fd = openSync(path, 'r+')
  // Node opens files so that children do not inherit them; here one is handed down as LevelDB's are.
  const stdio = ['ignore', 'ignore', 'inherit', 'pipe', 'ipc', fd] as const
  const child = spawn(process.execPath, [CHILD], { stdio: [...stdio] })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdio[3] as Readable, 'data')
  t.throws(() => readlinkSync(`/proc/${child.pid}/fd/5`), { code: 'ENOENT' })
  t.match(readFileSync(`/proc/${child.pid}/comm`, 'utf8'), /\S/, 'it lives')
})
