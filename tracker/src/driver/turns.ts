/**
 * The turns of a driver: gathers what happens, does it in order, and decides when the next turn is due. See driver.ts for what callers
 * use.
 */
import { TrackerError } from '../errors.ts'
import type { HardState, Message, RaftLogger, Snapshot } from '../raft/types.ts'
import type { Lane } from '../transport.ts'
import type { SnapshotFiles } from '../wal/snapshot-files.ts'
import { WalError } from '../wal/wal-error.ts'
import type { WriteAheadLog } from '../wal/write-ahead-log.ts'
import type { DriverComponents } from './driver.ts'
import type { DriverCounters } from './driver-counters.ts'
import { driverLimits } from './driver-limits.ts'
import { regionNumber } from './frame-codec.ts'
import { Group } from './group.ts'
import type { GroupHost } from './group-host.ts'
import type { GroupStart } from './group-start.ts'
import { Inbox } from './inbox.ts'
import { LogWriter, type Promised } from './log-writer.ts'
import { type LineContext, PeerLine } from './peer-line.ts'
import { SnapshotKeeper } from './snapshot-keeper.ts'
import { SnapshotReceiver } from './snapshot-receiver.ts'
import { SnapshotSender } from './snapshot-sender.ts'
import type { StateMachine } from './state-machine.ts'
import { Ticker } from './ticker.ts'

/** What the turns work on. */
export interface TurnsInit {
  readonly memberId: number
  readonly peerId: string
  readonly region: Uint8Array
  readonly readMode: 'safe' | 'lease'
  readonly log: WriteAheadLog
  readonly files: SnapshotFiles
  readonly groups: Map<number, Group>
  readonly counters: DriverCounters
  readonly onFailure: (error: unknown) => void
}

/** The turns. */
export class Turns implements GroupHost {
  readonly counters: DriverCounters
  readonly memberId: number
  readonly readMode: 'safe' | 'lease'
  readonly random: () => number
  readonly logger: RaftLogger
  readonly writer: LogWriter<Group>
  readonly #components: DriverComponents
  readonly #init: TurnsInit
  readonly #ticker: Ticker
  readonly #inbox: Inbox
  readonly #lines = new Map<string, PeerLine>()
  readonly #lineContext: LineContext
  readonly #keeper: SnapshotKeeper
  readonly #sender: SnapshotSender
  readonly #receiver: SnapshotReceiver
  #durable: Promised<Group>[] = []
  #awake = new Set<Group>()
  readonly #touched = new Set<PeerLine>()
  #isScheduled = false
  #isStopped = false
  #segments = 0
  #wasFull = false

