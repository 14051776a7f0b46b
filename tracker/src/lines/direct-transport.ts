/**
 * Lines that go directly from one tracker's thread to another where that is possible, and over the program's where it is not: over those until
 * the direct line stands, and again when it broke. What the program says of a peer's connection goes for the direct line, too: without the
 * one there is not the other.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import type { RaftLogger } from '../raft/types.ts'
import type {
  Lane,
  LineAddress,
  LineIntroducer,
  LineInvitation,
  TrackerTransport,
  TransportHandlers,
} from '../transport.ts'
import { DirectLine } from './direct-line.ts'
import { lanes, lastFrame, nameBytes, nameOf, readLastFrame, secretBytes } from './invitation.ts'
import type { LaneSocketComponents } from './lane-socket.ts'
import { newLineCounters } from './line-counters.ts'
import { directLimits, frameLimits } from './line-limits.ts'
import { LineServer } from './line-tls.ts'
import { QueueBudget } from './queue-budget.ts'

/** What direct lines stand on. */
export interface DirectTransportComponents {
  /** The program's lines. */
  readonly base: TrackerTransport
  readonly introducer: LineIntroducer
  readonly clock: Clock
  readonly logger: RaftLogger
  /** A number in [0, 1). */
  readonly random: () => number
  /** From a source that nobody can guess. */
  readonly randomBytes: (length: number) => Uint8Array
  /** Whether a peer is invited that asks. */
  readonly mayInvite: (peerId: string) => boolean
}

/** A peer that the program has a connection to. */
interface LinkedPeer {
  /** There while the link counts as broken. */
  mend: CancelTimer | undefined
  standing: DirectLine | undefined
  /** On their way: one that was asked for, one that was given. */
  sought: DirectLine | undefined
  invited: DirectLine | undefined
  isSeeking: boolean
  failures: number
  retryAtMs: number
  /** Lanes on which something went over the program's lines. */
  readonly baseLanes: Set<Lane>
  calls: number
}

/** The lines of one tracker. */
export class DirectTransport implements TrackerTransport {
  readonly peerId: string
  readonly counters = newLineCounters()
  readonly #components: DirectTransportComponents
  readonly #socketComponents: LaneSocketComponents
  readonly #peers = new Map<string, LinkedPeer>()
  /** All that stand or are on their way, by name. */
  readonly #lines = new Map<string, DirectLine>()
  readonly #server: LineServer
  #port: Promise<number | undefined> = Promise.resolve(undefined)
  #handlers: TransportHandlers | undefined
  #cancelSweep: CancelTimer | undefined
  #isStopped = false

