// Stream options: kept over restarts, told to who listens, never silently dropped when damaged.
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { StreamOptionsStore, streamOptionsSchema } from '../../src/ingest/stream-options.ts'

test('options are kept over a restart, readable by their owner only', async (t) => {
  const folder = join(t.testdir({}), 'options')
  const store = new StreamOptionsStore(folder)
  t.strictSame(store.get('main'), {}, 'nothing chosen')
  const heard: unknown[] = []
  const stop = store.onChange((name, options) => heard.push([name, options]))
  store.set('main', { quality: '720p', record: true })
  stop()
  store.set('other', { dvrWindowS: 60 })
  t.strictSame(heard, [['main', { quality: '720p', record: true }]])
  const again = new StreamOptionsStore(folder)
  t.strictSame(again.get('main'), { quality: '720p', record: true })
  t.equal(statSync(join(folder, 'main.json')).mode & 0o777, 0o600)
  again.remove('main')
  t.strictSame(new StreamOptionsStore(folder).get('main'), {})
  t.strictSame(new StreamOptionsStore(folder).get('other'), { dvrWindowS: 60 })
})

test('a damaged file is named and nothing is replaced', async (t) => {
  const folder = t.testdir({})
  writeFileSync(join(folder, 'main.json'), '{"version":1,"options":{"quality":7}}')
  t.throws(() => new StreamOptionsStore(folder), { code: 'ERR_CONFIG', message: /main\.json/ })
})

test('a folder that refuses to be written is an error, and the choice is not taken', async (t) => {
  const folder = t.testdir({})
  const store = new StreamOptionsStore(folder)
  t.throws(() => store.set('no/such/folder', { record: true }), { code: 'ERR_STORAGE' })
  t.strictSame(store.get('no/such/folder'), {})
})

test('what cannot be meant is refused', async (t) => {
  const target = { name: 'one', url: 'rtmp://example.org/live/key' }
  const bad: unknown[] = [
    { quality: '../x' },
    { dvrWindowS: -1 },
    { srtPassphrase: 'short' },
    { restream: [{ ...target, url: 'http://example.org/' }] },
    { restream: [{ ...target, url: 'file:///etc/passwd' }] },
    { restream: [target, target] },
    { restream: Array.from({ length: 17 }, (_, index) => ({ ...target, name: `t${index}` })) },
    { pullUrl: 'file:///etc/passwd' },
    { unknown: 1 },
  ]
  for (const options of bad) {
    t.notOk(streamOptionsSchema.safeParse(options).success, JSON.stringify(options))
  }
  t.ok(streamOptionsSchema.safeParse({ restream: [target], pullUrl: 'rtsp://camera/1' }).success)
})
