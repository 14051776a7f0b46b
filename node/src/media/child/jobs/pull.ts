/**
 * The job `pull`: reads a remote source and hands its units out as they come. Outputs: 0 the pictures, 1 and on the tracks of
 * sound. Whoever takes them slows a source that is faster than real time by not reading.
 */
import { KairoError } from '../../../errors.ts'
import type { RunJob } from '../context.ts'
import type { PullJob } from '../job.ts'
import type { PullNote } from '../remote/notes.ts'
import { type PulledTrack, pulledTrack } from '../remote/pulled-track.ts'
import { RemoteDemuxer } from '../remote/remote-demuxer.ts'
import { RemoteLog } from '../remote/remote-log.ts'

/** Runs the job. It tells one {@link PullNote}; its result, null, means that the source ended. */
export const run: RunJob<PullJob> = async (context, job) => {
  const source = new RemoteDemuxer(job, new RemoteLog(job.url))
  await source.open()
  const { video, audio, leftOut } = source.select()
  const tracks = new Map<number, PulledTrack>()
  if (video !== undefined) tracks.set(video.index, pulledTrack(context, video, 0))
  for (const [index, stream] of audio.entries()) {
    tracks.set(stream.index, pulledTrack(context, stream, index + 1))
  }
  if (tracks.size === 0)
    throw new KairoError('ERR_MEDIA', 'the source has no pictures and no sound')
  const { format } = source
  const opened: PullNote = {
    event: 'opened',
    format,
    video: video !== undefined,
    audio: audio.length,
    leftOut,
  }
  context.note(opened)
  for (let packet = await source.next(); packet !== undefined; packet = await source.next()) {
    context.counters.unitsIn += 1
    tracks.get(packet.streamIndex)?.take(packet)
    await context.turn()
  }
  for (const track of tracks.values()) track.finish()
  // After a failure nothing is freed: a call that hangs may still hold the context, and the process ends.
  await source.close()
  return null
}
