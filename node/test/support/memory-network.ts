/**
 * A network in memory: the transport, gossip, content routing and peer watch of the host, without sockets or time.
 */
import type { CID } from 'multiformats/cid'
import { KairoError } from '../../src/errors.ts'
import type { ContentRouting, Gossip, GossipVerdict, PeerWatch } from '../../src/host/network.ts'
import type { PeerStream, Transport } from '../../src/host/transport.ts'

type GossipHandler = (data: Uint8Array, from: string) => GossipVerdict

/** One direction of a stream. */
class Pipe {
  readonly chunks: Uint8Array[] = []
  ended = false
  failure: Error | undefined
  wake: (() => void) | undefined

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    for (;;) {
      const chunk = this.chunks.shift()
      if (chunk !== undefined) yield chunk
      else if (this.failure !== undefined) throw this.failure
      else if (this.ended) return
      else await new Promise<void>((resolve) => (this.wake = resolve))
    }
  }

  notify(): void {
    this.wake?.()
  }
}

class MemoryStream implements PeerStream {
  readonly remotePeer: string
  readonly incoming: Pipe
  readonly #outgoing: Pipe

  constructor(remotePeer: string, incoming: Pipe, outgoing: Pipe) {
    this.remotePeer = remotePeer
    this.incoming = incoming
    this.#outgoing = outgoing
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#outgoing.failure !== undefined) throw this.#outgoing.failure
    this.#outgoing.chunks.push(Uint8Array.from(bytes))
    this.#outgoing.notify()
  }

  async close(): Promise<void> {
    this.#outgoing.ended = true
    this.#outgoing.notify()
  }

  abort(reason: Error): void {
    for (const pipe of [this.incoming, this.#outgoing]) {
      pipe.failure ??= reason
      pipe.notify()
    }
  }
}

/** One peer of the network; what it says of others follows {@link connect}. */
export class MemoryPeer implements Transport, Gossip, PeerWatch, ContentRouting {
  readonly peerId: string
  readonly #all: Map<string, MemoryPeer>
  readonly #handlers = new Map<string, (stream: PeerStream) => Promise<void>>()
  readonly #topics = new Map<string, GossipHandler>()
  readonly #watchers = new Set<(peerId: string) => void>()
  readonly #connected = new Set<MemoryPeer>()
  readonly #providers: Map<string, Set<string>>
  /** Verdicts given to what this peer published. */
  readonly verdicts: GossipVerdict[] = []
  /** Every provide of this peer, by key. */
  readonly provided: string[] = []
  /** When set, provides and look-ups fail with it. */
  routingFailure: Error | undefined

  constructor(peerId: string, all: Map<string, MemoryPeer>, providers: Map<string, Set<string>>) {
    this.peerId = peerId
    this.#all = all
    this.#providers = providers
    all.set(peerId, this)
  }

  /** Connects both ways. */
  connect(other: MemoryPeer): void {
    this.#meet(other)
    other.#meet(this)
  }

  async open(peerId: string, protocol: string): Promise<PeerStream> {
    const handler = this.#all.get(peerId)?.handler(protocol)
    if (handler === undefined) throw new KairoError('ERR_NO_PROVIDER', `${peerId} is not there`)
    const [there, back] = [new Pipe(), new Pipe()]
    const remote = new MemoryStream(this.peerId, there, back)
    handler(remote).then(
      () => remote.close(),
      (error: Error) => remote.abort(error),
    )
    return new MemoryStream(peerId, back, there)
  }

  /** Who answers a protocol here. */
  handler(protocol: string): ((stream: PeerStream) => Promise<void>) | undefined {
    return this.#handlers.get(protocol)
  }

  async handle(protocol: string, handler: (stream: PeerStream) => Promise<void>): Promise<void> {
    this.#handlers.set(protocol, handler)
  }

  subscribe(topic: string, handler: GossipHandler): void {
    this.#topics.set(topic, handler)
  }

  unsubscribe(topic: string): void {
    this.#topics.delete(topic)
  }

  async publish(topic: string, data: Uint8Array): Promise<number> {
    let count = 0
    for (const other of this.#connected) {
      const handler = other.#topics.get(topic)
      if (handler === undefined) continue
      this.verdicts.push(handler(data, this.peerId))
      count++
    }
    return count
  }

  watch(_protocol: string, listener: (peerId: string) => void): () => void {
    this.#watchers.add(listener)
    for (const { peerId } of this.#connected) listener(peerId)
    return () => this.#watchers.delete(listener)
  }

  async provide(cid: CID): Promise<number> {
    this.provided.push(cid.toString())
    if (this.routingFailure !== undefined) throw this.routingFailure
    if (this.#connected.size === 0) return 0
    const known = this.#providers.get(cid.toString()) ?? new Set()
    this.#providers.set(cid.toString(), known.add(this.peerId))
    return this.#connected.size
  }

  async cancel(cid: CID): Promise<void> {
    if (this.routingFailure !== undefined) throw this.routingFailure
    this.#providers.get(cid.toString())?.delete(this.peerId)
  }

  async *findProviders(cid: CID): AsyncIterable<string> {
    if (this.routingFailure !== undefined) throw this.routingFailure
    yield* this.#providers.get(cid.toString()) ?? []
  }

  /** Ends all that binds it to others, as a crash does. */
  vanish(): void {
    for (const other of this.#connected) other.#connected.delete(this)
    this.#connected.clear()
    this.#handlers.clear()
    this.#topics.clear()
  }

  #meet(other: MemoryPeer): void {
    this.#connected.add(other)
    for (const watcher of this.#watchers) watcher(other.peerId)
  }
}

/** A network whose peers know each other by id; they hear of each other once connected. */
export function memoryNetwork(): (peerId: string) => MemoryPeer {
  const all = new Map<string, MemoryPeer>()
  const providers = new Map<string, Set<string>>()
  return (peerId) => new MemoryPeer(peerId, all, providers)
}
