/** Calls over a port between two threads: each side serves some by name and makes others; an answer is a value or a stream of items. */
import assert from 'node:assert/strict'
import { TrackerError } from '../errors.ts'
import { fromPortError, type PortMessage, toPortError, withOwnBytes } from './port-messages.ts'

/** Items of a stream that wait for their reader. */
const STREAM_ITEMS_MAX = 64

/** One method that the other side may call; what it returns is the answer, a stream of items for an async iterable. */
export type PortMethod = (
  args: readonly unknown[],
  signal: AbortSignal,
) => unknown | Promise<unknown> | AsyncIterable<unknown>

/** What calls work with. */
export interface PortCallsComponents {
  readonly post: (message: PortMessage) => void
  readonly methods: Readonly<Record<string, PortMethod>>
}

interface Asked {
  resolve(value: unknown): void
  reject(error: Error): void
  item(value: unknown): void
}

interface Served {
  readonly abort: AbortController
  /** Items that the reader still takes. */
  credit: number
  wake: (() => void) | undefined
}

/** One side's calls. */
export class PortCalls {
  readonly #components: PortCallsComponents
  readonly #asked = new Map<number, Asked>()
  readonly #served = new Map<number, Served>()
  #lastId = 0
  #failure: Error | undefined

  constructor(components: PortCallsComponents) {
    this.#components = components
  }

  /** Calls the other side. @throws what the method throws there; the signal's reason; why the other side is gone */
  call(method: string, args: readonly unknown[], signal?: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = this.#ask(method, args, { resolve, reject, item: () => {} })
      if (id === undefined || signal === undefined) return
      const give = (): void => {
        if (this.#giveUp(id)) reject(signal.reason)
      }
      if (signal.aborted) give()
      else signal.addEventListener('abort', give, { once: true })
    })
  }

  /** Reads a stream of the other side, until it ends or the signal is aborted, which ends it without an error. */
  async *stream(
    method: string,
    args: readonly unknown[],
    signal?: AbortSignal,
  ): AsyncGenerator<unknown, void, undefined> {
    const items: unknown[] = []
    let end: { readonly error: Error | undefined } | undefined
    let wake: (() => void) | undefined
    const finish = (error: Error | undefined): void => {
      end ??= { error }
      wake?.()
    }
    const onAbort = (): void => finish(undefined)
    const id = this.#ask(method, args, {
      resolve: () => finish(undefined),
      reject: finish,
      item: (value) => {
        items.push(value)
        wake?.()
      },
    })
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted) onAbort()
    try {
      for (;;) {
        while (items.length > 0 && signal?.aborted !== true) {
          yield items.shift()
          if (id !== undefined) this.#components.post({ type: 'credit', id })
        }
        if (end?.error !== undefined) throw end.error
        if (end !== undefined) return
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    } finally {
      signal?.removeEventListener('abort', onAbort)
      if (id !== undefined) this.#giveUp(id)
    }
  }

  /** A message of the other side came that is about calls. */
  onMessage(message: PortMessage): void {
    switch (message.type) {
      case 'call':
        void this.#serve(message.id, message.method, message.args)
        break
      case 'result':
        this.#settle(message.id)?.resolve(message.value)
        break
      case 'failed':
        this.#settle(message.id)?.reject(fromPortError(message.error))
        break
      case 'item':
        this.#asked.get(message.id)?.item(message.value)
        break
      case 'credit': {
        const served = this.#served.get(message.id)
        if (served === undefined) break
        served.credit += 1
        served.wake?.()
        break
      }
      case 'cancel':
        this.#served.get(message.id)?.abort.abort()
        break
    }
  }

  /** The other side is gone: all calls fail, now and later. */
  fail(error: Error): void {
    this.#failure ??= error
    const asked = [...this.#asked.values()]
    this.#asked.clear()
    for (const each of asked) each.reject(this.#failure)
    for (const { abort } of this.#served.values()) abort.abort(this.#failure)
  }

  #ask(method: string, args: readonly unknown[], asked: Asked): number | undefined {
    if (this.#failure !== undefined) {
      asked.reject(this.#failure)
      return undefined
    }
    this.#lastId += 1
    const id = this.#lastId
    this.#asked.set(id, asked)
    this.#components.post({ type: 'call', id, method, args: withOwnBytes(args) })
    return id
  }

  /** @returns false when it was answered already */
  #giveUp(id: number): boolean {
    if (!this.#asked.delete(id)) return false
    this.#components.post({ type: 'cancel', id })
    return true
  }

  #settle(id: number): Asked | undefined {
    const asked = this.#asked.get(id)
    this.#asked.delete(id)
    return asked
  }

  async #serve(id: number, name: string, args: readonly unknown[]): Promise<void> {
    const method = this.#components.methods[name]
    assert(method !== undefined, `no method ${name}`)
    const served: Served = {
      abort: new AbortController(),
      credit: STREAM_ITEMS_MAX,
      wake: undefined,
    }
    this.#served.set(id, served)
    const { post } = this.#components
    try {
      const answer = method(args, served.abort.signal)
      const value = isStream(answer) ? await this.#pour(id, served, answer) : await answer
      post({ type: 'result', id, value: withOwnBytes(value) })
    } catch (error) {
      post({ type: 'failed', id, error: toPortError(error) })
    } finally {
      this.#served.delete(id)
    }
  }

  async #pour(id: number, served: Served, items: AsyncIterable<unknown>): Promise<undefined> {
    for await (const item of items) {
      this.#components.post({ type: 'item', id, value: withOwnBytes(item) })
      served.credit -= 1
      while (served.credit <= 0 && !served.abort.signal.aborted) {
        await new Promise<void>((resolve) => {
          served.wake = resolve
          served.abort.signal.addEventListener('abort', () => resolve(), { once: true })
        })
      }
      if (served.abort.signal.aborted) break
    }
    return undefined
  }
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

/** What calls fail with when the other thread is gone in order. */
export function threadStopped(): TrackerError {
  return new TrackerError('ERR_STOPPED', 'the tracker was stopped')
}
