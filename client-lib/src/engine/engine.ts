/**
 * The engine of one page and one stream: it turns what its rooms notice into events of the scheduler, and does what the scheduler wants. The player
 * asks it for parts and is answered with checked bytes, whoever brought them.
 */
import type { CancelTimer } from '../clock.ts'
import { PartDigests } from '../integrity/part-digests.ts'
import { PartMemory } from '../memory/part-memory.ts'
import type { PartKey } from '../protocol/part-key.ts'
import { ProtocolError } from '../protocol/protocol-error.ts'
import type { SchedulerAction, SchedulerEvent } from '../scheduler/events.ts'
import { PartScheduler } from '../scheduler/scheduler.ts'
import { Fetches, type FetchesComponents } from './fetches.ts'
import {
  Neighbourhood,
  type NeighbourhoodComponents,
  type NeighbourhoodFigures,
  type NeighbourhoodInit,
} from './neighbourhood.ts'
import type { PartCallbacks, PartEngine, PartRequest, PartSource, Playing } from './part-request.ts'
import { Sources } from './sources.ts'
import { Verification } from './verification.ts'
import { Wishes } from './wishes.ts'

/** What of the browser an engine uses. */
export type SwarmEngineComponents = Omit<NeighbourhoodComponents & FetchesComponents, 'memory'>

/** How it is set up. */
export interface SwarmEngineInit
  extends Pick<NeighbourhoodInit, 'edges' | 'swarm' | 'ticket' | 'uploadBps' | 'isRelayed'> {
  readonly memoryBytesMax: number
  /** Headers, credentials and the like for requests of media. */
  readonly request?: (url: string) => RequestInit
  readonly events: SwarmEngineEvents
}

/** What an engine tells. */
export interface SwarmEngineEvents {
  readonly onPeer: (peer: string, isUp: boolean) => void
  /** @param peer absent: by HTTP */
  readonly onBytes: (key: PartKey, bytes: number, peer: string | undefined) => void
  /** A part is whole and checked. */
  readonly onPart: (key: PartKey, by: { readonly http: number; readonly peers: number }) => void
  /** Bytes of a part were thrown away; by whom some of them were. */
  readonly onRefused: (key: PartKey, peers: readonly string[]) => void
  /** There is no swarm for this page, and why. */
  readonly onOff: (detail: string) => void
}

/** How an engine is doing. */
export interface SwarmEngineFigures extends NeighbourhoodFigures {
  readonly memoryBytes: number
  /** What HTTP brought of late while bytes flowed, bits a second; 0: not known. */
  readonly httpBps: number
  readonly scheduler: ReturnType<PartScheduler['figures']>
}

/** The engine. */
export class SwarmEngine implements PartEngine {
  readonly #components: SwarmEngineComponents
  readonly #events: SwarmEngineEvents
  readonly #scheduler: PartScheduler
  readonly #memory: PartMemory
  readonly #digests = new PartDigests()
  readonly #verification: Verification
  readonly #fetches: Fetches
  readonly #sources = new Sources()
  readonly #wishes: Wishes
  readonly #others: Neighbourhood
  readonly #queue: SchedulerEvent[] = []
  #isHandling = false
  #cancelWake: CancelTimer = () => {}
  #isStopped = false

