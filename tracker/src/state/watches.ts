/**
 * Who is told of changes. A watch that takes what comes is told out of `apply`; one that asks to wait is told nothing, and reads the history
 * when it goes on. So no watch holds memory, however slow, and one that is too slow finds the history gone.
 */
import type { WatchBatch, WatchEvent } from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import { type Change, type ChangeHistory, keyOf } from './history.ts'
import type { ByteText } from './key-text.ts'

/** Whoever watches. Both are called synchronously, must not throw, and apply no commands. */
export interface WatchListener {
  /**
   * Changes of one revision, in order and none twice.
   * @returns false to be told nothing more until `resume` is called
   */
  onBatch(batch: WatchBatch): boolean
  /** The watch ended by itself: ERR_COMPACTED when what comes next is forgotten. */
  onEnd(error: TrackerError): void
}

/** A watch as its owner holds it. */
export interface Watch {
  /** All changes up to this revision were told: from here the watch can be gone on with, here or at another member. */
  readonly revision: number
  /** Tells what was held back, and what comes from now on. A new watch begins with it. */
  resume(): void
  /** Ends the watch; nothing more is told. */
  close(): void
}

/** The watches of one group. */
export class WatchHub {
  readonly #history: ChangeHistory
  readonly #watches = new Map<ByteText, Set<OpenWatch>>()
  readonly #watchesMax: number
  #size = 0
  /** Watches that ended because the history was gone. */
  lost = 0

  constructor(history: ChangeHistory, watchesMax: number) {
    this.#history = history
    this.#watchesMax = watchesMax
  }

  /** Open watches. */
  get size(): number {
    return this.#size
  }

  /**
   * A watch that tells nothing until its first `resume`.
   * @throws TrackerError ERR_COMPACTED, ERR_OVERLOADED
   */
  open(keyspace: ByteText, prefix: string, after: number, listener: WatchListener): Watch {
    if (after < this.#history.floor)
      throw new TrackerError('ERR_COMPACTED', 'changes after that revision are forgotten')
    if (this.#size >= this.#watchesMax)
      throw new TrackerError('ERR_OVERLOADED', `there are ${this.#size} watches already`)
    const watch = new OpenWatch(this.#history, { keyspace, prefix, after }, listener, (isLost) => {
      this.#size -= 1
      if (isLost) this.lost += 1
      const watches = this.#watches.get(keyspace)
      watches?.delete(watch)
      if (watches?.size === 0) this.#watches.delete(keyspace)
    })
    const watches = this.#watches.get(keyspace)
    if (watches === undefined) this.#watches.set(keyspace, new Set([watch]))
    else watches.add(watch)
    this.#size += 1
    return watch
  }

  /** Tells the changes of one revision, which the history has already; those of a keyspace stand together. */
  publish(changes: readonly Change[]): void {
    if (this.#size === 0) return
    let from = 0
    while (from < changes.length) {
      const { keyspace } = changes[from] as Change
      let to = from + 1
      while (to < changes.length && changes[to]?.keyspace === keyspace) to += 1
      const watches = this.#watches.get(keyspace)
      if (watches !== undefined) tell(watches, changes.slice(from, to))
      from = to
    }
  }

  /**
   * The history began anew: who has not heard all before its start has missed something.
   * @param toldRevision up to where the history before had told
   */
  restarted(toldRevision: number): void {
    for (const watches of [...this.#watches.values()])
      for (const watch of [...watches]) watch.historyRestarted(toldRevision)
  }
}

/** All of `changes` are of one keyspace and one revision. */
function tell(watches: ReadonlySet<OpenWatch>, changes: readonly Change[]): void {
  const { revision } = changes[0] as Change
  const events = changes.map(({ event }) => event)
  const batch = { revision, events }
  for (const watch of watches) watch.offer(batch)
}

/** What is watched. */
interface WatchScope {
  readonly keyspace: ByteText
  readonly prefix: string
  readonly after: number
}

class OpenWatch implements Watch {
  readonly #history: ChangeHistory
  readonly #keyspace: ByteText
  readonly #prefix: string
  readonly #listener: WatchListener
  readonly #onClosed: (isLost: boolean) => void
  /** The last revision that was told of, or before which nothing is wanted. */
  #told: number
  #status: 'waiting' | 'live' | 'closed' = 'waiting'

  constructor(
    history: ChangeHistory,
    scope: WatchScope,
    listener: WatchListener,
    onClosed: (isLost: boolean) => void,
  ) {
    this.#history = history
    this.#keyspace = scope.keyspace
    this.#prefix = scope.prefix
    this.#told = scope.after
    this.#listener = listener
    this.#onClosed = onClosed
  }

  get revision(): number {
    return this.#status === 'live' ? Math.max(this.#told, this.#history.revision) : this.#told
  }

  resume(): void {
    while (this.#status === 'waiting') {
      if (this.#told < this.#history.floor) {
        this.#lose()
        return
      }
      const batch = this.#history.next(this.#keyspace, this.#prefix, this.#told)
      if (batch === undefined) {
        this.#told = Math.max(this.#told, this.#history.revision)
        this.#status = 'live'
        return
      }
      this.#told = batch.revision
      if (!this.#listener.onBatch(batch)) return
    }
  }

  close(): void {
    if (this.#status === 'closed') return
    this.#status = 'closed'
    this.#onClosed(false)
  }

  /** Changes of the watch's keyspace, of which its prefix may match some. */
  offer(all: WatchBatch): void {
    // Opened or resumed by another listener of the same revision, a watch has it from the history.
    if (this.#status !== 'live' || all.revision <= this.#told) return
    const batch = this.#prefix === '' ? all : filterBatch(all, this.#prefix)
    if (batch === undefined) return
    this.#told = batch.revision
    if (this.#listener.onBatch(batch)) return
    if (this.#status === 'live') this.#status = 'waiting'
  }

  /** Ends the watch when it has missed something. */
  historyRestarted(toldRevision: number): void {
    if (this.#status === 'live') this.#told = Math.max(this.#told, toldRevision)
    if (this.#told < this.#history.floor) this.#lose()
  }

  #lose(): void {
    this.#status = 'closed'
    this.#onClosed(true)
    this.#listener.onEnd(
      new TrackerError('ERR_COMPACTED', `changes after revision ${this.#told} are forgotten`),
    )
  }
}

function filterBatch(all: WatchBatch, prefix: string): WatchBatch | undefined {
  let events: WatchEvent[] | undefined
  for (const event of all.events) {
    if (!keyOf(event).startsWith(prefix)) continue
    events ??= []
    events.push(event)
  }
  return events === undefined ? undefined : { revision: all.revision, events }
}
