/**
 * A world for one scheduler: an origin, an edge and neighbours of which some are slow, silent, liars or poisoners, come and go, and a player that wants parts.
 * It carries out what the scheduler wants done and checks each action against what is under way: a slow model with one cell for each KiB of a part.
 */
import type { SchedulerAction, SchedulerEvent } from '../../src/scheduler/events.ts'
import { schedulerLimits } from '../../src/scheduler/limits.ts'
import { PartScheduler } from '../../src/scheduler/scheduler.ts'
import { EventQueue, seededRandom } from './event-queue.ts'
import { line } from './scheduler-bench.ts'

/** How a neighbour is. `liar`: says that it has parts and ends at once. */
export type Character = 'good' | 'slow' | 'silent' | 'liar' | 'poisoner' | 'cutter'

/** What happens in a world. */
export interface WorldPlan {
  readonly seed: number
  readonly httpKbps: number
  readonly httpFails: number
  readonly edge: 'closed' | 'silent' | 'grants' | 'names' | 'mixed'
  readonly flapping: boolean
  readonly live: boolean
  /** The page takes nothing for a while, then gives nothing for a while; the memory lets parts go. */
  readonly moody: boolean
  readonly peers: readonly {
    readonly character: Character
    readonly rttMs: number
    readonly has: number
  }[]
  readonly parts: readonly {
    readonly atMs: number
    readonly withinMs: number
    readonly isUrgent: boolean
    readonly kib: number
    readonly unwantedAfterMs: number | undefined
  }[]
}

interface Transfer {
  next: number
  readonly to: number
  isOver: boolean
}

interface WorldPart {
  readonly key: string
  readonly kib: number
  /** Per KiB: undefined, or who brought it. */
  cells: (string | undefined)[]
  fetch: Transfer | undefined
  readonly asks: Map<string, Transfer>
  readonly pushes: Map<string, Transfer>
  isWanted: boolean
  wantedMs: number
  deadlineMs: number
  doneMs: number | undefined
  failedFetches: number
  isGivenUp: boolean
}

const kib = 1_024
const chunkKib = 16

/** The world. */
export class RandomWorld {
  readonly scheduler: PartScheduler
  readonly log: string[] = []
  /** What was wrong; empty in a good world. */
  readonly faults: string[] = []
  readonly parts = new Map<string, WorldPart>()
  readonly #plan: WorldPlan
  readonly #queue = new EventQueue()
  readonly #random: () => number
  readonly #up = new Set<string>()
  readonly #dropped = new Set<string>()
  #isEdgeOpen = false
  #wakeMs = Number.POSITIVE_INFINITY

  constructor(plan: WorldPlan) {
    this.#plan = plan
    this.#random = seededRandom(plan.seed)
    this.scheduler = new PartScheduler({ random: seededRandom(plan.seed + 1) })
  }

  /** Runs all of it. */
  run(untilMs: number): void {
    for (const at of this.#plan.peers.keys()) {
      this.#queue.at(this.#random() * 300, () => this.#join(at))
    }
    if (this.#plan.edge !== 'closed') {
      this.#queue.at(this.#random() * 200, () => this.#openEdge(true))
      if (this.#plan.flapping) this.#queue.at(3_000, () => this.#openEdge(false))
    }
    if (this.#plan.moody) this.#changeMood()
    if (this.#plan.live) this.#queue.at(0, () => this.#plant())
    for (const [at, part] of this.#plan.parts.entries()) {
      this.#queue.at(part.atMs, () => this.#want(at))
    }
    this.#queue.run(untilMs)
  }

  #changeMood(): void {
    const manners = (atMs: number, mayTake: boolean, mayGive: boolean) =>
      this.#queue.at(atMs, () => this.tell({ type: 'manners', mayTake, mayGive }))
    manners(1_000, false, true)
    manners(2_000, true, false)
    manners(3_000, true, true)
    for (const atMs of [800, 2_500, 5_000]) {
      this.#queue.at(atMs, () => {
        for (const part of this.parts.values()) this.#evict(part)
      })
    }
  }

