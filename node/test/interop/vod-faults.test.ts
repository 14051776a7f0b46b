/** Videos on their way when things go wrong: children killed, work taken back, the peer killed, the disk full. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { readdir, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'tap'
import { spriteFile } from '../../src/vod/asset.ts'
import { makeClip } from '../support/make-clip.ts'
import { needs } from '../support/needs.ts'
import { needsSmallDisk, smallDisk } from '../support/small-disk.ts'
import { violations } from '../support/vod-checks.ts'
import { smallLadder, startVodPeer } from '../support/vod-peer.ts'

const skip = needs('ffmpeg', 'ffprobe')

test('children that die, and work that is taken back', { skip }, async (t) => {
  const folder = t.testdir()
  const clip = await makeClip(join(folder, 'clip.mp4'), { seconds: 30 })
  const peer = await startVodPeer(join(folder, 'vod'), { storyboard: false })
  t.teardown(() => peer.stop())
  const { library, media } = peer

  /** Waits until a child encodes, and says which. */
  const encoding = async (): Promise<number> => {
    for (;;) {
      const child = media.stats().find(({ job, cpuS }) => job === 'chunk' && cpuS > 0)
      if (child?.pid !== undefined) return child.pid
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  await t.test('a killed child is replaced', async (t) => {
    const { id } = await library.addFile({ path: clip, title: '', mode: 'copy' })
    process.kill(await encoding(), 'SIGKILL')
    t.equal((await peer.settled(id)).state, 'ready')
    t.same(await violations(library, id), [])
    t.match(await peer.registry.metrics(), /kairo_vod_tasks_total\{outcome="retried"\} [1-9]/)
  })

  await t.test('removing a video ends its children and leaves nothing', async (t) => {
    const { id } = await library.addFile({ path: clip, title: '', mode: 'copy' })
    await encoding()
    await library.remove(id)
    const next = await library.addFile({ path: clip, title: '', mode: 'copy' })
    t.equal((await peer.settled(next.id)).state, 'ready', 'and the next one is made')
    t.notOk((await readdir(join(folder, 'vod'))).some((name) => name.startsWith(id)))
  })
})

test('a peer that is killed goes on where it was', { skip }, async (t) => {
  const folder = t.testdir()
  const directory = join(folder, 'vod')
  const clip = await makeClip(join(folder, 'clip.mp4'), { seconds: 60 })
  const program = join(import.meta.dirname, '../vod/making-process.ts')
  const child = spawn(process.execPath, [program, directory, clip], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('finished')) child.kill('SIGKILL')
  }
  await once(child, 'exit').catch(() => {})
  const peer = await startVodPeer(directory, { storyboard: false, ladder: smallLadder })
  t.teardown(() => peer.stop())
  const [{ id } = { id: '' }] = peer.library.statuses()
  t.equal((await peer.settled(id)).state, 'ready')
  t.match(await peer.registry.metrics(), /kairo_vod_tasks_total\{outcome="taken-over"\} [1-9]/)
  t.same(await violations(peer.library, id), [])
  const [, rung] = peer.library.get(id)?.renditions ?? []
  t.same(
    rung?.segments.map(({ msn }) => msn),
    Array.from({ length: 15 }, (_, index) => index),
  )
})

test('a full disk fails the video and nothing else', {
  skip: skip || needsSmallDisk(),
}, async (t) => {
  const folder = t.testdir()
  const clip = await makeClip(join(folder, 'clip.mp4'), { seconds: 20 })
  const disk = smallDisk(3 * 2 ** 20)
  const peer = await startVodPeer(join(disk.directory, 'vod'), { storyboard: false })
  t.teardown(async () => {
    await peer.stop()
    disk.remove()
  })
  await writeFile(join(disk.directory, 'ballast'), Buffer.alloc(1.2 * 2 ** 20))
  const { id } = await peer.library.addFile({ path: clip, title: '', mode: 'copy' })
  const status = await peer.settled(id)
  t.match(status, { state: 'failed', error: { code: 'ERR_STORAGE' } })
  t.equal(peer.library.get(id), undefined)
  await writeFile(join(disk.directory, 'ballast'), '')
  await peer.library.retry(id)
  t.equal((await peer.settled(id)).state, 'ready')
})

test('a storyboard that cannot be written fails the video, and nothing else', {
  skip,
}, async (t) => {
  const folder = t.testdir()
  const clip = await makeClip(join(folder, 'clip.mp4'), { seconds: 5 })
  const peer = await startVodPeer(join(folder, 'vod'))
  t.teardown(() => peer.stop())
  const { id } = await peer.library.addFile({ path: clip, title: '', mode: 'copy' })
  const asset = join(folder, 'vod', id)
  // The folder has been cleared, and the child that makes sprites begins.
  while (!existsSync(join(asset, 'plan'))) await new Promise((resolve) => setImmediate(resolve))
  const sprite = join(asset, spriteFile(0))
  mkdirSync(sprite)
  t.match(await peer.settled(id), { state: 'failed', error: { code: 'ERR_STORAGE' } })
  await rmdir(sprite)
  await peer.library.retry(id)
  t.equal((await peer.settled(id)).state, 'ready')
  t.equal(peer.library.get(id)?.storyboard?.sprites.length, 1)
})
