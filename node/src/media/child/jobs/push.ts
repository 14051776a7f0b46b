/**
 * The job `push`: units in, out to a remote target. Configurations come first; the stream begins with the first picture, which is
 * a keyframe, or with the first sound where there are no pictures. Sound that the target's container does not take becomes AAC.
 */
import { restreamLimits } from '../../../limits/restream.ts'
import type { AccessUnit, AudioConfig, TrackConfig } from '../../access-unit.ts'
import { aacAudioConfig } from '../../codecs/aac.ts'
import { AudioRungEncoder } from '../av/audio-rung.ts'
import { UnitDecoder } from '../av/unit-decoder.ts'
import type { JobContext, RunJob } from '../context.ts'
import type { PushJob } from '../job.ts'
import type { PushNote } from '../remote/notes.ts'
import { RemoteLog } from '../remote/remote-log.ts'
import { RemoteMuxer } from '../remote/remote-muxer.ts'

/** Runs the job. Its notes are each a {@link PushNote}, its result is null. */
export const run: RunJob<PushJob> = async (context, job) => {
  const muxer = new RemoteMuxer(job, new RemoteLog(job.url))
  await muxer.connect()
  context.note({ event: 'connected' } satisfies PushNote)
  const pusher = new Pusher(context, job, muxer)
  for await (const input of context.input) {
    if (input.type === 'config') pusher.configure(input.config)
    else await pusher.write(input.unit)
  }
  await pusher.finish()
  // After a failure nothing is freed: a call that hangs may still hold the context, and the process ends.
  muxer.free()
  return null
}

class Pusher {
  readonly #context: JobContext
  readonly #job: PushJob
  readonly #muxer: RemoteMuxer
  readonly #configs = new Map<'video' | 'audio', TrackConfig>()
  #sound: SoundEncoder | undefined
  #begun = false
  #reportedMs = 0

  constructor(context: JobContext, job: PushJob, muxer: RemoteMuxer) {
    this.#context = context
    this.#job = job
    this.#muxer = muxer
  }

  configure(config: TrackConfig): void {
    // The peer orders another job when a track changes; here it can only be the same once more.
    if (!this.#begun) this.#configs.set(config.kind, config)
  }

  async write(unit: AccessUnit): Promise<void> {
    const { counters } = this.#context
    counters.unitsIn += 1
    if (!this.#begun) {
      if (this.#configs.has('video') && !(unit.kind === 'video' && unit.keyframe)) return
      await this.#begin()
    }
    for (const out of this.#outgoing(unit)) await this.#muxer.write(out)
    counters.position = Math.max(counters.position, unit.dts)
    this.#report(false)
  }

  async finish(): Promise<void> {
    if (!this.#begun) return
    const rest = this.#sound?.finish() ?? []
    for (const unit of rest) await this.#muxer.write(unit)
    await this.#muxer.finish()
    this.#report(true)
  }

  async #begin(): Promise<void> {
    for (const config of this.#configs.values()) {
      if (config.kind === 'video' || takesSound(this.#job.url, config)) this.#muxer.add(config)
      else {
        this.#sound = new SoundEncoder(this.#context, config)
        this.#muxer.add(this.#sound.config)
      }
    }
    await this.#muxer.begin()
    this.#begun = true
  }

  #outgoing(unit: AccessUnit): readonly AccessUnit[] {
    return unit.kind === 'audio' && this.#sound !== undefined ? this.#sound.encode(unit) : [unit]
  }

  #report(now: boolean): void {
    const nowMs = performance.now()
    if (!now && nowMs - this.#reportedMs < restreamLimits.reportMs) return
    this.#reportedMs = nowMs
    this.#context.note({ event: 'sent', bytes: this.#muxer.bytes } satisfies PushNote)
  }
}

/** FLV has AAC of old; transport streams also have Opus. */
function takesSound(url: string, config: AudioConfig): boolean {
  return config.codec === 'aac' || (config.codec === 'opus' && url.startsWith('srt:'))
}

/** What the encoder will make, known before its first frame: AudioSpecificConfig of AAC-LC (ISO/IEC 14496-3 1.6.2.1). */
function aacLowComplexity(sampleRate: 44_100 | 48_000, channels: number): AudioConfig {
  const rateIndex = sampleRate === 44_100 ? 4 : 3
  const bits = (2 << 11) | (rateIndex << 7) | (channels << 3)
  return aacAudioConfig(Uint8Array.of(bits >> 8, bits & 0xff))
}

/** Makes AAC of another codec's sound. */
class SoundEncoder {
  readonly config: AudioConfig
  readonly #decoder: UnitDecoder
  readonly #encoder: AudioRungEncoder
  #made: AccessUnit[] = []

  constructor(context: JobContext, source: AudioConfig) {
    const sampleRate = source.sampleRate === 44_100 ? 44_100 : 48_000
    const channels = Math.min(source.channels, 2)
    const bitrateBps = restreamLimits.aacBitrateBps
    this.#encoder = new AudioRungEncoder({
      rung: { name: 'restream', codec: 'aac', bitrateBps, channels, sampleRate },
      language: source.language,
      resumeAt: undefined,
      onUnit: (unit) => this.#made.push(unit),
    })
    this.config = aacLowComplexity(sampleRate, channels)
    this.#decoder = new UnitDecoder({
      config: source,
      threads: 1,
      onFrame: (frame, pts) => this.#encoder.encode(frame, pts),
      onDamaged: () => {
        context.counters.damaged += 1
      },
    })
  }

  encode(unit: AccessUnit): readonly AccessUnit[] {
    this.#decoder.decode(unit)
    return this.#take()
  }

  finish(): readonly AccessUnit[] {
    this.#decoder.finish()
    this.#encoder.finish()
    const rest = this.#take()
    this.#decoder.close()
    this.#encoder.close()
    return rest
  }

  #take(): readonly AccessUnit[] {
    return this.#made.splice(0)
  }
}