  constructor(components: SwarmEngineComponents, init: SwarmEngineInit) {
    const { clock, random } = components
    this.#components = components
    this.#events = init.events
    this.#scheduler = new PartScheduler({ random })
    this.#memory = new PartMemory({
      bytesMax: init.memoryBytesMax,
      onEvicted: (key) => this.#evicted(key),
    })
    const memory = this.#memory
    this.#wishes = new Wishes({ clock, memory })
    this.#verification = new Verification(
      { clock, memory, digests: this.#digests },
      {
        onVerified: (key, digest) => this.#verified(key, digest),
        onUnknown: (key) => this.#describe([key]),
        onRefused: (key, peers) => this.#refused(key, peers),
      },
    )
    this.#fetches = new Fetches(
      { ...components, memory },
      {
        ...(init.request && { request: init.request }),
        onBytes: (key, from, to) => this.#came(key, from, to, undefined),
        onLength: (key, bytes) => this.#happened({ type: 'length', key, bytes }),
        onEnd: (key) => this.#happened({ type: 'fetched', key }),
        onFailure: (key, status, text) => this.#failed(key, status, text),
      },
    )
    this.#others = new Neighbourhood(
      { ...components, memory },
      {
        ...init,
        onEvent: (event) => {
          // Another edge knows nothing of what the one before was asked.
          if (event.type === 'edge' && event.isOpen) this.#describe(this.#verification.unknown)
          this.#happened(event)
        },
        onChunk: (peer, key, offset, bytes) => this.#take(peer, key, offset, bytes),
        onLength: (peer, key, bytes) => this.#takeLength(peer, key, bytes),
        onDigests: (parts) => this.#verification.told(this.#digests.add(parts)),
        onPeer: (peer, isUp) => this.#events.onPeer(peer, isUp),
        onOff: (detail) => this.#events.onOff(detail),
      },
    )
    this.#happened({ type: 'manners', mayTake: true, mayGive: init.uploadBps > 0 })
  }

  /** Connects to the edge; whatever is asked for before comes by HTTP. */
  start(): void {
    this.#others.start()
  }

  /** Ends everything; what players wait for is not answered any more. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#cancelWake()
    this.#wishes.clear()
    this.#fetches.stopAll()
    this.#verification.stop()
    this.#others.stop()
  }

  load(request: PartRequest, callbacks: PartCallbacks): () => void {
    const { key, deadlineMs, isUrgent } = request
    this.#sources.add(request)
    this.#memory.pin(key)
    const wish = this.#wishes.add(request, callbacks)
    if (this.#memory.isSealed(key)) this.#answer(key)
    else {
      this.#verification.hasten(key, deadlineMs)
      this.#happened({ type: 'want', key, deadlineMs, isUrgent })
    }
    return () => {
      if (!this.#wishes.remove(wish)) return
      this.#memory.unpin(key)
      if (!this.#wishes.has(key)) this.#happened({ type: 'unwant', key })
    }
  }

  hasten(key: PartKey, deadlineMs: number, isUrgent: boolean): void {
    if (!this.#wishes.move(key, deadlineMs)) return
    this.#verification.hasten(key, deadlineMs)
    this.#happened({ type: 'want', key, deadlineMs, isUrgent })
  }

  published(parts: readonly PartSource[]): void {
    for (const part of parts) this.#sources.add(part)
    this.#happened({ type: 'published', keys: parts.map(({ key }) => key) })
  }

  playing(now: Playing | undefined): void {
    if (now !== undefined) this.#memory.setPlayhead(now.rendition, now.sequence)
    this.#others.play(now)
  }

  /** Whether this page takes from others, and how much it gives them, bits a second. */
  setManners({ mayTake, uploadBps }: { readonly mayTake: boolean; readonly uploadBps: number }) {
    this.#others.setUpload(uploadBps)
    this.#happened({ type: 'manners', mayTake, mayGive: uploadBps > 0 })
  }

  figures(): SwarmEngineFigures {
    return {
      ...this.#others.figures(),
      memoryBytes: this.#memory.bytesHeld,
      httpBps: this.#fetches.bps,
      scheduler: this.#scheduler.figures(),
    }
  }

  /** Tells the scheduler, and does what it wants; what happens meanwhile has its turn afterwards. */
  #happened(event: SchedulerEvent): void {
    if (this.#isStopped) return
    this.#queue.push(event)
    if (this.#isHandling) return
    this.#isHandling = true
    const { clock } = this.#components
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        for (const action of this.#scheduler.handle(next, clock.nowMs())) this.#perform(action)
      }
    } finally {
      this.#isHandling = false
    }
    this.#cancelWake()
    const wakeAtMs = this.#scheduler.wakeAtMs()
    if (wakeAtMs === undefined) return
    const inMs = Math.max(0, wakeAtMs - clock.nowMs())
    this.#cancelWake = clock.after(inMs, () => this.#happened({ type: 'time' }))
  }

  #perform(action: SchedulerAction): void {
    const { key } = action as { readonly key: PartKey }
    switch (action.type) {
      case 'fetch':
        this.#fetch(key, action.from, action.to)
        break
      case 'stop-fetch':
        this.#fetches.stop(key)
        this.#others.tellLost(key)
        break
      case 'ask-peer': {
        const { peer, from, to } = action
        const isAsked = this.#others.ask(peer, key, from, to)
        if (isAsked) this.#describe([key])
        else this.#happened({ type: 'peer-end', peer, key, isCut: true })
        break
      }
      case 'cancel-peer':
        this.#others.cancel(action.peer, key)
        break
      case 'push':
        this.#others.push(action.peer, key)
        break
      case 'ask-edge':
        this.#others.tell({ kind: 'want', parts: action.parts })
        break
      case 'return-lease':
        this.#others.tell({ kind: 'failed', key })
        break
      case 'verify':
        void this.#verification.check(key, this.#wishes.deadlineMs(key))
        break
      case 'give-up':
        this.#wishes.fail(key, (failed) => this.#memory.unpin(failed))
        break
      case 'drop-peer': {
        const { peer, reason } = action
        this.#others.drop(peer)
        if (reason !== 'slow') this.#others.tell({ kind: 'report', peer, reason, key })
      }
    }
  }

  /** Has the edge say what parts are, unless it has. What is pushed along a tree it says by itself. */
  #describe(keys: readonly PartKey[]): void {
    const unknown = keys.filter((key) => this.#digests.get(key) === undefined)
    if (unknown.length > 0) this.#others.tell({ kind: 'describe', keys: unknown })
  }

  #fetch(key: PartKey, from: number, to: number | undefined): void {
    const source = this.#sources.get(key)
    if (source === undefined) {
      this.#failed(key, 0, 'no URL is known for it')
      return
    }
    // What comes from a page is not told to others before it is whole: two pages could wait for each other.
    if (from === 0) this.#others.tellHave(key, this.#memory.bytesOf(key), false)
    this.#fetches.start(source, from, to)
  }

  #failed(key: PartKey, status: number, text: string): void {
    this.#wishes.failing(key, status, text)
    this.#others.tellLost(key)
    this.#happened({ type: 'fetch-failed', key })
  }

  #came(key: PartKey, from: number, to: number, peer: string | undefined): void {
    this.#wishes.came(key)
    this.#events.onBytes(key, to - from, peer)
    this.#happened({ type: 'bytes', key, from, to, ...(peer !== undefined && { peer }) })
  }

  #take(peer: string, key: PartKey, offset: number, bytes: Uint8Array): void {
    this.#guard(peer, key, () => {
      for (const { from, to } of this.#memory.write(key, offset, bytes, peer)) {
        this.#came(key, from, to, peer)
      }
    })
  }

  #takeLength(peer: string, key: PartKey, bytes: number): void {
    this.#guard(peer, key, () => {
      if (this.#memory.bytesOf(key) === bytes) return
      this.#memory.setBytes(key, bytes)
      this.#happened({ type: 'length', key, bytes })
    })
  }

  /** What a peer says of a part may contradict what is known of it: then one of them is wrong, and HTTP decides. */
  #guard(peer: string, key: PartKey, take: () => void): void {
    try {
      take()
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      const peers = new Set([...this.#memory.peersOf(key), peer])
      this.#verification.forget(key)
      this.#memory.drop(key)
      this.#refused(key, [...peers])
    }
  }

  #refused(key: PartKey, peers: readonly string[]): void {
    this.#others.tellLost(key)
    this.#events.onRefused(key, peers)
    this.#happened({ type: 'refused', key, peers })
  }

  #verified(key: PartKey, digest: string | undefined): void {
    const bytes = this.#memory.bytesOf(key) ?? 0
    this.#events.onPart(key, this.#memory.bytesBy(key))
    if (digest !== undefined) this.#others.tell({ kind: 'got', key, bytes, digest })
    this.#others.tellHave(key, bytes, true)
    this.#happened({ type: 'verified', key })
    this.#answer(key)
  }

  #answer(key: PartKey): void {
    this.#wishes.answer(key, this.#fetches.bps, (answered) => this.#memory.unpin(answered))
  }

  #evicted(key: PartKey): void {
    this.#verification.forget(key)
    this.#others.tellLost(key)
    this.#happened({ type: 'evicted', key })
  }
}
