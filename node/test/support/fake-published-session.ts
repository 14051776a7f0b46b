/**
 * A publisher's session without a publisher: the test says what comes in, and sees what listeners derive. A derived rendition keeps
 * what the real one would: nothing that lies before what it has.
 */
import { KairoError } from '../../src/errors.ts'
import type { AccessUnit, TrackConfig } from '../../src/media/access-unit.ts'
import type {
  CaptionTrack,
  DerivedInit,
  DerivedRendition,
  PublishedSession,
  SessionListener,
} from '../../src/media/published-session.ts'

/** A rendition that keeps what it was given. */
export class FakeRendition implements DerivedRendition {
  readonly name: string
  readonly init: DerivedInit
  readonly configs: TrackConfig[] = []
  readonly units: AccessUnit[] = []
  removed = false
  position: number | undefined
  readonly #unitTicks: number

  constructor(init: DerivedInit, unitTicks: number) {
    this.name = init.name
    this.init = init
    this.#unitTicks = unitTicks
  }

  configure(config: TrackConfig): void {
    this.configs.push(config)
  }

  write(unit: AccessUnit): void {
    if (this.removed) throw new Error(`${this.name} is written to after its removal`)
    if (this.position !== undefined && unit.pts < this.position - 10) return
    this.units.push(unit)
    this.position = unit.pts + this.#unitTicks
  }

  remove(): void {
    this.removed = true
  }

  /** Milliseconds of presentation that are missing between its units. */
  gapsMs(): number[] {
    return this.units.flatMap((unit, index) => {
      const before = this.units[index - 1]
      const gap = before === undefined ? 0 : unit.pts - before.pts - this.#unitTicks
      return gap > 100 ? [gap / 90] : []
    })
  }
}

/** A session that a test drives. */
export class FakePublishedSession implements PublishedSession {
  readonly streamName: string
  readonly streamId = 'k51fake'
  readonly protocol = 'rtmp'
  readonly remote = '192.0.2.1:5000'
  readonly sinceMs = 0
  readonly renditions: FakeRendition[] = []
  refusal: KairoError | undefined
  readonly #listeners = new Set<SessionListener>()
  readonly #configs = new Map<string, TrackConfig>()
  #lastCut = Number.NEGATIVE_INFINITY
  readonly #unitTicks: { readonly video: number; readonly audio: number }

  /** @param unitTicks duration of every unit, 1/90000 s. */
  constructor(streamName: string, unitTicks = { video: 3_000, audio: 1_800 }) {
    this.streamName = streamName
    this.#unitTicks = unitTicks
  }

  listen(listener: SessionListener): () => void {
    this.#listeners.add(listener)
    for (const config of this.#configs.values()) listener.configured?.(config)
    return () => this.#listeners.delete(listener)
  }

  derive(init: DerivedInit): DerivedRendition {
    if (this.refusal !== undefined) throw this.refusal
    if (this.live.some(({ name }) => name === init.name)) {
      throw new KairoError('ERR_NAME_TAKEN', `${init.name} is taken`)
    }
    const rendition = new FakeRendition(init, this.#unitTicks[init.kind])
    this.renditions.push(rendition)
    return rendition
  }

  captions(): CaptionTrack {
    throw new KairoError('ERR_LIMIT', 'this session takes no captions')
  }

  /** Renditions that were not removed. */
  get live(): FakeRendition[] {
    return this.renditions.filter(({ removed }) => !removed)
  }

  /** Those who listen now. */
  get listeners(): number {
    return this.#listeners.size
  }

  configure(config: TrackConfig): void {
    this.#configs.set(`${config.kind}-${config.track ?? 0}`, config)
    for (const listener of this.#listeners) listener.configured?.(config)
  }

  /** Every keyframe that comes, and every second of sound alone, begins a segment. */
  unit(unit: AccessUnit): void {
    const leads = unit.kind === (this.#configs.has('video-0') ? 'video' : 'audio')
    const begins = leads && unit.keyframe && unit.pts >= this.#lastCut + 90_000
    if (begins) this.#lastCut = unit.pts
    const cut = { time: unit.pts, msn: 0, discontinuity: false, wallMs: 0 }
    for (const listener of [...this.#listeners]) listener.unit?.(unit, begins ? cut : undefined)
  }

  end(reason = 'closed'): void {
    for (const listener of [...this.#listeners]) listener.ended?.(reason)
    this.#listeners.clear()
  }
}
