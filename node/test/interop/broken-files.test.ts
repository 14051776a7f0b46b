/**
 * Broken files, two at a time: each becomes a video that plays or is refused with a reason. After each its children are gone, its folder
 * holds nothing half-written, and in the end a good file is none the worse for all those before it.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import type { BrokenFile } from '../support/broken-media/broken-file.ts'
import { Clips } from '../support/broken-media/clips.ts'
import { damagedFiles } from '../support/broken-media/damaged-files.ts'
import { FileRun, strayChildren } from '../support/broken-media/file-run.ts'
import { mistimedFiles } from '../support/broken-media/mistimed-files.ts'
import { oddFiles } from '../support/broken-media/odd-files.ts'
import { needs } from '../support/needs.ts'

const skip = needs('ffmpeg', 'ffprobe')
/** Libraries side by side. */
const LANES = 2
root.setTimeout(290_000)

const goodFile: BrokenFile = {
  ...{ name: 'good.mp4', about: 'nothing is wrong with it', encode: true },
  make: (clips) => clips.bytes('plain.mp4'),
  ends: { seconds: [2.9, 3.2], renditions: ['source', '72p', 'audio'] },
}

/** Puts all files through, and a good one behind them in each library. */
async function putThrough(t: Test, files: readonly BrokenFile[]): Promise<void> {
  const folder = t.testdir({ clips: {} })
  const clips = new Clips(join(folder, 'clips'))
  const waiting = [...files]
  const found = new Map<string, readonly string[]>()
  const lane = async (name: string): Promise<void> => {
    mkdirSync(join(folder, name))
    const run = await new FileRun(join(folder, name), clips).start()
    try {
      for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
        found.set(`${file.name}: ${file.about}`, await run.problems(file))
      }
      found.set(`the library ${name} goes on`, await run.problems(goodFile))
    } finally {
      await run.stop()
    }
  }
  await Promise.all(Array.from({ length: LANES }, (_, index) => lane(`${index}`)))
  for (const [name, problems] of found) t.same(problems, [], name)
  t.same(await strayChildren(), [], 'no child is left')
}

const names = [...damagedFiles, ...mistimedFiles, ...oddFiles].map(({ name }) => name)

test('no two cases have one name', async (t) => {
  t.equal(new Set(names).size, names.length)
})

test('files whose bytes are damaged', { skip }, async (t) => putThrough(t, damagedFiles))
test('files whose times are wrong', { skip }, async (t) => putThrough(t, mistimedFiles))
test('odd files, and what is no media', { skip }, async (t) => putThrough(t, oddFiles))
