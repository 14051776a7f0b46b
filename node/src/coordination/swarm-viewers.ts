/**
 * How many watch a stream at all peers of the region. Whoever shows it is told what is known, at once; that somebody looks is the reason to
 * read the figures again, all of them together, so that no page waits for a leader.
 */
import type { StreamReply, Swarms } from '@kairo/tracker'
import type { Clock } from '../clock.ts'
import { swarmViewersLimits as limits } from '../limits/swarms.ts'
import type { Logger } from '../logger.ts'

/** What it works with. */
export interface SwarmViewersComponents {
  readonly clock: Clock
  readonly logger: Logger
  /** Undefined while no tracker runs. */
  readonly swarms: () => Pick<Swarms, 'ask'> | undefined
}

interface Figure {
  /** Monotonic milliseconds when somebody asked last. */
  wantedMs: number
  viewers: number
  readMs: number
}

/** Viewers by stream, of the streams that somebody looks at. */
export class SwarmViewers {
  readonly #components: SwarmViewersComponents
  /** The one that was asked for last at the end. */
  readonly #figures = new Map<string, Figure>()
  #isReading = false
  #readMs = Number.NEGATIVE_INFINITY

  constructor(components: SwarmViewersComponents) {
    this.#components = components
  }

  /** Viewers of a stream in the region; undefined while that is not known, or was known too long ago. */
  of(id: string): number | undefined {
    const nowMs = this.#components.clock.monotonicMs()
    const never = Number.NEGATIVE_INFINITY
    const figure = this.#figures.get(id) ?? { wantedMs: nowMs, viewers: 0, readMs: never }
    figure.wantedMs = nowMs
    this.#figures.delete(id)
    this.#figures.set(id, figure)
    if (this.#figures.size > limits.streamsMax) {
      const [unwanted] = this.#figures.keys()
      if (unwanted !== undefined) this.#figures.delete(unwanted)
    }
    if (!this.#isReading && nowMs - this.#readMs >= limits.readMs) this.#readSoon(nowMs)
    return nowMs - figure.readMs <= limits.oldMs ? figure.viewers : undefined
  }

  /** After this turn: a list asks for one stream after the other. */
  #readSoon(nowMs: number): void {
    const swarms = this.#components.swarms()
    if (swarms === undefined) return
    this.#isReading = true
    this.#readMs = nowMs
    queueMicrotask(() => {
      this.#read(swarms)
        .catch((error: unknown) => {
          this.#components.logger.debug({ err: error }, 'the region tells no viewers')
        })
        .finally(() => {
          this.#isReading = false
        })
    })
  }

  async #read(swarms: Pick<Swarms, 'ask'>): Promise<void> {
    const { clock } = this.#components
    const nowMs = clock.monotonicMs()
    for (const [id, { wantedMs }] of this.#figures) {
      if (nowMs - wantedMs > limits.interestMs) this.#figures.delete(id)
    }
    const ids = [...this.#figures.keys()]
    const questions = ids.map((stream) => ({ type: 'viewers', stream, rendition: '' }) as const)
    const replies = await swarms.ask(questions, { timeoutMs: limits.answerMsMax })
    for (const [at, reply] of replies.entries()) this.#take(ids[at] as string, reply)
  }

  #take(id: string, reply: StreamReply): void {
    const figure = this.#figures.get(id)
    if (figure === undefined || reply.type !== 'viewers') return
    figure.viewers = reply.viewers
    figure.readMs = this.#components.clock.monotonicMs()
  }
}
