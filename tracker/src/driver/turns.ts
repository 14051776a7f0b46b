/**
 * The turns of a driver: gathers what happens, does it in order, and decides when the next turn is due. See driver.ts for what callers
 * use.
 */
import type { CancelTimer } from '../clock.ts'
import { TrackerError } from '../errors.ts'
import type { HardState, Message, RaftLogger, Snapshot } from '../raft/types.ts'
import type { Lane } from '../transport.ts'
import type { SnapshotFiles } from '../wal/snapshot-files.ts'
import { WalError } from '../wal/wal-error.ts'
import type { WriteAheadLog } from '../wal/write-ahead-log.ts'
import { decodeBulk } from './bulk-codec.ts'
import { ByteReader } from './bytes.ts'
import type { DriverComponents } from './driver.ts'
import type { DriverCounters } from './driver-counters.ts'
import { driverLimits } from './driver-limits.ts'
import { ElapsedTime } from './elapsed-time.ts'
import { ElectionPace } from './election-pace.ts'
import { readFrameHead, regionNumber } from './frame-codec.ts'
import { Group, type GroupHost, type GroupStart } from './group.ts'
import { LogWriter, type Promised } from './log-writer.ts'
import { readMessage } from './message-codec.ts'
import { type LineContext, PeerLine } from './peer-line.ts'
import { SnapshotKeeper } from './snapshot-keeper.ts'
import { SnapshotReceiver } from './snapshot-receiver.ts'
import { SnapshotSender } from './snapshot-sender.ts'
import type { StateMachine } from './state-machine.ts'

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

interface Arrived {
  readonly peerId: string
  readonly lane: Lane
  readonly frame: Uint8Array
  readonly cameMs: number
}

