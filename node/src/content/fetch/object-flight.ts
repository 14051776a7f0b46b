/**
 * One object on its way, for all who want it: the nearest provider is asked, the next when it fails, and a second one beside it when
 * it is late. Who reads along gets the bytes as they come, all but the last, which wait until the whole object is verified.
 */
import { strict as assert } from 'node:assert'
import type { Attempt } from '../../circuit-breaker.ts'
import { unlessAborted } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import { fetchLimits } from '../../limits/fetch.ts'
import type { Logger } from '../../logger.ts'
import type { Digest } from '../digest.ts'
import type { FetchMetrics } from './fetch-metrics.ts'
import type { FetchPeers } from './fetch-peers.ts'
import type { HedgeBudget } from './hedge-budget.ts'
import { ObjectAttempt, type ObjectAttemptComponents } from './object-attempt.ts'

/** What a flight works with. */
export interface ObjectFlightComponents extends ObjectAttemptComponents {
  readonly logger: Logger
  readonly peers: FetchPeers
  readonly hedges: HedgeBudget
  readonly metrics: FetchMetrics
}

/** What to fetch, and from whom. */
export interface ObjectFlightInit {
  readonly digest: Digest
  /** Best first. */
  readonly providers: readonly string[]
}

interface Running {
  readonly attempt: ObjectAttempt
  readonly isHedge: boolean
  /** Never rejects. */
  readonly settled: Promise<{ readonly bytes: Buffer } | { readonly error: KairoError }>
}

/** Attempts at one object at the same time: the first and one beside it. */
const ATTEMPTS_MAX = 2

/** A fetch. It runs from its making until it has the object, has failed, or is stopped. */
export class ObjectFlight {
  /** The object, verified. */
  readonly done: Promise<Buffer>
  readonly #components: ObjectFlightComponents
  readonly #digest: Digest
  readonly #providers: string[]
  readonly #running = new Set<Running>()
  readonly #ended: ObjectAttempt[] = []
  #stopped: KairoError | undefined
  /** The attempt whose bytes readers get. */
  #source: ObjectAttempt | undefined
  /** Attempts that contradict what readers may have got. */
  readonly #contradicting = new WeakSet<ObjectAttempt>()
  #verified: Buffer | undefined
  #failure: KairoError | undefined
  /** True when what readers got was not the object. */
  #wasWrong = false
  #mayHedge = true
  #isOver = false
  #wakeReaders = Promise.withResolvers<void>()

  constructor(components: ObjectFlightComponents, init: ObjectFlightInit) {
    this.#components = components
    this.#digest = init.digest
    this.#providers = init.providers.slice(0, fetchLimits.providersMax)
    this.done = this.#run()
    this.done.catch((error: KairoError) => {
      this.#failure = error
      this.#wake()
    })
  }

