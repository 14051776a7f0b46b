/**
 * One watch of the region's client: a stream from the leader of the keyspace's group, and another stream after it ended, from where it had
 * come to. What is read ahead is bounded by the stream's credit.
 */
import type { WatchBatch } from '../coordination.ts'
import type { TrackerError } from '../errors.ts'
import { type CallLane, type CallStream, callServices } from './call-lane.ts'
import { regionClientLimits } from './call-limits.ts'
import { decodeBatch, encodeRequest } from './coordination-codec.ts'
import type { LeaderBook } from './leader-book.ts'
import { stopped } from './region-calls.ts'

/** What a watch works with. */
export interface RegionWatchComponents {
  readonly lane: CallLane
  readonly book: LeaderBook
}

/** What it looks at. */
export interface RegionWatchInit {
  readonly group: number
  readonly keyspace: string
  readonly prefix: string
  readonly after: number | undefined
  /** Aborted by whoever watches, or with `stop`. */
  readonly signal: AbortSignal
  /** The client's end. */
  readonly stop: AbortSignal
}

/** Why a watch ends for good. */
const finalCodes: ReadonlySet<string> = new Set([
  'ERR_COMPACTED',
  'ERR_OVERLOADED',
  'ERR_INVALID_INPUT',
  'ERR_MALFORMED',
  'ERR_NOT_A_MEMBER',
])

/** Follows one prefix; {@link batches} is read once. */
export class RegionWatch {
  readonly #components: RegionWatchComponents
  readonly #init: RegionWatchInit
  /** Everything up to this revision has come. */
  #seen: number | undefined
  /** Batches that came and were not read yet, with their sizes. */
  #queue: { readonly batch: WatchBatch; readonly bytes: number; readonly stream: CallStream }[] = []
  #wake: (() => void) | undefined
  #end: TrackerError | undefined
  #isOpen = false

  constructor(components: RegionWatchComponents, init: RegionWatchInit) {
    this.#components = components
    this.#init = init
    this.#seen = init.after
  }

  /**
   * The changes, until the signal is aborted.
   * @throws TrackerError ERR_COMPACTED, ERR_STOPPED, ERR_OVERLOADED, ERR_NOT_A_MEMBER
   */
  async *batches(): AsyncGenerator<WatchBatch, void, undefined> {
    const { signal, stop, group } = this.#init
    const { book } = this.#components
    let close: (() => void) | undefined
    let redirects = 0
    const onAbort = () => this.#wake?.()
    signal.addEventListener('abort', onAbort, { once: true })
    // A leader that hangs does not end its streams: once another one leads, this goes on there.
    const stopListening = book.onChange(group, () => {
      close?.()
      this.#isOpen = false
      this.#wake?.()
    })
    try {
      while (!signal.aborted) {
        const next = this.#queue.shift()
        if (next !== undefined) {
          next.stream.credit(next.bytes)
          if (next.batch.events.length > 0) yield next.batch
          redirects = 0
          continue
        }
        if (this.#end !== undefined) throw this.#end
        if (!this.#isOpen) {
          redirects += 1
          if (redirects > regionClientLimits.redirectsMax || !book.knows(group))
            await book.changed(group, regionClientLimits.retryMs)
          if (signal.aborted) break
          close = this.#open()
          continue
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        this.#wake = undefined
      }
    } finally {
      stopListening()
      signal.removeEventListener('abort', onAbort)
      close?.()
    }
    if (stop.aborted) throw stopped()
  }

  /** Opens a stream; returns what ends it. */
  #open(): () => void {
    const { lane, book } = this.#components
    const { group, keyspace, prefix } = this.#init
    const target = book.target(group)
    if (target === undefined) return () => undefined
    this.#isOpen = true
    const request = { type: 'watch', group, keyspace, prefix, after: this.#seen } as const
    const bytes = encodeRequest(request, book.region)
    const stream = lane.open(target, callServices.coordination, bytes, {
      onItem: (bytes) => {
        const batch = decodeBatch(bytes)
        // Also when another stream took its place meanwhile, none comes twice.
        if (this.#seen !== undefined && batch.revision <= this.#seen) return
        this.#seen = batch.revision
        this.#queue.push({ batch, bytes: bytes.length, stream })
        this.#wake?.()
      },
      onEnd: (error) => {
        this.#isOpen = false
        if (error !== undefined && finalCodes.has(error.code)) this.#end = error
        else if (error?.code === 'ERR_NOT_LEADER') book.refused(group, target, error.leader)
        else book.failed(group, target)
        this.#wake?.()
      },
    })
    return () => stream.close()
  }
}
