/** Small files: one creator wins, content is whole, the owner alone may read, nothing is left beside them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { KairoError } from '../src/errors.ts'
import { createFile, replaceFile, replaceFileLater, storageError } from '../src/files.ts'

test('of many that create a file one wins, and its content stays', async (t) => {
  const folder = t.testdir({})
  const path = join(folder, 'key')
  const contents = Array.from({ length: 20 }, (_, index) => `${index}`.repeat(1_000))
  const won = await Promise.all(contents.map((content) => createFile(path, content)))
  t.equal(won.filter(Boolean).length, 1)
  t.equal(readFileSync(path, 'utf8'), contents[won.indexOf(true)])
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.strictSame(readdirSync(folder), ['key'], 'nothing is left beside it')
})

test('a folder in the place is a name taken, a missing folder an error', async (t) => {
  const folder = t.testdir({})
  mkdirSync(join(folder, 'key'))
  t.equal(await createFile(join(folder, 'key'), 'x'), false)
  await t.rejects(createFile(join(folder, 'missing', 'key'), 'x'), { code: 'ENOENT' })
  t.throws(() => replaceFile(join(folder, 'missing', 'key'), 'x'), { code: 'ENOENT' })
  t.notOk(existsSync(join(folder, 'missing')))
})

test('a file is replaced whole, for its owner alone', async (t) => {
  const folder = t.testdir({ note: 'an old and longer content' })
  const path = join(folder, 'note')
  replaceFile(path, 'new')
  t.equal(readFileSync(path, 'utf8'), 'new')
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.strictSame(readdirSync(folder), ['note'])
})

test('a file is replaced without holding anything up, and a refusal leaves the old one', async (t) => {
  const folder = t.testdir({ note: 'an old and longer content', taken: {} })
  const path = join(folder, 'note')
  await replaceFileLater(path, Buffer.from('new'))
  t.equal(readFileSync(path, 'utf8'), 'new')
  t.equal(statSync(path).mode & 0o777, 0o600)
  await t.rejects(replaceFileLater(join(folder, 'taken'), 'no'), { code: 'EISDIR' })
  t.strictSame(readdirSync(folder).sort(), ['note', 'taken'], 'nothing is left beside them')
})

test('errors of the file system are told by their code, those on purpose as they are', async (t) => {
  const own = new KairoError('ERR_LIMIT', 'too many')
  t.equal(storageError('cannot write', own), own)
  const cause = Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' })
  t.match(storageError('cannot write', cause), {
    ...{ code: 'ERR_STORAGE', message: 'cannot write: ENOSPC', cause },
  })
})
