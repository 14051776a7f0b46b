/**
 * What this peer decides together with others: its tracker, or the etcd of an operator. The tracker runs in a thread of its own and comes up
 * by itself; nothing waits for it, and a peer whose tracker fails goes on without one and says so.
 */
import type {
  AgentStatus,
  Coordination,
  PeerFacts,
  RegionView,
  Swarms,
  Tracker,
} from '@kairo/tracker'
import { CurrentCoordination, createTracker } from '@kairo/tracker/program'
import type { Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../clock.ts'
import { deadline, unlessAborted } from '../deadline.ts'
import { KairoError } from '../errors.ts'
import { coordinationServiceLimits as limits } from '../limits/coordination.ts'
import type { Logger } from '../logger.ts'
import { type LineHost, LineTransport } from './line-transport.ts'
import { trackerFailure } from './tracker-errors.ts'
import { TrackerMetrics } from './tracker-metrics.ts'

/** What the service works with. */
export interface CoordinationComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly host: LineHost
  readonly random: () => number
  /** What this peer tells of itself; looked at now and then. */
  readonly peerFacts: () => PeerFacts
  /** Whether there are others to look for: addresses were given, or peers are remembered. */
  readonly expectsPeers: () => Promise<boolean>
}

/** Settings of the service. */
export interface CoordinationInit {
  /** The tracker's own folder, an absolute path. */
  readonly folder: string
  /** Name of the region. */
  readonly region: string
  /** Peer ids that may join this peer's region, or `network`. */
  readonly regionPeers: readonly string[]
  /** TCP port at which trackers of other peers call this one; 0: a free one. */
  readonly regionPort: number
  /** `etcd://…`, or nothing for the tracker. */
  readonly coordinationUrl: string
}

/** Which engine decides. */
export type CoordinationEngine = 'tracker' | 'etcd'

/** How coordination stands here. */
export interface CoordinationStatus {
  readonly engine: CoordinationEngine
  /** `failed`: it works no longer until the next start of this peer; `error` says why. */
  readonly state: 'stopped' | 'starting' | 'running' | 'failed'
  readonly error: KairoError | undefined
  /** The tracker's threads that ended by themselves since the start of this peer, and why the last one did. */
  readonly ended: { readonly count: number; readonly reason: KairoError } | undefined
  /** Name of the region. */
  readonly region: string
  /** How the region stands; undefined with etcd, and while the tracker is not there. */
  readonly agent: AgentStatus | undefined
}

/** The service; {@link start} when the host runs. */
export class CoordinationService {
  /** Usable at any time: calls end in `ERR_UNAVAILABLE` while nothing can decide. */
  readonly coordination: Coordination
  readonly #components: CoordinationComponents
  readonly #init: CoordinationInit
  readonly #logger: Logger
  readonly #lines: LineTransport
  readonly #metrics: TrackerMetrics
  readonly #listeners = new Set<() => void>()
  #state: CoordinationStatus['state'] = 'stopped'
  #error: KairoError | undefined
  #ended: CoordinationStatus['ended']
  #tracker: Tracker | undefined
  #etcd: Coordination | undefined
  #starting: Promise<void> = Promise.resolve()
  #facts: PeerFacts
  #cancelRound: CancelTimer | undefined
  #told = ''

