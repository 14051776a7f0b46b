/** Files whose bytes are damaged: each becomes a video that plays or is refused with a reason, and nothing is left of what was not. */
import { t as root, test } from 'tap'
import { damagedFiles } from '../support/broken-media/damaged-files.ts'
import { putThrough } from '../support/broken-media/put-through.ts'
import { needs } from '../support/needs.ts'

root.setTimeout(290_000)

test('files whose bytes are damaged', { skip: needs('ffmpeg', 'ffprobe') }, async (t) => {
  await putThrough(t, damagedFiles)
})