const { electionTicks } = driverLimits

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
  readonly #region: number
  readonly #pace: ElectionPace
  readonly #elapsed: ElapsedTime
  readonly #lines = new Map<string, PeerLine>()
  readonly #lineContext: LineContext
  readonly #keeper: SnapshotKeeper
  readonly #sender: SnapshotSender
  readonly #receiver: SnapshotReceiver
  #inbox: Arrived[] = []
  #inboxBytes = 0
  #durable: Promised<Group>[] = []
  #awake = new Set<Group>()
  readonly #touched = new Set<PeerLine>()
  #isScheduled = false
  #isStopped = false
  /** Time that passed and was not spent on ticks. */
  #owedMs = 0
  #cancelTimer: CancelTimer | undefined
  #timerDueMs = 0
  #refreshedMs = Number.NEGATIVE_INFINITY
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
    this.#region = regionNumber(init.region)
    this.#elapsed = new ElapsedTime(clock)
    this.#pace = new ElectionPace(clock.monotonicMs())
    this.#pace.refresh([], clock.monotonicMs())
    const { memberId, log, files, onFailure } = init
    const { counters } = this
    this.writer = new LogWriter<Group>({
      ...{ log, clock, onFailure },
      onDurable: (promised) => this.#whenDurable(promised),
      onFull: (isFull) => this.#whenFull(isFull),
    })
    const common = { region: this.#region, memberId, send, clock, counters }
    this.#lineContext = { ...common, pace: this.#pace }
    this.#keeper = new SnapshotKeeper({ files, log, clock, logger, onFailure, counters })
    const load = (group: number, snapshot: Snapshot) => files.load(group, snapshot)
    this.#sender = new SnapshotSender({ ...common, logger, load })
    this.#receiver = new SnapshotReceiver({
      ...common,
      admits: (id, peerId, memberId) => this.#member(id, peerId, memberId) !== undefined,
      onSnapshot: (id, message) => this.#init.groups.get(id)?.step(message),
    })
  }

  /** T now. */
  get electionMs(): number {
    return this.#pace.electionMs
  }

  /** Length of a tick now. */
  get tickMs(): number {
    return this.#pace.tickMs
  }

  /** Begins a group. */
  add(id: number, stateMachine: StateMachine, start: GroupStart): Group {
    // What passed before concerns the others only.
    this.#passTime(this.monotonicMs())
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
    this.#cancelTimer?.()
    this.writer.stop()
    this.#sender.stop()
    this.#receiver.stop()
    await this.#keeper.stop()
  }

  /** A frame came. */
  receive(peerId: string, lane: Lane, frame: Uint8Array): void {
    if (lane === 'call') return
    if (this.#inboxBytes + frame.length > driverLimits.inboxBytesMax) {
      this.counters.framesDropped += 1
      return
    }
    this.#inboxBytes += frame.length
    this.#inbox.push({ peerId, lane, frame, cameMs: this.monotonicMs() })
    this.#schedule()
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
    this.#defer(() => done(false))
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
    this.#defer(this.#turn)
  }

  #defer(callback: () => void): void {
    if (this.#components.defer === undefined) setImmediate(callback)
    else this.#components.defer(callback)
  }

  readonly #turn = (): void => {
    this.#isScheduled = false
    if (this.#isStopped) return
    this.counters.turns += 1
    const nowMs = this.monotonicMs()
    this.#passTime(nowMs)
    this.#readInbox()
    this.#deliver()
    const awake = this.#awake
    this.#awake = new Set()
    for (const group of awake) group.work()
    this.writer.flush()
    this.#flushLines()
    this.#watchSegments()
    this.#arm(nowMs)
  }

  /** Ticks first: what came meanwhile must not look younger than it is. */
  #passTime(nowMs: number): void {
    if (nowMs - this.#refreshedMs >= driverLimits.timingRefreshMs) {
      this.#refreshedMs = nowMs
      this.#pace.refresh(
        [...this.#lines.values()].map(({ heard }) => heard),
        nowMs,
      )
    }
    const { tickMs } = this.#pace
    this.#owedMs += this.#elapsed.take()
    let ticks = Math.floor(this.#owedMs / tickMs)
    if (ticks === 0) return
    this.#owedMs -= ticks * tickMs
    if (ticks > 2 * electionTicks) {
      // After a long stop: leases have ended, and a leader may be heard before anybody campaigns.
      ticks = electionTicks
      this.#owedMs = 0
      if (this.#cancelTimer !== undefined) this.counters.longStops += 1
    }
    for (const group of this.#init.groups.values()) if (group.needsTicks) group.pass(ticks, tickMs)
  }

  #readInbox(): void {
    if (this.#inbox.length === 0) return
    const inbox = this.#inbox
    this.#inbox = []
    this.#inboxBytes = 0
    for (const arrived of inbox) {
      try {
        if (arrived.lane === 'raft') this.#readFrame(arrived)
        else this.#readBulk(arrived)
      } catch (error) {
        if (!(error instanceof TrackerError)) throw error
        this.counters.framesMalformed += 1
        this.logger.debug?.(`a frame of ${arrived.peerId} is malformed: ${error.message}`)
      }
    }
  }

  #readFrame({ peerId, frame, cameMs }: Arrived): void {
    const reader = new ByteReader(frame)
    const head = readFrameHead(reader)
    if (head.region !== this.#region || head.to !== this.memberId) {
      this.counters.framesForeign += 1
      return
    }
    let isKnown = false
    while (reader.left > 0) {
      const { group: id, message } = readMessage(reader, head.from, head.to)
      const group = this.#member(id, peerId, head.from)
      if (group === undefined) continue
      // Once for the whole frame, and before what it carries: a heartbeat counts in its sender's ticks.
      if (!isKnown) this.line(peerId).hear(head, cameMs)
      isKnown = true
      this.counters.messagesReceived += 1
      group.step(message)
    }
  }

  #readBulk({ peerId, frame }: Arrived): void {
    const bulk = decodeBulk(frame)
    if (bulk.region !== this.#region || bulk.to !== this.memberId) this.counters.framesForeign += 1
    else if (bulk.kind === 'piece') this.#receiver.receive(peerId, bulk)
    else this.#sender.receive(peerId, bulk)
  }

  /** The group, when it is here and the peer may speak in it as that member. */
  #member(id: number, peerId: string, memberId: number): Group | undefined {
    const group = this.#init.groups.get(id)
    if (group === undefined || group.isStopped) this.counters.unknownGroups += 1
    else if (!group.peers.admits(peerId, memberId)) this.counters.unknownMembers += 1
    else return group
    return undefined
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

  /** One timer for all groups; none while no group has anybody to hear from. */
  #arm(nowMs: number): void {
    if (this.#cancelTimer !== undefined) return
    let isNeeded = false
    for (const group of this.#init.groups.values()) {
      if (!group.needsTicks) continue
      isNeeded = true
      break
    }
    if (!isNeeded) return
    const delayMs = Math.max(this.#pace.tickMs - this.#owedMs, 1)
    this.#timerDueMs = nowMs + delayMs
    this.#cancelTimer = this.#components.clock.after(delayMs, () => {
      this.#cancelTimer = undefined
      const firedMs = this.monotonicMs()
      this.#pace.noteLag(Math.max(firedMs - this.#timerDueMs, 0), firedMs)
      // Else a turn is due in this very moment.
      if (!this.#isScheduled && !this.#isStopped) this.#turn()
    })
  }
}