  constructor(components: DirectTransportComponents) {
    this.#components = components
    const { base, clock } = components
    const { counters } = this
    this.peerId = base.peerId
    this.#socketComponents = {
      ...{ clock, counters, budget: new QueueBudget() },
      onHeld: () => this.#keepWithinMemory(),
      onFrame: (peerId, lane, frame) => this.#handlers?.onFrame(peerId, lane, frame),
    }
    this.#server = new LineServer({
      secretOf: (name, lane) => {
        const line = this.#lines.get(name)
        return line?.awaits(lane) ? line.secret : undefined
      },
      onLane: (name, lane, socket) => {
        const line = this.#lines.get(name)
        if (line !== undefined) line.attach(lane, socket)
        else socket.destroy()
      },
      onRefused: () => {
        counters.refused += 1
      },
    })
  }

  /** Figures of the lines, by name. */
  get figures(): Readonly<Record<string, number>> {
    let standing = 0
    for (const { isStanding } of this.#lines.values()) if (isStanding) standing += 1
    const { queuedBytes } = this.#socketComponents.budget
    const counters = Object.entries(this.counters).map(
      ([name, value]) => [`lines.${name}`, value] as const,
    )
    return {
      ...Object.fromEntries(counters),
      ...{ 'lines.standing': standing, 'lines.queued_bytes': queuedBytes },
    }
  }

  start(handlers: TransportHandlers): void {
    const { base, introducer } = this.#components
    this.#handlers = handlers
    this.#port = this.#listen()
    introducer.answer((peerId) => this.#invite(peerId))
    base.start({
      onFrame: (peerId, lane, frame) => this.#onBaseFrame(peerId, lane, frame),
      onLink: (peerId, isUp) => this.#onBaseLink(peerId, isUp),
    })
    this.#scheduleSweep()
  }

  send(peerId: string, lane: Lane, frame: Uint8Array): boolean {
    const peer = this.#peers.get(peerId)
    const line = peer?.standing
    if (line !== undefined) return line.send(lane, frame)
    // Most lines break because the peer is gone, which the program hears a little later: a request would wait for its time to run out.
    if (lane === 'call' && peer?.mend !== undefined) return false
    const isTaken = this.#components.base.send(peerId, lane, frame)
    if (peer !== undefined) {
      if (isTaken) peer.baseLanes.add(lane)
      this.#seekIfWorth(peerId, peer, lane)
    }
    return isTaken
  }

  /** Ends all direct lines. */
  stop(): void {
    this.#isStopped = true
    this.#cancelSweep?.()
    this.#server.close()
    for (const { mend } of this.#peers.values()) mend?.()
    this.#peers.clear()
    for (const line of [...this.#lines.values()]) line.end('stopped')
  }

  async #listen(): Promise<number | undefined> {
    const { introducer, logger } = this.#components
    if (introducer.listen === undefined) return undefined
    try {
      return await this.#server.listen(introducer.listen)
    } catch (error) {
      logger.warn?.(`other trackers cannot call this one directly: ${error}`)
      return undefined
    }
  }

  #onBaseFrame(peerId: string, lane: Lane, frame: Uint8Array): void {
    const name = readLastFrame(frame)
    if (name === undefined) {
      this.#handlers?.onFrame(peerId, lane, frame)
      return
    }
    const line = this.#lines.get(name)
    if (line?.peerId === peerId) line.openGate(lane)
  }

  #onBaseLink(peerId: string, isUp: boolean): void {
    const peer = this.#peers.get(peerId)
    if (isUp) {
      if (peer === undefined) {
        this.#peers.set(peerId, newPeer())
        this.#handlers?.onLink(peerId, true)
      }
      return
    }
    if (peer === undefined) return
    this.#peers.delete(peerId)
    for (const line of [peer.standing, peer.sought, peer.invited]) line?.end('unlinked')
    if (peer.mend !== undefined) peer.mend()
    else this.#handlers?.onLink(peerId, false)
  }

  #seekIfWorth(peerId: string, peer: LinkedPeer, lane: Lane): void {
    if (peer.isSeeking || peer.sought !== undefined || peer.invited !== undefined) return
    if (lane === 'call') {
      peer.calls += 1
      if (peer.calls < directLimits.callsBeforeLine) return
    }
    if (this.#lines.size >= directLimits.linesMax) return
    if (this.#components.clock.monotonicMs() < peer.retryAtMs) return
    peer.isSeeking = true
    this.counters.sought += 1
    void this.#seek(peerId, peer)
  }

  async #seek(peerId: string, peer: LinkedPeer): Promise<void> {
    let address: LineAddress | undefined
    try {
      address = await this.#components.introducer.ask(peerId)
    } catch (error) {
      this.#components.logger.debug?.(`no direct line to ${peerId}: ${error}`)
    }
    peer.isSeeking = false
    if (this.#peers.get(peerId) !== peer || peer.standing !== undefined) return
    if (address === undefined || this.#lines.size >= directLimits.linesMax) {
      this.counters.failed += 1
      this.#retreat(peer)
      return
    }
    const line = this.#newLine(peerId, address.name, address.secret)
    peer.sought = line
    line.call(address)
  }

  async #invite(peerId: string): Promise<LineInvitation | undefined> {
    const port = await this.#port
    const { mayInvite, randomBytes } = this.#components
    const peer = this.#peers.get(peerId)
    if (this.#isStopped || port === undefined || peer === undefined) return undefined
    // Both ask: one of the two lines is enough.
    const isBusy = peer.isSeeking || peer.sought !== undefined
    if (!mayInvite(peerId) || (isBusy && this.peerId < peerId)) return undefined
    if (this.#lines.size >= directLimits.linesMax) return undefined
    peer.invited?.end('replaced')
    const line = this.#newLine(peerId, nameOf(randomBytes(nameBytes)), randomBytes(secretBytes))
    peer.invited = line
    this.counters.invited += 1
    return { port, name: line.name, secret: line.secret }
  }

  #newLine(peerId: string, name: string, secret: Uint8Array): DirectLine {
    const line = new DirectLine(this.#socketComponents, {
      ...{ peerId, name, secret },
      onStanding: () => this.#onStanding(line),
      onEnd: () => this.#onEnd(line),
    })
    this.#lines.set(name, line)
    return line
  }

  #onStanding(line: DirectLine): void {
    const { peerId } = line
    const peer = this.#peers.get(peerId)
    if (peer === undefined) {
      line.end('unlinked')
      return
    }
    const before = peer.standing
    peer.standing = line
    if (peer.sought === line) peer.sought = undefined
    if (peer.invited === line) peer.invited = undefined
    // The other side lost its end of the one before.
    before?.end('replaced')
    this.counters.opened += 1
    for (const lane of lanes) {
      const { base } = this.#components
      const goesOn = peer.baseLanes.has(lane) && base.send(peerId, lane, lastFrame(line.name))
      line.open(lane, goesOn)
    }
    peer.baseLanes.clear()
    this.#mend(peerId, peer)
  }

  #onEnd(line: DirectLine): void {
    const { peerId, name } = line
    this.#lines.delete(name)
    const peer = this.#peers.get(peerId)
    if (line.hasStood) this.counters.ended += 1
    if (peer === undefined) return
    if (peer.standing === line) {
      peer.standing = undefined
      if (line.wasSteady) peer.failures = 0
      this.#retreat(peer)
      this.#break(peerId, peer)
    } else if (peer.sought === line) {
      peer.sought = undefined
      this.counters.failed += 1
      this.#retreat(peer)
    } else if (peer.invited === line) peer.invited = undefined
  }

  #retreat(peer: LinkedPeer): void {
    const { clock, random } = this.#components
    const { retryMsMin, retryMsMax, retryJitterShare } = directLimits
    const waitMs = Math.min(retryMsMax, retryMsMin * 2 ** peer.failures)
    peer.failures += 1
    peer.retryAtMs = clock.monotonicMs() + waitMs * (1 - retryJitterShare * random())
  }

  /** What was on its way is lost: the link counts as broken for a moment, or until a line stands again. */
  #break(peerId: string, peer: LinkedPeer): void {
    if (peer.mend !== undefined) return
    peer.mend = this.#components.clock.after(frameLimits.blipMs, () => this.#mend(peerId, peer))
    this.#handlers?.onLink(peerId, false)
  }

  #mend(peerId: string, peer: LinkedPeer): void {
    if (peer.mend === undefined) return
    peer.mend()
    peer.mend = undefined
    this.#handlers?.onLink(peerId, true)
  }

  #scheduleSweep(): void {
    this.#cancelSweep = this.#components.clock.after(frameLimits.sweepMs, () => {
      for (const line of [...this.#lines.values()]) line.sweep()
      this.#scheduleSweep()
    })
  }

  /** Honest frames become whole soon; so whoever has been at one longest goes first. */
  #keepWithinMemory(): void {
    const sockets = [...this.#lines.values()].flatMap(({ partial }) => partial)
    let bytes = sockets.reduce((sum, { partialBytes }) => sum + partialBytes, 0)
    sockets.sort((a, b) => (a.partialSinceMs ?? 0) - (b.partialSinceMs ?? 0))
    for (const socket of sockets) {
      if (bytes <= frameLimits.partialBytesTotalMax) return
      bytes -= socket.partialBytes
      socket.end('memory')
    }
  }
}

function newPeer(): LinkedPeer {
  return {
    ...{ mend: undefined, standing: undefined, sought: undefined, invited: undefined },
    ...{ isSeeking: false, failures: 0, retryAtMs: Number.NEGATIVE_INFINITY },
    ...{ baseLanes: new Set<Lane>(), calls: 0 },
  }
}