  constructor(components: CoordinationComponents, init: CoordinationInit) {
    const { clock, registry, host, random } = components
    this.#components = components
    this.#init = init
    this.#facts = { isReachable: false, load: 0, roles: [] }
    this.#logger = components.logger.child({ name: 'kairo:coordination' })
    const lines = { directPort: init.regionPort }
    this.#lines = new LineTransport({ clock, registry, host, random }, lines)
    this.#metrics = new TrackerMetrics(registry, {
      isUp: () => this.#state === 'running',
      status: () => this.status.agent,
    })
    this.coordination = new CurrentCoordination(() => {
      if (this.#state !== 'running') return undefined
      return this.#etcd ?? this.#tracker?.coordination
    })
  }

  /** How it stands. */
  get status(): CoordinationStatus {
    const { region, coordinationUrl } = this.#init
    return {
      engine: coordinationUrl === '' ? 'tracker' : 'etcd',
      ...{ state: this.#state, error: this.#error, ended: this.#ended, region },
      agent: this.#state === 'running' ? this.#tracker?.status : undefined,
    }
  }

  /** What peers only tell the region; undefined while no tracker runs here. */
  get swarms(): Swarms | undefined {
    return this.#state === 'running' ? this.#tracker?.swarms : undefined
  }

  /** Calls the listener when {@link status} changes. Returns the way to stop. */
  onStatus(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Begins to come up; what became of it is told by {@link status}. */
  async start(): Promise<void> {
    this.#state = 'starting'
    if (this.#init.coordinationUrl !== '') {
      this.#starting = this.#attempt(() => this.#startEtcd())
      return
    }
    await this.#lines.listen()
    this.#starting = this.#attempt(() => this.#startTracker())
  }

  /** Hands over what this peer leads and ends all calls. */
  async stop(): Promise<void> {
    this.#cancelRound?.()
    await this.#starting
    const limit = deadline(this.#components.clock, limits.stopMsMax)
    try {
      const ends = Promise.all([this.#etcd?.stop(), this.#tracker?.stop()])
      await unlessAborted(ends, limit.signal)
    } catch (error) {
      this.#logger.warn({ err: error }, 'the tracker did not stop in order')
    } finally {
      limit.clear()
      this.#lines.close()
      this.#become('stopped')
    }
  }

  /** Everything for an operator. @throws KairoError `ERR_NO_QUORUM`, `ERR_STOPPED`, `ERR_TIMEOUT`; why the tracker failed */
  async view(): Promise<RegionView> {
    return await this.#ask(limits.viewMsMax, (tracker) => tracker.view())
  }

  /** Leaves the region for good: others take over this peer's seats. @throws KairoError as {@link view} */
  async leave(): Promise<void> {
    await this.#ask(limits.viewMsMax, (tracker) => tracker.leave())
  }

  /** Gives up what this peer holds of its region and founds a new one. @throws KairoError as {@link view} */
  async forget(): Promise<void> {
    await this.#ask(limits.viewMsMax, (tracker) => tracker.forget())
  }

  /** Moves this member to another region of the name. @throws KairoError as {@link view}, `ERR_INVALID_INPUT` */
  async merge(regionId: string): Promise<void> {
    await this.#ask(limits.viewMsMax, (tracker) => tracker.merge(regionId))
  }

  /** Asks the engine something that only works while it decides. @throws KairoError why it does not */
  async probe(): Promise<void> {
    try {
      const keyspace = this.coordination.keyspace('region')
      await keyspace.get('probe', { timeoutMs: limits.probeMsMax })
    } catch (error) {
      throw this.#error ?? trackerFailure(error)
    }
  }

  /** @throws KairoError when coordination fails here, or the region has had no quorum for long */
  ready(): void {
    if (this.#state === 'failed') throw this.#error ?? new KairoError('ERR_WORKER', 'it failed')
    if (this.status.agent?.isDegraded === true) {
      throw new KairoError('ERR_NO_QUORUM', 'too few members of the region are there')
    }
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work()
      if (this.#state === 'starting') this.#become('running')
    } catch (error) {
      this.#fail(error)
    }
  }

  async #startTracker(): Promise<void> {
    const { peerFacts, expectsPeers } = this.#components
    const { folder, region, regionPeers } = this.#init
    const mayJoin = (peerId: string): boolean =>
      regionPeers.includes('network') || regionPeers.includes(peerId)
    this.#facts = peerFacts()
    this.#tracker = createTracker(
      {
        transport: this.#lines,
        logger: trackerLogger(this.#logger),
        ...{ mayJoin, peerFacts: this.#facts },
        onStatus: (status) => this.#onAgent(status),
        onRestart: (reason) => this.#onRestart(reason),
        onFailure: (error) => this.#fail(error),
      },
      { folder, region, expectsPeers: await expectsPeers() },
    )
    await this.#tracker.start()
    this.#round()
  }

  /** Loaded only by those who use it: it brings gRPC. */
  async #startEtcd(): Promise<void> {
    const { EtcdCoordination } = await import('@kairo/tracker/etcd')
    const { coordinationUrl: url, region } = this.#init
    this.#etcd = new EtcdCoordination({ clock: this.#components.clock }, { url, region })
  }

  async #ask<T>(msMax: number, question: (tracker: Tracker) => Promise<T>): Promise<T> {
    if (this.#init.coordinationUrl !== '') {
      throw new KairoError('ERR_INVALID_INPUT', 'etcd coordinates this region, and has no members')
    }
    if (this.#state !== 'running' || this.#tracker === undefined) {
      throw this.#error ?? new KairoError('ERR_STOPPED', `the tracker is ${this.#state}`)
    }
    const limit = deadline(this.#components.clock, msMax)
    try {
      return await unlessAborted(question(this.#tracker), limit.signal)
    } catch (error) {
      throw trackerFailure(error)
    } finally {
      limit.clear()
    }
  }

  /** Figures, and what this peer tells of itself. */
  #round(): void {
    const tracker = this.#tracker
    if (tracker === undefined || this.#state === 'failed') return
    const facts = this.#components.peerFacts()
    if (isNews(facts, this.#facts)) {
      this.#facts = facts
      tracker.setPeerFacts(facts)
    }
    tracker.figures().then(
      (figures) => this.#metrics.take(figures),
      (error: unknown) => this.#logger.debug({ err: error }, 'the tracker tells no figures'),
    )
    this.#cancelRound = this.#components.clock.after(limits.roundMs, () => this.#round())
  }

  #onAgent(status: AgentStatus): void {
    const { phase, facts, memberCount, hasQuorum, isDegraded, waitsFor, conflicts } = status
    const told = [phase, facts?.regionId, memberCount, hasQuorum, isDegraded, conflicts.length]
    if (told.join() !== this.#told) {
      this.#told = told.join()
      const fields = { phase, region: facts?.regionId, memberCount, hasQuorum, waitsFor }
      const isBad = isDegraded || conflicts.length > 0
      this.#logger[isBad ? 'warn' : 'info'](fields, words(status))
    }
    this.#tell()
  }

  #onRestart(reason: Error): void {
    this.#metrics.restarts.inc()
    this.#ended = { count: (this.#ended?.count ?? 0) + 1, reason: trackerFailure(reason) }
    this.#tell()
  }

  #fail(cause: unknown): void {
    if (this.#state === 'failed' || this.#state === 'stopped') return
    this.#error = trackerFailure(cause)
    this.#logger.error({ err: cause }, 'coordination failed; this peer goes on without it')
    this.#cancelRound?.()
    this.#become('failed')
  }

  #become(state: CoordinationStatus['state']): void {
    this.#state = state
    this.#tell()
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

function isNews(now: PeerFacts, before: PeerFacts): boolean {
  return (
    now.isReachable !== before.isReachable ||
    Math.abs(now.load - before.load) >= limits.loadStep ||
    now.roles.join() !== before.roles.join()
  )
}

function words({ phase, isDegraded, conflicts, hasQuorum }: AgentStatus): string {
  if (conflicts.length > 0) return 'another region has the name of ours'
  if (isDegraded) return 'the region has been without a quorum for long'
  if (phase !== 'member') return 'in no region'
  return hasQuorum ? 'in a region' : 'in a region without a quorum'
}

function trackerLogger(logger: Logger) {
  return {
    debug: (message: string) => logger.debug({}, message),
    info: (message: string) => logger.info({}, message),
    warn: (message: string) => logger.warn({}, message),
    error: (message: string) => logger.error({}, message),
  }
}
