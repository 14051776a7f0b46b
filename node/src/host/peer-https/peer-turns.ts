/** Lets a bounded number of requests to each peer go at once; the others wait in order. */
import { abortReason } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'

/** Bounds of {@link PeerTurns}. */
export interface PeerTurnsInit {
  readonly atOnceMax: number
  readonly waitingMax: number
  readonly peersMax: number
}

interface Queue {
  running: number
  /** In order of their coming; one that gives up leaves. */
  readonly waiting: Set<() => void>
}

/** Turns of all peers. */
export class PeerTurns {
  readonly #init: PeerTurnsInit
  readonly #queues = new Map<string, Queue>()

  constructor(init: PeerTurnsInit) {
    this.#init = init
  }

  /**
   * Waits for a turn; what it resolves with gives the turn back, once.
   * @throws KairoError `ERR_LIMIT` when too many wait, `ERR_TIMEOUT` when the signal fires first.
   */
  async take(peerId: string, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) throw abortReason(signal)
    const queue = this.#queueOf(peerId)
    if (queue.running >= this.#init.atOnceMax) await this.#wait(peerId, queue, signal)
    else queue.running += 1
    let isTaken = true
    return () => {
      if (!isTaken) return
      isTaken = false
      this.#leave(peerId, queue)
    }
  }

  #queueOf(peerId: string): Queue {
    const known = this.#queues.get(peerId)
    if (known !== undefined) return known
    if (this.#queues.size >= this.#init.peersMax) {
      throw new KairoError('ERR_LIMIT', 'too many peers are being asked')
    }
    const queue = { running: 0, waiting: new Set<() => void>() }
    this.#queues.set(peerId, queue)
    return queue
  }

  async #wait(peerId: string, queue: Queue, signal: AbortSignal): Promise<void> {
    if (queue.waiting.size >= this.#init.waitingMax) {
      throw new KairoError('ERR_LIMIT', `too many requests wait for ${peerId}`)
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onAbort = (): void => {
      queue.waiting.delete(resolve)
      reject(abortReason(signal))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    queue.waiting.add(resolve)
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** A turn that is given back goes to the next that waits; the number of those running stays. */
  #leave(peerId: string, queue: Queue): void {
    const [next] = queue.waiting
    if (next !== undefined) {
      queue.waiting.delete(next)
      next()
      return
    }
    queue.running -= 1
    if (queue.running === 0) this.#queues.delete(peerId)
  }
}