  #evict(part: WorldPart): void {
    if (part.cells.every((by) => by === undefined)) return
    part.cells = part.cells.map(() => undefined)
    this.tell({ type: 'evicted', key: part.key })
  }

  tell(event: SchedulerEvent): void {
    const { nowMs } = this.#queue
    const actions = this.scheduler.handle(event, nowMs)
    for (const action of actions) {
      this.log.push(`${nowMs.toFixed(2)} ${line(action)}`)
      this.#check(action)
      this.#act(action)
    }
    const wakeMs = this.scheduler.wakeAtMs() ?? Number.POSITIVE_INFINITY
    if (event.type === 'time' && wakeMs <= nowMs) this.faults.push(`woken in vain at ${nowMs}`)
    if (wakeMs < this.#wakeMs) {
      this.#wakeMs = wakeMs
      this.#queue.at(wakeMs, () => this.#wake(wakeMs))
    } else this.#wakeMs = wakeMs
    if (this.scheduler.figures().partsKnown > schedulerLimits.partsMax)
      this.faults.push('too many parts')
  }

  /** Wakes the scheduler only when it has asked for this moment. */
  #wake(askedMs: number): void {
    const wakeMs = this.scheduler.wakeAtMs() ?? Number.POSITIVE_INFINITY
    if (wakeMs <= this.#queue.nowMs) {
      this.#wakeMs = Number.POSITIVE_INFINITY
      this.tell({ type: 'time' })
    } else if (this.#wakeMs >= askedMs && wakeMs < Number.POSITIVE_INFINITY) {
      this.#wakeMs = wakeMs
      this.#queue.at(wakeMs, () => this.#wake(wakeMs))
    }
  }

  #check(action: SchedulerAction): void {
    const bad = (why: string) => this.faults.push(`${this.#queue.nowMs} ${line(action)}: ${why}`)
    if ('peer' in action && action.type !== 'drop-peer' && !this.#up.has(action.peer))
      bad('is not up')
    if (!('key' in action)) return
    const part = this.parts.get(action.key)
    if (part === undefined) {
      bad('unknown part')
      return
    }
    if (action.type === 'fetch') {
      if (part.fetch !== undefined) bad('fetch twice')
      this.#checkRange(part, action.from, action.to, bad)
    }
    if (action.type === 'ask-peer') {
      if (part.asks.has(action.peer)) bad('asked twice')
      this.#checkRange(part, action.from, action.to, bad)
    }
    if (action.type === 'verify' && part.cells.includes(undefined)) bad('is not whole')
    if (action.type === 'give-up' && part.failedFetches === 0) bad('HTTP has not failed')
    if (action.type === 'give-up' && !part.isWanted) bad('nobody wants it')
    if (action.type === 'drop-peer' && action.reason === 'bytes') {
      const isPoisoner = this.#plan.peers[Number(action.peer)]?.character === 'poisoner'
      const isAlone = !this.#plan.peers.some(({ character }) => character === 'poisoner')
      if (!isPoisoner && isAlone) bad('sent no wrong bytes')
    }
  }

  /** What is asked for is neither there nor on its way from somebody who was asked. */
  #checkRange(
    part: WorldPart,
    from: number,
    to: number | undefined,
    bad: (why: string) => void,
  ): void {
    const end = to === undefined ? part.kib : Math.ceil(to / kib)
    const start = Math.floor(from / kib)
    if (part.cells[start] !== undefined) bad('its first byte is there')
    for (const transfer of [part.fetch, ...part.asks.values(), ...part.pushes.values()]) {
      if (transfer === undefined || transfer.isOver) continue
      if (Math.max(start, transfer.next) < Math.min(end, transfer.to)) bad('is on its way')
    }
  }

  #act(action: SchedulerAction): void {
    if (action.type === 'ask-edge') {
      for (const { key } of action.parts) this.#answer(key)
      return
    }
    if (action.type === 'drop-peer') {
      this.#dropped.add(action.peer)
      this.#leave(action.peer)
      return
    }
    const part = this.parts.get(action.key)
    if (part === undefined) return
    if (action.type === 'fetch') this.#fetch(part, action.from, action.to)
    if (action.type === 'stop-fetch') end(part.fetch)
    if (action.type === 'stop-fetch') part.fetch = undefined
    if (action.type === 'ask-peer') this.#ask(part, action.peer, action.from, action.to)
    if (action.type === 'cancel-peer') cancel(part, action.peer)
    if (action.type === 'verify') this.#queue.after(1, () => this.#verify(part))
    if (action.type === 'give-up') {
      part.isGivenUp = true
      part.isWanted = false
    }
  }

  #fetch(part: WorldPart, from: number, to: number | undefined): void {
    const transfer = newTransfer(part, from, to)
    part.fetch = transfer
    const latencyMs = 20 + this.#random() * 60
    if (this.#random() < this.#plan.httpFails) {
      this.#queue.after(latencyMs, () => this.#fail(part, transfer))
      return
    }
    this.#queue.after(latencyMs, () => {
      if (transfer.isOver) return
      this.tell({ type: 'length', key: part.key, bytes: part.kib * kib })
      this.#flowHttp(part, transfer)
    })
  }

  #fail(part: WorldPart, transfer: Transfer): void {
    if (transfer.isOver) return
    transfer.isOver = true
    part.fetch = undefined
    part.failedFetches += 1
    this.tell({ type: 'fetch-failed', key: part.key })
  }

  #flowHttp(part: WorldPart, transfer: Transfer): void {
    if (transfer.isOver) return
    if (transfer.next >= transfer.to) {
      transfer.isOver = true
      part.fetch = undefined
      this.tell({ type: 'fetched', key: part.key })
      return
    }
    const fetches = [...this.parts.values()].filter(({ fetch }) => fetch !== undefined).length
    const chunk = Math.min(chunkKib, transfer.to - transfer.next)
    const ms = (chunk * kib * 8 * fetches) / this.#plan.httpKbps
    this.#queue.after(ms, () => {
      if (transfer.isOver) return
      this.#arrive(part, transfer, chunk, undefined)
      this.#flowHttp(part, transfer)
    })
  }

  #arrive(part: WorldPart, transfer: Transfer, chunk: number, peer: string | undefined): void {
    const { next } = transfer
    transfer.next += chunk
    let from = next
    for (let at = next; at <= next + chunk; at++) {
      if (at < next + chunk && part.cells[at] === undefined) {
        part.cells[at] = peer ?? 'http'
        continue
      }
      if (at > from) this.#tellBytes(part, from, at, peer)
      from = at + 1
    }
  }

  #tellBytes(part: WorldPart, from: number, to: number, peer: string | undefined): void {
    const range = { from: from * kib, to: to * kib }
    this.tell({ type: 'bytes', key: part.key, ...range, ...(peer === undefined ? {} : { peer }) })
  }

  #ask(part: WorldPart, id: string, from: number, to: number | undefined): void {
    const transfer = newTransfer(part, from, to)
    part.asks.set(id, transfer)
    const { character, rttMs } = this.#plan.peers[Number(id)] ?? { character: 'silent', rttMs: 1 }
    if (character === 'silent') return
    this.#queue.after(rttMs, () => this.#flowPeer(part, id, transfer, character))
  }

  #flowPeer(part: WorldPart, id: string, transfer: Transfer, character: Character): void {
    if (transfer.isOver || !this.#up.has(id)) return
    const isCut = character === 'cutter' && this.#random() < 0.2
    if (isCut || character === 'liar' || transfer.next >= transfer.to) {
      part.asks.delete(id)
      part.pushes.delete(id)
      transfer.isOver = true
      this.tell({ type: 'peer-end', peer: id, key: part.key, isCut })
      return
    }
    const chunk = Math.min(chunkKib, transfer.to - transfer.next)
    const ms = character === 'slow' ? 350 : 5 + this.#random() * 20
    this.#queue.after(ms, () => {
      const isStray = transfer.isOver && this.#random() < 0.5
      if (!this.#up.has(id) || (transfer.isOver && !isStray)) return
      this.#arrive(part, transfer, chunk, id)
      this.#flowPeer(part, id, transfer, character)
    })
  }

  #verify(part: WorldPart): void {
    if (part.cells.includes(undefined)) return
    const bringers = [...new Set(part.cells)].filter((by) => by !== undefined && by !== 'http')
    const isBad = bringers.some((id) => this.#plan.peers[Number(id)]?.character === 'poisoner')
    if (isBad) {
      part.cells = part.cells.map(() => undefined)
      this.tell({ type: 'refused', key: part.key, peers: bringers as string[] })
      return
    }
    part.doneMs = this.#queue.nowMs
    part.isWanted = false
    this.tell({ type: 'verified', key: part.key })
  }

  #join(at: number): void {
    const peer = this.#plan.peers[at]
    const id = String(at)
    if (peer === undefined || this.#up.has(id) || this.#dropped.has(id)) return
    this.#up.add(id)
    this.tell({ type: 'peer-up', peer: id, rttMs: peer.rttMs })
    for (const key of this.parts.keys()) this.#announce(at, key)
    if (this.#plan.flapping) {
      this.#queue.after(500 + this.#random() * 3_000, () => {
        this.#leave(id)
        this.#queue.after(this.#random() * 1_000, () => this.#join(at))
      })
    }
  }

  #leave(id: string): void {
    if (!this.#up.delete(id)) return
    for (const part of this.parts.values()) cancel(part, id)
    this.tell({ type: 'peer-down', peer: id })
  }

  #announce(at: number, key: string): void {
    const peer = this.#plan.peers[at]
    if (peer === undefined || !this.#up.has(String(at)) || this.#random() > peer.has) return
    const isWhole = this.#random() < 0.6
    this.tell({ type: 'peer-has', peer: String(at), key, bytes: undefined, isWhole })
    if (this.#random() < 0.1) this.tell({ type: 'peer-lost', peer: String(at), key })
    if (this.#plan.live && this.#random() < 0.4) this.#push(at, key)
  }

  #push(at: number, key: string): void {
    const part = this.parts.get(key)
    const peer = this.#plan.peers[at]
    const id = String(at)
    if (part === undefined || peer === undefined || part.asks.has(id)) return
    const transfer = newTransfer(part, 0, undefined)
    part.pushes.set(id, transfer)
    this.tell({ type: 'push', peer: id, key })
    if (peer.character !== 'silent') this.#flowPeer(part, id, transfer, peer.character)
  }

  #openEdge(isOpen: boolean): void {
    this.#isEdgeOpen = isOpen
    this.tell({ type: 'edge', isOpen })
  }

  #answer(key: string): void {
    const kinds = this.#plan.edge === 'mixed' ? ['silent', 'grants', 'names'] : [this.#plan.edge]
    const kind = kinds[Math.floor(this.#random() * kinds.length)]
    if (kind === 'silent') return
    this.#queue.after(10 + this.#random() * 100, () => {
      if (!this.#isEdgeOpen) return
      const untilMs = this.#queue.nowMs + 500 + this.#random() * 3_000
      if (kind === 'grants') this.tell({ type: 'grant', key, untilMs })
      else {
        const peers = [
          String(Math.floor(this.#random() * 6)),
          String(Math.floor(this.#random() * 6)),
        ]
        this.tell({ type: 'from', key, peers, isWhole: this.#random() < 0.5, untilMs })
      }
    })
  }

  #plant(): void {
    this.tell({ type: 'published', keys: [] })
    const stripes = [0, 1, 2].map(() => {
      const draw = this.#random()
      const parent = String(Math.floor(this.#random() * 5))
      const children = this.#random() < 0.5 ? [] : [String(Math.floor(this.#random() * 5))]
      return draw < 0.4 ? { children } : { parent, children }
    })
    this.tell({ type: 'tree', rendition: 'r', stripes })
    this.#queue.after(1_500, () => this.#plant())
  }

  #want(at: number): void {
    const wish = this.#plan.parts[at]
    if (wish === undefined) return
    const { nowMs } = this.#queue
    const key = `r/${at}`
    const part: WorldPart = {
      key,
      kib: wish.kib,
      cells: Array.from({ length: wish.kib }, () => undefined),
      fetch: undefined,
      asks: new Map(),
      pushes: new Map(),
      isWanted: true,
      wantedMs: nowMs,
      deadlineMs: nowMs + wish.withinMs,
      doneMs: undefined,
      failedFetches: 0,
      isGivenUp: false,
    }
    this.parts.set(key, part)
    if (this.#plan.live) this.tell({ type: 'published', keys: [key] })
    if (this.#random() < 0.5) this.tell({ type: 'length', key, bytes: wish.kib * kib })
    this.#plan.peers.forEach((_, peer) => {
      this.#queue.after(this.#random() * 400 - 100, () => this.#announce(peer, key))
    })
    this.#queue.after(0, () => {
      if (part.doneMs === undefined) {
        this.tell({ type: 'want', key, deadlineMs: part.deadlineMs, isUrgent: wish.isUrgent })
      }
    })
    if (wish.unwantedAfterMs === undefined) return
    this.#queue.after(wish.unwantedAfterMs, () => {
      part.isWanted = false
      this.tell({ type: 'unwant', key })
    })
  }
}

function newTransfer(part: WorldPart, from: number, to: number | undefined): Transfer {
  return {
    next: Math.floor(from / kib),
    to: to === undefined ? part.kib : Math.ceil(to / kib),
    isOver: false,
  }
}

function end(transfer: Transfer | undefined): void {
  if (transfer !== undefined) transfer.isOver = true
}

function cancel(part: WorldPart, id: string): void {
  for (const transfers of [part.asks, part.pushes]) {
    end(transfers.get(id))
    transfers.delete(id)
  }
}
