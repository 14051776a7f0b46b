/**
 * The other pages that this one is connected to: connections are made as the edge plans, parts asked for, pushed and given as the scheduler and
 * the other side want. What comes is told and not kept; the engine writes it to the memory, from which it is sent on.
 */
import type { Clock } from '../clock.ts'
import type { PartMemory } from '../memory/part-memory.ts'
import type { PageId, Step } from '../protocol/edge-messages.ts'
import type { Have } from '../protocol/mesh-messages.ts'
import type { PartKey } from '../protocol/part-key.ts'
import { Holdings, haveMessages, lostMessages } from './holdings.ts'
import { meshLimits as limits } from './limits.ts'
import { type DownReason, Neighbour, type PeerFigures } from './neighbour.ts'
import { TokenBucket } from './token-bucket.ts'
import { UploadTurns } from './upload-turns.ts'

export type { PeerFigures }

/** Who is told. All are called in the course of a browser's event or of a call to the mesh, and may call it. */
export interface MeshEvents {
  readonly onUp: (peer: PageId, rttMs: number) => void
  /** Also after {@link Mesh.drop} and {@link Mesh.gone}, and for one that never came up; not after {@link Mesh.close}. */
  readonly onDown: (peer: PageId, reason: DownReason) => void
  readonly onRtt: (peer: PageId, rttMs: number) => void
  readonly onHave: (peer: PageId, key: PartKey, bytes: number | undefined, isWhole: boolean) => void
  readonly onLost: (peer: PageId, key: PartKey) => void
  readonly onPush: (peer: PageId, key: PartKey) => void
  readonly onChunk: (peer: PageId, key: PartKey, offset: number, bytes: Uint8Array) => void
  /** What the peer says of a part's length, which may contradict what is known. */
  readonly onLength: (peer: PageId, key: PartKey, bytes: number) => void
  /** Of an ask or a push; bytes that were on their way when the peer cut it may still come. */
  readonly onEnd: (peer: PageId, key: PartKey, isCut: boolean) => void
  /** For the edge to pass on. */
  readonly onStep: (peer: PageId, step: Step) => void
}

/** What it works with. */
export interface MeshComponents {
  readonly clock: Clock
  /** 0 to 1. */
  readonly random: () => number
  readonly memory: PartMemory
  readonly createConnection: (config: RTCConfiguration) => RTCPeerConnection
}

/** How it is set up. */
export interface MeshInit {
  readonly iceServers: RTCIceServer[]
  /** Bits a second to all peers together; 0: nothing is sent. */
  readonly uploadBps: number
  /** Connects by TURN alone, so that no page learns another's address. Default false. */
  readonly isRelayed?: boolean
  readonly events: MeshEvents
}

/** What its bounds have cost so far. */
export interface MeshCounters {
  /** Connections not made for want of room, and offers that came too fast. */
  readonly refused: number
  /** Connections that ended because the peer broke the protocol. */
  readonly faults: number
  /** Connections that never came up. */
  readonly failures: number
}

/** The mesh of one page. */
export class Mesh {
  readonly #components: MeshComponents
  readonly #init: MeshInit
  readonly #neighbours = new Map<PageId, Neighbour>()
  readonly #turns: UploadTurns
  readonly #holdings = new Holdings()
  readonly #offers: TokenBucket
  /** When the last offer of a page was taken, the oldest first. */
  readonly #offeredMs = new Map<PageId, number>()
  #iceServers: RTCIceServer[]
  #counters = { refused: 0, faults: 0, failures: 0 }
  #isClosed = false

  constructor(components: MeshComponents, init: MeshInit) {
    this.#components = components
    this.#init = init
    this.#iceServers = init.iceServers
    this.#turns = new UploadTurns(components, init.uploadBps)
    this.#offers = new TokenBucket(components.clock, limits.offersBurst, limits.offersPerSecond)
  }

