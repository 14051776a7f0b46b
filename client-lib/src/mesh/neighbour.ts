/** One other page: the connection to it, what goes there and what comes from there. */
import type { Clock } from '../clock.ts'
import type { PartMemory } from '../memory/part-memory.ts'
import { readChunk } from '../protocol/chunk.ts'
import type { PageId, Step } from '../protocol/edge-messages.ts'
import type { MeshMessage } from '../protocol/mesh-messages.ts'
import type { PartKey } from '../protocol/part-key.ts'
import { ProtocolError } from '../protocol/protocol-error.ts'
import { readMeshMessage } from '../protocol/read-mesh-message.ts'
import { writeMessage } from '../protocol/write-message.ts'
import { Heartbeat } from './heartbeat.ts'
import { type Holdings, haveMessages } from './holdings.ts'
import { Inbox } from './inbox.ts'
import { meshLimits as limits } from './limits.ts'
import type { MeshEvents } from './mesh.ts'
import { Outbox } from './outbox.ts'
import { PeerLink } from './peer-link.ts'
import { RateMeter } from './rate-meter.ts'
import { TokenBucket } from './token-bucket.ts'
import type { UploadTurns } from './upload-turns.ts'

/**
 * Why a connection ended: the peer broke the protocol (`bytes`), said nothing any more (`silent`), could not be reached (`failed`), closed it
 * (`closed`), took nothing of what it is told (`slow`), left the swarm (`gone`), or this page wanted it so (`dropped`).
 */
export type DownReason = 'bytes' | 'silent' | 'failed' | 'closed' | 'slow' | 'gone' | 'dropped'

/** How a peer is doing. Rates in bits a second, of late; bytes of parts since it came. */
export interface PeerFigures {
  readonly peer: PageId
  readonly rttMs: number
  readonly upBps: number
  readonly downBps: number
  readonly sentBytes: number
  readonly gotBytes: number
  /** Under way here, from there. */
  readonly asks: number
  /** Asks and pushes under way to there. */
  readonly sends: number
}

/** What it works with. */
export interface NeighbourComponents {
  readonly clock: Clock
  readonly random: () => number
  readonly memory: PartMemory
  readonly turns: UploadTurns
  readonly holdings: Holdings
  readonly createConnection: (config: RTCConfiguration) => RTCPeerConnection
}

/** How it is set up, and who is told. */
export interface NeighbourInit {
  readonly peer: PageId
  readonly config: RTCConfiguration
  readonly isOffering: boolean
  readonly events: MeshEvents
  /** It has ended, by itself or by {@link Neighbour.end}. */
  readonly onEnded: (reason: DownReason) => void
}

/** Another page. */
export class Neighbour {
  readonly #components: NeighbourComponents
  readonly #init: NeighbourInit
  readonly #link: PeerLink
  readonly #heartbeat: Heartbeat
  readonly #inbox: Inbox
  readonly #outbox: Outbox
  readonly #messages: TokenBucket
  readonly #sent = new RateMeter()
  readonly #got = new RateMeter()
  #state: 'connecting' | 'up' | 'ended' = 'connecting'

