/** Trackers' lines that may go directly, over real sockets of this machine; the program's lines in between are in memory, and can be slow, deaf or cut. */
import { randomBytes } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import { DirectTransport } from '../../src/lines/direct-transport.ts'
import { lanes } from '../../src/lines/invitation.ts'
import { callLane } from '../../src/lines/line-tls.ts'
import type {
  Lane,
  LineAddress,
  LineIntroducer,
  LineInvitation,
  TrackerTransport,
  TransportHandlers,
} from '../../src/transport.ts'
import { ManualClock } from './manual-clock.ts'

/** What a peer heard. */
export interface Heard {
  readonly peerId: string
  readonly lane: Lane
  readonly frame: Uint8Array
}

/** One peer. */
export interface DirectSide {
  readonly peerId: string
  readonly transport: DirectTransport
  readonly frames: Heard[]
  /** `+peer` and `-peer`. */
  readonly links: string[]
  /** Frames that went over the program's lines. */
  baseFrames: number
  /** Asks as another peer would. */
  invite(peerId: string): Promise<LineInvitation | undefined>
}

/** Peers, the program's lines between them, and who introduces whom. */
export class DirectStage {
  readonly clock = new ManualClock()
  readonly #sides = new Map<string, DirectSide & { readonly handlers: TransportHandlers }>()
  /** Frames on the program's lines; they go when they are let go. */
  readonly #onWay: (() => void)[] = []
  /** Frames wait on the way, until {@link letGo}. */
  isSlow = false
  /** Loses a frame of the program's lines. */
  loses: (frame: Uint8Array) => boolean = () => false
  /** What becomes of an invitation on its way; undefined: it does not come. */
  tells: (address: LineAddress) => LineAddress | undefined = (address) => address
  /** Whether one reached the other. */
  dialled: (from: string, to: string) => boolean = () => true
  mayInvite: (peerId: string) => boolean = () => true

  /** A peer; ends with the test. */
  add(t: Test, peerId: string): DirectSide {
    const frames: Heard[] = []
    const links: string[] = []
    let answer: Parameters<LineIntroducer['answer']>[0] = async () => undefined
    let handlers: TransportHandlers | undefined
    const base: TrackerTransport = {
      peerId,
      send: (to, lane, frame) => this.#carry(peerId, to, lane, frame),
      start: (given) => {
        handlers = given
      },
    }
    const introducer: LineIntroducer = {
      listen: { host: '127.0.0.1', port: 0 },
      ask: async (to) => {
        if (!this.dialled(peerId, to)) return undefined
        const invitation = await this.#sides.get(to)?.invite(peerId)
        return invitation && this.tells({ host: '127.0.0.1', ...invitation })
      },
      answer: (given) => {
        answer = given
      },
    }
    const transport = new DirectTransport({
      ...{ base, introducer, clock: this.clock, logger: {}, randomBytes },
      ...{ random: () => 0, mayInvite: (other) => this.mayInvite(other) },
    })
    t.teardown(() => transport.stop())
    transport.start({
      onFrame: (from, lane, frame) => frames.push({ peerId: from, lane, frame }),
      onLink: (from, isUp) => links.push(`${isUp ? '+' : '-'}${from}`),
    })
    if (handlers === undefined) throw new Error('the lines were not started')
    const side = {
      ...{ peerId, transport, frames, links, handlers, baseFrames: 0 },
      invite: (from: string) => answer(from),
    }
    this.#sides.set(peerId, side)
    return side
  }

  /** The program's connection between two peers is made, or breaks. One of the two may be none of the stage. */
  link(a: string, b: string, isUp: boolean): void {
    this.#sides.get(a)?.handlers.onLink(b, isUp)
    this.#sides.get(b)?.handlers.onLink(a, isUp)
  }

  /** A frame over the program's lines, of a peer that is none of the stage. */
  tell(from: string, to: string, lane: Lane, frame: Uint8Array): void {
    this.#sides.get(to)?.handlers.onFrame(from, lane, frame)
  }

  /** What waits on the program's lines goes on. */
  letGo(): void {
    this.isSlow = false
    for (const go of this.#onWay.splice(0)) go()
  }

  #carry(from: string, to: string, lane: Lane, frame: Uint8Array): boolean {
    const sender = this.#sides.get(from)
    if (sender !== undefined) sender.baseFrames += 1
    if (this.loses(frame)) return true
    const go = () => this.#sides.get(to)?.handlers.onFrame(from, lane, frame)
    if (this.isSlow || this.#onWay.length > 0) this.#onWay.push(go)
    else setImmediate(go)
    return true
  }
}

/** Three sockets to a peer by hand, as a neighbour has them that keeps to no rule. */
export async function callByHand(
  t: Test,
  invitation: LineInvitation,
): Promise<Record<Lane, TLSSocket>> {
  const sockets = lanes.map((lane) => {
    const socket = callLane({ host: '127.0.0.1', ...invitation, lane })
    t.teardown(() => socket.destroy())
    socket.on('error', () => {})
    return socket
  })
  await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<void>((resolve, reject) => {
          socket.once('secureConnect', resolve)
          socket.once('close', () => reject(new Error('the call was refused')))
        }),
    ),
  )
  return Object.fromEntries(lanes.map((lane, index) => [lane, sockets[index]])) as Record<
    Lane,
    TLSSocket
  >
}

/** Resolves once it is so; what it waits for comes over sockets, and nothing else tells. */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  for (let turn = 0; !isSo(); turn += 1) {
    if (turn > 4_000) throw new Error(`never came: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
