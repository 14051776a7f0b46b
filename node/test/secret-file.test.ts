/** Secrets of the home folder: made once, for this user's eyes, and refused when they are damaged. */
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { loadSecret } from '../src/secret-file.ts'
import { temporaryFolder } from './support/temporary-folder.ts'

const form = /^made-\d+$/

test('a secret is made once, and read from then on', async (t) => {
  const path = join(temporaryFolder(t), 'a.secret')
  t.equal(await loadSecret({ path, made: 'made-1', form, what: 'it' }), 'made-1')
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.equal(await loadSecret({ path, made: 'made-2', form, what: 'it' }), 'made-1')
})

test('a file without one, and a folder that is not there', async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'a.secret')
  await writeFile(path, 'something else')
  const damaged = loadSecret({ path, made: 'made-1', form, what: 'the secret of this test' })
  await t.rejects(damaged, { code: 'ERR_CONFIG', message: /does not hold the secret of this test/ })
  const nowhere = { path: join(folder, 'no', 'a.secret'), made: 'made-1', form, what: 'it' }
  await t.rejects(loadSecret(nowhere), { code: 'ERR_STORAGE' })
})