  /** @throws where the browser makes no connection */
  constructor(components: NeighbourComponents, init: NeighbourInit) {
    const { clock } = components
    this.#components = components
    this.#init = init
    this.#messages = new TokenBucket(clock, limits.messagesBurst, limits.messagesPerSecond)
    const { peer, config, isOffering, events } = init
    this.#link = new PeerLink(components, {
      ...{ config, isOffering },
      onStep: (step) => events.onStep(peer, step),
      onOpen: () => this.#heartbeat.start(),
      onControl: (data) => this.#guard(() => this.#takeControl(data)),
      onChunk: (data) => this.#guard(() => this.#takeChunk(data)),
      onRoom: () => this.#outbox.resume(),
      onClosed: (reason) => this.end(reason),
    })
    const send = (message: MeshMessage): void => this.#send(message)
    this.#heartbeat = new Heartbeat(components, {
      send,
      onRtt: (rttMs) => this.#measured(rttMs),
      onSilent: () => this.end('silent'),
    })
    this.#inbox = this.#createInbox(send)
    this.#outbox = new Outbox(
      { ...components, chunks: this.#link.chunks, send },
      {
        isPromised: (key) => components.holdings.has(key),
        onSent: (bytes) => this.#sent.add(bytes, clock.nowMs()),
      },
    )
  }

  get isUp(): boolean {
    return this.#state === 'up'
  }

  get link(): PeerLink {
    return this.#link
  }

  takeStep(step: Step): void {
    this.#link.takeStep(step)
  }

  ask(key: PartKey, from: number, to: number | undefined): boolean {
    return this.isUp && this.#inbox.ask(key, from, to)
  }

  cancel(key: PartKey): void {
    if (this.isUp) this.#inbox.cancel(key)
  }

  push(key: PartKey): void {
    if (this.isUp) this.#outbox.push(key)
  }

  /** No more is sent of a part, or of any. */
  cut(key?: PartKey): void {
    this.#outbox.cut(key)
  }

  tell(messages: readonly MeshMessage[]): void {
    if (this.isUp) for (const message of messages) this.#send(message)
  }

  /** Ends the connection, if it has not ended; `onEnded` is told. */
  end(reason: DownReason): void {
    if (this.#state === 'ended') return
    this.close()
    this.#init.onEnded(reason)
  }

  /** Ends it, and nobody is told. */
  close(): void {
    this.#state = 'ended'
    this.#heartbeat.stop()
    this.#outbox.close()
    this.#link.close()
  }

  figures(): PeerFigures {
    const nowMs = this.#components.clock.nowMs()
    return {
      peer: this.#init.peer,
      rttMs: this.#heartbeat.rttMs ?? 0,
      upBps: this.#sent.bps(nowMs),
      downBps: this.#got.bps(nowMs),
      sentBytes: this.#sent.bytes,
      gotBytes: this.#got.bytes,
      asks: this.#inbox.asks,
      sends: this.#outbox.size,
    }
  }

  /** The first answer says that both directions work: it is up then. What the peer tells comes after, since its own answer came before. */
  #measured(rttMs: number): void {
    const { peer, events } = this.#init
    if (this.#state === 'up') {
      events.onRtt(peer, rttMs)
      this.#outbox.resume()
      return
    }
    this.#state = 'up'
    const { turns, holdings } = this.#components
    if (turns.bps > 0) this.tell(haveMessages(holdings.parts))
    events.onUp(peer, rttMs)
  }

  #createInbox(send: (message: MeshMessage) => void): Inbox {
    const { peer, events } = this.#init
    const { clock } = this.#components
    const unlessEnded = (then: () => void): void => {
      if (this.#state !== 'ended') then()
    }
    return new Inbox({
      send,
      onHave: (key, bytes, isWhole) => unlessEnded(() => events.onHave(peer, key, bytes, isWhole)),
      onLost: (key) => unlessEnded(() => events.onLost(peer, key)),
      onPush: (key) => unlessEnded(() => events.onPush(peer, key)),
      onChunk: (key, offset, bytes) =>
        unlessEnded(() => {
          this.#got.add(bytes.length, clock.nowMs())
          events.onChunk(peer, key, offset, bytes)
        }),
      onLength: (key, bytes) => unlessEnded(() => events.onLength(peer, key, bytes)),
      onEnd: (key, isCut) => unlessEnded(() => events.onEnd(peer, key, isCut)),
    })
  }

  #takeControl(data: unknown): void {
    if (typeof data !== 'string') throw new ProtocolError('not a text')
    if (!this.#messages.take(1 + data.length / limits.messageChars)) {
      throw new ProtocolError('too many messages')
    }
    const message = readMeshMessage(data)
    if (message !== undefined) this.#take(message)
    this.#components.turns.give()
  }

  #take(message: MeshMessage): void {
    switch (message.kind) {
      case 'have':
        this.#inbox.takeHave(message)
        break
      case 'lost':
        this.#inbox.takeLost(message)
        break
      case 'ask':
        this.#outbox.takeAsk(message)
        break
      case 'cancel':
        this.#outbox.takeCancel(message.no)
        break
      case 'push':
        this.#inbox.takePush(message)
        break
      case 'end':
        this.#inbox.takeEnd(message)
        break
      case 'ping':
        this.#send({ kind: 'pong', no: message.no })
        break
      case 'pong':
        this.#heartbeat.takePong(message.no)
        break
    }
  }

  #takeChunk(data: unknown): void {
    this.#inbox.takeChunk(readChunk(data))
    this.#components.turns.give()
  }

  /** What a peer says may be wrong in any way: it is the end of the connection, and of nothing else. */
  #guard(take: () => void): void {
    if (this.#state === 'ended') return
    this.#heartbeat.heard()
    try {
      take()
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.end('bytes')
    }
  }

  #send(message: MeshMessage): void {
    const { control } = this.#link
    if (control.readyState !== 'open') return
    if (control.bufferedAmount > limits.controlBytesMax) this.end('slow')
    else control.send(writeMessage(message))
  }
}