  constructor(components: DriverComponents, init: TurnsInit) {
    const { clock, send, logger = {} } = components
    this.#components = components
    this.#init = init
    this.counters = init.counters
    this.memberId = init.memberId
    this.readMode = init.readMode
    this.random = components.random
    this.logger = logger
    const { memberId, log, files, onFailure } = init
    const { counters } = this
    const region = regionNumber(init.region)
    const { groups } = init
    this.#ticker = new Ticker({ clock, groups, counters, turn: this.#onTimer })
    this.writer = new LogWriter<Group>({
      ...{ log, clock, onFailure },
      onDurable: (promised) => this.#whenDurable(promised),
      onFull: (isFull) => this.#whenFull(isFull),
    })
    const common = { region, memberId, send, clock, counters }
    this.#lineContext = { ...common, pace: this.#ticker.pace }
    this.#keeper = new SnapshotKeeper({ files, log, clock, logger, onFailure, counters })
    const load = (group: number, snapshot: Snapshot) => files.load(group, snapshot)
    this.#sender = new SnapshotSender({ ...common, logger, load })
    this.#receiver = new SnapshotReceiver({
      ...common,
      admits: (id, peerId, memberId) => this.#inbox.member(id, peerId, memberId) !== undefined,
      onSnapshot: (id, message) => groups.get(id)?.step(message),
    })
    this.#inbox = new Inbox({
      ...{ region, memberId, groups, counters, logger },
      ...{ sender: this.#sender, receiver: this.#receiver },
      line: (peerId) => this.line(peerId),
    })
  }

  /** T now. */
  get electionMs(): number {
    return this.#ticker.pace.electionMs
  }

  /** Length of a tick now. */
  get tickMs(): number {
    return this.#ticker.tickMs
  }

  /** Begins a group. */
  add(id: number, stateMachine: StateMachine, start: GroupStart): Group {
    // What passed before concerns the others only.
    this.#ticker.pass(this.monotonicMs())
    const group = new Group(this, id, stateMachine, start)
    this.#init.groups.set(id, group)
    group.begin()
    return group
  }

  /** Makes the very first state of a group durable. */
  async found(id: number, snapshot: Snapshot, hardState: HardState): Promise<void> {
    const { files, log } = this.#init
    await files.save(id, snapshot)
    log.append({ group: id, snapshot, hardState })
    await log.sync()
  }

  /** Forgets what the disk has of a group. */
  async remove(id: number): Promise<void> {
    const { log } = this.#init
    log.remove(id)
    await log.sync()
    await this.#keeper.remove(id)
  }

  /** Stops the turns; what is being written is written. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#ticker.stop()
    this.writer.stop()
    this.#sender.stop()
    this.#receiver.stop()
    await this.#keeper.stop()
  }

  /** A frame came. */
  receive(peerId: string, lane: Lane, frame: Uint8Array): void {
    if (this.#inbox.add({ peerId, lane, frame, cameMs: this.monotonicMs() })) this.#schedule()
  }

  linkChanged(peerId: string, isUp: boolean): void {
    if (!isUp) {
      this.#sender.linkBroke(peerId)
      this.#receiver.linkBroke(peerId)
    }
    for (const group of this.#init.groups.values()) {
      group.linkChanged(peerId, isUp)
      if (!isUp) group.unreachable(peerId)
    }
  }

  monotonicMs(): number {
    return this.#components.clock.monotonicMs()
  }

  won(campaignMs: number): void {
    this.#ticker.won(campaignMs)
  }

  line(peerId: string): PeerLine {
    let line = this.#lines.get(peerId)
    if (line === undefined) {
      line = new PeerLine(this.#lineContext, peerId)
      this.#lines.set(peerId, line)
    }
    return line
  }

  admits(peerId: string, memberId: number): boolean {
    return this.#components.admits?.(peerId, memberId) ?? false
  }

  touch(line: PeerLine): void {
    this.#touched.add(line)
    this.#schedule()
  }

  wake(group: Group): void {
    this.#awake.add(group)
    this.#schedule()
  }

  saveSnapshot(group: Group, snapshot: Snapshot, done: () => void): void {
    this.#keeper.save(group, snapshot, done)
  }

  requestSnapshot(group: Group): void {
    this.#keeper.request(group)
  }

  sendSnapshot(group: Group, message: Message, line: PeerLine): void {
    const { to } = message
    const done = (arrived: boolean) => group.reportSnapshot(to, arrived)
    if (this.#sender.add({ group: group.id, peerId: line.peerId, message, done })) return
    this.#components.defer(() => done(false))
  }

  snapshotInstalled(group: Group, index: number): void {
    void this.#keeper.remove(group.id, index)
  }

  stopGroup(group: Group, error: unknown): void {
    if (error instanceof WalError && error.code !== 'ERR_WAL_TOO_LARGE') {
      this.#init.onFailure(error)
      return
    }
    this.counters.groupsFailed += 1
    this.logger.error?.(`group ${group.id} stops: ${error instanceof Error ? error.stack : error}`)
    group.failure = error
    group.stop(new TrackerError('ERR_UNAVAILABLE', 'the group stopped', { cause: error }))
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isStopped) return
    this.#isScheduled = true
    this.#components.defer(this.#turn)
  }

  /** Time has passed, unless a turn is due in this very moment. */
  readonly #onTimer = (): void => {
    if (!this.#isScheduled && !this.#isStopped) this.#turn()
  }

  readonly #turn = (): void => {
    this.#isScheduled = false
    if (this.#isStopped) return
    this.counters.turns += 1
    const nowMs = this.monotonicMs()
    // Ticks first: what came meanwhile must not look younger than it is.
    this.#ticker.pass(nowMs)
    this.#inbox.read()
    this.#deliver()
    const awake = this.#awake
    this.#awake = new Set()
    for (const group of awake) group.work()
    this.writer.flush()
    this.#flushLines()
    this.#watchSegments()
    this.#ticker.arm(nowMs)
  }

  #whenDurable(promised: Promised<Group>[]): void {
    for (const each of promised) this.#durable.push(each)
    this.#schedule()
  }

  #deliver(): void {
    const durable = this.#durable
    if (durable.length === 0) return
    this.#durable = []
    for (const { owner, responses } of durable) owner.deliver(responses)
  }

  /** Told whenever the disk is found full, and when it has room again. */
  #whenFull(isFull: boolean): void {
    if (isFull !== this.#wasFull) {
      this.#wasFull = isFull
      this.counters.diskFull += isFull ? 1 : 0
      this.logger.warn?.(isFull ? 'the disk is full: nothing is acknowledged' : 'the disk has room')
    }
    if (!isFull) return
    for (const group of this.#init.groups.values()) group.handOver()
  }

  #flushLines(): void {
    if (this.#touched.size === 0) return
    const nowMs = this.monotonicMs()
    for (const line of this.#touched) {
      if (line.flush(nowMs)) continue
      for (const group of this.#init.groups.values()) group.unreachable(line.peerId)
    }
    this.#touched.clear()
  }

  /** A new segment began: whoever still needs the oldest one is asked for a snapshot. */
  #watchSegments(): void {
    const { log, groups } = this.#init
    const { segmentCount } = log
    if (segmentCount === this.#segments) return
    this.#segments = segmentCount
    if (segmentCount < driverLimits.segmentsHigh) return
    for (const id of log.pinning()) {
      const group = groups.get(id)
      if (group !== undefined && !group.isStopped) this.#keeper.request(group)
    }
  }
}
