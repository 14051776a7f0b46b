/** One admitted publisher: its packager and what is made beside it, its pace against real time, and its bit rate. */
import { strict as assert } from 'node:assert'
import type { Clock } from '../clock.ts'
import type { Publication } from '../content/publication/publication.ts'
import { publishingLimits } from '../limits.ts'
import type { Logger } from '../logger.ts'
import { type AccessUnit, TICKS_PER_MS, type TrackConfig } from '../media/access-unit.ts'
import type { PackagerMetrics } from '../media/packager/packager-metrics.ts'
import { Packager } from '../media/packager.ts'
import type {
  CaptionTrack,
  DerivedInit,
  DerivedRendition,
  PublishedSession,
  SessionListener,
} from '../media/published-session.ts'
import type { PublicationSink, PublishProtocol, PublishRequest } from '../media/sink.ts'
import { Derivations } from './derivations.ts'
import type { PublisherInfo } from './publishing.ts'
import { SessionListeners } from './session-listeners.ts'

/** What a session works with. */
export interface SessionComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly packagerMetrics: PackagerMetrics
}

/** What a session is about. */
export interface SessionInit {
  readonly streamName: string
  readonly request: PublishRequest
  readonly publication: Publication
  /** True when the stream is still live from the publisher before: its timeline goes on with a discontinuity. */
  readonly continues: boolean
  readonly partTargetMs: number
  readonly segmentTargetMs: number
  /** Called after each part. */
  readonly onPart: () => void
  /** Called once, when the session is over for whatever reason. */
  readonly onEnd: (session: PublisherSession, reason: string) => void
}

/** The sink that an ingest protocol writes to, and the session that other rooms listen to. */
export class PublisherSession implements PublicationSink, PublishedSession {
  readonly streamName: string
  readonly streamId: string
  readonly sinceMs: number
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #init: SessionInit
  readonly #packager: Packager
  readonly #derivations: Derivations
  readonly #listeners: SessionListeners
  readonly #pace: Pace
  readonly #rate: RateMeter
  #lastUnitMs: number
  #ended = false

