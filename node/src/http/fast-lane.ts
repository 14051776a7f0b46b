/**
 * The fast lane: answers plain GET and HEAD requests from prepared bytes on the raw socket. Connections begin here;
 * one whose bytes the lane does not fully understand leaves for Node's HTTP server, with those bytes, for good.
 */
import type { Socket } from 'node:net'
import type { CancelTimer, Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import { httpLimits } from '../limits.ts'
import { AnswerWriter } from './answer.ts'
import type { CorsPolicy } from './cors.ts'
import type { HttpMetrics } from './http-metrics.ts'
import { LaneConnection } from './lane-connection.ts'
import type { PlainHandlers } from './plain-handlers.ts'
import type { ClientPass } from './shelter/client-pass.ts'
import { connectionRefusal } from './shelter/refusals.ts'
import type { Shelter } from './shelter/shelter.ts'

/** What the lane is built on. */
export interface FastLaneComponents {
  readonly clock: Clock
  readonly handlers: PlainHandlers
  readonly metrics: HttpMetrics
  readonly cors: CorsPolicy
  readonly shelter?: Shelter | undefined
}

/** What the lane is told. */
export interface FastLaneInit {
  /** Takes a connection that leaves the lane; its unread bytes are in front of the socket. */
  readonly handOver: (socket: Socket, pass: ClientPass | undefined) => void
}

/** Owns the lane's connections and their deadlines. */
export class FastLane {
  readonly handlers: PlainHandlers
  readonly writer: AnswerWriter
  readonly metrics: HttpMetrics
  readonly shelter: Shelter | undefined
  readonly #clock: Clock
  readonly #handOver: (socket: Socket, pass: ClientPass | undefined) => void
  readonly #connections = new Set<LaneConnection>()
  #cancelSweep: CancelTimer | undefined
  #stopping = false
  /** Monotonic time as of the last sweep; deadlines need no finer one. */
  nowMs: number

  constructor(components: FastLaneComponents, init: FastLaneInit) {
    this.#clock = components.clock
    this.handlers = components.handlers
    this.metrics = components.metrics
    this.shelter = components.shelter
    this.writer = new AnswerWriter(components.cors)
    this.#handOver = init.handOver
    this.nowMs = this.#clock.monotonicMs()
  }

  /** Open connections, and those among them that wait for an answer. */
  counts(): { lane: number; waiting: number } {
    let waiting = 0
    for (const connection of this.#connections) {
      waiting += connection.isWaiting ? 1 : 0
    }
    return { lane: this.#connections.size, waiting }
  }

  /** True from the begin of a stop on: answers then close their connection. */
  get stopping(): boolean {
    return this.#stopping
  }

  /** Starts the deadlines and the date. */
  start(): void {
    this.#sweep()
  }

  /** Takes a fresh connection, unless its client is turned away. */
  accept(socket: Socket): void {
    const pass = this.shelter?.open(socket.remoteAddress ?? '')
    if (this.shelter !== undefined && pass === undefined) {
      // A broken socket always closes too; what broke it is the client's business.
      socket.on('error', () => {})
      socket.write(connectionRefusal)
      socket.destroySoon()
      return
    }
    this.#connections.add(new LaneConnection(this, socket, pass))
  }

  /** Lets a connection leave for the ordinary server. */
  handOver(connection: LaneConnection, socket: Socket, pass: ClientPass | undefined): void {
    this.#connections.delete(connection)
    this.metrics.lane.handedOver += 1
    this.#handOver(socket, pass)
  }

  /** Forgets a closed connection. */
  closed(connection: LaneConnection): void {
    this.#connections.delete(connection)
  }

  /** Ends idle connections; the others close after the answer they owe. */
  beginStop(): void {
    this.#stopping = true
    for (const connection of [...this.#connections]) {
      connection.beginStop()
    }
  }

  /** Cuts what is left and stops the deadlines. */
  endStop(): void {
    this.#cancelSweep?.()
    this.#cancelSweep = undefined
    const reason = new KairoError('ERR_STOPPED', 'the peer is shutting down')
    for (const connection of [...this.#connections]) {
      connection.cut('stop', reason)
    }
  }

  #sweep(): void {
    this.nowMs = this.#clock.monotonicMs()
    this.writer.setDate(this.#clock.now())
    for (const connection of this.#connections) {
      connection.checkDeadlines(this.nowMs)
    }
    this.#cancelSweep = this.#clock.after(httpLimits.sweepMs, () => this.#sweep())
  }
}
