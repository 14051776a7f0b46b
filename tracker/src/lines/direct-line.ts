/** A direct line to one peer: a socket a lane, which stand and break together. */
import type { TLSSocket } from 'node:tls'
import type { CancelTimer } from '../clock.ts'
import type { Lane } from '../transport.ts'
import { lanes } from './invitation.ts'
import { LaneSocket, type LaneSocketComponents } from './lane-socket.ts'
import { directLimits } from './line-limits.ts'
import { callLane } from './line-tls.ts'

/** Whose line it is, and who hears of it. */
export interface DirectLineInit {
  readonly peerId: string
  readonly name: string
  readonly secret: Uint8Array
  /** All sockets are there. */
  readonly onStanding: (line: DirectLine) => void
  readonly onEnd: (line: DirectLine, reason: string) => void
}

/** The line. */
export class DirectLine {
  readonly peerId: string
  readonly name: string
  readonly secret: Uint8Array
  readonly #components: LaneSocketComponents
  readonly #init: DirectLineInit
  readonly #sockets = new Map<Lane, LaneSocket>()
  /** Those that have not proved anything yet. */
  readonly #calling = new Set<TLSSocket>()
  /** Lanes whose last frame on the host's streams came before their socket. */
  readonly #openGates = new Set<Lane>()
  readonly #cancelOpening: CancelTimer
  #state: 'opening' | 'standing' | 'ended' = 'opening'
  /** Monotonic. */
  #stoodAtMs: number | undefined

  constructor(components: LaneSocketComponents, init: DirectLineInit) {
    this.#components = components
    this.#init = init
    this.peerId = init.peerId
    this.name = init.name
    this.secret = init.secret
    this.#cancelOpening = components.clock.after(directLimits.openMsMax, () => this.end('late'))
  }

  get isStanding(): boolean {
    return this.#state === 'standing'
  }

  /** Whether it stood at all; then what was on its way is lost when it ends. */
  get hasStood(): boolean {
    return this.#stoodAtMs !== undefined
  }

  /** Whether it stood so long that whatever broke it is another matter than what kept it from standing. */
  get wasSteady(): boolean {
    const nowMs = this.#components.clock.monotonicMs()
    return nowMs - (this.#stoodAtMs ?? nowMs) >= directLimits.steadyMs
  }

  /** Whether a socket of the lane may still come. */
  awaits(lane: Lane): boolean {
    return this.#state === 'opening' && !this.#sockets.has(lane)
  }

  /** Calls the peer that gave the invitation, once for each lane. */
  call({ host, port }: { readonly host: string; readonly port: number }): void {
    const { name, secret } = this
    for (const lane of lanes) {
      const socket = callLane({ host, port, name, secret, lane })
      this.#calling.add(socket)
      const fail = (): void => this.end('unreachable')
      // 'close' follows.
      socket.on('error', () => {})
      socket.once('close', fail)
      socket.once('secureConnect', () => {
        this.#calling.delete(socket)
        socket.off('close', fail)
        this.attach(lane, socket)
      })
    }
  }

  /** The socket of a lane is there and authenticated. */
  attach(lane: Lane, socket: TLSSocket): void {
    if (!this.awaits(lane)) {
      socket.destroy()
      return
    }
    const { peerId } = this
    const onEnd = (reason: string): void => this.end(reason)
    const laneSocket = new LaneSocket(this.#components, { peerId, lane, socket, onEnd })
    this.#sockets.set(lane, laneSocket)
    if (this.#openGates.has(lane)) laneSocket.openGate()
    if (this.#sockets.size < lanes.length) return
    this.#cancelOpening()
    this.#state = 'standing'
    this.#stoodAtMs = this.#components.clock.monotonicMs()
    this.#init.onStanding(this)
  }

  /** Frames of a lane may go out. @param goesOn some went over the host's streams, and a last one says so */
  open(lane: Lane, goesOn: boolean): void {
    this.#sockets.get(lane)?.open(goesOn)
  }

  /** The last frame of a lane on the host's streams came. */
  openGate(lane: Lane): void {
    this.#openGates.add(lane)
    this.#sockets.get(lane)?.openGate()
  }

  /** Queues a frame. @returns false when it was dropped */
  send(lane: Lane, frame: Uint8Array): boolean {
    return this.#sockets.get(lane)?.send(frame) ?? false
  }

  /** Sockets that hold a part of a frame. */
  get partial(): readonly LaneSocket[] {
    return [...this.#sockets.values()].filter(({ partialBytes }) => partialBytes > 0)
  }

  sweep(): void {
    for (const socket of this.#sockets.values()) socket.sweep()
  }

  /** Breaks all of it off. */
  end(reason: string): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#cancelOpening()
    for (const socket of this.#calling) socket.destroy()
    for (const socket of this.#sockets.values()) socket.end(reason)
    this.#init.onEnd(this, reason)
  }
}
