/**
 * One rung of sound: takes the source's sound, brings it to the rung's rate and channels, closes small gaps so that sound
 * stays beside its pictures, and encodes it.
 */
import { avChannelLayoutDefault, avChannelLayoutDescribe, FFmpegError, Frame } from 'node-av/lib'
import { type AccessUnit, TICKS_PER_SECOND, type TrackConfig } from '../../access-unit.ts'
import type { AudioRung } from '../../ladder/rung.ts'
import { AudioEncoder } from './audio-encoder.ts'
import { FilterChain, type FilterStep } from './filter-chain.ts'
import { soundSource } from './frame-source.ts'

/** How an {@link AudioRungEncoder} is built. */
export interface AudioRungInit {
  readonly rung: AudioRung
  /** BCP 47 language of the source. */
  readonly language: string | undefined
  /** Where the output goes on, 1/90000 s; undefined begins with the first sound. */
  readonly resumeAt: number | undefined
  /** Takes what is made; `config` is there with the first unit. */
  readonly onUnit: (unit: AccessUnit, config: TrackConfig | undefined) => void
}

/** Blocks encoded before the first that is handed out: an encoder that begins cold begins with a click. */
const PREROLL_BLOCKS = 4
/** A jump of the source's clock that silence or cutting bridges; beyond it the sound begins anew. */
const BRIDGED_S_MAX = 2
/**
 * Up to 8 ms beside its time sound is left alone (publishers round to milliseconds), up to 80 ms it is brought back by a speed that
 * nobody hears, beyond it at once.
 */
const RESAMPLING = 'min_comp=0.008:comp_duration=1:max_soft_comp=0.004:min_hard_comp=0.08'

/** Makes one rendition of sound. */
export class AudioRungEncoder {
  readonly #init: AudioRungInit
  readonly #encoder: AudioEncoder
  readonly #scratch = new Frame()
  readonly #out = new Frame()
  #chain: FilterChain | undefined
  /** What the chain was built for; another source needs another chain. */
  #shape = ''
  /** Where the sound so far ends, 1/90000 s. */
  #end: number | undefined
  /** Units that end before are not handed out, 1/90000 s. */
  #from: number | undefined
  #config: TrackConfig | undefined

  /** @throws KairoError `ERR_WORKER` naming the encoder, when it does not open. */
  constructor(init: AudioRungInit) {
    this.#init = init
    this.#from = init.resumeAt
    this.#encoder = new AudioEncoder({
      rung: init.rung,
      language: init.language,
      onUnit: (unit, config) => this.#onUnit(unit, config),
    })
    this.#scratch.alloc()
    this.#out.alloc()
  }

  /** Takes decoded sound, which stays the caller's. `pts` is its presentation, 1/90000 s. */
  encode(sound: Frame, pts: number): void {
    const scratch = this.#scratch
    FFmpegError.throwIfError(scratch.ref(sound), 'reference sound')
    scratch.pts = BigInt(pts)
    const duration = (sound.nbSamples * TICKS_PER_SECOND) / sound.sampleRate
    const end = pts + duration
    if (this.#init.resumeAt !== undefined && end <= this.#init.resumeAt - this.#leadTicks()) {
      scratch.unref()
      return
    }
    const jump = this.#end === undefined ? 0 : Math.abs(pts - this.#end)
    if (jump > BRIDGED_S_MAX * TICKS_PER_SECOND) this.#dropChain()
    this.#end = end
    this.#from ??= pts
    this.#chainFor(scratch).push(scratch, this.#out, (block) => this.#encoder.encode(block))
  }

  /** Hands out what is still in work. */
  finish(): void {
    this.#chain?.push(null, this.#out, (block) => this.#encoder.encode(block))
    this.#encoder.finish()
  }

  close(): void {
    this.#encoder.close()
    this.#dropChain()
    this.#scratch.free()
    this.#out.free()
  }

  #onUnit(unit: AccessUnit, config: TrackConfig | undefined): void {
    this.#config = config ?? this.#config
    const { frameSamples } = this.#encoder
    const duration = (frameSamples * TICKS_PER_SECOND) / this.#init.rung.sampleRate
    const from = this.#from ?? unit.pts
    // What goes on must not overlap; what begins may hold sound from before it.
    const early =
      this.#init.resumeAt === undefined ? unit.pts + duration <= from : unit.pts < from - 1
    if (early) return
    const first = this.#config
    this.#config = undefined
    this.#init.onUnit(unit, first)
  }

  /** Sound that is encoded before the first unit that is handed out, 1/90000 s. */
  #leadTicks(): number {
    const samples = PREROLL_BLOCKS * this.#encoder.frameSamples
    return (samples * TICKS_PER_SECOND) / this.#init.rung.sampleRate
  }

  #dropChain(): void {
    this.#chain?.free()
    this.#chain = undefined
    this.#shape = ''
  }

  #chainFor(frame: Frame): FilterChain {
    const source = soundSource(frame)
    if (this.#chain !== undefined && source[1] === this.#shape) return this.#chain
    this.#dropChain()
    this.#shape = source[1]
    this.#chain = new FilterChain(source, this.#steps(), 1)
    return this.#chain
  }

  #steps(): FilterStep[] {
    const { rung, resumeAt } = this.#init
    const { sampleFormat, frameSamples, paddingSamples } = this.#encoder
    const layout = avChannelLayoutDescribe(avChannelLayoutDefault(rung.channels))
    const steps: FilterStep[] = [
      ['aresample', `${rung.sampleRate}:${RESAMPLING}`],
      [
        'aformat',
        `sample_fmts=${sampleFormat}:sample_rates=${rung.sampleRate}:channel_layouts=${layout}`,
      ],
    ]
    if (resumeAt !== undefined) {
      // To the sample, so that the units stand on the same grid as those that went before.
      const at = Math.round((resumeAt * rung.sampleRate) / TICKS_PER_SECOND)
      const start = at + paddingSamples - PREROLL_BLOCKS * frameSamples
      steps.push(['atrim', `start_pts=${start}`])
    }
    steps.push(['asetnsamples', `n=${frameSamples}:p=0`])
    return steps
  }
}