  /** Connects to pages that this one is not connected to; it makes the offers. */
  connect(peers: readonly PageId[]): void {
    for (const peer of peers) if (!this.#neighbours.has(peer)) this.#add(peer, true)
  }

  /** A step of another page. An offer makes a connection, in place of the one that was there. */
  takeStep(from: PageId, step: Step): void {
    const known = this.#neighbours.get(from)
    if (step.type !== 'offer') known?.takeStep(step)
    else if (!this.#mayOffer(from)) this.#refuse()
    else this.#takeOffer(from, step, known)
  }

  /** Asks a peer for a part from a byte on, `to` being the first that is not wanted. False when it cannot be asked. */
  ask(peer: PageId, key: PartKey, from: number, to?: number): boolean {
    return this.#neighbours.get(peer)?.ask(key, from, to) ?? false
  }

  /** No more of a part from a peer, asked for or pushed. `onEnd` is not called for it. */
  cancel(peer: PageId, key: PartKey): void {
    this.#neighbours.get(peer)?.cancel(key)
  }

  /** Passes a part on to a peer from its first byte, as it comes in. */
  push(peer: PageId, key: PartKey): void {
    this.#neighbours.get(peer)?.push(key)
  }

  /** Parts begin to come, or are whole. Told once to each neighbour, also to those that come later. */
  tellHave(parts: Have['parts']): void {
    const news = this.#holdings.add(parts)
    if (this.#turns.bps > 0) for (const neighbour of this.#all()) neighbour.tell(haveMessages(news))
  }

  /** Parts are gone, or do not come; who is being sent them is told so. */
  tellLost(keys: readonly PartKey[]): void {
    const news = this.#holdings.remove(keys)
    for (const neighbour of this.#all()) {
      for (const key of keys) neighbour.cut(key)
      if (this.#turns.bps > 0) neighbour.tell(lostMessages(news))
    }
  }

  /** Ends a connection: the peer did harm, or is of no use. */
  drop(peer: PageId): void {
    this.#neighbours.get(peer)?.end('dropped')
  }

  /** The edge says that a page left. */
  gone(peer: PageId): void {
    this.#neighbours.get(peer)?.end('gone')
  }

  /** Bits a second; 0: all that is being sent ends, and neighbours are told that there is nothing here. */
  setUpload(bps: number): void {
    const was = this.#turns.bps
    this.#turns.bps = bps
    if (was > 0 === bps > 0) return
    const { parts } = this.#holdings
    for (const neighbour of this.#all()) {
      if (bps === 0) neighbour.cut()
      neighbour.tell(bps > 0 ? haveMessages(parts) : lostMessages(parts.map(({ key }) => key)))
    }
  }

  /** For connections from now on: what TURN servers ask for runs out. */
  setIceServers(servers: RTCIceServer[]): void {
    this.#iceServers = servers
  }

  /** Ends all, for good; nobody is told. */
  close(): void {
    this.#isClosed = true
    for (const neighbour of this.#all()) neighbour.close()
    this.#neighbours.clear()
    this.#turns.close()
  }

  /** Of the peers that are up. */
  figures(): readonly PeerFigures[] {
    return this.#all()
      .filter(({ isUp }) => isUp)
      .map((neighbour) => neighbour.figures())
  }

  counters(): MeshCounters {
    return { ...this.#counters }
  }

  #all(): readonly Neighbour[] {
    return [...this.#neighbours.values()]
  }

  /** One that offers again and again uses up nothing of what is for others. */
  #mayOffer(from: PageId): boolean {
    const nowMs = this.#components.clock.nowMs()
    const lastMs = this.#offeredMs.get(from) ?? Number.NEGATIVE_INFINITY
    if (nowMs - lastMs < limits.offerAgainMs || !this.#offers.take(1)) return false
    this.#offeredMs.delete(from)
    this.#offeredMs.set(from, nowMs)
    const [oldest] = this.#offeredMs.keys()
    if (this.#offeredMs.size > limits.offersBurst) this.#offeredMs.delete(oldest as PageId)
    return true
  }

  #takeOffer(from: PageId, step: Step, known: Neighbour | undefined): void {
    if (known?.link.isOffering) {
      // Both were told to offer. Both see both offers, so both know which stands: the one that sorts first.
      const own = known.link.openOffer
      if (own !== undefined && own < step.text) return
      this.#neighbours.delete(from)
      known.close()
    } else {
      known?.end('closed')
    }
    this.#add(from, false)?.takeStep(step)
  }

  #add(peer: PageId, isOffering: boolean): Neighbour | undefined {
    if (this.#isClosed) return undefined
    if (this.#neighbours.size >= limits.linksMax) {
      this.#refuse()
      return undefined
    }
    const { events, isRelayed } = this.#init
    try {
      const neighbour = new Neighbour(
        { ...this.#components, turns: this.#turns, holdings: this.#holdings },
        {
          ...{ peer, isOffering, events },
          config: {
            iceServers: this.#iceServers,
            ...(isRelayed === true && { iceTransportPolicy: 'relay' }),
          },
          onEnded: (reason) => this.#ended(peer, reason),
        },
      )
      this.#neighbours.set(peer, neighbour)
      return neighbour
    } catch {
      // The browser has no WebRTC, or none for this page: as good as a peer that cannot be reached.
      this.#counters.failures += 1
      events.onDown(peer, 'failed')
      return undefined
    }
  }

  #ended(peer: PageId, reason: DownReason): void {
    this.#neighbours.delete(peer)
    if (reason === 'bytes') this.#counters.faults += 1
    if (reason === 'failed') this.#counters.failures += 1
    this.#init.events.onDown(peer, reason)
  }

  #refuse(): void {
    this.#counters.refused += 1
  }
}
