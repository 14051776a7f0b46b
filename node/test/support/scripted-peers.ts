/** Peers that answer requests by script, on a clock that the test moves: late, in pieces, wrongly, or never. */
import { KairoError } from '../../src/errors.ts'
import type {
  PeerHttp,
  PeerHttpHandler,
  PeerHttpRequest,
  PeerHttpResponse,
} from '../../src/host/peer-http.ts'
import type { ManualClock } from './manual-clock.ts'

/** What a peer does with an object's bytes. */
export interface PeerScript {
  /** Time before the head of the answer. */
  readonly headMs?: number
  /** The body is sent in pieces of this size. */
  readonly chunkBytes?: number
  /** Time before each piece. */
  readonly chunkMs?: number
  /** The body breaks off after so many bytes. */
  readonly breaksAfter?: number
  /** The body stops after so many bytes, and the connection stays. */
  readonly hangsAfter?: number
  /** Changes what is sent. */
  readonly lie?: (bytes: Buffer) => Buffer
  /** Length that is told, when it is not the true one. */
  readonly claims?: number | undefined
  /** Status instead of 200; no body then. */
  readonly status?: number
  /** The request itself fails with this code. */
  readonly unreachable?: boolean
}

/** A network of scripts. A peer without one answers 404. */
export class ScriptedPeers implements PeerHttp {
  readonly scripts = new Map<string, PeerScript>()
  readonly objects = new Map<string, Buffer>()
  /** Requests so far, by peer. */
  readonly asked: { readonly peerId: string; readonly path: string; readonly atMs: number }[] = []
  /** Requests whose signal fired before their end. */
  aborted = 0
  readonly #clock: ManualClock

  constructor(clock: ManualClock) {
    this.#clock = clock
  }

  handle(_prefix: string, _handler: PeerHttpHandler): void {
    throw new Error('scripted peers are only asked')
  }

  /** Peers asked, in order. */
  get order(): string[] {
    return this.asked.map(({ peerId }) => peerId)
  }

  async request(
    peerId: string,
    { path }: PeerHttpRequest,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<PeerHttpResponse> {
    this.asked.push({ peerId, path, atMs: this.#clock.monotonicMs() })
    signal.addEventListener('abort', () => {
      this.aborted += 1
    })
    const script = this.scripts.get(peerId) ?? { status: 404 }
    if (script.headMs !== undefined) await this.#wait(script.headMs, signal)
    if (script.unreachable === true) throw new KairoError('ERR_NO_PROVIDER', 'cannot be reached')
    const object = this.objects.get(path.slice('/objects/'.length))
    const status = script.status ?? (object === undefined ? 404 : 200)
    if (status !== 200 || object === undefined) return { status, headers: {}, body: pieces([]) }
    const bytes = script.lie?.(Buffer.from(object)) ?? object
    const length = 'claims' in script ? script.claims : bytes.byteLength
    const headers: Record<string, string> =
      length === undefined ? {} : { 'content-length': String(length) }
    return { status, headers, body: this.#body(bytes, script, signal) }
  }

  async *#body(bytes: Buffer, script: PeerScript, signal: AbortSignal): AsyncGenerator<Buffer> {
    const { chunkBytes = 64 * 1024, chunkMs = 0, breaksAfter, hangsAfter } = script
    for (let at = 0; at < bytes.byteLength; at += chunkBytes) {
      if (breaksAfter !== undefined && at >= breaksAfter) {
        throw new KairoError('ERR_NO_PROVIDER', 'the connection closed')
      }
      if (hangsAfter !== undefined && at >= hangsAfter) await this.#wait(1e9, signal)
      if (chunkMs > 0) await this.#wait(chunkMs, signal)
      if (signal.aborted) throw signal.reason
      yield bytes.subarray(at, at + chunkBytes)
    }
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const cancel = this.#clock.after(ms, resolve)
      const onAbort = (): void => {
        cancel()
        reject(signal.reason as Error)
      }
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort, { once: true })
    })
  }
}

async function* pieces(list: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* list
}
