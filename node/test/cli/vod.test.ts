/** `kairo vod` against a real HTTP server with uploads and a library behind it. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { vodRoutes, vodStreamRoutes } from '../../src/api/vod.ts'
import { vod } from '../../src/cli/vod.ts'
import { KairoError } from '../../src/errors.ts'
import { commandAt } from '../support/command-at.ts'
import { alone, fakeLibrary } from '../support/fake-library.ts'
import { startUploadPeer } from '../support/upload-peer.ts'

const clip = {
  objects: new Map(),
  presentation: {
    ...{ id: 'clip', title: 'A clip', createdAtMs: 0, durationUs: 65_000_000, complete: true },
    ...{ renditions: [], captions: [], storyboard: undefined },
  },
} as const

test('kairo vod', async (t) => {
  const home = join(t.testdir({}), 'home')
  mkdirSync(home)
  const { library, calls } = fakeLibrary(clip)
  const downloads = {
    open: async () => {
      throw new KairoError('ERR_NOT_FOUND', 'no downloads here')
    },
  }
  let refuses = false
  const peer = await startUploadPeer({
    directory: join(home, 'uploads'),
    access: 'operator',
    routes: vodRoutes({ library, downloads, ...alone }, { access: 'operator' }),
    streamRoutes: vodStreamRoutes({ library, downloads, ...alone }, { access: 'operator' }),
    beforeTake: async () => {
      if (refuses) throw new KairoError('ERR_STORAGE', 'the library is full')
    },
  })
  t.teardown(() => peer.stop())
  const run = commandAt(t, { home, url: peer.url }, 'vod', vod)

  t.match(await run(), { code: 0, text: /clip +ready +1m 5s .*A clip\nmaking +transcoding 50 %/ })
  t.equal(JSON.parse((await run('list', '--json')).text).videos.length, 2)
  t.match(await run('remove', 'making'), { code: 0, text: /Removed making/ })
  const captions = join(home, 'en.vtt')
  writeFileSync(captions, 'WEBVTT\n')
  t.match(await run('captions', 'clip', captions, 'en', 'English'), { code: 0, text: /A clip/ })
  t.equal(calls.at(-1), 'captions en English 7 clip')
  await t.rejects(run('captions', 'none', captions), { code: 'ERR_NOT_FOUND' })
  await t.rejects(run('captions', 'clip', join(home, 'missing')), { code: 'ERR_NOT_FOUND' })

  const film = join(home, 'my_film.mp4')
  writeFileSync(film, Buffer.alloc(300_000, 7))
  t.same(JSON.parse((await run('add', film, '--json')).text), { id: 'video-1' })
  t.equal(peer.taken[0]?.title, 'my film')
  t.equal(readFileSync(String(peer.taken[0]?.path)).byteLength, 300_000)
  t.match(await run('add', film, 'A title'), { code: 0, text: /Added video-2/ })
  t.equal(peer.taken[1]?.title, 'A title')
  refuses = true
  const other = join(home, 'other.mp4')
  writeFileSync(other, '')
  await t.rejects(run('add', other), { code: 'ERR_INVALID_INPUT', message: /empty/ })
  await t.rejects(run('add', join(home, 'missing.mp4')), { code: 'ERR_NOT_FOUND' })
  await t.rejects(run('add', home), { code: 'ERR_INVALID_INPUT' })

  for (const words of [['add'], ['remove'], ['captions', 'x'], ['list', 'x'], ['play']]) {
    await t.rejects(run(...words), { code: 'ERR_USAGE' }, words.join(' '))
  }
})
