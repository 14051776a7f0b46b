/**
 * {@link Tracker} in a thread of its own, so that neither media nor pages hold up an election. The program's end of the port: hands frames
 * to and fro, makes the calls, and begins another thread when one ends by itself; the member then comes back from its log, as after a kill.
 */
import assert from 'node:assert/strict'
import { Worker } from 'node:worker_threads'
import { type CancelTimer, type Clock, systemClock } from '../clock.ts'
import type { Coordination } from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import type { PeerFacts } from '../region/presence-keeper.ts'
import type { AgentStatus } from '../region/region-agent.ts'
import type { RegionView } from '../region/region-view.ts'
import type { Swarms } from '../soft/swarms.ts'
import type { Tracker, TrackerComponents, TrackerFigures, TrackerInit } from '../tracker.ts'
import type { LineInvitation } from '../transport.ts'
import { PortCalls, threadStopped } from './port-calls.ts'
import { PortLine } from './port-line.ts'
import { fromPortError, type PortMessage, type ThreadData } from './port-messages.ts'
import { ThreadCoordination } from './thread-coordination.ts'
import { ThreadSwarms } from './thread-swarms.ts'
import { workerLimits } from './worker-limits.ts'

const idle: AgentStatus = {
  ...{ phase: 'idle', facts: undefined, memberCount: 0, waitsFor: undefined },
  ...{ hasQuorum: false, isDegraded: false, conflicts: [] },
}

/** Makes a tracker, which {@link Tracker.start} gives a thread. */
export function createTracker(components: TrackerComponents, init: TrackerInit): Tracker {
  return new WorkerTracker(components, init)
}

/** The tracker's thread, and the ways to it. */
interface Thread {
  readonly worker: Worker
  readonly calls: PortCalls
  readonly line: PortLine
}

class WorkerTracker implements Tracker {
  readonly coordination: Coordination
  swarms: Swarms
  status: AgentStatus = idle
  readonly #components: TrackerComponents
  readonly #clock: Clock
  readonly #init: TrackerInit
  #facts: PeerFacts
  #state: 'new' | 'starting' | 'running' | 'failed' | 'stopped' = 'new'
  /** Undefined between two threads. */
  #thread: Thread | undefined
  /** Peers with a connection, for a thread that begins later. */
  readonly #connected = new Set<string>()
  /** Why calls fail for good. */
  #failure: TrackerError | undefined
  /** Threads in a row that ended by themselves. */
  #ends = 0
  /** Monotonic; undefined before the thread is up. */
  #upSinceMs: number | undefined
  #cancelRestart: CancelTimer | undefined

