/** Drivers of a test: members in memory with folders that survive, a state machine that remembers what it applied, and their network. */
import { Driver, type DriverInit } from '../../src/driver/driver.ts'
import type { Committed, StateMachine } from '../../src/driver/state-machine.ts'
import { TrackerError } from '../../src/errors.ts'
import { drawFrom } from './log-stage.ts'
import { MemoryNetwork } from './memory-network.ts'
import { SimulatedFolder } from './simulated-folder.ts'
import { type ClockView, VirtualClock } from './virtual-clock.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Appends lines; answers with how many there are. */
export class Notebook implements StateMachine {
  lines: string[] = []
  /** Terms in which it led, `undefined` where that ended. */
  terms: (number | undefined)[] = []
  /** Lines that were there when it was told last that it leads, or does so no longer. */
  ledWith = 0
  lastIndex = 0

  apply({ command, index }: Committed): number {
    if (index <= this.lastIndex) throw new Error(`index ${index} after ${this.lastIndex}`)
    this.lastIndex = index
    this.lines.push(decoder.decode(command))
    return this.lines.length
  }

  snapshot(): Uint8Array {
    return encoder.encode(JSON.stringify([this.lastIndex, this.lines]))
  }

  restore(snapshot: Uint8Array): void {
    try {
      ;[this.lastIndex, this.lines] = JSON.parse(decoder.decode(snapshot))
    } catch (cause) {
      throw new TrackerError('ERR_MALFORMED', 'no notebook', { cause })
    }
  }

  lead(term: number | undefined): void {
    this.terms.push(term)
    this.ledWith = this.lines.length
  }
}

/** One member and all that is its own. */
export class TestMember {
  readonly id: number
  readonly peerId: string
  readonly clock: ClockView
  notebooks = new Map<number, Notebook>()
  logFolder: SimulatedFolder
  snapshotFolder: SimulatedFolder
  driver: Driver
  failure: TrackerError | undefined
  logged: string[] = []
  readonly #stage: DriverStage

  constructor(stage: DriverStage, id: number) {
    this.#stage = stage
    this.id = id
    this.peerId = `peer-${id}`
    this.clock = stage.clock.view()
    this.logFolder = new SimulatedFolder(stage.draw)
    this.snapshotFolder = new SimulatedFolder(stage.draw)
    this.driver = this.#make()
  }

  notebook(group = 1): Notebook {
    const found = this.notebooks.get(group) ?? new Notebook()
    this.notebooks.set(group, found)
    return found
  }

  get address(): { memberId: number; peerId: string } {
    return { memberId: this.id, peerId: this.peerId }
  }

  isLeader(group = 1): boolean {
    return this.notebook(group).terms.at(-1) !== undefined
  }

  propose(text: string, group = 1, options: { signal?: AbortSignal } = {}): Promise<unknown> {
    return this.driver.propose(group, encoder.encode(text), options)
  }

  async start(): Promise<void> {
    await this.driver.start()
  }

  /** Stops in order and starts again from its folders. */
  async restart(): Promise<void> {
    this.#stage.network.remove(this.peerId)
    await this.driver.stop()
    await this.revive()
  }

  /** The process is killed: what the page cache has stays. */
  kill(options: { readonly silently?: boolean } = {}): void {
    this.logFolder = this.logFolder.handOver()
    this.snapshotFolder = this.snapshotFolder.handOver()
    this.#end(options)
  }

  /** The power is lost: what was not synced may be gone. */
  losePower(options: { readonly silently?: boolean } = {}): void {
    this.logFolder = this.logFolder.losePower()
    this.snapshotFolder = this.snapshotFolder.losePower()
    this.#end(options)
  }

  /** Starts anew from the folders. */
  async revive(): Promise<void> {
    this.notebooks = new Map()
    this.driver = this.#make()
    await this.driver.start()
  }

  #end(options: { readonly silently?: boolean }): void {
    this.#stage.network.remove(this.peerId, options)
    for (const notebook of this.notebooks.values()) notebook.terms.push(undefined)
    // Its folders are off, so whatever it still does reaches nothing and nobody.
    void this.driver.stop().catch(() => undefined)
  }

  #make(): Driver {
    const stage = this.#stage
    const transport = stage.network.transport(this.peerId, this.clock)
    const driver = new Driver(
      {
        clock: this.clock,
        send: transport.send,
        ...{ logFolder: this.logFolder, snapshotFolder: this.snapshotFolder },
        random: () => stage.draw(2 ** 30) / 2 ** 30,
        randomBytes: (length) => Uint8Array.from({ length }, () => stage.draw(256)),
        defer: this.clock.defer,
        logger: {
          warn: (message) => this.logged.push(message),
          error: (message) => this.logged.push(message),
        },
        onFailure: (error) => {
          this.failure = error
        },
      },
      {
        ...{ region: 'test', memberId: this.id, peerId: this.peerId, segmentBytes: 64 * 1024 },
        stateMachine: (group) => this.notebook(group),
        ...stage.init,
      },
    )
    transport.start({
      onFrame: (peerId, lane, frame) => driver.onFrame(peerId, lane, frame),
      onLink: (peerId, isUp) => driver.onLink(peerId, isUp),
    })
    return driver
  }
}

/** A whole test. */
export class DriverStage {
  readonly clock = new VirtualClock()
  readonly network = new MemoryNetwork(this.clock)
  readonly members: TestMember[] = []
  readonly draw: ReturnType<typeof drawFrom>
  readonly init: Partial<DriverInit>

  constructor(init: Partial<DriverInit> = {}, seed = 1) {
    this.init = init
    this.draw = drawFrom(seed)
  }

  /** A member that belongs to no group yet. */
  async member(id = this.members.length + 1): Promise<TestMember> {
    const member = new TestMember(this, id)
    this.members.push(member)
    await this.result(member.start())
    return member
  }

  /** A group of that many founders, with a leader. */
  async found(count: number, group = 1): Promise<TestMember[]> {
    while (this.members.length < count) await this.member()
    const founders = this.members.slice(0, count)
    const voters = founders.map(({ address }) => address)
    for (const member of founders)
      await this.result(member.driver.createGroup(group, { voters }, member.notebook(group)))
    await this.leader(group)
    return founders
  }

  /** The member that leads, when there is exactly one; time passes until then. */
  async leader(group = 1, among: readonly TestMember[] = this.members): Promise<TestMember> {
    const leaders = () => among.filter((member) => member.isLeader(group))
    await this.clock.until(() => leaders().length === 1)
    return leaders()[0] as TestMember
  }

  result<Value>(promise: Promise<Value>): Promise<Value> {
    return this.clock.result(promise)
  }

  async stop(): Promise<void> {
    for (const member of this.members) await this.result(member.driver.stop())
  }
}

/** The code that a promise is rejected with, or 'resolved'. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'resolved'
  } catch (error) {
    return error instanceof TrackerError ? error.code : String(error)
  }
}
