/**
 * A simulated page: the real scheduler, with an engine, a memory and a player as simple as can be. Bytes are ranges; time is the world's. It serves what it
 * is asked for, and what it pushes, chunk by chunk as it comes in, over an uplink that all its streams share.
 */
import type { SchedulerAction, SchedulerEvent } from '../../src/scheduler/events.ts'
import { Ranges } from '../../src/scheduler/ranges.ts'
import { PartScheduler } from '../../src/scheduler/scheduler.ts'
import { seededRandom } from './event-queue.ts'
import type { SwarmWorld } from './swarm-world.ts'

/** Part of a stream, as a page holds it. */
interface Held {
  readonly key: string
  readonly bytes: number
  readonly have: Ranges
  isWhole: boolean
  hasBegun: boolean
  httpBytes: number
  /** Streams that wait for bytes of it. */
  readonly waiting: Set<Outgoing>
}

/** What goes to another page. */
interface Outgoing {
  readonly to: SwarmPage
  readonly held: Held
  next: number
  readonly end: number
  isOver: boolean
  isBusy: boolean
}

/** A request by HTTP, at the origin. */
export interface OriginRequest {
  readonly page: SwarmPage
  readonly key: string
  next: number
  readonly end: number
  isOver: boolean
}

/** What a player went through. */
export interface PlayerFigures {
  readonly startMs: number | undefined
  readonly stallMs: number
  readonly played: number
}

/** One viewer. */
export class SwarmPage {
  readonly id: string
  readonly scheduler: PartScheduler
  readonly neighbours = new Map<string, SwarmPage>()
  readonly uplinkBps: number
  httpBytes = 0
  peerBytes = 0
  sentBytes = 0
  isGone = false
  readonly #world: SwarmWorld
  readonly #parts = new Map<string, Held>()
  readonly #outgoing = new Map<string, Outgoing>()
  readonly #requests = new Map<string, OriginRequest>()
  #uplinkFreeMs = 0
  #wakeMs = Number.POSITIVE_INFINITY
  #joinedMs = 0
  /** Player: the part that comes next, and until when what there is lasts. */
  #next = 0
  #bufferedUntilMs = 0
  #startMs: number | undefined
  #stallMs = 0
  #isWaiting = false

  constructor(world: SwarmWorld, id: string, uplinkBps: number, seed: number) {
    this.#world = world
    this.id = id
    this.uplinkBps = uplinkBps
    this.scheduler = new PartScheduler({ random: seededRandom(seed) })
  }

  get player(): PlayerFigures {
    const { nowMs } = this.#world
    const isStalled = this.#startMs !== undefined && nowMs > this.#bufferedUntilMs
    const running = isStalled && this.#isWaiting ? nowMs - this.#bufferedUntilMs : 0
    return {
      startMs: this.#startMs === undefined ? undefined : this.#startMs - this.#joinedMs,
      stallMs: this.#stallMs + running,
      played: this.#next,
    }
  }

  join(firstPart: number): void {
    this.#joinedMs = this.#world.nowMs
    this.#next = firstPart
    this.tell({ type: 'edge', isOpen: true })
    this.play()
  }

