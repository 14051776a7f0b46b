/** Puts a table of broken files through two libraries side by side, and says of each what is not as it must be. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { BrokenFile } from './broken-file.ts'
import { Clips } from './clips.ts'
import { FileRun, strayChildren } from './file-run.ts'

/** Without it every second file of a table is put through, always the same ones: the whole corpus takes minutes of two processors. */
const isWhole = process.env.KAIRO_CORPUS === 'all'
/** Libraries side by side. */
const LANES = 2

const goodFile: BrokenFile = {
  ...{ name: 'good.mp4', about: 'nothing is wrong with it', encode: true },
  make: (clips) => clips.bytes('plain.mp4'),
  ends: { seconds: [2.9, 3.2], renditions: ['source', '72p', 'audio'] },
}

/** Puts files through, all of them with `KAIRO_CORPUS=all`, and behind them a good one in each library. */
export async function putThrough(t: Test, files: readonly BrokenFile[]): Promise<void> {
  t.equal(new Set(files.map(({ name }) => name)).size, files.length, 'no two have one name')
  const folder = t.testdir({ clips: {} })
  const clips = new Clips(join(folder, 'clips'))
  const waiting = files.filter((_, index) => isWhole || index % 2 === 0)
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
