/**
 * The {@link Transport} of a whole network in one process: pairs of queues with back-pressure, latency on the injected clock,
 * and faults on request: flipped bytes, cut streams, dead and silent peers. Counts what crosses it.
 */
import type { Clock } from '../../src/clock.ts'
import { KairoError } from '../../src/errors.ts'
import type { PeerStream, Transport } from '../../src/host/transport.ts'

/** How a network behaves. */
export interface MemoryNetInit {
  readonly clock: Clock
  /** One way; 0 hands chunks over in the same turn. */
  readonly latencyMs?: number
  /** Chunks are cut to random sizes up to this, so that frames never come whole. */
  readonly chunkBytesMax?: number
  /** A number in [0, 1). */
  readonly random?: () => number
}

type Handler = (stream: PeerStream) => Promise<void>

/** Bytes a side may have in flight before its writes wait. */
const HIGH_WATER_BYTES = 256 * 1024

/** All peers and the wires between them. */
export class MemoryNet {
  readonly clock: Clock
  readonly random: () => number
  /** Streams opened, by `from>to protocol`. */
  readonly opened = new Map<string, number>()
  latencyMs: number
  /** Changes a chunk on its way, or leaves it; set by tests. */
  tamper: ((chunk: Buffer, from: string, to: string) => Buffer) | undefined
  readonly #chunkBytesMax: number
  readonly #handlers = new Map<string, Handler>()
  readonly #streams = new Set<MemoryStream>()
  readonly #dead = new Set<string>()
  readonly #silent = new Set<string>()
  readonly #cutPairs = new Set<string>()

  constructor(init: MemoryNetInit) {
    this.clock = init.clock
    this.random = init.random ?? Math.random
    this.latencyMs = init.latencyMs ?? 0
    this.#chunkBytesMax = init.chunkBytesMax ?? Number.POSITIVE_INFINITY
  }

  /** Streams open now. */
  get openStreams(): number {
    return this.#streams.size
  }

  /** Opens so far from one peer to another over a protocol. */
  opens(from: string, to: string, protocol: string): number {
    return this.opened.get(`${from}>${to} ${protocol}`) ?? 0
  }

  /** The transport of one peer. */
  peer(peerId: string): Transport {
    return {
      peerId,
      open: (other, protocol, { signal }) => this.#open(peerId, other, protocol, signal),
      handle: async (protocol, handler) => {
        this.#handlers.set(`${peerId} ${protocol}`, handler)
      },
    }
  }

