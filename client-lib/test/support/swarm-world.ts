/**
 * A simulated swarm: pages with the real scheduler, an origin whose bandwidth all share, and an edge as simple as can be (leases, trees, neighbours by
 * chance). Everything follows from the seed. An event costs what it touches, so that thousands of pages fit.
 */
import { EventQueue, seededRandom } from './event-queue.ts'
import { type OriginRequest, SwarmPage } from './swarm-page.ts'

/** What is simulated. */
export interface SwarmPlan {
  readonly seed: number
  readonly pages: number
  /** Pages come evenly spread over so much time. */
  readonly joinWithinMs: number
  readonly originBps: number
  readonly uplinkBps: number
  readonly rttMs: number
  /** From page to edge and back, or to the origin and back. */
  readonly edgeRttMs: number
  /** Until two pages are connected. */
  readonly connectMs: number
  /** Neighbours that each page is given as it comes. */
  readonly degree: number
  readonly chunkBytes: number
  readonly isLive: boolean
  /** Of a part, or a whole segment. */
  readonly partMs: number
  readonly partBytes: number
  readonly parts: number
  /** What the player keeps ahead. */
  readonly bufferMs: number
  /** What the player starts behind. */
  readonly holdBackMs: number
  readonly stripes: number
  readonly treeDegree: number
}

/** How it went. */
export interface SwarmFigures {
  readonly httpBytes: number
  readonly peerBytes: number
  /** Share of what was received that did not come from the origin. */
  readonly offload: number
  readonly startMs: readonly number[]
  readonly stallMs: readonly number[]
  readonly played: number
  readonly events: number
}

interface Lease {
  readonly holder: SwarmPage
  readonly untilMs: number
  /** Who gets the part from the holder, or from each other: in the order of a tree. */
  readonly waiters: SwarmPage[]
}

const leaseMs = 8_000

/** The world. */
export class SwarmWorld {
  readonly plan: SwarmPlan
  readonly pages: SwarmPage[] = []
  events = 0
  /** Parts that exist so far. */
  partsThere: number
  readonly #queue = new EventQueue()
  readonly #random: () => number
  readonly #leases = new Map<string, Lease>()
  readonly #whole = new Map<string, SwarmPage[]>()
  #originFreeMs = 0

