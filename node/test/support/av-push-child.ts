// Entry of av-push's child process: encodes and writes one job, then exits; 1 when FFmpeg refuses something.
import { setTimeout as delay } from 'node:timers/promises'
import { AV_LOG_ERROR } from 'node-av/constants'
import { Dictionary, FFmpegError, FormatContext, Log, type Packet, type Stream } from 'node-av/lib'
import type { AvPushJob } from './av-push.ts'
import { openPicture, openSound, type TrackEncoder } from './av-push-encoders.ts'

Log.setLevel(AV_LOG_ERROR)
process.on('disconnect', () => process.exit(0))
process.once('message', (job: AvPushJob) => {
  run(job).then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
      process.exit(1)
    },
  )
})

async function run(job: AvPushJob): Promise<void> {
  const encoders: TrackEncoder[] = []
  if (job.video !== undefined) encoders.push(openPicture(job.video))
  for (const [index, track] of (job.audio ?? []).entries()) encoders.push(openSound(track, index))
  const output = new FormatContext()
  const format = job.format ?? (job.url.startsWith('rtmp') ? 'flv' : null)
  check(output.allocOutputContext2(null, format, job.url), 'allocOutput')
  const streams = encoders.map((encoder, index) =>
    addStream(output, encoder, job.audio?.[index - (job.video === undefined ? 0 : 1)]?.language),
  )
  check(output.openOutputSync(), 'connect')
  check(output.writeHeaderSync(), 'publish')
  const startMs = performance.now()
  for (;;) {
    const next = encoders.reduce((a, b) => (b.timeS < a.timeS ? b : a))
    if (next.timeS >= job.seconds) break
    const stream = streams[encoders.indexOf(next)] as Stream
    if (job.live === true) {
      const earlyMs = next.timeS * 1_000 - (performance.now() - startMs)
      if (earlyMs > 0) await delay(earlyMs)
    }
    next.encode((packet) => write(output, packet, stream, next))
  }
  for (const [index, encoder] of encoders.entries()) {
    encoder.flush((packet) => write(output, packet, streams[index] as Stream, encoder))
  }
  check(output.writeTrailerSync(), 'end')
  output.closeOutputSync()
}

function addStream(output: FormatContext, encoder: TrackEncoder, language?: string): Stream {
  const stream = output.newStream()
  check(stream.codecpar.fromContext(encoder.context), 'fromContext')
  stream.timeBase = encoder.context.timeBase
  stream.avgFrameRate = encoder.context.framerate
  if (language !== undefined) stream.metadata = Dictionary.fromObject({ language })
  return stream
}

function write(output: FormatContext, packet: Packet, stream: Stream, encoder: TrackEncoder): void {
  packet.streamIndex = stream.index
  packet.rescaleTs(encoder.context.timeBase, stream.timeBase)
  check(output.interleavedWriteFrameSync(packet), 'write')
}

function check(result: number, what: string): void {
  FFmpegError.throwIfError(result, what)
}
