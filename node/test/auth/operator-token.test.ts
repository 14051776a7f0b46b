/** The operator token on disk and in comparison. */
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { loadOperatorToken } from '../../src/auth/operator-token.ts'

test('operator token', async (t) => {
  t.test('is made once, for the owner alone', async (t) => {
    const home = t.testdir({})
    const first = await loadOperatorToken(home)
    t.match(first.value, /^[A-Za-z0-9_-]{43}$/)
    t.equal((await stat(join(home, 'operator.token'))).mode & 0o777, 0o600)
    t.equal((await readFile(join(home, 'operator.token'), 'utf8')).trim(), first.value)
    t.equal((await loadOperatorToken(home)).value, first.value)
    t.not((await loadOperatorToken(t.testdir({ other: {} }))).value, first.value)
  })

  t.test('verifies', async (t) => {
    const token = await loadOperatorToken(t.testdir({}))
    t.equal(token.verify(token.value), true)
    for (const wrong of [
      undefined,
      '',
      'x',
      `${token.value}x`,
      token.value.slice(1),
      token.value.toUpperCase(),
    ]) {
      t.equal(token.verify(wrong), false)
    }
  })

  t.test('refuses a file that others may read, or that holds none', async (t) => {
    const home = t.testdir({})
    await loadOperatorToken(home)
    const path = join(home, 'operator.token')
    await chmod(path, 0o644)
    await t.rejects(loadOperatorToken(home), { code: 'ERR_CONFIG', message: /chmod 600/ })
    await chmod(path, 0o600)
    await writeFile(path, 'short\n')
    await t.rejects(loadOperatorToken(home), { code: 'ERR_CONFIG', message: /holds no token/ })
  })

  t.test('says when the home cannot be used', async (t) => {
    await t.rejects(loadOperatorToken(join(t.testdir({}), 'missing')), { code: 'ERR_STORAGE' })
    await t.rejects(loadOperatorToken(t.testdir({ 'operator.token': {} })), { code: 'ERR_STORAGE' })
  })
})
