/** Broken live streams over RTMP and SRT: each is published as far as it is whole, or its publisher is cut off for a reason. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { t as root, test } from 'tap'
import { avPush } from '../support/av-push.ts'
import { brokenStreams } from '../support/broken-media/broken-streams.ts'
import { Clips } from '../support/broken-media/clips.ts'
import { LiveRun } from '../support/broken-media/live-run.ts'
import { needs } from '../support/needs.ts'

const skip = needs('ffmpeg', 'ffprobe')
/** Publishers side by side, most of which wait for their clocks. */
const LANES = 4
root.setTimeout(240_000)

test('broken live streams', { skip }, async (t) => {
  const folder = t.testdir({ clips: {} })
  const clips = new Clips(join(folder, 'clips'))
  // Debian's ffmpeg writes no Enhanced RTMP.
  for (const codec of ['hevc', 'av1'] as const) {
    clips.keep(`${codec}.flv`, async (path) => {
      const video = { codec, frameRate: 10, gopFrames: 10 }
      const made = avPush(t, path, { video, seconds: 2, format: 'flv' })
      if ((await made.done) !== 0) throw new Error(made.log())
    })
  }
  const waiting = [...brokenStreams]
  const found = new Map<string, readonly string[]>()
  const lane = async (name: string): Promise<void> => {
    mkdirSync(join(folder, name))
    const run = new LiveRun(join(folder, name), clips)
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      found.set(`${one.name}: ${one.about}`, await run.problems(one))
    }
  }
  await Promise.all(Array.from({ length: LANES }, (_, index) => lane(`${index}`)))
  t.equal(found.size, brokenStreams.length, 'no two have one name')
  for (const [name, problems] of found) t.same(problems, [], name)
})
