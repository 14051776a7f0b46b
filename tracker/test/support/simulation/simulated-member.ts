/**
 * One member of a simulation: a machine with a clock and disks of its own, on which a driver runs, is killed, and runs again. Whatever
 * a life that is over still wants to do reaches nothing and nobody.
 */
import { Driver } from '../../../src/driver/driver.ts'
import { TrackerError } from '../../../src/errors.ts'
import { WalError } from '../../../src/wal/wal-error.ts'
import { type Draw, SimulatedFolder, systemError } from '../simulated-folder.ts'
import type { ClockView } from '../virtual-clock.ts'
import { CheckedState } from './checked-state.ts'
import { SlowFolder } from './slow-folder.ts'
import { Violation } from './violation.ts'
import type { World } from './world.ts'

/** The one group of a simulation. */
export const groupId = 1
/** Segments of the log: the smallest, so that a run fills some. */
const SEGMENT_BYTES = 64 * 1024
/** A start that found the disk full is tried again after this. */
const RETRY_MS = 300

/** A life of a member: one process. */
export interface Life {
  readonly number: number
  readonly clock: ClockView
  readonly driver: Driver
  readonly state: CheckedState
  readonly log: SlowFolder
  /** True once the driver has started. */
  isUp: boolean
}

/** One member. */
export class SimulatedMember {
  readonly id: number
  readonly peerId: string
  /** Set while the disk takes nothing more. */
  isDiskFull = false
  /** How long a sync takes now. */
  syncMs: () => number
  /** Set while the next sync fails. */
  isDiskFailing = false
  /** Its disk was damaged; it may or may not notice. */
  isDamaged = false
  /** `lost`: its disk is of no more use. `left`: it was removed from the group. */
  status: 'here' | 'lost' | 'left' = 'here'
  life: Life | undefined
  /** Index of the log at which it was a member for certain. */
  insideAt = Number.POSITIVE_INFINITY
  readonly #world: World
  readonly #draw: Draw
  readonly #rate: number
  #wallMs = 1_700_000_000_000
  #lives = 0
  #logFolder: SimulatedFolder
  #snapshotFolder: SimulatedFolder
  #lastCommits: ReadonlyMap<string, number> = new Map()
  #contacts: readonly string[] = []
  /** A sync failed in this life. */
  #hasDiskFailed = false

  constructor(world: World, id: number, options: { readonly rate: number; readonly draw: Draw }) {
    this.#world = world
    this.id = id
    this.peerId = `peer-${id}`
    this.#rate = options.rate
    this.syncMs = () => world.plan.syncMs
    this.#draw = options.draw
    this.#logFolder = new SimulatedFolder(options.draw)
    this.#snapshotFolder = new SimulatedFolder(options.draw)
  }

  get address(): { memberId: number; peerId: string } {
    return { memberId: this.id, peerId: this.peerId }
  }

  /** The process, when it can be asked. */
  get running(): Life | undefined {
    return this.life?.isUp ? this.life : undefined
  }

  get isLeader(): boolean {
    return this.running?.state.term !== undefined
  }

  /** Whom it tells that it waits to become a member; undefined for a founder. */
  joins(contacts: readonly string[]): void {
    this.#contacts = contacts
  }

  /** Starts a process on what the disks have. */
  async start(): Promise<void> {
    if (this.life !== undefined || this.status !== 'here') return
    const life = this.#begin()
    this.life = life
    try {
      await life.driver.start()
    } catch (error) {
      if (this.life === life) this.#startFailed(error)
      return
    }
    if (this.life !== life) return
    life.isUp = true
    this.#world.attempt(() => this.#started(life))
  }

