/** A transcode service over scripted children and a hand-driven clock, and a source that plays into it. */
import { Registry } from 'prom-client'
import { silentLogger } from '../../src/logger.ts'
import type { AudioConfig, VideoConfig } from '../../src/media/access-unit.ts'
import type { EncoderProbe } from '../../src/media/encoders.ts'
import { PresetStore } from '../../src/media/ladder/preset-store.ts'
import { TranscodeService } from '../../src/transcode/service.ts'
import type { StreamTranscoding } from '../../src/transcode/status.ts'
import { FakePublishedSession } from './fake-published-session.ts'
import { ManualClock, settle } from './manual-clock.ts'
import { ScriptedMediaJobs } from './scripted-media-jobs.ts'

/** What a bench is made with. */
export interface TranscodeBenchInit {
  readonly cores?: number
  readonly quality?: string
  readonly encoders?: readonly EncoderProbe[] | undefined
}

const softwareEncoders: readonly EncoderProbe[] = ['libx264', 'libx265', 'aac', 'libopus'].map(
  (name) => ({ name, kind: 'software', ok: true }),
)

/** Full HD, H.264. */
export const fullHd: VideoConfig = {
  kind: 'video',
  codec: 'h264',
  codecString: 'avc1.640028',
  width: 1920,
  height: 1080,
  frameRate: 30,
  description: Uint8Array.of(1),
}

/** Opus, which wants AAC beside it. */
export const opus: AudioConfig = {
  kind: 'audio',
  codec: 'opus',
  codecString: 'opus',
  sampleRate: 48_000,
  channels: 2,
  samplesPerFrame: 960,
  description: Uint8Array.of(2),
}

/** A clock whose timers come late: as many milliseconds pass without them as the test says. */
class LateClock extends ManualClock {
  #heldUpMs = 0

  holdUp(ms: number): void {
    this.#heldUpMs += ms
  }

  override monotonicMs(): number {
    return super.monotonicMs() + this.#heldUpMs
  }
}

/** Everything that a test of live transcoding drives. */
export class TranscodeBench {
  readonly clock = new LateClock()
  readonly jobs = new ScriptedMediaJobs()
  readonly registry = new Registry()
  readonly service: TranscodeService
  encoders: readonly EncoderProbe[] | undefined
  quality: string
  eventLoopDelayMs = 0
  idleCores = 100

  constructor(init: TranscodeBenchInit = {}) {
    this.encoders = 'encoders' in init ? init.encoders : softwareEncoders
    this.quality = init.quality ?? 'auto'
    this.service = new TranscodeService(
      {
        clock: this.clock,
        logger: silentLogger,
        registry: this.registry,
        media: this.jobs,
        presets: new PresetStore({ directory: '/nonexistent' }),
        encoders: () => this.encoders,
        qualityOf: () => this.quality,
        machine: {
          eventLoopDelayMs: () => this.eventLoopDelayMs,
          idleCores: () => this.idleCores,
        },
      },
      { transcodeCores: init.cores ?? 8 },
    )
    this.service.start()
  }

  /** A publisher that begins. */
  source(name = 'show', config: VideoConfig | null = fullHd): BenchSource {
    const source = new BenchSource(this.clock, name)
    this.service.sessionStarted(source.session)
    if (config !== null) source.session.configure(config)
    return source
  }

  /** The status of a stream. */
  stream(name = 'show'): StreamTranscoding {
    const found = this.service.status().streams.find(({ stream }) => stream === name)
    if (found === undefined) throw new Error(`${name} is not there`)
    return found
  }

  /** A metric, summed over its labels or with one of them. */
  async metric(name: string, label?: string): Promise<number> {
    const metric = await this.registry.getSingleMetric(name)?.get()
    return (metric?.values ?? [])
      .filter(({ labels }) => label === undefined || Object.values(labels).includes(label))
      .reduce((sum, { value }) => sum + value, 0)
  }
}

/** A publisher in real time: 30 pictures a second, a keyframe every two seconds. */
export class BenchSource {
  readonly session: FakePublishedSession
  /** Bytes of a picture: 6 Mbit/s. */
  pictureBytes = 25_000
  gopFrames = 60
  withSound = false
  withPictures = true
  readonly #clock: ManualClock
  #frame = 0
  #soundTime = 0

  constructor(clock: ManualClock, name: string) {
    this.#clock = clock
    this.session = new FakePublishedSession(name)
  }

  /** Plays on for so long. */
  async play(ms: number): Promise<void> {
    for (let frame = 0; frame < Math.round((ms * 30) / 1000); frame += 1) {
      this.#send()
      await this.#clock.pass(1000 / 30)
    }
    await settle()
  }

  #send(): void {
    const dts = this.#frame * 3_000
    const keyframe = this.#frame % this.gopFrames === 0
    this.#frame += 1
    const data = new Uint8Array(this.pictureBytes)
    if (this.withPictures) this.session.unit({ kind: 'video', dts, pts: dts, keyframe, data })
    for (; this.withSound && this.#soundTime <= dts; this.#soundTime += 1_800) {
      const time = this.#soundTime
      const sound = { kind: 'audio', dts: time, pts: time, keyframe: true } as const
      this.session.unit({ ...sound, data: new Uint8Array(200) })
    }
  }
}
