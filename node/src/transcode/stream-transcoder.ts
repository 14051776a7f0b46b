/**
 * Transcodes one stream: learns its ladder, asks admission for the rungs, and keeps one child at work that makes them all. A child
 * that dies, hangs, falls behind or has another ladder to make is replaced by one that goes on where the renditions are: the
 * source's newest group of pictures is kept for that. Nothing here ever makes the publisher wait.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { transcodeLimits as limits } from '../limits/transcode.ts'
import type { Logger } from '../logger.ts'
import { type AccessUnit, TICKS_PER_MS, type TrackConfig } from '../media/access-unit.ts'
import type { MediaJobs } from '../media/child/media-run.ts'
import type { EncoderState, LadderPlan, LadderSource } from '../media/ladder/plan.ts'
import type { PresetStore } from '../media/ladder/preset-store.ts'
import type { AudioRung, VideoRung } from '../media/ladder/rung.ts'
import type { PublishedSession, SegmentCut, SessionListener } from '../media/published-session.ts'
import type { Admission, Grant, Seat } from './admission.ts'
import { type CachedUnit, GopCache } from './gop-cache.ts'
import { LagJudge } from './lag-judge.ts'
import { Outputs } from './outputs.ts'
import { RestartPolicy } from './restart-policy.ts'
import { StreamLadder } from './stream-ladder.ts'
import type { TranscodeMetrics } from './transcode-metrics.ts'
import { TranscodeRun } from './transcode-run.ts'

/** What a {@link StreamTranscoder} works with. */
export interface StreamTranscoderComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly media: MediaJobs
  readonly metrics: TranscodeMetrics
  readonly admission: Admission
  readonly presets: PresetStore
  /** Every encoder and whether it may be used; undefined until that is known. */
  readonly encoders: () => readonly EncoderState[] | undefined
}

/** How a {@link StreamTranscoder} is built. */
export interface StreamTranscoderInit {
  readonly session: PublishedSession
  /** Name of the preset that is wanted now. */
  readonly quality: () => string
  /** The session is over; the transcoder has let go of everything. */
  readonly onEnded: () => void
}

/**
 * Where it stands. `measuring`: the source is not known yet. `idle`: nothing to make. `starting`: a child is wanted and waits for
 * a keyframe, a free place or its time. `draining`: a child hands out its last units. `failed`: tried again later.
 */
export type TranscoderPhase =
  | ('measuring' | 'idle' | 'starting' | 'running')
  | ('draining' | 'failed' | 'stopped')

type Rung = VideoRung | AudioRung

/** Everything about one stream's transcoding that others may look at. */
export interface TranscoderView {
  readonly streamName: string
  readonly quality: string
  readonly phase: TranscoderPhase
  readonly source: LadderSource | undefined
  readonly plan: LadderPlan | undefined
  readonly grant: Grant | undefined
  /** Reasons by name of rungs that the stream had no place for. */
  readonly noPlace: ReadonlyMap<string, string>
  readonly rungs: readonly Rung[]
  readonly run: TranscodeRun | undefined
  readonly restarts: number
  /** Media time made in a second of real time; undefined before it is known. */
  readonly speed: number | undefined
  /** What is wrong, in words; undefined while all is well. */
  readonly problem: string | undefined
}

/** One stream's transcoder. */
export class StreamTranscoder implements SessionListener {
  readonly #components: StreamTranscoderComponents
  readonly #init: StreamTranscoderInit
  readonly #logger: Logger
  readonly #seat: Seat
  readonly #ladder: StreamLadder
  readonly #outputs: Outputs
  readonly #policy = new RestartPolicy()
  readonly #lag: LagJudge
  #stopListening: () => void = () => {}
  #phase: TranscoderPhase = 'measuring'
  #cache = new GopCache('audio')
  /** Newest presentation of the track that leads. */
  #headTime = 0
  /** Up to where left-out media time is counted. */
  #skippedTo = Number.NEGATIVE_INFINITY
  #grant: Grant | undefined
  #noPlace: ReadonlyMap<string, string> = new Map()
  #run: TranscodeRun | undefined
  /** The child has an old ladder and goes at the next segment. */
  #replaceDue = false
  #cancelTimer: CancelTimer | undefined
  #restarts = 0
  #problem: string | undefined

