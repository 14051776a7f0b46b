/**
 * Decides which rungs run. Every stream has a seat and says what it would like; the budget is shared among all of them
 * (allocate.ts), by estimated costs that are corrected by what running children really take. Playback comes first: a stream that
 * falls behind, or a peer whose event loop is late, loses rungs, and gets them back one at a time once there is room.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import { admissionLimits as limits } from '../limits/transcode.ts'
import type { Logger } from '../logger.ts'
import { allocate, type Candidate, type EncoderOption } from './allocate.ts'
import { Holds } from './holds.ts'
import type { MachineLoad } from './machine.ts'

/** A rung that a stream would like to have. */
export interface WantedRung {
  readonly name: string
  /** Ways to make it, best first; costs by the model. */
  readonly options: readonly EncoderOption[]
}

/** What a stream would like to have. */
export interface Demand {
  /** The most useful first. */
  readonly rungs: readonly WantedRung[]
  /** Cores for what they share, by the model. */
  readonly sharedCores: number
}

/** What a stream gets. */
export interface Grant {
  /** Encoder by the name of the rung. */
  readonly admitted: ReadonlyMap<string, string>
  /** Reason by the name of the rung. */
  readonly refused: ReadonlyMap<string, string>
}

/** A stream's place at the table. */
export interface Seat {
  /** Says what the stream would like; `onGrant` hears what it gets before this returns. */
  request(demand: Demand): void
  /**
   * The stream's child cannot keep up: its most expensive rung is given up for a while.
   * @returns false when there was none.
   */
  giveUpRung(): boolean
  /** Cores that the stream's child was seen to take, at the pace of the source. */
  measured(cores: number): void
  leave(): void
}

/** What {@link Admission} works with. */
export interface AdmissionComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly machine: MachineLoad
  /** Counts rungs taken away or refused: `budget`, `behind`, `event-loop`. */
  readonly onDropped: (reason: 'budget' | 'behind' | 'event-loop') => void
  /** Is told of a rung that is given up while it runs; `reason` is a clause for people. */
  readonly onGivenUp?: (stream: string, rung: string, reason: string) => void
}

/** How {@link Admission} is built. */
export interface AdmissionInit {
  readonly budgetCores: number
}

interface SeatState {
  readonly stream: string
  readonly onGrant: (grant: Grant) => void
  demand: Demand
  grant: Grant
}

const noGrant: Grant = { admitted: new Map(), refused: new Map() }

/** Shares the machine among streams. */
export class Admission {
  readonly #components: AdmissionComponents
  readonly #budgetCores: number
  readonly #seats = new Set<SeatState>()
  readonly #holds: Holds
  #costFactor = 1
  #usedCores = 0
  #lateStrikes = 0
  #cancelJudge: CancelTimer | undefined

  constructor(components: AdmissionComponents, init: AdmissionInit) {
    this.#components = components
    this.#budgetCores = init.budgetCores
    this.#holds = new Holds(components.clock)
  }

  /** Cores that transcoding may use. */
  get budgetCores(): number {
    return this.#budgetCores
  }

  /** Cores that the admitted rungs are thought to take. */
  get usedCores(): number {
    return this.#usedCores
  }

  /** Measured cost over estimated cost. */
  get costFactor(): number {
    return this.#costFactor
  }

  /** Begins to judge the machine's load. */
  start(): void {
    this.#cancelJudge ??= this.#components.clock.after(limits.judgeMs, () => this.#judge())
  }

  /** Ends it. */
  stop(): void {
    this.#cancelJudge?.()
    this.#cancelJudge = undefined
  }

  /** Gives a stream its seat; `onGrant` is told of each change and must not call back. */
  join(stream: string, onGrant: (grant: Grant) => void): Seat {
    const seat: SeatState = {
      stream,
      onGrant,
      demand: { rungs: [], sharedCores: 0 },
      grant: noGrant,
    }
    this.#seats.add(seat)
    return {
      request: (demand) => {
        seat.demand = demand
        this.#share(seat)
      },
      giveUpRung: () => {
        const rung = this.#dearest([seat])
        if (rung !== undefined) this.#giveUp(rung, 'behind', 'encoding fell behind the source')
        return rung !== undefined
      },
      measured: (cores) => this.#calibrate(seat, cores),
      leave: () => {
        this.#seats.delete(seat)
        this.#holds.forgetStream(stream)
        this.#share()
      },
    }
  }