  constructor(components: TrackerComponents, init: TrackerInit) {
    this.#components = components
    this.#clock = components.clock ?? systemClock
    this.#init = init
    this.#facts = components.peerFacts
    this.coordination = new ThreadCoordination(() => this.#calls)
    this.swarms = this.#newSwarms()
  }

  async start(): Promise<void> {
    assert(this.#state === 'new', 'a tracker starts once')
    this.#state = 'starting'
    const { calls } = this.#begin()
    const { transport } = this.#components
    transport.introducer?.answer(async (peerId) => {
      const answer = await this.#thread?.calls.call('invite', [peerId])
      return answer as LineInvitation | undefined
    })
    transport.start({
      onFrame: (peerId, lane, frame) => this.#thread?.line.sendFrame(peerId, lane, frame),
      onLink: (peerId, isUp) => {
        if (isUp) this.#connected.add(peerId)
        else this.#connected.delete(peerId)
        this.#tellLink(peerId, isUp)
      },
    })
    await calls.call('start', [])
    this.#isUp()
  }

  async stop(): Promise<void> {
    if (this.#state === 'new' || this.#state === 'stopped') return
    this.#state = 'stopped'
    this.#cancelRestart?.()
    const thread = this.#thread
    if (thread === undefined) return
    try {
      await thread.calls.call('stop', [])
    } finally {
      thread.calls.fail(threadStopped())
      await thread.worker.terminate()
    }
  }

  async view(): Promise<RegionView> {
    return (await this.#calls.call('view', [])) as RegionView
  }

  async figures(): Promise<TrackerFigures> {
    return (await this.#calls.call('figures', [])) as TrackerFigures
  }

  setPeerFacts(facts: PeerFacts): void {
    this.#facts = facts
    this.#thread?.line.send({ type: 'facts', facts })
  }

  async leave(): Promise<void> {
    await this.#calls.call('leave', [])
  }

  async forget(): Promise<void> {
    await this.#calls.call('forget', [])
  }

  async merge(regionId: string): Promise<void> {
    await this.#calls.call('merge', [regionId])
  }

  get #calls(): PortCalls {
    if (this.#thread !== undefined) return this.#thread.calls
    if (this.#failure !== undefined) throw this.#failure
    if (this.#state === 'running') {
      throw new TrackerError('ERR_UNAVAILABLE', "the tracker's thread begins anew")
    }
    throw new TrackerError('ERR_STOPPED', 'the tracker is not running')
  }

  #begin(): Thread {
    const { folder, region = 'default', expectsPeers } = this.#init
    const { peerId, introducer } = this.#components.transport
    const direct = introducer && { listen: introducer.listen }
    const facts = this.#facts
    const workerData: ThreadData = { folder, peerId, region, expectsPeers, facts, direct }
    const worker = new Worker(new URL('./thread-entry.ts', import.meta.url), {
      ...{ name: 'kairo-tracker', workerData },
    })
    const line = new PortLine((messages, transfer) => worker.postMessage(messages, transfer))
    const calls = new PortCalls({
      post: line.send,
      methods: { introduce: ([other]) => introducer?.ask(other as string) },
    })
    const thread: Thread = { worker, calls, line }
    this.#thread = thread
    this.swarms = this.#newSwarms()
    this.#upSinceMs = undefined
    worker.on('message', (messages: readonly PortMessage[]) => {
      for (const message of messages) this.#onMessage(thread, message)
    })
    let cause: Error | undefined
    worker.on('error', (error: Error) => {
      cause = error
    })
    // Only then its files are closed.
    worker.on('exit', (code) => this.#gone(thread, cause ?? new Error(`it ended with ${code}`)))
    return thread
  }

  #newSwarms(): Swarms {
    return new ThreadSwarms(
      (message) => this.#thread?.line.send(message),
      () => this.#calls,
    )
  }

  #isUp(): void {
    if (this.#state === 'starting') this.#state = 'running'
    this.#upSinceMs = this.#clock.monotonicMs()
  }

  #tellLink(peerId: string, isUp: boolean): void {
    const mayJoin = isUp && this.#components.mayJoin(peerId)
    this.#thread?.line.send({ type: 'link', peerId, isUp, mayJoin })
  }

  #onMessage(thread: Thread, message: PortMessage): void {
    if (this.#thread !== thread) return
    const { transport, logger, onStatus } = this.#components
    switch (message.type) {
      case 'frame':
        transport.send(message.peerId, message.lane, message.bytes)
        break
      case 'status':
        this.status = message.status
        onStatus?.(message.status)
        break
      case 'log':
        logger?.[message.level]?.(message.message)
        break
      case 'failure':
        this.#fail(fromPortError(message.error))
        break
      default:
        thread.calls.onMessage(message)
    }
  }

  /** The thread ended by itself: a defect, or no memory. What failed while it lived would fail again. */
  #gone(thread: Thread, cause: Error): void {
    if (this.#thread !== thread) return
    if (this.#state === 'stopped') {
      // In the middle of its stop, perhaps: nobody answers that any more.
      thread.calls.fail(threadStopped())
      return
    }
    this.#thread = undefined
    const upMs = this.#clock.monotonicMs() - (this.#upSinceMs ?? Number.POSITIVE_INFINITY)
    this.#ends = upMs >= workerLimits.steadyMs ? 1 : this.#ends + 1
    const isOver = this.#state !== 'running' || this.#ends > workerLimits.restartsMax
    const code = isOver ? 'ERR_STOPPED' : 'ERR_UNKNOWN_OUTCOME'
    const error = new TrackerError(code, "the tracker's thread ended", { cause })
    if (isOver) this.#failure = error
    this.status = idle
    thread.calls.fail(error)
    this.#components.onStatus?.(idle)
    if (isOver) this.#fail(error)
    else this.#restartLater(cause)
  }

  #restartLater(cause: Error): void {
    const { restartMsMin, restartMsMax } = workerLimits
    const waitMs = Math.min(restartMsMax, restartMsMin * 2 ** (this.#ends - 1))
    const reason = `the tracker's thread ended: ${cause.message}`
    this.#components.logger?.error?.(`${reason}; another one begins in ${waitMs} ms`)
    this.#cancelRestart = this.#clock.after(waitMs, () => this.#restart(cause))
  }

  #restart(cause: Error): void {
    const thread = this.#begin()
    for (const peerId of this.#connected) this.#tellLink(peerId, true)
    this.#components.onRestart?.(cause)
    thread.calls.call('start', []).then(
      () => this.#isUp(),
      (error: Error) => {
        // One that has ended meanwhile is followed by another.
        if (this.#thread === thread && this.#state === 'running') this.#fail(error)
      },
    )
  }

  #fail(error: Error): void {
    if (this.#state === 'stopped') return
    this.#state = 'failed'
    this.#components.onFailure?.(error)
  }
}
