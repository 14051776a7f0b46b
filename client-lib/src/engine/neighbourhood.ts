/**
 * The edge and the other pages, for the engine: what they say becomes events of the scheduler and bytes for the memory; what the scheduler wants of
 * them is passed on. Where there is no WebRTC, or no edge, there is nobody, and everything comes by HTTP.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import type { PartMemory } from '../memory/part-memory.ts'
import { Mesh, type MeshEvents, type PeerFigures } from '../mesh/mesh.ts'
import type {
  Digests,
  EdgeMessage,
  Follow,
  PageMessage,
  Welcome,
} from '../protocol/edge-messages.ts'
import type { PartKey } from '../protocol/part-key.ts'
import type { SchedulerEvent } from '../scheduler/events.ts'
import { EdgeLine } from '../signalling/edge-line.ts'
import type { Playing } from './part-request.ts'

/** What of the browser it uses. */
export interface NeighbourhoodComponents {
  readonly clock: Clock
  /** 0 to 1. */
  readonly random: () => number
  readonly memory: PartMemory
  /** Absent where there is no WebRTC. */
  readonly createConnection?: (config: RTCConfiguration) => RTCPeerConnection
  readonly openSocket: (url: string, protocol: string) => WebSocket
}

/** Where it is, and who is told. */
export interface NeighbourhoodInit {
  readonly edges: readonly string[]
  readonly swarm: string
  readonly ticket?: string
  readonly uploadBps: number
  readonly isRelayed: boolean
  readonly onEvent: (event: SchedulerEvent) => void
  readonly onChunk: (peer: string, key: PartKey, offset: number, bytes: Uint8Array) => void
  readonly onLength: (peer: string, key: PartKey, bytes: number) => void
  readonly onDigests: (parts: Digests['parts']) => void
  readonly onPeer: (peer: string, isUp: boolean) => void
  readonly onOff: (detail: string) => void
}

/** How it is doing. */
export interface NeighbourhoodFigures {
  /** The edge that is spoken to, or tried. */
  readonly edge: string | undefined
  readonly isEdgeOpen: boolean
  /** What the edge said when it wanted nothing of this page. */
  readonly off: string | undefined
  readonly peers: readonly PeerFigures[]
}

/** The others. */
export class Neighbourhood {
  readonly #components: NeighbourhoodComponents
  readonly #init: NeighbourhoodInit
  readonly #line: EdgeLine | undefined
  #mesh: Mesh | undefined
  #uploadBps: number
  #follow: Follow = { kind: 'follow' }
  #off: string | undefined
  #isEdgeOpen = false
  #cancelState: CancelTimer = () => {}

  constructor(components: NeighbourhoodComponents, init: NeighbourhoodInit) {
    this.#components = components
    this.#init = init
    this.#uploadBps = init.uploadBps
    const isAlone = components.createConnection === undefined || init.edges.length === 0
    if (!isAlone) this.#line = this.#createLine()
  }

  start(): void {
    if (this.#line === undefined) return
    this.#init.onEvent({ type: 'edge', isOpen: false, isTried: true })
    this.#line.start()
  }

  stop(): void {
    this.#cancelState()
    this.#mesh?.close()
    this.#line?.stop()
  }

  figures(): NeighbourhoodFigures {
    return {
      edge: this.#line?.url,
      isEdgeOpen: this.#isEdgeOpen,
      off: this.#off,
      peers: this.#mesh?.figures() ?? [],
    }
  }

  /** What is said while no edge listens is said again, or is moot, when one does. */
  tell(message: PageMessage): void {
    this.#line?.send(message)
  }

  /** False when the peer cannot be asked. */
  ask(peer: string, key: PartKey, from: number, to: number | undefined): boolean {
    return this.#mesh?.ask(peer, key, from, to) === true
  }

  cancel(peer: string, key: PartKey): void {
    this.#mesh?.cancel(peer, key)
  }

  push(peer: string, key: PartKey): void {
    this.#mesh?.push(peer, key)
  }

  drop(peer: string): void {
    this.#mesh?.drop(peer)
  }

  tellHave(key: PartKey, bytes: number | undefined, isWhole: boolean): void {
    this.#mesh?.tellHave([{ key, ...(bytes !== undefined && { bytes }), isWhole }])
  }

  tellLost(key: PartKey): void {
    this.#mesh?.tellLost([key])
  }

  /** The trees of which rendition this page is to be in. */
  play(playing: Playing | undefined): void {
    const before = this.#follow
    this.#follow = !playing?.isLive
      ? { kind: 'follow' }
      : { kind: 'follow', rendition: playing.rendition, partMs: playing.partMs }
    const { rendition, partMs } = this.#follow
    if (rendition !== before.rendition || partMs !== before.partMs) this.tell(this.#follow)
  }

  /** What may be sent, bits a second. */
  setUpload(bps: number): void {
    this.#uploadBps = bps
    this.#mesh?.setUpload(bps)
    this.#tellState()
  }

  #createLine(): EdgeLine {
    const { edges, swarm, ticket } = this.#init
    return new EdgeLine(this.#components, {
      urls: edges,
      hello: (session) => ({
        kind: 'hello',
        swarm,
        ...(ticket !== undefined && { ticket }),
        uploadBps: this.#uploadBps,
        canConnect: true,
        ...(session !== undefined && { session }),
      }),
      onMessage: (message) => this.#hear(message),
      onState: (isOpen) => this.#noteEdge(isOpen),
    })
  }

