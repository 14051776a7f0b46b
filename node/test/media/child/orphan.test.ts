// A media child whose peer is gone, while a call of it waits for what never comes.
import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'

const CHILD = fileURLToPath(new URL('../../../src/media/child/child.ts', import.meta.url))

const skip = process.platform === 'win32' && 'there are no named pipes in folders'

test('it ends although a thread of it hangs', { skip }, async (t) => {
  const pipe = join(t.testdir(), 'nobody-writes')
  execFileSync('mkfifo', [pipe])
  const hang = `import fs from 'node:fs'; fs.readFile(${JSON.stringify(pipe)}, () => {})`
  const child = fork(CHILD, [], {
    execArgv: ['--import', `data:text/javascript,${encodeURIComponent(hang)}`],
    stdio: ['ignore', 'ignore', 'inherit', 'pipe', 'ipc'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdio[3] as Readable, 'data')
  child.disconnect()
  t.same(await once(child, 'exit'), [null, 'SIGKILL'])
})
