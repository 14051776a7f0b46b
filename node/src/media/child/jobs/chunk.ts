/** Encodes a stretch of a file: the pictures between two keyframes into every rung, or one sound track from end to end. */
import { KairoError } from '../../../errors.ts'
import { TICKS_PER_SECOND } from '../../access-unit.ts'
import type { JobContext } from '../context.ts'
import { FileInput } from '../file/file-input.ts'
import { PictureChunk } from '../file/picture-chunk.ts'
import { encodeSound } from '../file/sound.ts'
import type { ChunkJob, Json } from '../job.ts'

/** How much earlier a container is asked for a keyframe that it could not find at once. */
const EARLIER_TICKS = 5 * TICKS_PER_SECOND

/** Runs the job; its result tells how many units each output got. */
export async function run(context: JobContext, job: ChunkJob): Promise<Json> {
  const units = new Array<number>(job.video.length + job.audio.length).fill(0)
  const counted: JobContext = {
    ...{ input: context.input, counters: context.counters },
    config: (output, config) => context.config(output, config),
    unit: (output, unit) => {
      units[output] = (units[output] ?? 0) + 1
      context.unit(output, unit)
    },
    blob: (about, bytes) => context.blob(about, bytes),
    note: (note) => context.note(note),
    turn: () => context.turn(),
  }
  if (job.videoStream !== undefined && job.video.length > 0) {
    await encodePictures(counted, job, job.videoStream)
  }
  if (job.audioStream !== undefined && job.audio.length > 0) {
    await encodeSound(counted, job, job.audioStream)
  }
  return { units }
}

async function encodePictures(context: JobContext, job: ChunkJob, index: number): Promise<void> {
  let input = FileInput.open(job.path)
  const stream = input.streams[index]
  if (stream === undefined) throw new KairoError('ERR_MEDIA', `the file has no stream ${index}`)
  try {
    // Containers with an index find the keyframe at once; others may land behind it, and are asked for an earlier one.
    for (const leadTicks of [0, EARLIER_TICKS, undefined]) {
      const chunk = new PictureChunk(context, job, input, index)
      try {
        if (await chunk.encode(leadTicks)) return
      } finally {
        chunk.close()
      }
      input.close()
      input = FileInput.open(job.path)
    }
    const seconds = (ticks: number): string => (ticks / TICKS_PER_SECOND).toFixed(1)
    throw new KairoError(
      'ERR_MEDIA',
      `no picture between ${seconds(job.from)} and ${seconds(job.to)} s can be decoded`,
    )
  } finally {
    input.close()
  }
}