  constructor(plan: SwarmPlan) {
    this.plan = plan
    this.#random = seededRandom(plan.seed)
    this.partsThere = plan.isLive ? 0 : plan.parts
    for (let at = 0; at < plan.pages; at++) {
      this.at((plan.joinWithinMs * at) / plan.pages, () => this.#join(at))
    }
    if (plan.isLive) this.#publish()
  }

  get nowMs(): number {
    return this.#queue.nowMs
  }

  run(untilMs: number): SwarmFigures {
    this.#queue.run(untilMs)
    const sum = (of: (page: SwarmPage) => number) =>
      this.pages.reduce((total, page) => total + of(page), 0)
    const httpBytes = sum((page) => page.httpBytes)
    const peerBytes = sum((page) => page.peerBytes)
    const players = this.pages.map(({ player }) => player)
    return {
      httpBytes,
      peerBytes,
      offload: peerBytes / (httpBytes + peerBytes),
      startMs: players.map(({ startMs }) => startMs ?? Number.POSITIVE_INFINITY),
      stallMs: players.map(({ stallMs }) => stallMs),
      played: players.reduce((total, { played }) => total + played, 0),
      events: this.events,
    }
  }

  at(ms: number, run: () => void): void {
    this.#queue.at(ms, run)
  }

  after(ms: number, run: () => void): void {
    this.#queue.after(ms, run)
  }

  keyOf(part: number): string {
    return `r/${part}`
  }

  bytesOf(key: string): number {
    const part = Number(key.slice(2))
    return this.plan.partBytes + ((part * 7_919) % 1_000)
  }

  /** A request at the origin: its chunks take turns with those of all others. */
  fetch(request: OriginRequest): void {
    this.after(this.plan.edgeRttMs, () => this.#serve(request))
  }

  #serve(request: OriginRequest): void {
    if (request.isOver || request.page.isGone) return
    const bytes = Math.min(this.plan.chunkBytes, request.end - request.next)
    this.#originFreeMs =
      Math.max(this.#originFreeMs, this.nowMs) + (bytes * 8_000) / this.plan.originBps
    this.at(this.#originFreeMs, () => {
      request.page.arrive(request, bytes)
      if (!request.isOver && request.next < request.end) this.#serve(request)
    })
  }

  askEdge(page: SwarmPage, keys: readonly string[]): void {
    this.after(this.plan.edgeRttMs, () => {
      for (const key of keys) this.#answer(page, key)
    })
  }

  #answer(page: SwarmPage, key: string): void {
    if (page.isGone) return
    const untilMs = this.nowMs + leaseMs
    const whole = this.#whole.get(key)?.filter((other) => !other.isGone) ?? []
    const lease = this.#leases.get(key)
    const isLeased = lease !== undefined && !lease.holder.isGone && lease.untilMs > this.nowMs
    if (whole.length === 0 && !isLeased) {
      this.#leases.set(key, { holder: page, untilMs, waiters: [page] })
      page.tell({ type: 'grant', key, untilMs })
      return
    }
    const start = Math.floor(this.#random() * whole.length)
    const named =
      whole.length > 0
        ? [...whole, ...whole].slice(start, start + 3)
        : sources(lease, page, this.plan.treeDegree)
    const others = named.filter((other) => other !== undefined && other !== page)
    for (const other of others) if (other !== undefined) this.connect(page, other)
    const peers = others.flatMap((other) => other?.id ?? [])
    page.tell({ type: 'from', key, peers, isWhole: whole.length > 0, untilMs })
  }

  returnLease(page: SwarmPage, key: string): void {
    if (this.#leases.get(key)?.holder === page) this.#leases.delete(key)
  }

  got(page: SwarmPage, key: string): void {
    this.after(this.plan.edgeRttMs / 2, () => {
      this.returnLease(page, key)
      const whole = this.#whole.get(key) ?? []
      this.#whole.set(key, whole)
      whole.push(page)
    })
  }

  connect(one: SwarmPage, other: SwarmPage): void {
    if (one === other || one.neighbours.has(other.id)) return
    this.after(this.plan.connectMs, () => {
      if (one.isGone || other.isGone || one.neighbours.has(other.id)) return
      one.greet(other)
      other.greet(one)
    })
  }

  disconnect(page: SwarmPage, id: string): void {
    const other = page.neighbours.get(id)
    page.neighbours.delete(id)
    other?.neighbours.delete(page.id)
    if (other !== undefined) {
      this.after(this.plan.rttMs, () => other.tell({ type: 'peer-down', peer: page.id }))
    }
  }

  #join(at: number): void {
    const page = new SwarmPage(this, `p${at}`, this.plan.uplinkBps, this.plan.seed + at)
    for (let count = 0; count < this.plan.degree && this.pages.length > 0; count++) {
      const other = this.pages[Math.floor(this.#random() * this.pages.length)]
      if (other !== undefined) this.connect(page, other)
    }
    this.pages.push(page)
    page.join(this.plan.isLive ? this.partsThere : 0)
    if (this.plan.isLive) this.#plant()
  }

  /** Trees over the pages in the order in which they came, in each stripe beginning with another one. */
  #plant(): void {
    const { pages } = this
    const { stripes, treeDegree } = this.plan
    const step = Math.max(1, Math.floor(pages.length / stripes))
    const order = (stripe: number, at: number) => pages[(at + stripe * step) % pages.length]
    for (const [at, page] of pages.entries()) {
      const places = Array.from({ length: stripes }, (_, stripe) => {
        const place = (at - stripe * step + stripes * pages.length) % pages.length
        const parent = place === 0 ? undefined : order(stripe, Math.floor((place - 1) / treeDegree))
        const children = Array.from(
          { length: treeDegree },
          (_, child) => place * treeDegree + child + 1,
        )
          .filter((child) => child < pages.length)
          .flatMap((child) => order(stripe, child)?.id ?? [])
        if (parent !== undefined) this.connect(page, parent)
        return { children, ...(parent === undefined ? {} : { parent: parent.id }) }
      })
      const tree = { type: 'tree', rendition: 'r', stripes: places } as const
      this.after(this.plan.edgeRttMs / 2, () => page.tell(tree))
    }
  }

  #publish(): void {
    if (this.partsThere >= this.plan.parts) return
    this.partsThere += 1
    const keys = [this.keyOf(this.partsThere - 1)]
    for (const page of this.pages) {
      this.after(this.plan.edgeRttMs * (0.5 + this.#random() / 2), () => {
        page.tell({ type: 'published', keys })
        page.play()
      })
    }
    this.after(this.plan.partMs, () => this.#publish())
  }
}

/** Whom a page is told to wait for: one that came before it, and the holder. */
function sources(lease: Lease | undefined, page: SwarmPage, degree: number): SwarmPage[] {
  if (lease === undefined) return []
  const { waiters, holder } = lease
  if (!waiters.includes(page)) waiters.push(page)
  const before = waiters[Math.floor((waiters.indexOf(page) - 1) / degree)]
  return before === undefined || before.isGone ? [holder] : [before, holder]
}