  constructor(components: SessionComponents, init: SessionInit) {
    this.#clock = components.clock
    this.#logger = components.logger.child({ name: 'kairo:ingest' })
    this.#init = init
    this.streamName = init.streamName
    this.streamId = init.publication.record.id
    this.sinceMs = components.clock.now()
    this.#lastUnitMs = components.clock.monotonicMs()
    this.#pace = new Pace(components.clock)
    this.#rate = new RateMeter(components.clock)
    const metrics = components.packagerMetrics
    const { publication, partTargetMs, segmentTargetMs } = init
    this.#derivations = new Derivations({
      ...{ publication, metrics, partTargetMs, segmentTargetMs },
      clock: components.clock,
      logger: this.#logger,
    })
    this.#listeners = new SessionListeners(this.#logger, init.streamName)
    this.#packager = new Packager(
      { clock: components.clock, logger: components.logger, metrics },
      {
        partTargetMs,
        segmentTargetMs,
        firstMsn: publication.nextMsn,
        discontinuityAtStart: init.continues,
        onRenditions: (renditions) => this.#derivations.list.setOwn(renditions),
        onPart: (part) => {
          publication.addPart(part)
          init.onPart()
        },
        listener: {
          cut: (cut) => this.#derivations.cut(cut),
          configured: (config) => {
            this.#derivations.configured(config)
            this.#listeners.configured(config)
          },
          unit: (unit, cut) => {
            this.#derivations.unit(unit)
            this.#listeners.unit(unit, cut)
          },
        },
      },
    )
  }

  get protocol(): PublishProtocol {
    return this.#init.request.protocol
  }

  get remote(): string {
    return this.#init.request.remote
  }

  listen(listener: SessionListener): () => void {
    return this.#listeners.add(listener)
  }

  derive(init: DerivedInit): DerivedRendition {
    return this.#derivations.derive(init)
  }

  captions(language: string, label: string): CaptionTrack {
    return this.#derivations.captions(language, label)
  }

  expect(kinds: { readonly video?: boolean; readonly audio?: boolean }): void {
    this.#packager.expect(kinds)
  }

  configure(config: TrackConfig): void {
    assert(!this.#ended, 'configure after end')
    this.#packager.configure(config)
  }

  write(unit: AccessUnit): Promise<void> | undefined {
    assert(!this.#ended, 'write after end')
    this.#lastUnitMs = this.#clock.monotonicMs()
    this.#rate.add(unit.data.byteLength)
    this.#packager.write(unit)
    return this.#pace.waitFor(unit.dts)
  }

  end(reason: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#guard(() => this.#packager.end())
    this.#listeners.ended(reason)
    this.#guard(() => this.#derivations.drain())
    this.#init.onEnd(this, reason)
  }

  /** Ends what encoders still had to give; before the stream's next session, or at its end. */
  close(): void {
    assert(this.#ended, 'close after end')
    this.#guard(() => this.#derivations.close())
  }

  /** Ends the session and its connection. */
  disconnect(reason: string): void {
    this.end(reason)
    this.#init.request.disconnect(reason)
  }

  /** Whoever ends a session has no use for its failure: it is often the one that ended the session, met once more. */
  #guard(last: () => void): void {
    try {
      last()
    } catch (error) {
      const stream = this.streamName
      this.#logger.error({ err: error, stream }, 'the last parts of a publisher are lost')
    }
  }

  /** Milliseconds since the publisher last sent a frame. */
  silentMs(): number {
    return this.#clock.monotonicMs() - this.#lastUnitMs
  }

  /** For status pages. */
  info(): PublisherInfo {
    return {
      stream: this.streamName,
      protocol: this.#init.request.protocol,
      remote: this.#init.request.remote,
      sinceMs: this.sinceMs,
      bitrateBps: this.#rate.bitsPerSecond(),
    }
  }
}

/** Holds a publisher back that sends faster than real time, for example a file pushed without pacing. */
class Pace {
  readonly #clock: Clock
  #anchor: { dts: number; atMs: number } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A promise when the media time of `dts` lies too far in the future. */
  waitFor(dts: number): Promise<void> | undefined {
    const nowMs = this.#clock.monotonicMs()
    const mediaMs = this.#anchor === undefined ? 0 : (dts - this.#anchor.dts) / TICKS_PER_MS
    const leadMs = this.#anchor === undefined ? 0 : mediaMs - (nowMs - this.#anchor.atMs)
    if (this.#anchor === undefined || leadMs < 0 || leadMs > publishingLimits.paceResetMs) {
      // The first unit, one that comes late, or one after a jump of the timestamps: real time counts from here, so that
      // a pause is no credit for a burst.
      this.#anchor = { dts, atMs: nowMs }
      return undefined
    }
    const excessMs = leadMs - publishingLimits.leadMsMax
    if (excessMs <= 0) return undefined
    return new Promise((resolve) => {
      this.#clock.after(excessMs, resolve)
    })
  }
}

/** Bits a second over a sliding time. */
class RateMeter {
  readonly #clock: Clock
  #windowStartMs: number
  #bytes = 0
  #lastBps = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#windowStartMs = clock.monotonicMs()
  }

  add(bytes: number): void {
    this.#roll()
    this.#bytes += bytes
  }

  bitsPerSecond(): number {
    this.#roll()
    return Math.round(this.#lastBps)
  }

  #roll(): void {
    const elapsedMs = this.#clock.monotonicMs() - this.#windowStartMs
    if (elapsedMs < publishingLimits.rateWindowMs) return
    this.#lastBps = (this.#bytes * 8 * 1000) / elapsedMs
    this.#bytes = 0
    this.#windowStartMs += elapsedMs
  }
}
