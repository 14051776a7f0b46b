/** The watched folder on a real file system: what is taken, when, how often, and what never is. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { KairoError } from '../../src/errors.ts'
import { watchFolderLimits } from '../../src/limits/upload.ts'
import { createRegistry } from '../../src/metrics/registry.ts'
import { WatchFolder } from '../../src/vod/watch-folder.ts'
import { eventually, keepingLogger, type Line, metric } from '../support/http-exchange.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'

async function startWatching(t: Test, root: string, refusal?: () => Error | undefined) {
  const clock = new ManualClock()
  const registry = createRegistry()
  const lines: Line[] = []
  const taken: { path: string; title: string; mode: string }[] = []
  const folder = new WatchFolder(
    {
      ...{ clock, registry, logger: keepingLogger(lines) },
      library: {
        addFile: async (file) => {
          const error = refusal?.()
          if (error !== undefined) throw error
          taken.push(file)
          return { id: `video-${taken.length}` }
        },
      },
    },
    { directory: join(root, 'in'), stateFile: join(root, 'taken.json') },
  )
  await folder.start()
  t.teardown(() => folder.stop())
  /** Lets the time of some looks pass; each is done before the next. */
  const look = async (times: number) => {
    for (let count = 0; count < times; count += 1) {
      clock.advance(watchFolderLimits.pollMs)
      await eventually(() => clock.timers > 0)
      await settle()
    }
  }
  const untilStable = Math.ceil(watchFolderLimits.stableMs / watchFolderLimits.pollMs) + 3
  return { folder, clock, registry, lines, taken, look, untilStable }
}

test('files that appear', async (t) => {
  const root = t.testdir({
    in: { 'there.mp4': 'video', sub: { deep: { 'my_film.MKV': 'film' } } },
    out: {},
  })
  const watched = join(root, 'in')
  writeFileSync(join(root, 'out', 'secret.mp4'), 'secret')
  symlinkSync(join(root, 'out', 'secret.mp4'), join(watched, 'link.mp4'))
  symlinkSync(join(watched, 'there.mp4'), join(watched, 'inner.mp4'))
  symlinkSync(join(root, 'out'), join(watched, 'folder'))
  for (const name of ['notes.txt', '.hidden.mp4', 'film.mp4.part', 'empty.mp4']) {
    writeFileSync(join(watched, name), name === 'empty.mp4' ? '' : 'x')
  }
  const { folder, taken, look, untilStable, registry } = await startWatching(t, root)
  await eventually(() => folder.status().pending >= 3)
  await look(untilStable)
  t.same(
    taken.map(({ title, mode }) => [title, mode]).sort(),
    [
      ['my film', 'copy'],
      ['there', 'copy'],
    ],
    'no links, nothing hidden, half-written, empty or of another kind',
  )
  t.ok(existsSync(join(watched, 'there.mp4')), 'the file stays')

  t.test('one that grows is taken when it stops', async (t) => {
    const path = join(watched, 'growing.ts')
    writeFileSync(path, 'a')
    await eventually(() => folder.status().pending > 0)
    for (let count = 0; count < untilStable; count += 1) {
      appendFileSync(path, 'more')
      await look(1)
    }
    t.equal(taken.length, 2)
    await look(untilStable)
    t.equal(taken.length, 3)
  })

  t.test('none is taken twice, by another name neither', async (t) => {
    renameSync(join(watched, 'there.mp4'), join(watched, 'renamed.mp4'))
    await eventually(() => folder.status().pending > 0)
    await look(untilStable)
    t.equal(taken.length, 3)
    t.equal(folder.status().pending, 0)
    t.equal(await metric(registry, 'kairo_vod_watch_folder_files_total', { outcome: 'taken' }), 3)
  })

  t.test('nor after a restart', async (t) => {
    await folder.stop()
    const second = await startWatching(t, root)
    await eventually(() => second.folder.status().pending >= 3)
    await second.look(untilStable)
    t.equal(second.taken.length, 0)
    writeFileSync(join(watched, 'renamed.mp4'), 'another film')
    await eventually(() => second.folder.status().pending > 0)
    await second.look(untilStable)
    t.equal(second.taken.length, 1, 'other content is another file')
  })
})

test('files that the library refuses', async (t) => {
  const root = t.testdir({ in: { 'bad.mp4': 'x' } })
  let error: Error | undefined = new KairoError('ERR_STORAGE', 'no room')
  const { folder, taken, look, untilStable, clock } = await startWatching(t, root, () => error)
  await eventually(() => folder.status().pending === 1)
  await look(untilStable)
  t.match(folder.status().failures, [{ path: 'bad.mp4', code: 'ERR_STORAGE', message: 'no room' }])
  t.equal(folder.status().pending, 1, 'tried again when there may be room')
  error = new KairoError('ERR_MEDIA', 'no video')
  clock.advance(watchFolderLimits.retryMs)
  await look(2)
  t.match(folder.status().failures, [{ code: 'ERR_MEDIA' }])
  t.equal(folder.status().pending, 0)
  error = undefined
  await look(untilStable)
  t.equal(taken.length, 0, 'not again while it stays the same')
})

test('a folder that is not there, and a damaged memory', async (t) => {
  const root = t.testdir({ in: {}, 'taken.json': '{"taken":' })
  const { lines } = await startWatching(t, root)
  t.ok(lines.some(({ message }) => /damaged/.test(message)))
  mkdirSync(join(root, 'other'))
  await t.rejects(startWatching(t, join(root, 'other')), { code: 'ERR_CONFIG' })
})

test('what was taken is remembered within a bound', async (t) => {
  const root = t.testdir({ in: { 'new.mp4': 'video' } })
  const known = Array.from({ length: watchFolderLimits.takenMax }, (_, index) => `1:${index}:1:1`)
  writeFileSync(join(root, 'taken.json'), JSON.stringify({ taken: known }))
  const { folder, taken, look, untilStable, registry } = await startWatching(t, root)
  await eventually(() => folder.status().pending === 1)
  await look(untilStable)
  t.equal(taken.length, 1)
  const files = 'kairo_vod_watch_folder_files_total'
  t.equal(await metric(registry, files, { outcome: 'forgotten' }), 1)
  const noted = JSON.parse(readFileSync(join(root, 'taken.json'), 'utf8')) as { taken: string[] }
  t.equal(noted.taken.length, watchFolderLimits.takenMax)
  t.equal(noted.taken[0], known[1], 'the oldest is forgotten')
})
