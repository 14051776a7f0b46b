/** One object asked of one peer: its bytes as they come, hashed on the way, and the word whether they are the object. */
import { createHash } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import { abortReason } from '../../deadline.ts'
import { type ErrorCode, errorStatus, isKairoError, KairoError } from '../../errors.ts'
import type { PeerHttp, PeerHttpResponse } from '../../host/peer-http.ts'
import { fetchLimits } from '../../limits/fetch.ts'
import { contentLimits } from '../../limits.ts'
import type { Digest } from '../digest.ts'
import type { BytesBudget } from './bytes-budget.ts'

/** What an attempt works with. */
export interface ObjectAttemptComponents {
  readonly clock: Clock
  readonly http: PeerHttp
  readonly budget: BytesBudget
  /** Bytes that came from a peer. */
  readonly onBytes: (peerId: string, bytes: number) => void
  /** Milliseconds since a peer last sent anything, for whatever request. */
  readonly silentMs: (peerId: string) => number
}

const EMPTY = Buffer.alloc(0)
const HASH_STRIDE_BYTES = 256 * 1024

/** One request. */
export class ObjectAttempt {
  readonly peerId: string
  readonly #components: ObjectAttemptComponents
  readonly #digest: Digest
  readonly #onProgress: (attempt: ObjectAttempt) => void
  readonly #startMs: number
  readonly #exchange = new AbortController()
  #progressMs: number
  #headMs: number | undefined
  #total: number | undefined
  #buffer: Buffer = EMPTY
  #bytes = 0
  #reserved = 0
  #isRefused = false
  #isAborted = false

  constructor(
    components: ObjectAttemptComponents,
    init: {
      readonly peerId: string
      readonly digest: Digest
      /** Called when the head has come, and with each chunk. */
      readonly onProgress: (attempt: ObjectAttempt) => void
    },
  ) {
    this.peerId = init.peerId
    this.#components = components
    this.#digest = init.digest
    this.#onProgress = init.onProgress
    this.#startMs = components.clock.monotonicMs()
    this.#progressMs = this.#startMs
  }

  /** Length of the object as the peer says; undefined before it did. */
  get total(): number | undefined {
    return this.#total
  }

  /** True after {@link ObjectAttempt.abort}. */
  get isAborted(): boolean {
    return this.#isAborted
  }

  /** True when the peer answered, but not with the object. */
  get isRefused(): boolean {
    return this.#isRefused
  }

  /** Bytes that have come. */
  get bytes(): number {
    return this.#bytes
  }

  /** Monotonic milliseconds of the last sign of the peer, or of the request. */
  get progressMs(): number {
    return this.#progressMs
  }

  /** Milliseconds that the head took, or that it has not come by now. */
  get latencyMs(): number {
    return this.#headMs ?? this.#components.clock.monotonicMs() - this.#startMs
  }

  /** A part of what has come; later bytes never change it. */
  slice(start: number, end: number): Buffer {
    return this.#buffer.subarray(start, Math.min(end, this.#bytes))
  }

  /** True when both have the same first bytes. */
  agreesWith(other: ObjectAttempt, bytes: number): boolean {
    return this.slice(0, bytes).equals(other.slice(0, bytes))
  }

  /**
   * The object.
   * @throws KairoError `ERR_NOT_FOUND` when the peer has not got it, `ERR_VERIFICATION` when it sent something else,
   * `ERR_TIMEOUT`, `ERR_NO_PROVIDER`, `ERR_LIMIT` when there is no memory for it now.
   */
  async run(): Promise<Buffer> {
    const exchange = this.#exchange
    try {
      return await this.#read(await this.#ask(exchange), exchange)
    } catch (error) {
      const reason = exchange.signal.aborted ? abortReason(exchange.signal) : error
      // A body that is not read to its end is to be given up.
      exchange.abort(reason)
      throw asKairoError(reason)
    }
  }

  /** Gives the attempt up: its peer is not to blame. */
  abort(reason: KairoError): void {
    this.#isAborted = true
    this.#exchange.abort(reason)
  }

  /** Gives the memory back to the budget; what the bytes are used for afterwards is the user's to bound. */
  release(): void {
    this.#components.budget.give(this.#reserved)
    this.#reserved = 0
  }

