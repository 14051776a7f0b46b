/**
 * The lines between the trackers of a region over the host's streams. Each peer, lane and direction has a stream of its own that stays open.
 * Every connected peer may bring frames, within bounds: who belongs to the region is the tracker's to say.
 */
import assert from 'node:assert/strict'
import type { Lane, TrackerTransport, TransportHandlers } from '@kairo/tracker'
import { frameBytesMax, frameLimits, QueueBudget } from '@kairo/tracker/program'
import type { Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import type { PeerWatch } from '../host/network.ts'
import { PerPeerLimit } from '../host/per-peer-limit.ts'
import { RAFT_PROTOCOL, TRACKER_PROTOCOL } from '../host/protocols.ts'
import type { PeerStream } from '../host/transport.ts'
import { lineLimits } from '../limits/coordination.ts'
import { HostIntroducer, type IntroducingHost } from './host-introducer.ts'
import { laneOf } from './lanes.ts'
import { LineMetrics } from './line-metrics.ts'
import { LineReceiver, type LineReceiverComponents } from './line-receiver.ts'
import { LineSender, type LineSenderComponents } from './line-sender.ts'
import { Links } from './links.ts'

/** The host, as far as lines need it. */
export interface LineHost extends IntroducingHost, PeerWatch {
  /** Calls the listener with each peer whose last connection closes. Returns the way to stop. */
  onDisconnect(listener: (peerId: string) => void): () => void
}

/** What lines work with. */
export interface LineTransportComponents {
  readonly clock: Clock
  readonly registry: Registry
  readonly host: LineHost
  readonly random: () => number
}

/** Settings of lines. */
export interface LineTransportInit {
  /** TCP port of direct lines. Default 0: a free one. */
  readonly directPort?: number
}

/** The lines of one peer. {@link listen} when the host runs, {@link close} before it stops. */
export class LineTransport implements TrackerTransport {
  readonly peerId: string
  readonly introducer: HostIntroducer
  readonly #components: LineTransportComponents
  readonly #metrics: LineMetrics
  readonly #budget = new QueueBudget()
  readonly #senders = new Map<string, LineSender>()
  readonly #receivers = new Map<string, LineReceiver>()
  readonly #streams = new PerPeerLimit({
    totalMax: lineLimits.streamsMax,
    perPeerMax: lineLimits.streamsPerPeerMax,
  })
  readonly #stopping = new AbortController()
  readonly #links: Links
  readonly #senderComponents: LineSenderComponents
  readonly #receiverComponents: LineReceiverComponents
  #handlers: TransportHandlers | undefined
  #unwatch: (() => void)[] = []
  #cancelSweep: CancelTimer | undefined

  constructor(components: LineTransportComponents, { directPort = 0 }: LineTransportInit = {}) {
    const { clock, registry, host, random } = components
    this.#components = components
    this.peerId = host.peerId
    this.introducer = new HostIntroducer({ clock, host }, { port: directPort })
    this.#metrics = new LineMetrics(registry, {
      lines: (direction) =>
        direction === 'in'
          ? this.#receivers.size
          : [...this.#senders.values()].filter(({ isOpen }) => isOpen).length,
      queuedBytes: () => this.#budget.queuedBytes,
      partialBytes: () => this.#partialBytes(),
    })
    const metrics = this.#metrics
    this.#links = new Links({ clock, onLink: (...link) => this.#handlers?.onLink(...link) })
    this.#senderComponents = {
      ...{ clock, metrics, random, transport: host, budget: this.#budget },
      stopping: this.#stopping.signal,
      onOpen: (peerId) => this.#links.alive(peerId),
      onBreak: (peerId) => this.#links.broke(peerId),
    }
    this.#receiverComponents = {
      ...{ clock, metrics },
      onFrame: (...frame) => this.#handlers?.onFrame(...frame),
    }
  }

  /** Answers the lines of other peers from now on; those that come before {@link start} are refused. */
  async listen(): Promise<void> {
    const { host } = this.#components
    await host.handle(RAFT_PROTOCOL, (stream) =>
      this.#answer(stream, () => this.#answerRaft(stream)),
    )
    await host.handle(TRACKER_PROTOCOL, (stream) =>
      this.#answer(stream, () => this.#receive(stream, 'call', EMPTY)),
    )
    await this.introducer.begin()
  }

  start(handlers: TransportHandlers): void {
    assert(this.#handlers === undefined, 'lines are started once')
    const { host } = this.#components
    this.#handlers = handlers
    this.#unwatch = [
      host.watch(RAFT_PROTOCOL, (peerId) => {
        for (const sender of this.#sendersTo(peerId)) sender.encourage()
        this.#links.connected(peerId)
      }),
      host.onDisconnect((peerId) => {
        this.#links.disconnected(peerId)
        this.#forgetIdle(peerId)
      }),
    ]
    this.#scheduleSweep()
  }

  send(peerId: string, lane: Lane, frame: Uint8Array): boolean {
    assert(frame.byteLength <= frameBytesMax[lane], 'a frame is no larger than its lane takes')
    const sender = this.#senders.get(`${lane} ${peerId}`) ?? this.#newSender(peerId, lane)
    return sender?.send(frame) ?? false
  }

  /** Ends all lines; nothing is sent or heard from now on. */
  close(): void {
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the tracker is shutting down'))
    this.#cancelSweep?.()
    for (const unwatch of this.#unwatch.splice(0)) unwatch()
    this.#links.stop()
    for (const sender of this.#senders.values()) sender.stop()
    for (const receiver of this.#receivers.values()) receiver.end('stopped')
  }

  #newSender(peerId: string, lane: Lane): LineSender | undefined {
    if (this.#senders.size >= lineLimits.linesMax) {
      for (const [key, { isIdle }] of this.#senders) if (isIdle) this.#senders.delete(key)
    }
    const isStopped = this.#stopping.signal.aborted
    if (isStopped || this.#senders.size >= lineLimits.linesMax) {
      this.#metrics.dropped.inc({ lane, reason: isStopped ? 'stopped' : 'lines' })
      return undefined
    }
    const sender = new LineSender(this.#senderComponents, peerId, lane)
    this.#senders.set(`${lane} ${peerId}`, sender)
    return sender
  }

  #sendersTo(peerId: string): LineSender[] {
    return [...this.#senders.values()].filter((sender) => sender.peerId === peerId)
  }

  #forgetIdle(peerId: string): void {
    for (const [key, sender] of this.#senders) {
      if (sender.peerId === peerId && sender.isIdle) this.#senders.delete(key)
    }
  }

  async #answer(stream: PeerStream, answer: () => Promise<void>): Promise<void> {
    const { remotePeer } = stream
    if (this.#handlers === undefined || this.#stopping.signal.aborted) {
      stream.abort(new KairoError('ERR_STOPPED', 'the tracker does not run'))
      return
    }
    const refusal = this.#streams.enter(remotePeer)
    if (refusal !== undefined) throw new KairoError('ERR_LIMIT', refusal)
    try {
      await answer()
    } finally {
      this.#streams.leave(remotePeer)
    }
  }

  async #answerRaft(stream: PeerStream): Promise<void> {
    for await (const chunk of stream.incoming) {
      const lane = laneOf(chunk[0] ?? 0)
      if (lane === undefined) {
        this.#metrics.ended.inc({ direction: 'in', reason: 'protocol' })
        throw new KairoError('ERR_PROTOCOL', 'a line begins with a lane that there is not')
      }
      await this.#receive(stream, lane, chunk.subarray(1))
      return
    }
  }

  async #receive(stream: PeerStream, lane: Lane, first: Uint8Array): Promise<void> {
    const peerId = stream.remotePeer
    const key = `${lane} ${peerId}`
    // The other side lost its line and made a new one: what is left of the old one comes too late.
    this.#receivers.get(key)?.end('replaced')
    const components = this.#receiverComponents
    const receiver = new LineReceiver(components, stream, lane, () => this.#keepWithinMemory())
    this.#receivers.set(key, receiver)
    this.#links.alive(peerId)
    try {
      await receiver.read(first)
    } finally {
      if (this.#receivers.get(key) === receiver) {
        this.#receivers.delete(key)
        this.#links.broke(peerId)
      }
    }
  }

  #partialBytes(): number {
    let bytes = 0
    for (const { heldBytes } of this.#receivers.values()) bytes += heldBytes
    return bytes
  }

  /** Honest frames become whole soon; so whoever has been at one longest goes first. */
  #keepWithinMemory(): void {
    while (this.#partialBytes() > frameLimits.partialBytesTotalMax) {
      const slow = [...this.#receivers.values()].filter(({ heldBytes }) => heldBytes > 0)
      const slowest = slow.reduce((a, b) => (since(b) < since(a) ? b : a))
      slowest.end('memory')
    }
  }

  #scheduleSweep(): void {
    this.#cancelSweep = this.#components.clock.after(frameLimits.sweepMs, () => {
      const nowMs = this.#components.clock.monotonicMs()
      for (const sender of this.#senders.values()) sender.sweep(nowMs)
      for (const receiver of this.#receivers.values()) receiver.sweep(nowMs)
      this.#scheduleSweep()
    })
  }
}

const EMPTY = new Uint8Array(0)

function since(receiver: LineReceiver): number {
  return receiver.partialSinceMs ?? Number.POSITIVE_INFINITY
}
