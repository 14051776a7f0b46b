/** Odd files, and what is no media: each becomes a video that plays or is refused with a reason, and nothing is left of what was not. */
import { t as root, test } from 'tap'
import { oddFiles } from '../support/broken-media/odd-files.ts'
import { putThrough } from '../support/broken-media/put-through.ts'
import { needs } from '../support/needs.ts'

root.setTimeout(290_000)

test('odd files, and what is no media', { skip: needs('ffmpeg', 'ffprobe') }, async (t) => {
  await putThrough(t, oddFiles)
})
