/** Reads the text subtitles of a file and hands out a WebVTT file of each. */
import { avGetCodecName, type Packet, type Stream } from 'node-av/lib'
import { captionLimits } from '../../../limits/captions.ts'
import { mediaFileLimits, vodLimits } from '../../../limits/vod.ts'
import { TICKS_PER_MS, TICKS_PER_SECOND } from '../../access-unit.ts'
import { serialiseWebVtt, type VttCue } from '../../captions/webvtt.ts'
import type { JobContext } from '../context.ts'
import { FileInput, ptsOf } from '../file/file-input.ts'
import { cueText } from '../file/subtitle-text.ts'
import type { Json, SubtitlesJob } from '../job.ts'

interface Track {
  readonly stream: Stream
  readonly codecName: string
  readonly cues: VttCue[]
  bytes: number
}

/** How long a subtitle stays whose container does not say. */
const UNKNOWN_TICKS = 4 * TICKS_PER_SECOND

/** Runs the job; its result tells the number of cues of each stream. */
export async function run(context: JobContext, job: SubtitlesJob): Promise<Json> {
  const input = FileInput.open(job.path)
  try {
    const tracks = new Map<number, Track>()
    for (const index of job.streams.slice(0, mediaFileLimits.subtitlesMax)) {
      const stream = input.streams[index]
      if (stream === undefined) continue
      const codecName = avGetCodecName(stream.codecpar.codecId) ?? ''
      tracks.set(index, { stream, codecName, cues: [], bytes: 0 })
    }
    input.select([...tracks.keys()])
    for (let packet = input.next(); packet !== undefined; packet = input.next()) {
      const track = tracks.get(packet.streamIndex)
      if (track !== undefined) note(track, packet, job.origin)
      context.counters.unitsIn += 1
      if (context.counters.unitsIn % 64 === 0) await context.turn()
    }
    for (const [stream, { cues }] of tracks) {
      if (cues.length === 0) continue
      cues.sort((a, b) => a.startMs - b.startMs)
      context.blob({ stream }, serialiseWebVtt(cues))
      await context.turn()
    }
    return { cues: [...tracks.values()].map(({ cues }) => cues.length) }
  } finally {
    input.close()
  }
}

function note(track: Track, packet: Packet, origin: number): void {
  const { stream, codecName, cues } = track
  const pts = ptsOf(packet, stream)
  const text = packet.data === null ? '' : cueText(codecName, Buffer.from(packet.data))
  if (pts === undefined || text === '') return
  track.bytes += Buffer.byteLength(text) + 64
  if (track.bytes > vodLimits.captionBytesMax) return
  const { num, den } = stream.timeBase
  const length = (Number(packet.duration) * num * TICKS_PER_SECOND) / den
  const startMs = Math.max(0, Math.round((pts - origin) / TICKS_PER_MS))
  const endMs = Math.round((pts - origin + (length > 0 ? length : UNKNOWN_TICKS)) / TICKS_PER_MS)
  if (endMs > startMs && cues.length < captionLimits.cuesMax) cues.push({ startMs, endMs, text })
}
