/**
 * The job `transcode`: units in, units of each rung out, as they come. The source is decoded once, each rung scales and
 * encodes for itself; every keyframe of the source is one of every rung, and times are those of the input.
 */
import { availableParallelism } from 'node:os'
import { KairoError } from '../../../errors.ts'
import {
  type AccessUnit,
  type AudioConfig,
  FRAME_RATE_ASSUMED,
  type TrackConfig,
  type VideoConfig,
} from '../../access-unit.ts'
import { AudioRungEncoder } from '../av/audio-rung.ts'
import { KeyframeTimes } from '../av/keyframe-times.ts'
import { decoderThreads, encoderThreads } from '../av/threads.ts'
import { UnitDecoder } from '../av/unit-decoder.ts'
import { VideoRungEncoder } from '../av/video-rung.ts'
import type { JobContext, RunJob } from '../context.ts'
import type { TranscodeJob } from '../job.ts'

/** Runs the job. Its result is null. */
export const run: RunJob<TranscodeJob> = async (context, job) => {
  if (job.video.length + job.audio.length === 0) {
    throw new KairoError('ERR_INVALID_INPUT', 'a transcode job without rungs')
  }
  const tracks = {
    video: new VideoTranscoder(context, job),
    audio: new AudioTranscoder(context, job),
  }
  try {
    for await (const input of context.input) {
      if (input.type === 'config') {
        if (input.config.kind === 'video') tracks.video.configure(input.config)
        else tracks.audio.configure(input.config)
      } else {
        context.counters.unitsIn += 1
        context.counters.position = Math.max(context.counters.position, input.unit.pts)
        tracks[input.unit.kind].write(input.unit)
      }
      const wait = context.turn()
      if (wait !== undefined) await wait
    }
    tracks.video.finish()
    tracks.audio.finish()
  } finally {
    tracks.video.close()
    tracks.audio.close()
  }
  return null
}

/** Hands one output's units to the peer, each configuration before the first unit that it holds for. */
function output(context: JobContext, index: number) {
  return (unit: AccessUnit, config: TrackConfig | undefined): void => {
    if (config !== undefined) context.config(index, config)
    context.unit(index, unit)
  }
}

/** The pictures: one decoder, an encoder a rung. */
class VideoTranscoder {
  readonly #context: JobContext
  readonly #job: TranscodeJob
  #decoder: UnitDecoder | undefined
  #rungs: VideoRungEncoder[] = []
  readonly #keyframes = new KeyframeTimes()
  #started = false

  constructor(context: JobContext, job: TranscodeJob) {
    this.#context = context
    this.#job = job
  }

  /** A changed configuration ends the decoder; the encoders go on, as the rungs stay what they are. */
  configure(config: VideoConfig): void {
    if (this.#job.video.length === 0) return
    this.#decoder?.finish()
    this.#decoder?.close()
    this.#started = false
    if (this.#rungs.length === 0) this.#rungs = this.#open(config)
    this.#decoder = new UnitDecoder({
      config,
      threads: decoderThreads(config, availableParallelism()),
      onFrame: (frame, pts) => {
        const keyframe = this.#keyframes.take(pts)
        for (const rung of this.#rungs) rung.encode(frame, pts, keyframe)
      },
      onDamaged: () => {
        this.#context.counters.damaged += 1
      },
    })
  }

  write(unit: AccessUnit): void {
    // Before the first keyframe there is nothing to decode from.
    this.#started ||= unit.keyframe
    if (this.#decoder === undefined || !this.#started) return
    if (unit.keyframe) this.#keyframes.add(unit.pts)
    this.#decoder.decode(unit)
  }

  finish(): void {
    this.#decoder?.finish()
    for (const rung of this.#rungs) rung.finish()
  }

  close(): void {
    this.#decoder?.close()
    for (const rung of this.#rungs) rung.close()
  }

  #open(config: VideoConfig): VideoRungEncoder[] {
    // Only rate control and the number of threads go by it.
    const frameRate = config.frameRate ?? FRAME_RATE_ASSUMED
    return this.#job.video.map(
      (rung, index) =>
        new VideoRungEncoder({
          rung,
          colour: config.colour,
          frameRate,
          live: true,
          threads: encoderThreads(rung, rung.frameRate ?? frameRate, availableParallelism()),
          resumeAt: this.#job.resumeAt[index],
          onUnit: output(this.#context, index),
        }),
    )
  }
}

/** The sound: one decoder, an encoder a rung. */
class AudioTranscoder {
  readonly #context: JobContext
  readonly #job: TranscodeJob
  #decoder: UnitDecoder | undefined
  #rungs: AudioRungEncoder[] = []

  constructor(context: JobContext, job: TranscodeJob) {
    this.#context = context
    this.#job = job
  }

  configure(config: AudioConfig): void {
    if (this.#job.audio.length === 0) return
    this.#decoder?.finish()
    this.#decoder?.close()
    if (this.#rungs.length === 0) this.#rungs = this.#open(config)
    this.#decoder = new UnitDecoder({
      config,
      threads: 1,
      onFrame: (frame, pts) => {
        for (const rung of this.#rungs) rung.encode(frame, pts)
      },
      onDamaged: () => {
        this.#context.counters.damaged += 1
      },
    })
  }

  write(unit: AccessUnit): void {
    this.#decoder?.decode(unit)
  }

  finish(): void {
    this.#decoder?.finish()
    for (const rung of this.#rungs) rung.finish()
  }

  close(): void {
    this.#decoder?.close()
    for (const rung of this.#rungs) rung.close()
  }

  #open(config: AudioConfig): AudioRungEncoder[] {
    const { audio, video, resumeAt } = this.#job
    return audio.map((rung, index) => {
      const place = video.length + index
      return new AudioRungEncoder({
        rung,
        language: config.language,
        resumeAt: resumeAt[place],
        onUnit: output(this.#context, place),
      })
    })
  }
}