  /** Breaks every stream of a peer and refuses new ones, until {@link MemoryNet.revive}. */
  kill(peerId: string): void {
    this.#dead.add(peerId)
    for (const [key] of this.#handlers) if (key.startsWith(`${peerId} `)) this.#handlers.delete(key)
    this.cut((from, to) => from === peerId || to === peerId)
  }

  /** Streams of the peer stay open but nothing crosses them any more. */
  silence(peerId: string): void {
    this.#silent.add(peerId)
  }

  /** Ends {@link MemoryNet.kill}, {@link MemoryNet.silence}. */
  revive(peerId: string): void {
    this.#dead.delete(peerId)
    this.#silent.delete(peerId)
  }

  /** Two peers cannot reach each other any more. */
  separate(a: string, b: string): void {
    this.#cutPairs.add(pairOf(a, b))
    this.cut((from, to) => pairOf(from, to) === pairOf(a, b))
  }

  /** Ends {@link MemoryNet.separate}. */
  join(a: string, b: string): void {
    this.#cutPairs.delete(pairOf(a, b))
  }

  /** Breaks the streams between peers that the predicate names. */
  cut(which: (from: string, to: string) => boolean): void {
    for (const stream of [...this.#streams]) {
      if (which(stream.localPeer, stream.remotePeer)) {
        stream.fail(new KairoError('ERR_NO_PROVIDER', 'the connection broke'))
      }
    }
  }

  /** Carries a chunk; undefined when it is lost. */
  carry(chunk: Uint8Array, from: string, to: string): Buffer[] {
    if (this.#silent.has(from) || this.#silent.has(to)) return []
    let whole: Buffer = Buffer.from(chunk)
    if (this.tamper !== undefined) whole = this.tamper(whole, from, to)
    const pieces: Buffer[] = []
    for (let at = 0; at < whole.byteLength; ) {
      const max = Math.min(this.#chunkBytesMax, whole.byteLength - at)
      const size = Number.isFinite(this.#chunkBytesMax) ? 1 + Math.floor(this.random() * max) : max
      pieces.push(whole.subarray(at, at + size))
      at += size
    }
    return pieces
  }

  /** Calls back after the latency. */
  later(callback: () => void): void {
    if (this.latencyMs === 0) callback()
    else this.clock.after(this.latencyMs, callback)
  }

  forget(stream: MemoryStream): void {
    this.#streams.delete(stream)
  }

  isSilent(peerId: string): boolean {
    return this.#silent.has(peerId)
  }

  async #open(
    from: string,
    to: string,
    protocol: string,
    signal: AbortSignal,
  ): Promise<PeerStream> {
    const key = `${from}>${to} ${protocol}`
    this.opened.set(key, (this.opened.get(key) ?? 0) + 1)
    if (this.latencyMs > 0) await new Promise<void>((resolve) => this.later(resolve))
    if (this.#silent.has(to) || this.#silent.has(from)) await aborted(signal)
    if (signal.aborted) throw signal.reason
    const handler = this.#handlers.get(`${to} ${protocol}`)
    const isCut = this.#cutPairs.has(pairOf(from, to)) || this.#dead.has(from)
    if (handler === undefined || this.#dead.has(to) || isCut) {
      throw new KairoError('ERR_NO_PROVIDER', `${to} cannot be reached`)
    }
    const near = new MemoryStream(this, from, to)
    const far = new MemoryStream(this, to, from)
    near.other = far
    far.other = near
    this.#streams.add(near).add(far)
    handler(far).then(
      () => far.release(),
      (error: Error) => far.abort(error),
    )
    return near
  }
}

/** One side of a stream. */
export class MemoryStream implements PeerStream {
  readonly remotePeer: string
  readonly localPeer: string
  readonly incoming: AsyncIterable<Uint8Array>
  other!: MemoryStream
  readonly #net: MemoryNet
  readonly #chunks: Buffer[] = []
  #unreadBytes = 0
  #ended = false
  #closed = false
  #failure: Error | undefined
  #wake: (() => void)[] = []
  #wakeWriters: (() => void)[] = []

  constructor(net: MemoryNet, localPeer: string, remotePeer: string) {
    this.#net = net
    this.localPeer = localPeer
    this.remotePeer = remotePeer
    const reader: AsyncIterator<Uint8Array> = { next: () => this.#next() }
    this.incoming = { [Symbol.asyncIterator]: () => reader }
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#closed) throw new KairoError('ERR_NO_PROVIDER', 'the stream is closed')
    for (const piece of this.#net.carry(bytes, this.localPeer, this.remotePeer)) {
      this.other.#unreadBytes += piece.byteLength
      this.#net.later(() => this.other.#receive(piece))
    }
    while (this.other.#unreadBytes > HIGH_WATER_BYTES && this.#failure === undefined) {
      await new Promise<void>((resolve) => this.#wakeWriters.push(resolve))
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  async close(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#closed) return
    this.#closed = true
    if (this.#isLost()) return
    this.#net.later(() => {
      this.other.#ended = true
      this.other.#notify()
    })
    if (this.#ended) this.#net.forget(this)
  }

  abort(reason: Error): void {
    if (this.#failure !== undefined) return
    this.#failLocally(reason)
    if (this.#isLost()) return
    const other = this.other
    this.#net.later(() => {
      // What was handed on before the reset is not read any more, as with a TCP reset.
      if (!other.#ended)
        other.#failLocally(new KairoError('ERR_NO_PROVIDER', 'the stream was reset'))
    })
  }

  /** Breaks both sides at once. */
  fail(reason: Error): void {
    this.#failLocally(reason)
    this.other.#failLocally(reason)
  }

  /** The handler is done: our half ends if it is still open. */
  release(): void {
    if (this.#failure !== undefined) return
    this.close().catch(() => {})
    this.#net.forget(this)
    this.#net.forget(this.other)
  }

  #isLost(): boolean {
    return this.#net.isSilent(this.localPeer) || this.#net.isSilent(this.remotePeer)
  }

  #failLocally(reason: Error): void {
    this.#failure ??= reason
    this.#chunks.length = 0
    this.#net.forget(this)
    this.#notify()
    for (const wake of this.other.#wakeWriters.splice(0)) wake()
    for (const wake of this.#wakeWriters.splice(0)) wake()
  }

  #receive(piece: Buffer): void {
    if (this.#failure !== undefined || this.#ended) return
    this.#chunks.push(piece)
    this.#notify()
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const chunk = this.#chunks.shift()
      if (chunk !== undefined) {
        this.#unreadBytes -= chunk.byteLength
        for (const wake of this.other.#wakeWriters.splice(0)) wake()
        return { done: false, value: chunk }
      }
      if (this.#failure !== undefined) throw this.#failure
      if (this.#ended) return { done: true, value: undefined }
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

function pairOf(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error)
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}
