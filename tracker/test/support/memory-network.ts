/**
 * The lines between the trackers of a test, in memory and in virtual time: frames are delayed, lost, held back one way or both, and
 * links break and are made, as the test says. Frames of one lane between two peers keep their order unless `reorders` is set.
 */
import {
  frameBytesMax,
  type Lane,
  type TrackerTransport,
  type TransportHandlers,
} from '../../src/transport.ts'
import type { ClockView, VirtualClock } from './virtual-clock.ts'

/** How a network behaves. All may be changed during a test. */
export interface NetworkSettings {
  /** One way, for each frame. */
  delayMs: (from: string, to: string) => number
  /** Whether a frame is lost. */
  loses: (from: string, to: string, lane: Lane) => boolean
  /** Frames may overtake one another. */
  reorders: boolean
  /** Whether a frame comes twice. */
  doubles: (from: string, to: string, lane: Lane) => boolean
}

interface Peer {
  handlers: TransportHandlers | undefined
  /** What happens to the peer waits while it is stopped. */
  clock: ClockView
  /** A peer that comes back is another one: what was on its way to the one before is lost. */
  life: number
}

/** All peers and the lines between them. */
export class MemoryNetwork {
  readonly settings: NetworkSettings
  readonly counters = { sent: 0, delivered: 0, lost: 0, bytes: 0 }
  /** Sees each frame that is delivered; may change it by returning another. */
  tamper: ((frame: Uint8Array, from: string, to: string, lane: Lane) => Uint8Array) | undefined
  readonly #clock: VirtualClock
  readonly #peers = new Map<string, Peer>()
  /** `from>to`: frames vanish on it. */
  readonly #oneWay = new Set<string>()
  /** `a|b`, a before b: no link. */
  readonly #broken = new Set<string>()
  /** When the last frame of a line arrives. */
  readonly #lastMs = new Map<string, number>()

  constructor(clock: VirtualClock, settings: Partial<NetworkSettings> = {}) {
    this.#clock = clock
    this.settings = {
      ...{ delayMs: () => 1, loses: () => false, reorders: false, doubles: () => false },
      ...settings,
    }
  }

  /** The transport of one peer; replaces one that the peer had before. */
  transport(peerId: string, clock: ClockView): TrackerTransport {
    const life = (this.#peers.get(peerId)?.life ?? 0) + 1
    const peer: Peer = { handlers: undefined, clock, life }
    this.#peers.set(peerId, peer)
    return {
      peerId,
      send: (to, lane, frame) => this.#send(peerId, to, lane, frame),
      start: (handlers) => {
        peer.handlers = handlers
      },
    }
  }

  /** The peer is gone; the others see its links break. */
  remove(peerId: string, options: { readonly silently?: boolean } = {}): void {
    const peer = this.#peers.get(peerId)
    if (peer === undefined) return
    peer.handlers = undefined
    peer.life += 1
    if (options.silently) return
    for (const [other, { handlers, clock }] of this.#peers)
      if (other !== peerId) clock.run(() => handlers?.onLink(peerId, false))
  }

  /** Frames from one peer to another vanish; the way back stays as it is. */
  cut(from: string, to: string): void {
    this.#oneWay.add(`${from}>${to}`)
  }

  /** Frames vanish both ways between a peer and others (all others by default), and nobody is told. */
  isolate(peerId: string, others: Iterable<string> = this.#peers.keys()): void {
    for (const other of others) {
      if (other === peerId) continue
      this.cut(peerId, other)
      this.cut(other, peerId)
    }
  }

  /** Breaks a link: both sides are told, and nothing can be sent until {@link MemoryNetwork.connect}. */
  disconnect(a: string, b: string): void {
    if (this.#broken.has(linkName(a, b))) return
    this.#broken.add(linkName(a, b))
    this.#tell(a, b, false)
  }

  connect(a: string, b: string): void {
    if (this.#broken.delete(linkName(a, b))) this.#tell(a, b, true)
  }

  /** Everything works again. */
  heal(): void {
    this.#oneWay.clear()
    for (const link of [...this.#broken]) {
      const [a, b] = link.split('|') as [string, string]
      this.connect(a, b)
    }
  }

  #tell(a: string, b: string, isUp: boolean): void {
    for (const [self, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const peer = this.#peers.get(self)
      peer?.clock.run(() => peer.handlers?.onLink(other, isUp))
    }
  }

  #send(from: string, to: string, lane: Lane, frame: Uint8Array): boolean {
    if (frame.length > frameBytesMax[lane])
      throw new Error(`a frame of ${frame.length} bytes on the ${lane} lane`)
    const peer = this.#peers.get(to)
    if (peer === undefined || this.#broken.has(linkName(from, to))) return false
    this.counters.sent += 1
    this.counters.bytes += frame.length
    if (this.#oneWay.has(`${from}>${to}`) || this.settings.loses(from, to, lane)) {
      this.counters.lost += 1
      return true
    }
    this.#carry(from, to, lane, frame, peer)
    if (this.settings.doubles(from, to, lane)) this.#carry(from, to, lane, frame.slice(), peer)
    return true
  }

  #carry(from: string, to: string, lane: Lane, frame: Uint8Array, peer: Peer): void {
    const line = `${from}>${to} ${lane}`
    const arrivesMs = this.#clock.nowMs + this.settings.delayMs(from, to)
    const atMs = this.settings.reorders
      ? arrivesMs
      : Math.max(arrivesMs, this.#lastMs.get(line) ?? 0)
    this.#lastMs.set(line, atMs)
    const { life } = peer
    this.#clock.at(atMs, () => {
      // Cut, broken or gone while it was on its way.
      if (peer.life !== life || this.#oneWay.has(`${from}>${to}`)) return
      if (this.#broken.has(linkName(from, to))) return
      peer.clock.run(() => this.#deliver(from, to, lane, frame, peer))
    })
  }

  #deliver(from: string, to: string, lane: Lane, frame: Uint8Array, peer: Peer): void {
    this.counters.delivered += 1
    const bytes = this.tamper?.(frame, from, to, lane) ?? frame
    peer.handlers?.onFrame(from, lane, bytes)
  }
}

function linkName(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`
}
