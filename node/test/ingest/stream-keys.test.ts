// Stream keys: made, found by their secret, kept over restarts, never replaced when damaged.
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { exportedStreamSchema, StreamKeys } from '../../src/ingest/stream-keys.ts'

test('a stream keeps its name, secret and signing key over a restart', async (t) => {
  const folder = t.testdir({})
  const made = new StreamKeys(folder).create({ name: 'main', title: 'Main stage' })
  const again = new StreamKeys(folder)
  const found = again.bySecret(made.streamKey)
  t.equal(found?.name, 'main')
  t.equal(found?.title, 'Main stage')
  t.equal(found?.key.id, made.key.id)
  t.ok(found?.key.verify(Buffer.from('x'), made.key.sign(Buffer.from('x'))))
  t.equal(again.get('main'), found)
  t.equal(again.bySecret(`${made.streamKey}x`), undefined)
  t.equal(statSync(join(folder, 'main.json')).mode & 0o777, 0o600)
})

test('a stream without a name gets one that ends in part of its id', async (t) => {
  const stream = new StreamKeys(t.testdir({})).create({ prefix: 'test', builtIn: true })
  t.match(stream.name, /^test-[a-z0-9]{5}$/)
  t.ok(stream.key.id.endsWith(stream.name.slice(5)))
  t.equal(stream.builtIn, true)
})

test('names that would leave the folder or clash are refused', async (t) => {
  const folder = t.testdir({})
  const keys = new StreamKeys(folder)
  for (const name of ['../up', 'A', 'a/b', '-a', '', 'x'.repeat(65), 'a.b']) {
    t.throws(() => keys.create({ name }), { code: 'ERR_INVALID_INPUT' }, name)
  }
  keys.create({ name: 'a' })
  t.throws(() => keys.create({ name: 'a' }), { code: 'ERR_NAME_TAKEN' })
  t.same(readdirSync(folder), ['a.json'])
})

test('a removed stream is gone from memory and disk', async (t) => {
  const folder = t.testdir({})
  const keys = new StreamKeys(folder)
  const { streamKey } = keys.create({ name: 'gone' })
  keys.remove('gone')
  t.equal(keys.bySecret(streamKey), undefined)
  t.same(keys.list(), [])
  t.same(readdirSync(folder), [])
  t.throws(() => keys.remove('gone'), { code: 'ERR_NOT_FOUND' })
})

test('a damaged file stops the start and names itself', async (t) => {
  const folder = t.testdir({})
  writeFileSync(join(folder, 'main.json'), '{"version":1')
  t.throws(() => new StreamKeys(folder), { code: 'ERR_CONFIG', message: /main\.json/ })
})

test('a stream goes to another peer with its keys', async (t) => {
  const folders = t.testdir({ here: {}, there: {} })
  const here = new StreamKeys(join(folders, 'here'))
  const made = here.create({ name: 'main', title: 'Main stage' })
  const exported = here.export('main')
  t.same(exportedStreamSchema.parse(JSON.parse(JSON.stringify(exported))), exported)
  new StreamKeys(join(folders, 'there')).import(exported)
  const there = new StreamKeys(join(folders, 'there'))
  const taken = there.bySecret(made.streamKey)
  t.match(taken, { name: 'main', title: 'Main stage', builtIn: false })
  t.equal(taken?.key.id, made.key.id)
  t.equal(taken?.key.toPem(), made.key.toPem())
  t.equal(statSync(join(folders, 'there', 'main.json')).mode & 0o777, 0o600)
  t.throws(() => there.import(exported), { code: 'ERR_NAME_TAKEN' })
  t.throws(() => there.import({ ...exported, name: 'other' }), { code: 'ERR_NAME_TAKEN' })
  const another = here.export(here.create({ name: 'another' }).name)
  const sameSecret = { ...another, streamKey: exported.streamKey }
  t.throws(() => there.import(sameSecret), { code: 'ERR_NAME_TAKEN' })
  t.throws(() => there.import({ ...another, name: 'main' }), { code: 'ERR_NAME_TAKEN' })
  const noKey = { ...another, privateKey: 'none' }
  t.throws(() => there.import(noKey), { code: 'ERR_INVALID_INPUT' })
  t.throws(() => exportedStreamSchema.parse({ ...another, name: '../up' }))
  t.throws(() => here.export('nobody'), { code: 'ERR_NOT_FOUND' })
  here.create({ name: 'test', builtIn: true })
  t.throws(() => here.export('test'), { code: 'ERR_FORBIDDEN' })
})