  /** The process is killed; what it wrote is there for the next one. */
  kill(options: { readonly silently?: boolean } = {}): void {
    this.#end(options, () => {
      this.#logFolder = this.#logFolder.handOver()
      this.#snapshotFolder = this.#snapshotFolder.handOver()
    })
  }

  /** The machine loses its power: what was not synced may be there, in part, damaged, or not. */
  losePower(options: { readonly silently?: boolean; readonly flipBits?: boolean } = {}): void {
    this.#end(options, () => {
      const { flipBits = false } = options
      this.#logFolder = this.#logFolder.losePower({ flipBits })
      this.#snapshotFolder = this.#snapshotFolder.losePower({ flipBits })
    })
  }

  /** Flips a bit of what is durable; to be called while nothing runs here. */
  damage(): void {
    const folder = this.#draw(3) === 0 ? this.#snapshotFolder : this.#logFolder
    const names = folder.names().filter((name) => !name.endsWith('.tmp'))
    const name = names[this.#draw(names.length)]
    const bytes = name === undefined ? undefined : folder.bytesOf(name)
    if (name === undefined || bytes === undefined) return
    // The last write may be taken for one that was cut: nobody can tell such damage from a crash.
    const until = Math.min(bytes.length, this.#lastCommits.get(name) ?? bytes.length)
    if (until === 0) return
    const changed = bytes.slice()
    const at = this.#draw(until)
    changed[at] = (changed[at] as number) ^ (1 << this.#draw(8))
    folder.put(name, changed)
    this.isDamaged = true
  }

  pause(): void {
    this.life?.clock.pause()
  }

  resume(): void {
    this.life?.clock.resume()
  }

  /** Somebody sets the wall clock. */
  jump(ms: number): void {
    this.#wallMs += ms
    this.life?.clock.jump(ms)
  }

  /** It is a member no longer. */
  leave(): void {
    if (this.life !== undefined) this.kill()
    this.status = 'left'
  }

  #begin(): Life {
    this.#lives += 1
    this.#hasDiskFailed = false
    const world = this.#world
    const clock = world.clock.view({ rate: this.#rate, wallMs: this.#wallMs })
    const pace = { syncMs: () => this.syncMs() }
    const log = new SlowFolder(this.#logFolder, clock, pace)
    const snapshots = new SlowFolder(this.#snapshotFolder, clock, pace)
    for (const { inner } of [log, snapshots]) inner.interfere = (call) => this.#interfere(call)
    const isThis = () => this.life === life
    const transport = world.network.transport(this.peerId, clock)
    const state = new CheckedState({
      ...{ chronicle: world.chronicle, clock, who: `member ${this.id}` },
      propose: (command) => {
        driver.propose(groupId, command).catch(expected)
      },
      attempt: (check) => world.attempt(check),
    })
    const driver: Driver = new Driver(
      {
        clock,
        send: (peerId, lane, frame) => {
          if (!isThis()) return false
          world.noteFrame(frame.length)
          if (lane === 'raft') world.attempt(() => world.wire.see(frame))
          return transport.send(peerId, lane, frame)
        },
        ...{ logFolder: log, snapshotFolder: snapshots, defer: clock.defer },
        random: () => this.#draw(2 ** 30) / 2 ** 30,
        randomBytes: (length) => Uint8Array.from({ length }, () => this.#draw(256)),
        admits: (peerId, memberId) => peerId === `peer-${memberId}`,
        logger: {
          warn: (message) => world.log(this.peerId, message),
          error: (message) => world.log(this.peerId, message),
        },
        onFailure: (error) => {
          if (isThis()) this.#failed(error)
        },
      },
      {
        ...{ region: 'simulation', memberId: this.id, peerId: this.peerId },
        ...{ readMode: world.plan.readMode, segmentBytes: SEGMENT_BYTES },
        stateMachine: () => state,
      },
    )
    const life: Life = { ...{ number: this.#lives, clock, driver, state, log }, isUp: false }
    transport.start({
      onFrame: (peerId, lane, frame) => {
        if (isThis()) driver.onFrame(peerId, lane, frame)
      },
      onLink: (peerId, isUp) => {
        if (isThis()) driver.onLink(peerId, isUp)
      },
    })
    return life
  }

  #started({ driver, state }: Life): void {
    if (driver.groupIds.includes(groupId))
      this.#world.wire.returned(this.id, driver.status(groupId).term)
    else if (this.#contacts.length > 0) driver.joinGroup(groupId, state, this.#contacts)
  }

  #startFailed(error: unknown): void {
    this.#end({}, () => {
      this.#logFolder = this.#logFolder.handOver()
      this.#snapshotFolder = this.#snapshotFolder.handOver()
    })
    if (error instanceof WalError && error.code === 'ERR_WAL_FULL') {
      this.#world.later(RETRY_MS, () => void this.start())
      return
    }
    if (this.isDamaged && error instanceof WalError) {
      this.#world.counts.damageNoticed += 1
      this.status = 'lost'
      return
    }
    const isDisk = this.#hasDiskFailed || this.isDiskFull
    if (isDisk) this.#world.later(RETRY_MS, () => void this.start())
    else this.#world.fail(new Violation(`member ${this.id} does not start`, { cause: error }))
  }

  /** The disk failed: the process ends, and the machine is started anew. */
  #failed(error: TrackerError): void {
    if (!this.#hasDiskFailed && !this.isDamaged) {
      this.#world.fail(new Violation(`member ${this.id} stops`, { cause: error }))
      return
    }
    this.isDiskFailing = false
    // Not within a turn of the driver.
    this.#world.later(0, () => {
      this.losePower()
      this.#world.later(RETRY_MS, () => void this.start())
    })
  }

  #end(options: { readonly silently?: boolean }, takeDisks: () => void): void {
    const { life } = this
    if (life === undefined) return
    this.life = undefined
    this.#lastCommits = life.log.lastCommits
    // Its timers never fire again.
    life.clock.pause()
    takeDisks()
    this.#world.network.remove(this.peerId, options)
    this.#world.ended(this, life)
  }

  #interfere(call: string): NodeJS.ErrnoException | undefined {
    if (this.isDiskFull && (call === 'write' || call === 'create')) return systemError('ENOSPC')
    if (!this.isDiskFailing || call !== 'sync') return undefined
    this.#hasDiskFailed = true
    return systemError('EIO')
  }
}

/** What a proposal of the member itself may end with. */
function expected(error: unknown): void {
  if (!(error instanceof TrackerError)) throw error
}
