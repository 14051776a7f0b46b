/**
 * Parts by HTTP, written into memory as they come. A request begins at the first missing byte (RFC 9110 14.2), and takes its bytes also from
 * servers that do not know ranges and answer with everything.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import type { PartMemory } from '../memory/part-memory.ts'
import type { PartKey } from '../protocol/part-key.ts'
import { engineLimits as limits } from './limits.ts'
import type { PartSource } from './part-request.ts'

/** What requests are made with. */
export interface FetchesComponents {
  readonly clock: Clock
  readonly memory: PartMemory
  /** The browser's, bound. */
  readonly fetch: typeof fetch
}

/** Who is told. */
export interface FetchesInit {
  readonly onBytes: (key: PartKey, from: number, to: number) => void
  readonly onLength: (key: PartKey, bytes: number) => void
  /** All that was asked for is there. */
  readonly onEnd: (key: PartKey) => void
  /** @param status of HTTP; 0 without an answer */
  readonly onFailure: (key: PartKey, status: number, text: string) => void
  /** Headers, credentials and the like for requests of media. */
  readonly request?: (url: string) => RequestInit
}

/** Bytes of a part. */
interface Wanted {
  readonly from: number
  readonly to: number | undefined
}

interface Running {
  readonly abort: AbortController
  cancelWatch: CancelTimer
}

/** The requests under way. */
export class Fetches {
  readonly #components: FetchesComponents
  readonly #init: FetchesInit
  readonly #running = new Map<PartKey, Running>()
  #bps = 0

  constructor(components: FetchesComponents, init: FetchesInit) {
    this.#components = components
    this.#init = init
  }

  /** What HTTP brought of late, bits a second while bytes flowed; 0: not known. */
  get bps(): number {
    return this.#bps
  }

  has(key: PartKey): boolean {
    return this.#running.has(key)
  }

  /** Requests a part from a byte of it on, up to another one or its end. One that runs for it goes on instead. */
  start(source: PartSource, from: number, to?: number): void {
    const { key } = source
    if (this.#running.has(key)) return
    const running: Running = { abort: new AbortController(), cancelWatch: () => {} }
    this.#running.set(key, running)
    this.#watch(running)
    this.#run(source, { from, to }, running).then(
      () => this.#over(key, running) && this.#init.onEnd(key),
      (error: unknown) => {
        // A stopped request ends with an error that means nothing.
        if (!this.#over(key, running)) return
        const status = error instanceof HttpError ? error.status : 0
        this.#init.onFailure(key, status, error instanceof Error ? error.message : String(error))
      },
    )
  }

  /** Ends a request; what it brought stays. */
  stop(key: PartKey): void {
    const running = this.#running.get(key)
    if (running === undefined) return
    this.#over(key, running)
    running.abort.abort()
  }

  stopAll(): void {
    for (const key of [...this.#running.keys()]) this.stop(key)
  }

  /** False when it was over before. */
  #over(key: PartKey, running: Running): boolean {
    running.cancelWatch()
    return this.#running.get(key) === running && this.#running.delete(key)
  }

  #watch(running: Running): void {
    running.cancelWatch()
    running.cancelWatch = this.#components.clock.after(limits.fetchSilentMs, () =>
      running.abort.abort(new Error('HTTP brings nothing')),
    )
  }

  async #run({ key, url, range }: PartSource, { from, to }: Wanted, running: Running) {
    const { fetch, memory, clock } = this.#components
    const base = range?.from ?? 0
    /** First byte of the part that is not asked for; undefined: its end, where that is. */
    const end = to ?? (range && range.to - range.from)
    const init = this.#init.request?.(url) ?? {}
    const headers = new Headers(init.headers)
    const isRange = from > 0 || end !== undefined
    if (isRange) headers.set('range', `bytes=${base + from}-${end ? base + end - 1 : ''}`)
    if (range) this.#tellLength(key, range.to - range.from)
    const response = await fetch(url, { ...init, headers, signal: running.abort.signal })
    if (!response.ok || response.body === null) {
      // The connection is free for others sooner.
      response.body?.cancel().catch(() => {})
      throw new HttpError(response.status, response.statusText)
    }
    // Where a server that knows no ranges begins: at the resource's first byte.
    let at = response.status === 206 ? from : -base
    const isToEnd = end === undefined || response.status !== 206
    if (range === undefined && isToEnd) this.#readLength(key, response, at)
    const reader = response.body.getReader()
    const rate = { bytes: 0, sinceMs: clock.nowMs() }
    for (;;) {
      const { done, value } = await reader.read()
      if (running.abort.signal.aborted) throw running.abort.signal.reason
      if (done) break
      this.#watch(running)
      const bytes = this.#within(value, at, end ?? memory.bytesOf(key))
      this.#measure(rate, value.length)
      at += value.length
      if (bytes.length > 0) this.#write(key, at - value.length < 0 ? 0 : at - value.length, bytes)
      if (end !== undefined && at >= end) {
        reader.cancel().catch(() => {})
        break
      }
    }
    if (end === undefined && memory.bytesOf(key) === undefined) this.#tellLength(key, at)
    if (at < (end ?? memory.bytesOf(key) ?? 0)) {
      throw new HttpError(0, 'HTTP broke off')
    }
  }

  /** The bytes that belong to the part, of some that begin at `at` of it. */
  #within(value: Uint8Array, at: number, bytes = Number.POSITIVE_INFINITY): Uint8Array {
    if (at >= 0 && at + value.length <= bytes) return value
    return value.subarray(Math.max(0, -at), Math.max(0, Math.min(value.length, bytes - at)))
  }

  #write(key: PartKey, offset: number, bytes: Uint8Array): void {
    for (const { from, to } of this.#components.memory.write(key, offset, bytes)) {
      this.#init.onBytes(key, from, to)
    }
  }

  /** `content-length` is readable across origins, `content-range` mostly is not. */
  #readLength(key: PartKey, { headers }: Response, at: number): void {
    const length = headers.get('content-length')
    if (length === null || headers.has('content-encoding')) return
    const bytes = at + Number(length)
    if (Number.isSafeInteger(bytes) && bytes > 0) this.#tellLength(key, bytes)
  }

  #tellLength(key: PartKey, bytes: number): void {
    const { memory } = this.#components
    if (memory.bytesOf(key) === bytes) return
    memory.setBytes(key, bytes)
    this.#init.onLength(key, bytes)
  }

  /** Takes the rate of one answer, whenever enough time has passed. */
  #measure(rate: { bytes: number; sinceMs: number }, bytes: number): void {
    const nowMs = this.#components.clock.nowMs()
    const spanMs = nowMs - rate.sinceMs
    rate.bytes += bytes
    if (spanMs < limits.rateSpanMsMin) return
    const bps = (rate.bytes * 8_000) / spanMs
    rate.bytes = 0
    rate.sinceMs = nowMs
    this.#bps = this.#bps === 0 ? bps : this.#bps + (bps - this.#bps) * limits.rateWeight
  }
}

class HttpError extends Error {
  readonly status: number

  constructor(status: number, text: string) {
    super(text)
    this.status = status
  }
}
