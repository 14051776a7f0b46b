/** A page of a swarm as the edge knows it, and the connections between pages that the edge told them to make. */
import type { EdgeMessage, Off, PageId, PartKey } from '@kairo/client/protocol'
import { leaseLimits, pageSwarmLimits as limits } from '../../limits/swarm.ts'
import { fullBucket, type TokenBucket } from '../../token-buckets.ts'
import { DecayingCount } from './decaying-count.ts'
import { HeldIndex } from './held-index.ts'

/** The way to a page. */
export interface PageLine {
  /** False when it does not go out. */
  tell(message: EdgeMessage): boolean
  /** As {@link tell}, for a text that goes to many. */
  tellText(text: string): boolean
  /** Tells why there is no swarm for the page any more, and ends the connection. */
  putOut(off: Off): void
  /** Another connection has come in the place of this one. */
  displaced(): void
}

/** Two pages that were told to connect; both have it under the other one's id. */
export interface Link {
  /** When it was told; monotonic milliseconds. */
  readonly sinceMs: number
  /** When one of both last told of it. */
  seenMs: number
  /** Round trip as one of both measured it; undefined until then. */
  rttMs: number | undefined
  /** Messages of connecting. */
  readonly signals: TokenBucket
}

/** What makes a page. */
export interface PageInit {
  readonly id: PageId
  /** Address group; empty where a proxy of the operator does not tell. */
  readonly address: string
  readonly canConnect: boolean
  readonly uploadBps: number
  readonly enteredMs: number
}

/** How often two pages may have messages of connecting passed on. */
export const signalRate = { burst: limits.signalBurst, perSecond: limits.signalsPerSecond }

/** How many parts a page may ask about. */
export const wantRate = { burst: limits.wantBurst, perSecond: limits.wantsPerSecond }

/** One page. */
export class Page {
  readonly id: PageId
  readonly address: string
  readonly enteredMs: number
  canConnect: boolean
  uploadBps: number
  /** Undefined while its connection is broken. */
  line: PageLine | undefined
  readonly links = new Map<PageId, Link>()
  readonly held = new HeldIndex()
  readonly wants: TokenBucket
  /** How often it was named to others as one to get a part from, lately. */
  readonly named = new DecayingCount(leaseLimits.grantedHalfMs)
  /** Parts for which it was sent to others, and how often. */
  readonly sent = new Map<PartKey, number>()
  /** Leases that it had, and voices for what it said: after a few of either it is checked less. */
  leases = 0
  agreed = 0
  /** Address groups of pages that reported it. */
  readonly reportedBy = new Set<string>()
  /** Pages that it reported. */
  readonly reported = new Set<PageId>()
  /** The live rendition that it follows. */
  follows: string | undefined
  /** When it was last told of new neighbours; monotonic milliseconds. */
  neighboursMs: number

  constructor(init: PageInit) {
    this.id = init.id
    this.address = init.address
    this.canConnect = init.canConnect
    this.uploadBps = init.uploadBps
    this.enteredMs = init.enteredMs
    this.wants = fullBucket(wantRate, init.enteredMs)
    this.neighboursMs = init.enteredMs
  }

  /** Whether others can get anything from it. */
  get canServe(): boolean {
    return this.line !== undefined && this.canConnect && this.uploadBps > 0
  }
}

/** Joins two pages, unless they are; true when that is new. */
export function join(a: Page, b: Page, nowMs: number): boolean {
  if (a === b || a.links.has(b.id)) return false
  const link = {
    sinceMs: nowMs,
    seenMs: nowMs,
    rttMs: undefined,
    signals: fullBucket(signalRate, nowMs),
  }
  a.links.set(b.id, link)
  b.links.set(a.id, link)
  return true
}

/** Parts two pages. */
export function part(a: Page, b: Page): void {
  a.links.delete(b.id)
  b.links.delete(a.id)
}