  leave(): void {
    this.isGone = true
    for (const request of this.#requests.values()) request.isOver = true
    for (const outgoing of this.#outgoing.values()) outgoing.isOver = true
    for (const other of this.neighbours.values()) {
      other.neighbours.delete(this.id)
      this.#world.after(this.#world.plan.rttMs, () =>
        other.tell({ type: 'peer-down', peer: this.id }),
      )
    }
  }

  /** Wants what comes next while the buffer is not full. */
  play(): void {
    const { nowMs, plan } = this.#world
    if (this.isGone || this.#isWaiting || this.#next >= this.#world.partsThere) return
    const bufferMs = this.#startMs === undefined ? 0 : Math.max(0, this.#bufferedUntilMs - nowMs)
    if (bufferMs > plan.bufferMs) {
      this.#world.after(bufferMs - plan.bufferMs, () => this.play())
      return
    }
    this.#isWaiting = true
    const key = this.#world.keyOf(this.#next)
    if (this.#parts.get(key)?.isWhole) {
      this.#playNext()
      return
    }
    const isUrgent = plan.isLive ? this.#startMs === undefined : bufferMs < plan.partMs / 2
    const deadlineMs = nowMs + (isUrgent ? 0 : Math.max(bufferMs, plan.isLive ? plan.partMs : 0))
    this.tell({ type: 'want', key, deadlineMs, isUrgent })
  }

  #playNext(): void {
    const { nowMs, plan } = this.#world
    this.#isWaiting = false
    this.#next += 1
    if (this.#startMs === undefined) {
      this.#startMs = nowMs
      this.#bufferedUntilMs = nowMs + plan.holdBackMs
    } else if (nowMs > this.#bufferedUntilMs) {
      this.#stallMs += nowMs - this.#bufferedUntilMs
      this.#bufferedUntilMs = nowMs
    }
    this.#bufferedUntilMs += plan.partMs
    this.play()
  }

  tell(event: SchedulerEvent): void {
    if (this.isGone) return
    const { nowMs } = this.#world
    this.#world.events += 1
    for (const action of this.scheduler.handle(event, nowMs)) this.#act(action)
    this.#planWake()
  }

  #planWake(): void {
    const wakeMs = this.scheduler.wakeAtMs() ?? Number.POSITIVE_INFINITY
    if (wakeMs >= this.#wakeMs) return
    this.#wakeMs = wakeMs
    this.#world.at(wakeMs, () => {
      if (this.#wakeMs !== wakeMs) return
      this.#wakeMs = Number.POSITIVE_INFINITY
      if ((this.scheduler.wakeAtMs() ?? wakeMs + 1) <= wakeMs) this.tell({ type: 'time' })
      else this.#planWake()
    })
  }