  constructor(components: StreamTranscoderComponents, init: StreamTranscoderInit) {
    this.#components = components
    this.#init = init
    const { session } = init
    this.#logger = components.logger.child({ stream: session.streamName })
    this.#lag = new LagJudge(components.clock)
    this.#outputs = new Outputs(session)
    this.#ladder = new StreamLadder(components, init.quality())
    this.#seat = components.admission.join(session.streamName, (grant) => this.#onGrant(grant))
    this.#stopListening = session.listen(this)
  }

  configured(config: TrackConfig): void {
    if ((config.track ?? 0) !== 0 || this.#phase === 'stopped') return
    const lead = this.#ladder.lead
    const consequence = this.#ladder.configure(config)
    if (this.#ladder.lead !== lead) this.#cache = new GopCache(this.#ladder.lead)
    if (consequence === 'plan') this.#makePlan()
    if (consequence === 'measure') this.#measureAnew()
  }

  unit(unit: AccessUnit, cut: SegmentCut | undefined): void {
    if (this.#phase === 'stopped' || (unit.track ?? 0) !== 0 || this.#ladder.asksNothing) return
    const config = this.#ladder.config(unit.kind)
    if (config === undefined) return
    const isLead = unit.kind === this.#ladder.lead
    if (isLead) this.#headTime = Math.max(this.#headTime, unit.pts)
    this.#ladder.add(unit)
    if (this.#mayNeed(unit.kind)) this.#cache.add(unit, config)
    if (!this.#ladder.known && this.#ladder.isDue()) this.#makePlan()
    else if (this.#phase === 'running') this.#feed({ unit, config }, cut !== undefined)
    else if (this.#phase === 'starting' && this.#cancelTimer === undefined) this.#startWhenReady()
  }

  ended(reason: string): void {
    this.#logger.debug({ reason }, 'transcoding ends with its source')
    this.stop()
  }

  /** Ends it: the child is killed, and the renditions end with their session. */
  stop(): void {
    if (this.#phase === 'stopped') return
    this.#phase = 'stopped'
    this.#stopListening()
    this.#clearTimer()
    this.#dropRun()
    this.#seat.leave()
    this.#cache.clear()
    this.#init.onEnded()
  }

  /** The stream's owner may have chosen another quality. */
  qualityChanged(): void {
    if (this.#phase === 'stopped' || !this.#ladder.setQuality(this.#init.quality())) return
    const { quality, problem } = this.#ladder
    this.#logger.info({ quality, problem }, 'the quality of a stream changes')
    if (this.#ladder.known) this.#makePlan()
  }

  /** Looks after the child; called every `checkMs`. `judge` is false when the peer itself was held up. */
  check(judge: boolean): void {
    if (this.#phase !== 'failed' && this.#ladder.isDue()) this.#makePlan()
    const run = this.#run
    if (run === undefined || this.#phase !== 'running') return
    const position = this.#outputs.position
    if (position !== undefined) this.#cache.prune(position)
    const { silentMs, spoke } = run
    if (judge && silentMs >= (spoke ? this.#policy.stallMs : limits.startMsMax)) {
      const words = `the transcoding child gave no sign of life for ${Math.round(silentMs)} ms`
      this.#fail(new KairoError('ERR_WORKER', words), 'stall')
      return
    }
    const judgement = this.#lag.judge(run)
    if (judgement.cores !== undefined) this.#seat.measured(judgement.cores)
    if (judgement.behind) this.#fallBehind('it cannot keep up')
  }

  /** For pages and metrics. */
  view(): TranscoderView {
    const { quality, source, plan, asksNothing } = this.#ladder
    return {
      streamName: this.#init.session.streamName,
      quality,
      phase: asksNothing && this.#phase === 'measuring' ? 'idle' : this.#phase,
      source,
      plan,
      grant: this.#grant,
      noPlace: this.#noPlace,
      rungs: this.#outputs.all.map(({ rung }) => rung),
      run: this.#run,
      restarts: this.#restarts,
      speed: this.#run === undefined ? undefined : this.#lag.speed,
      problem: this.#ladder.problem ?? this.#problem,
    }
  }

  /** True when a child that begins now or later may want the unit. */
  #mayNeed(kind: 'video' | 'audio'): boolean {
    const resting = this.#phase === 'idle' || this.#phase === 'failed'
    return resting ? !this.#ladder.known : this.#ladder.wants(kind)
  }

  #measureAnew(): void {
    this.#cache.clear()
    if (this.#phase === 'running') this.#drain()
    else if (this.#phase === 'idle') this.#phase = 'measuring'
    else if (this.#phase === 'starting' && this.#cancelTimer === undefined) {
      this.#phase = 'measuring'
    }
  }

  #makePlan(): void {
    const demand = this.#ladder.makePlan()
    if (this.#phase !== 'failed') this.#seat.request(demand)
  }

  #onGrant(grant: Grant): void {
    this.#grant = grant
    if (this.#phase === 'measuring' || this.#phase === 'idle') {
      this.#start()
    } else if (this.#phase === 'running') {
      const wanted = this.#wanted()
      if (wanted.length === 0) this.#replaceNow()
      else this.#replaceDue = JSON.stringify(wanted) !== JSON.stringify(this.#made())
    }
  }

  /** The rungs that are planned and admitted, with the encoders that admission chose. */
  #wanted(): Rung[] {
    const { plan } = this.#ladder
    const video = (plan?.video ?? []).flatMap((rung) => {
      const encoder = this.#grant?.admitted.get(rung.name)
      return encoder === undefined ? [] : [{ ...rung, encoder }]
    })
    return [...video, ...(plan?.audio ?? [])]
  }

  #made(): readonly Rung[] {
    return this.#run?.outputs.map(({ rung }) => rung) ?? []
  }

  /** Begins a child, as soon as there is a keyframe to begin with. */
  #start(): void {
    this.#clearTimer()
    this.#replaceDue = false
    if (!this.#ladder.known) {
      this.#phase = 'measuring'
      return
    }
    this.#noPlace = this.#outputs.set(this.#wanted())
    if (this.#outputs.all.length === 0) {
      this.#phase = 'idle'
      this.#cache.clear()
      return
    }
    this.#phase = 'starting'
    this.#startWhenReady()
  }

  #startWhenReady(): void {
    if (!this.#cache.ready) return
    const { clock, media } = this.#components
    try {
      const outputs = this.#outputs.all
      const frameRate = this.#ladder.source?.video?.frameRate
      const onEnd = (error: unknown): void => this.#onRunEnd(error)
      this.#run = new TranscodeRun({ clock, media }, { outputs, frameRate, onEnd })
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#waitForChild(error)
      return
    }
    this.#phase = 'running'
    this.#problem = undefined
    this.#lag.begin()
    for (const cached of this.#unitsToBeginWith()) this.#run.feed(cached)
    const rungs = this.#made().map(({ name }) => name)
    this.#logger.info({ pid: this.#run.pid, rungs, quality: this.#ladder.quality }, 'transcoding')
  }

  /** From where the renditions are, unless that is too long ago to catch up with. */
  #unitsToBeginWith(): readonly CachedUnit[] {
    const position = this.#outputs.position
    const earliest = this.#headTime - limits.catchUpMsMax * TICKS_PER_MS
    const from =
      position !== undefined && position >= earliest
        ? position
        : (this.#cache.keyframeFrom(earliest) ?? earliest)
    const units = this.#cache.from(from)
    const begins = units[0]?.unit.pts ?? from
    // A child that died before it made anything has left out nothing yet that the next one does not leave out too.
    const reached = Math.max(position ?? begins, this.#skippedTo)
    this.#skippedTo = Math.max(begins, reached)
    const skippedMs = (begins - reached) / TICKS_PER_MS
    if (skippedMs > limits.resumeToleranceMs) {
      this.#components.metrics.skippedSeconds.inc(skippedMs / 1000)
      this.#logger.warn({ skippedMs: Math.round(skippedMs) }, 'rungs skip what they are late for')
    }
    return units
  }

  #waitForChild(error: KairoError): void {
    if (error.code === 'ERR_STOPPED') {
      this.stop()
      return
    }
    this.#problem = error.message
    this.#logger.warn({ code: error.code }, `no child for transcoding: ${error.message}`)
    this.#startIn(limits.childWaitMs)
  }

  #feed(cached: CachedUnit, beginsSegment: boolean): void {
    if (this.#replaceDue && beginsSegment) {
      // The next child begins with this very unit, which waits for it in the cache; a rendition whose parameters change can do so
      // only where a segment begins.
      this.#drain()
      return
    }
    this.#run?.feed(cached)
    if ((this.#run?.queuedBytes ?? 0) > limits.queuedBytesMax) {
      this.#fallBehind('its input piles up')
    }
  }

  /** Lets the child hand out what it has; the next one begins when it is gone. */
  #drain(): void {
    this.#phase = 'draining'
    this.#run?.finish()
    this.#clearTimer()
    this.#cancelTimer = this.#components.clock.after(limits.drainMsMax, () => this.#replaceNow())
  }

  #replaceNow(): void {
    this.#dropRun()
    this.#start()
  }

  #fallBehind(words: string): void {
    this.#logger.warn({}, `transcoding falls behind: ${words}`)
    if (!this.#seat.giveUpRung()) {
      this.#fail(new KairoError('ERR_WORKER', `transcoding fell behind: ${words}`), 'end')
      return
    }
    this.#count('behind')
    this.#replaceNow()
  }

  #onRunEnd(error: unknown): void {
    if (this.#phase === 'draining') this.#replaceNow()
    else this.#fail(error, 'end')
  }

  #fail(error: unknown, kind: 'stall' | 'end'): void {
    const livedMs = this.#components.clock.monotonicMs() - (this.#run?.startedMs ?? 0)
    const made = this.#made()
    this.#dropRun()
    if (isKairoError(error, 'ERR_STOPPED')) {
      this.stop()
      return
    }
    const decision = this.#policy.failed(livedMs, kind)
    const reason = error instanceof Error ? error.message : 'the transcoding child ended by itself'
    this.#problem = reason
    this.#count(kind === 'stall' ? 'stall' : isKairoError(error) ? error.code : 'end')
    this.#logger.warn({ err: error, ...decision }, 'the transcoding child failed')
    this.#blameEncoders(made, reason, decision.suspectHardware)
    this.#phase = 'starting'
    this.#startIn(decision.waitMs)
    if (decision.action === 'give-up') this.#giveUp()
    else if (this.#ladder.isDue()) this.#makePlan()
  }

  /** An encoder that the failure names, and hardware that was in use failure after failure, are left alone: others take over. */
  #blameEncoders(made: readonly Rung[], reason: string, suspectHardware: boolean): void {
    const encoders = new Set(made.flatMap((rung) => ('encoder' in rung ? [rung.encoder] : [])))
    for (const encoder of encoders) {
      const suspect = suspectHardware && !encoder.startsWith('lib')
      if (!suspect && !reason.includes(encoder)) continue
      this.#ladder.encoderFailed(encoder)
      this.#logger.warn({ encoder, reason }, 'an encoder fails and is left alone for now')
    }
  }

  /** Takes all rungs off; the timer that is running tries them again. */
  #giveUp(): void {
    this.#phase = 'failed'
    this.#outputs.set([])
    this.#cache.clear()
    this.#components.metrics.dropped.inc({ reason: 'failure' })
    this.#seat.request({ rungs: [], sharedCores: 0 })
  }

  #startIn(waitMs: number): void {
    this.#clearTimer()
    this.#cancelTimer = this.#components.clock.after(waitMs, () => {
      this.#clearTimer()
      if (this.#phase !== 'failed') this.#start()
      else this.#tryAgain()
    })
  }

  #tryAgain(): void {
    this.#phase = this.#ladder.known ? 'idle' : 'measuring'
    if (this.#ladder.known) this.#makePlan()
  }

  #count(reason: string): void {
    this.#restarts += 1
    this.#components.metrics.restarts.inc({ reason })
  }

  #dropRun(): void {
    this.#run?.cancel()
    this.#run = undefined
  }

  #clearTimer(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }
}