  /** Gives up: nobody wants it any more. */
  stop(reason: KairoError): void {
    this.#stopped = reason
    for (const { attempt } of this.#running) attempt.abort(reason)
  }

  /**
   * Length of the object as its sender says, once one does.
   * @throws what {@link ObjectFlight.done} rejects with; the signal's reason.
   */
  async length(signal: AbortSignal | undefined): Promise<number> {
    for (;;) {
      const length = this.#verified?.byteLength ?? this.#source?.total
      if (length !== undefined) return length
      await this.#more(signal)
    }
  }

  /**
   * Bytes `start` to before `end` of an object that {@link ObjectFlight.length} said to be `length` long, as they come. The last of
   * them come once the whole object is verified.
   * @throws KairoError `ERR_VERIFICATION` when it is not what was promised; else as {@link ObjectFlight.length}.
   */
  async *read(
    { start, end, length }: { start: number; end: number; length: number },
    signal?: AbortSignal,
  ): AsyncGenerator<Buffer> {
    const early = end - Math.min(end - start, fetchLimits.withheldBytes)
    let at = start
    for (;;) {
      const verified = this.#verified
      if (verified !== undefined) {
        if (verified.byteLength !== length || (this.#wasWrong && at > start)) throw wrong()
        if (at === end) return
      }
      const until = verified === undefined ? Math.min(early, this.#source?.bytes ?? 0) : end
      if (at < until) {
        const to = Math.min(until, at + fetchLimits.readBytesMax)
        const piece = verified?.subarray(at, to) ?? this.#source?.slice(at, to)
        assert(piece !== undefined && piece.byteLength > 0, 'what is there can be read')
        at += piece.byteLength
        yield piece
      } else {
        await this.#more(signal)
      }
    }
  }

  async #more(signal: AbortSignal | undefined): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    await unlessAborted(this.#wakeReaders.promise, signal)
    if (this.#failure !== undefined) throw this.#failure
  }

  #wake(): void {
    const { resolve } = this.#wakeReaders
    this.#wakeReaders = Promise.withResolvers<void>()
    resolve()
  }

  async #run(): Promise<Buffer> {
    const { clock, metrics } = this.#components
    const startMs = clock.monotonicMs()
    let last: KairoError | undefined
    try {
      for (;;) {
        if (this.#running.size === 0 && !this.#startNext(false)) throw last ?? nobody()
        const ended = await this.#firstToEnd()
        if (ended === undefined) continue
        const result = await ended.settled
        if ('bytes' in result) {
          if (ended.isHedge) metrics.hedges.inc({ outcome: 'won' })
          metrics.seconds.observe((clock.monotonicMs() - startMs) / 1_000)
          return this.#take(result.bytes)
        }
        if (this.#stopped !== undefined) throw this.#stopped
        last = asFailure(result.error)
      }
    } finally {
      this.#end()
    }
  }

  /** Asks the next provider that may be asked; false when there is none. */
  #startNext(isHedge: boolean): boolean {
    const { peers, hedges, metrics } = this.#components
    if (this.#stopped !== undefined) return false
    for (;;) {
      const peerId = this.#providers.shift()
      if (peerId === undefined) return false
      const leave = peers.ask(peerId)
      if (leave === undefined) {
        metrics.skipped.inc()
        continue
      }
      if (!isHedge) hedges.earn()
      this.#start(peerId, leave, isHedge)
      return true
    }
  }

  #start(peerId: string, leave: Attempt, isHedge: boolean): void {
    assert(this.#running.size < ATTEMPTS_MAX)
    const attempt = new ObjectAttempt(this.#components, {
      peerId,
      digest: this.#digest,
      onProgress: (one) => this.#progress(one),
    })
    const settled = attempt.run().then(
      (bytes) => {
        this.#judge(attempt, leave, undefined)
        return { bytes }
      },
      (error: KairoError) => {
        if (!attempt.isAborted) this.#judge(attempt, leave, error)
        else leave.end('abandoned')
        return { error }
      },
    )
    const running = { attempt, isHedge, settled }
    this.#running.add(running)
    void settled.then(() => {
      this.#running.delete(running)
      // Until the end readers may still get what a failed attempt has brought.
      if (this.#isOver) attempt.release()
      else this.#ended.push(attempt)
    })
  }

  /** What an attempt teaches of its peer. */
  #judge(attempt: ObjectAttempt, leave: Attempt, error: KairoError | undefined): void {
    const { peers, metrics, logger } = this.#components
    const { peerId } = attempt
    metrics.requests.inc({ code: error?.code ?? 'ok' })
    if (error === undefined || error.code === 'ERR_NOT_FOUND') {
      leave.end('succeeded')
      peers.noteLatency(peerId, attempt.latencyMs)
      return
    }
    logger.debug(
      { peer: peerId, digest: this.#digest, err: error },
      'a peer did not give an object',
    )
    if (error.code === 'ERR_LIMIT' && !attempt.isRefused) {
      // It is this side that had no room, in memory or among the requests that wait.
      metrics.limits.inc({ limit: attempt.total === undefined ? 'waiting' : 'bytes' })
      leave.end('abandoned')
    } else {
      leave.end(error.code === 'ERR_VERIFICATION' ? 'lied' : 'failed')
    }
  }

  /** The attempt that ends first; undefined when one is late, and another may have been started. */
  async #firstToEnd(): Promise<Running | undefined> {
    const running = [...this.#running]
    const ends = running.map(async (one) => {
      await one.settled
      return one
    })
    const [only] = running
    const isAlone = running.length < ATTEMPTS_MAX && this.#providers.length > 0
    if (only === undefined || !isAlone || !this.#mayHedge) return await Promise.race(ends)
    const { clock, peers } = this.#components
    const dueMs = only.attempt.progressMs + peers.hedgeMsOf(only.attempt.peerId)
    const late = Promise.withResolvers<undefined>()
    const waitMs = Math.max(dueMs - clock.monotonicMs(), 1)
    const cancel = clock.after(waitMs, () => late.resolve(undefined))
    const first = await Promise.race([...ends, late.promise])
    cancel()
    const isLate = only.attempt.progressMs + peers.hedgeMsOf(only.attempt.peerId) <= dueMs
    if (first === undefined && isLate) this.#hedge()
    return first
  }

  #hedge(): void {
    const { hedges, metrics } = this.#components
    if (hedges.spend()) {
      if (this.#startNext(true)) return
      hedges.refund()
    } else {
      metrics.hedges.inc({ outcome: 'refused' })
    }
    // Once is enough: what the budget has is for the objects that come after.
    this.#mayHedge = false
  }

  /** Readers go on with the attempt that is ahead, as long as it says the same. */
  #progress(attempt: ObjectAttempt): void {
    const source = this.#source
    if (source === undefined) this.#source = attempt
    else if (attempt !== source) {
      if (attempt.bytes <= source.bytes || this.#contradicting.has(attempt)) return
      if (attempt.total !== source.total || !attempt.agreesWith(source, source.bytes)) {
        this.#contradicting.add(attempt)
        return
      }
      this.#source = attempt
    }
    this.#wake()
  }

  #take(bytes: Buffer): Buffer {
    const source = this.#source
    if (source !== undefined) {
      const got = source.slice(0, source.bytes)
      const isSame =
        source.total === bytes.byteLength && bytes.subarray(0, got.byteLength).equals(got)
      this.#wasWrong = !isSame
    }
    this.#verified = bytes
    this.#wake()
    return bytes
  }

  #end(): void {
    const { peers, metrics } = this.#components
    this.#isOver = true
    for (const { attempt, isHedge } of this.#running) {
      // It was late, or the other would not have overtaken it; without this its latencies would only show its good days.
      if (attempt.total === undefined) peers.noteLatency(attempt.peerId, attempt.latencyMs)
      if (isHedge) metrics.hedges.inc({ outcome: 'lost' })
      attempt.abort(new KairoError('ERR_STOPPED', 'the object has come from another peer'))
    }
    for (const attempt of this.#ended) attempt.release()
  }
}

function nobody(): KairoError {
  return new KairoError('ERR_NO_PROVIDER', 'no provider of the object may be asked now')
}

function asFailure(error: KairoError): KairoError {
  const { code } = error
  if (code === 'ERR_VERIFICATION' || code === 'ERR_LIMIT') {
    return new KairoError(code, 'no provider gave the object', { cause: error })
  }
  return new KairoError('ERR_NO_PROVIDER', 'no provider gave the object', { cause: error })
}

function wrong(): KairoError {
  return new KairoError('ERR_VERIFICATION', 'what was read along was not the object')
}