  #noteEdge(isOpen: boolean): void {
    this.#isEdgeOpen = isOpen
    if (!isOpen) this.#cancelState()
    this.#init.onEvent({ type: 'edge', isOpen, isTried: !isOpen })
    if (!isOpen) return
    if (this.#follow.rendition !== undefined) this.tell(this.#follow)
    // Another edge, or the same one begun anew, knows nothing of what is held here.
    this.#tellState()
  }

  #hear(message: EdgeMessage): void {
    const { onEvent, onDigests, onOff } = this.#init
    const { clock } = this.#components
    switch (message.kind) {
      case 'welcome':
        this.#welcome(message)
        break
      case 'peers':
        this.#mesh?.connect(message.connect)
        break
      case 'grant':
        onEvent({ type: 'grant', key: message.key, untilMs: clock.nowMs() + message.forMs })
        break
      case 'from': {
        const { key, peers, isWhole, forMs } = message
        onEvent({ type: 'from', key, peers, isWhole, untilMs: clock.nowMs() + forMs })
        break
      }
      case 'tree':
        onEvent({ type: 'tree', rendition: message.rendition, stripes: message.stripes })
        break
      case 'digests':
        onDigests(message.parts)
        break
      case 'signal':
        this.#mesh?.takeStep(message.from, message.step)
        break
      case 'gone':
        this.#mesh?.gone(message.id)
        break
      case 'off':
        this.#off = message.detail
        onOff(message.detail)
    }
  }

  #welcome({ iceServers, stateEveryMs }: Welcome): void {
    const { clock, createConnection } = this.#components
    const servers = iceServers.map(({ urls, ...rest }) => ({ urls: [...urls], ...rest }))
    this.#off = undefined
    if (this.#mesh !== undefined) this.#mesh.setIceServers(servers)
    else if (createConnection !== undefined) {
      this.#mesh = new Mesh(
        { ...this.#components, createConnection },
        {
          ...{ iceServers: servers, uploadBps: this.#uploadBps },
          ...{ isRelayed: this.#init.isRelayed, events: this.#meshEvents() },
        },
      )
    }
    this.#cancelState()
    const again = (): void => {
      this.#tellState()
      this.#cancelState = clock.after(stateEveryMs, again)
    }
    this.#cancelState = clock.after(stateEveryMs, again)
  }

  #meshEvents(): MeshEvents {
    const { onEvent, onChunk, onLength, onPeer } = this.#init
    return {
      onUp: (peer, rttMs) => {
        onPeer(peer, true)
        onEvent({ type: 'peer-up', peer, rttMs })
      },
      onDown: (peer) => {
        onPeer(peer, false)
        onEvent({ type: 'peer-down', peer })
      },
      onRtt: (peer, rttMs) => onEvent({ type: 'peer-rtt', peer, rttMs }),
      onHave: (peer, key, bytes, isWhole) =>
        onEvent({ type: 'peer-has', peer, key, bytes, isWhole }),
      onLost: (peer, key) => onEvent({ type: 'peer-lost', peer, key }),
      onPush: (peer, key) => onEvent({ type: 'push', peer, key }),
      onChunk,
      onLength,
      onEnd: (peer, key, isCut) => onEvent({ type: 'peer-end', peer, key, isCut }),
      onStep: (peer, step) => this.tell({ kind: 'signal', to: peer, step }),
    }
  }

  #tellState(): void {
    if (!this.#isEdgeOpen) return
    const neighbours = (this.#mesh?.figures() ?? []).map(({ peer, rttMs, downBps }) => ({
      ...{ id: peer, rttMs: Math.round(rttMs), downBps: Math.round(downBps) },
    }))
    const held = this.#components.memory.held()
    this.tell({ kind: 'state', held, uploadBps: this.#uploadBps, neighbours })
  }
}