  #judge(): void {
    this.#cancelJudge = undefined
    this.start()
    const delayMs = this.#components.machine.eventLoopDelayMs()
    const idleCores = this.#components.machine.idleCores()
    const rung = this.#dearest([...this.#seats])
    const late = rung !== undefined && delayMs > limits.eventLoopDelayMsMax
    this.#lateStrikes = late ? this.#lateStrikes + 1 : 0
    if (rung !== undefined && this.#lateStrikes >= limits.eventLoopStrikesMax) {
      this.#lateStrikes = 0
      const delay = Math.round(delayMs)
      this.#giveUp(rung, 'event-loop', `playback came first: the peer was ${delay} ms late`)
      return
    }
    if (!late) this.#holds.release((key) => this.#coresOf(key) <= idleCores)
    this.#share()
  }

  /** The most expensive running rung; a stream's most useful one only when it has no other. */
  #dearest(seats: readonly SeatState[]): Candidate | undefined {
    const running = this.#candidates(seats).filter((candidate) => candidate.running !== undefined)
    const byCost = (a: Candidate, b: Candidate): number =>
      Number(a.rank === 0) - Number(b.rank === 0) || runningCores(b) - runningCores(a)
    return running.toSorted(byCost)[0]
  }

  #giveUp(candidate: Candidate, reason: 'behind' | 'event-loop', words: string): void {
    const { stream, rung } = candidate
    const holdMs = this.#holds.hold(keyOf(stream, rung), words)
    this.#components.onDropped(reason)
    this.#components.onGivenUp?.(stream, rung, words)
    this.#components.logger.warn({ stream, rung, reason, holdMs }, `a rung is given up: ${words}`)
    this.#share()
  }

  #coresOf(key: string): number {
    const candidate = this.#candidates([...this.#seats]).find(
      ({ stream, rung }) => keyOf(stream, rung) === key,
    )
    return Math.min(...(candidate?.options ?? []).map(({ cores }) => cores))
  }

  #candidates(seats: readonly SeatState[]): Candidate[] {
    return seats.flatMap(({ stream, demand, grant }) =>
      demand.rungs.map(({ name, options }, rank) => ({
        stream,
        rung: name,
        rank,
        running: grant.admitted.get(name),
        held: this.#holds.reason(keyOf(stream, name)),
        options: options.map((option) => ({ ...option, cores: option.cores * this.#costFactor })),
      })),
    )
  }

  /** Shares anew and tells whom it concerns; `asking` is told in any case. */
  #share(asking?: SeatState): void {
    const seats = [...this.#seats]
    const shared = new Map(seats.map(({ stream, demand }) => [stream, demand.sharedCores]))
    const candidates = this.#candidates(seats)
    const allocation = allocate(candidates, {
      cores: this.#budgetCores,
      sharedCores: (stream) => (shared.get(stream) ?? 0) * this.#costFactor,
    })
    this.#usedCores = allocation.usedCores
    for (const seat of seats) {
      const admitted = new Map<string, string>()
      const refused = new Map<string, string>()
      for (const candidate of candidates.filter(({ stream }) => stream === seat.stream)) {
        const option = allocation.admitted.get(candidate)
        if (option !== undefined) admitted.set(candidate.rung, option.encoder)
        else refused.set(candidate.rung, allocation.refused.get(candidate) ?? '')
        const isNews = option === undefined && !seat.grant.refused.has(candidate.rung)
        if (isNews && candidate.held === undefined) this.#components.onDropped('budget')
      }
      const before = seat.grant
      seat.grant = { admitted, refused }
      if (seat === asking || !sameEntries(before.admitted, admitted)) seat.onGrant(seat.grant)
    }
  }

  /** Moves the machine's cost factor towards what a child takes for its rungs. */
  #calibrate({ demand, grant }: SeatState, cores: number): void {
    const estimated = demand.rungs.reduce((sum, { name, options }) => {
      const encoder = grant.admitted.get(name)
      return sum + (options.find((option) => option.encoder === encoder)?.cores ?? 0)
    }, demand.sharedCores)
    if (estimated <= 0) return
    const { costFactorMin, costFactorMax, costFactorWeight } = limits
    const seen = Math.min(costFactorMax, Math.max(costFactorMin, cores / estimated))
    this.#costFactor += (seen - this.#costFactor) * costFactorWeight
  }
}

const keyOf = (stream: string, rung: string): string => `${stream}/${rung}`

function runningCores({ options, running }: Candidate): number {
  return options.find(({ encoder }) => encoder === running)?.cores ?? 0
}

function sameEntries(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([name, encoder]) => b.get(name) === encoder)
}
