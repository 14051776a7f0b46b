/**
 * {@link Tracker} in a thread of its own, so that neither media nor pages hold up an election. The program's end of the port: hands frames
 * to and fro, makes the calls, and says when the thread is gone.
 */
import assert from 'node:assert/strict'
import { Worker } from 'node:worker_threads'
import type { Coordination } from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import type { PeerFacts } from '../region/presence-keeper.ts'
import type { AgentStatus } from '../region/region-agent.ts'
import type { RegionView } from '../region/region-view.ts'
import type { Swarms } from '../soft/swarms.ts'
import type { Tracker, TrackerComponents, TrackerFigures, TrackerInit } from '../tracker.ts'
import { PortCalls, threadStopped } from './port-calls.ts'
import { PortLine } from './port-line.ts'
import { fromPortError, type PortMessage, type ThreadData } from './port-messages.ts'
import { ThreadCoordination } from './thread-coordination.ts'
import { ThreadSwarms } from './thread-swarms.ts'

const idle: AgentStatus = {
  ...{ phase: 'idle', facts: undefined, memberCount: 0, waitsFor: undefined },
  ...{ hasQuorum: false, isDegraded: false, conflicts: [] },
}

/** Makes a tracker, which {@link Tracker.start} gives a thread. */
export function createTracker(components: TrackerComponents, init: TrackerInit): Tracker {
  return new WorkerTracker(components, init)
}

class WorkerTracker implements Tracker {
  readonly coordination: Coordination
  readonly swarms: Swarms
  status: AgentStatus = idle
  readonly #components: TrackerComponents
  readonly #init: TrackerInit
  #facts: PeerFacts
  #thread:
    | { readonly worker: Worker; readonly calls: PortCalls; readonly line: PortLine }
    | undefined
  #isStopping = false

  constructor(components: TrackerComponents, init: TrackerInit) {
    this.#components = components
    this.#init = init
    this.#facts = components.peerFacts
    this.coordination = new ThreadCoordination(() => this.#calls)
    this.swarms = new ThreadSwarms(
      (message) => this.#thread?.line.send(message),
      () => this.#calls,
    )
  }

  async start(): Promise<void> {
    assert(this.#thread === undefined, 'a tracker starts once')
    const { transport, mayJoin } = this.#components
    const { folder, region = 'default', expectsPeers } = this.#init
    const { peerId } = transport
    const workerData: ThreadData = { folder, peerId, region, expectsPeers, facts: this.#facts }
    const worker = new Worker(new URL('./thread-entry.ts', import.meta.url), {
      ...{ name: 'kairo-tracker', workerData },
    })
    const line = new PortLine((messages, transfer) => worker.postMessage(messages, transfer))
    const calls = new PortCalls({ post: line.send, methods: {} })
    this.#thread = { worker, calls, line }
    worker.on('message', (messages: readonly PortMessage[]) => {
      for (const message of messages) this.#onMessage(calls, message)
    })
    worker.on('error', (error: Error) => this.#gone(calls, error))
    worker.on('exit', (code) => this.#gone(calls, new Error(`the thread ended with ${code}`)))
    transport.start({
      onFrame: line.sendFrame,
      onLink: (other, isUp) => {
        line.send({ type: 'link', peerId: other, isUp, mayJoin: isUp && mayJoin(other) })
      },
    })
    await calls.call('start', [])
  }

  async stop(): Promise<void> {
    const thread = this.#thread
    if (thread === undefined || this.#isStopping) return
    this.#isStopping = true
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
    if (this.#thread === undefined)
      throw new TrackerError('ERR_STOPPED', 'the tracker is not running')
    return this.#thread.calls
  }

  #onMessage(calls: PortCalls, message: PortMessage): void {
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
        this.#components.onFailure?.(fromPortError(message.error))
        break
      default:
        calls.onMessage(message)
    }
  }

  /** The thread ended by itself: a defect, or no memory. */
  #gone(calls: PortCalls, cause: Error): void {
    if (this.#isStopping) return
    this.#isStopping = true
    const error = new TrackerError('ERR_STOPPED', "the tracker's thread ended", { cause })
    this.status = idle
    calls.fail(error)
    this.#components.onStatus?.(idle)
    this.#components.onFailure?.(error)
  }
}