  async #ask(exchange: AbortController): Promise<PeerHttpResponse> {
    const { http, clock } = this.#components
    const request = { method: 'GET', path: `/objects/${this.#digest}` } as const
    const cancel = this.#watchHead(exchange)
    const response = await http
      .request(this.peerId, request, { signal: exchange.signal })
      .finally(() => cancel())
    this.#progressMs = clock.monotonicMs()
    this.#headMs = this.#progressMs - this.#startMs
    if (response.status !== 200) {
      this.#isRefused = true
      throw refusedBy(response)
    }
    const length = response.headers['content-length']
    if (length === undefined || !/^\d{1,15}$/.test(length)) {
      throw new KairoError('ERR_PROTOCOL', 'an object comes with its length')
    }
    this.#total = Number(length)
    if (this.#total > contentLimits.objectBytesMax) {
      throw new KairoError('ERR_PROTOCOL', `an object of ${length} bytes is too large`)
    }
    return response
  }

  /** A peer that sends other objects meanwhile is busy, not silent: requests wait for their turn at it. */
  #watchHead(exchange: AbortController): () => void {
    const { clock, silentMs } = this.#components
    let cancel = (): void => {}
    const wait = (ms: number): void => {
      cancel = clock.after(ms, () => {
        const waitedMs = clock.monotonicMs() - this.#startMs
        const silence = Math.min(silentMs(this.peerId), waitedMs)
        const isLate = silence >= fetchLimits.headMsMax || waitedMs >= fetchLimits.waitMsMax
        if (isLate) exchange.abort(new KairoError('ERR_TIMEOUT', 'the peer did not answer in time'))
        else wait(fetchLimits.headMsMax - silence)
      })
    }
    wait(fetchLimits.headMsMax)
    return () => cancel()
  }

  async #read(response: PeerHttpResponse, exchange: AbortController): Promise<Buffer> {
    const { clock, onBytes } = this.#components
    const total = this.#total ?? 0
    const ms = fetchLimits.bodyMsBase + (total / fetchLimits.bytesPerSecondMin) * 1_000
    const cancel = clock.after(ms, () => {
      exchange.abort(new KairoError('ERR_TIMEOUT', `${total} bytes did not come within ${ms} ms`))
    })
    try {
      const hash = createHash('sha256')
      let hashed = 0
      this.#onProgress(this)
      for await (const chunk of response.body) {
        onBytes(this.peerId, chunk.byteLength)
        this.#append(chunk, total)
        // In strides, which cost less than the chunks of a socket, and not all at the end, which would hold everything else up.
        if (this.#bytes - hashed >= HASH_STRIDE_BYTES) {
          hash.update(this.slice(hashed, this.#bytes))
          hashed = this.#bytes
        }
        this.#progressMs = clock.monotonicMs()
        this.#onProgress(this)
      }
      if (this.#bytes < total) throw new KairoError('ERR_NO_PROVIDER', 'the object broke off')
      if (hash.update(this.slice(hashed, total)).digest('hex') !== this.#digest) {
        throw new KairoError('ERR_VERIFICATION', 'a fetched object does not match its digest')
      }
      return this.#buffer.subarray(0, total)
    } finally {
      cancel()
    }
  }

  /** Memory follows what has come, not what a length promises: beyond a first step the buffer only doubles. */
  #append(chunk: Uint8Array, total: number): void {
    const end = this.#bytes + chunk.byteLength
    if (end > total) {
      throw new KairoError('ERR_PROTOCOL', 'an object is longer than it was said to be')
    }
    if (end > this.#buffer.byteLength) {
      const wanted = Math.max(end, fetchLimits.firstBufferBytes, this.#buffer.byteLength * 2)
      const capacity = Math.min(wanted, total)
      if (!this.#components.budget.take(capacity - this.#reserved)) {
        throw new KairoError('ERR_LIMIT', 'too many bytes are being fetched')
      }
      this.#reserved = capacity
      const larger = Buffer.allocUnsafeSlow(capacity)
      this.#buffer.copy(larger, 0, 0, this.#bytes)
      this.#buffer = larger
    }
    this.#buffer.set(chunk, this.#bytes)
    this.#bytes = end
  }
}

function refusedBy({ status, headers }: PeerHttpResponse): KairoError {
  const code = headers['kairo-code'] ?? ''
  if (status === 404) return new KairoError('ERR_NOT_FOUND', 'the peer has not got the object')
  const known = code in errorStatus ? (code as ErrorCode) : 'ERR_NO_PROVIDER'
  return new KairoError(
    known === 'ERR_VERIFICATION' ? 'ERR_NO_PROVIDER' : known,
    `the peer answered ${status}`,
  )
}

function asKairoError(error: unknown): KairoError {
  if (isKairoError(error)) return error
  return new KairoError('ERR_NO_PROVIDER', 'the peer did not give the object', { cause: error })
}
