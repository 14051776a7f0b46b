/** Files whose times are wrong: each becomes a video that plays or is refused with a reason, and nothing is left of what was not. */
import { t as root, test } from 'tap'
import { mistimedFiles } from '../support/broken-media/mistimed-files.ts'
import { putThrough } from '../support/broken-media/put-through.ts'
import { needs } from '../support/needs.ts'

root.setTimeout(290_000)

test('files whose times are wrong', { skip: needs('ffmpeg', 'ffprobe') }, async (t) => {
  await putThrough(t, mistimedFiles)
})