  #act(action: SchedulerAction): void {
    switch (action.type) {
      case 'fetch':
        this.#fetch(action.key, action.from, action.to)
        break
      case 'stop-fetch':
        this.#stopFetch(action.key)
        break
      case 'ask-peer': {
        const { peer, key, from, to } = action
        this.#toPeer(peer, (other) => other.serve(this, key, from, to))
        break
      }
      case 'cancel-peer': {
        const { peer, key } = action
        this.#toPeer(peer, (other) => other.stopServing(this, key))
        break
      }
      case 'push':
        this.#push(action.peer, action.key)
        break
      case 'ask-edge':
        this.#world.askEdge(
          this,
          action.parts.map(({ key }) => key),
        )
        break
      case 'return-lease':
        this.#world.returnLease(this, action.key)
        break
      case 'verify':
        this.#world.after(0, () => this.#verified(action.key))
        break
      case 'give-up':
        throw new Error(`${this.id} gave up ${action.key}`)
      case 'drop-peer':
        this.#world.disconnect(this, action.peer)
    }
  }

  #toPeer(id: string, run: (other: SwarmPage) => void): void {
    const other = this.neighbours.get(id)
    if (other !== undefined) this.#world.after(this.#world.plan.rttMs / 2, () => run(other))
  }

  #fetch(key: string, from: number, to: number | undefined): void {
    const request = {
      page: this,
      key,
      next: from,
      end: to ?? this.#world.bytesOf(key),
      isOver: false,
    }
    this.#requests.set(key, request)
    this.#world.fetch(request)
  }

  #stopFetch(key: string): void {
    const request = this.#requests.get(key)
    if (request !== undefined) request.isOver = true
    this.#requests.delete(key)
  }

  /** Bytes of a request have come; with none left it is done. */
  arrive(request: OriginRequest, bytes: number): void {
    if (this.isGone || request.isOver) return
    const { key, next } = request
    const held = this.#hold(key)
    request.next += bytes
    held.httpBytes += bytes
    this.httpBytes += bytes
    this.#take(held, next, next + bytes, undefined)
    if (request.next < request.end || request.isOver) return
    this.#requests.delete(key)
    this.tell({ type: 'fetched', key })
  }

  #hold(key: string): Held {
    let held = this.#parts.get(key)
    if (held === undefined) {
      const bytes = this.#world.bytesOf(key)
      held = {
        key,
        bytes,
        have: new Ranges(),
        isWhole: false,
        hasBegun: false,
        httpBytes: 0,
        waiting: new Set(),
      }
      this.#parts.set(key, held)
    }
    return held
  }

  #take(held: Held, from: number, to: number, peer: string | undefined): void {
    const { key } = held
    if (!held.hasBegun) {
      held.hasBegun = true
      this.tell({ type: 'length', key, bytes: held.bytes })
      this.#announce(key, false)
    }
    if (held.have.add(from, to) === 0) return
    this.tell({ type: 'bytes', key, from, to, ...(peer === undefined ? {} : { peer }) })
    for (const outgoing of [...held.waiting]) this.#send(outgoing)
  }

  #verified(key: string): void {
    if (this.isGone) return
    const held = this.#hold(key)
    held.isWhole = true
    this.#announce(key, true)
    if (held.httpBytes === held.bytes) this.#world.got(this, key)
    this.tell({ type: 'verified', key })
    if (this.#isWaiting && key === this.#world.keyOf(this.#next)) this.#playNext()
  }

  #announce(key: string, isWhole: boolean): void {
    for (const other of this.neighbours.values()) {
      const event = { type: 'peer-has', peer: this.id, key, bytes: undefined, isWhole } as const
      this.#world.after(this.#world.plan.rttMs / 2, () => other.tell(event))
    }
  }

  /** What this page has is told to a new neighbour. */
  greet(other: SwarmPage): void {
    const { rttMs } = this.#world.plan
    this.neighbours.set(other.id, other)
    this.tell({ type: 'peer-up', peer: other.id, rttMs })
    for (const { key, isWhole, hasBegun } of this.#parts.values()) {
      if (!hasBegun) continue
      const event = { type: 'peer-has', peer: this.id, key, bytes: undefined, isWhole } as const
      this.#world.after(rttMs, () => other.tell(event))
    }
  }

  #push(id: string, key: string): void {
    const other = this.neighbours.get(id)
    if (other === undefined) return
    this.#toPeer(id, () => other.tell({ type: 'push', peer: this.id, key }))
    this.serve(other, key, 0, undefined)
  }

  /** Sends a range as it comes in. */
  serve(to: SwarmPage, key: string, from: number, end: number | undefined): void {
    if (this.isGone) return
    this.stopServing(to, key)
    const held = this.#hold(key)
    const outgoing = { to, held, next: from, end: end ?? held.bytes, isOver: false, isBusy: false }
    this.#outgoing.set(`${to.id} ${key}`, outgoing)
    this.#send(outgoing)
  }

  stopServing(to: SwarmPage, key: string): void {
    const outgoing = this.#outgoing.get(`${to.id} ${key}`)
    if (outgoing === undefined) return
    outgoing.isOver = true
    outgoing.held.waiting.delete(outgoing)
    this.#outgoing.delete(`${to.id} ${key}`)
  }

  /** The next chunk, if it is there; streams take turns on the uplink. */
  #send(outgoing: Outgoing): void {
    const { to, held, next, end } = outgoing
    if (outgoing.isOver || outgoing.isBusy || this.isGone) return
    held.waiting.delete(outgoing)
    const { nowMs, plan } = this.#world
    const bytes = Math.min(plan.chunkBytes, end - next)
    if (bytes <= 0) {
      this.stopServing(to, held.key)
      const event = { type: 'peer-end', peer: this.id, key: held.key, isCut: false } as const
      this.#world.after(plan.rttMs / 2, () => to.tell(event))
      return
    }
    if (held.have.within(next, next + bytes) < bytes) {
      held.waiting.add(outgoing)
      return
    }
    outgoing.isBusy = true
    this.#uplinkFreeMs = Math.max(this.#uplinkFreeMs, nowMs) + (bytes * 8_000) / this.uplinkBps
    this.#world.at(this.#uplinkFreeMs, () => {
      outgoing.isBusy = false
      outgoing.next += bytes
      this.sentBytes += bytes
      this.#world.after(plan.rttMs / 2, () => to.receive(this, held.key, next, bytes))
      this.#send(outgoing)
    })
  }

  /** A chunk from another page. */
  receive(from: SwarmPage, key: string, offset: number, bytes: number): void {
    if (this.isGone || !this.neighbours.has(from.id)) return
    this.peerBytes += bytes
    this.#take(this.#hold(key), offset, offset + bytes, from.id)
  }
}
