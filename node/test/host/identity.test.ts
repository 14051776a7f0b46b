/**
 * The identity file: made once, kept, closed to others, never replaced when it is broken.
 */
import { chmod, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { test } from 'tap'
import { loadIdentity } from '../../src/host/identity.ts'
import { type Logger, silentLogger } from '../../src/logger.ts'

test('a first start makes an identity that later starts keep', async (t) => {
  const home = join(t.testdir(), 'new', 'home')
  const first = await loadIdentity(home, silentLogger)
  t.equal(first.created, true)
  t.match(first.peerId, /^12D3Koo/)
  t.equal((await stat(join(home, 'identity.key'))).mode & 0o777, 0o600)
  t.equal((await stat(home)).mode & 0o777, 0o700)
  t.same(await readdir(home), ['identity.key'], 'nothing temporary stays')
  const second = await loadIdentity(home, silentLogger)
  t.equal(second.created, false)
  t.equal(second.peerId, first.peerId)
})

test('starts at the same time agree', async (t) => {
  const home = t.testdir()
  const identities = await Promise.all(
    Array.from({ length: 8 }, () => loadIdentity(home, silentLogger)),
  )
  t.equal(new Set(identities.map(({ peerId }) => peerId)).size, 1)
  t.equal(identities.filter(({ created }) => created).length, 1)
})

test('a key that others may read is closed, with a warning', async (t) => {
  const home = t.testdir()
  await loadIdentity(home, silentLogger)
  const path = join(home, 'identity.key')
  await chmod(path, 0o644)
  const warnings: string[] = []
  const logger: Logger = { ...silentLogger, warn: (_, message) => warnings.push(message) }
  await loadIdentity(home, logger)
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.equal(warnings.length, 1)
})

test('a broken key is named and left alone', async (t) => {
  const rsa = Buffer.from(privateKeyToProtobuf(await generateKeyPair('secp256k1')))
  for (const content of ['', 'not a key', rsa.toString('base64')]) {
    const home = t.testdir({ 'identity.key': content })
    const path = join(home, 'identity.key')
    await t.rejects(loadIdentity(home, silentLogger), { code: 'ERR_CONFIG', message: path })
    t.equal(await readFile(path, 'utf8'), content)
  }
})

test('a folder that cannot be used is named', async (t) => {
  const file = join(t.testdir({ file: '' }), 'file')
  await t.rejects(loadIdentity(join(file, 'home'), silentLogger), { code: 'ERR_STORAGE' })
  const folder = t.testdir({ 'identity.key': {} })
  await t.rejects(loadIdentity(folder, silentLogger), { code: 'ERR_STORAGE' })
})
