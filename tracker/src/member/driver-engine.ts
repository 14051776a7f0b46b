/** Opens a region's groups at this peer: the driver on its folders, a state for each group, the client that reaches all of them. */
import type { CallLane } from '../client/call-lane.ts'
import { regionNumber } from '../client/coordination-codec.ts'
import { MemberGroups } from '../client/member-groups.ts'
import { RegionCoordination } from '../client/region-coordination.ts'
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../coordination.ts'
import { Driver } from '../driver/driver.ts'
import { TrackerError } from '../errors.ts'
import type { RaftLogger } from '../raft/types.ts'
import type { RegionFacts } from '../region/region-facts.ts'
import type { OpenRegion, RegionEngine, RegionGuide } from '../region/residence.ts'
import { GroupState } from '../state/group-state.ts'
import type { Lane, TrackerTransport } from '../transport.ts'
import type { Folder } from '../wal/folder.ts'
import type { CurrentGroups } from './current-groups.ts'

/** What an engine stands on. */
export interface DriverEngineComponents {
  readonly clock: Clock
  readonly transport: Pick<TrackerTransport, 'peerId' | 'send'>
  readonly lane: CallLane
  /** Where the groups that are open can be found by those who answer other peers. */
  readonly access: CurrentGroups
  readonly logFolder: Folder
  readonly snapshotFolder: Folder
  /** A number in [0, 1). */
  readonly random: () => number
  readonly randomBytes: (length: number) => Uint8Array
  readonly logger: RaftLogger
  /** Calls back after what happens at the same time has happened. */
  readonly defer: (callback: () => void) => void
  readonly onFailure: (error: TrackerError) => void
  /** Somebody leads a group in a term of which nothing was known here. */
  readonly onLeader: (group: number) => void
}

/** Settings of an engine. */
export interface DriverEngineInit {
  /** Size of a segment of the log. Default: the log's own. */
  readonly segmentBytes?: number
}

/** What is open. */
interface Opened {
  readonly driver: Driver
  readonly states: Map<number, GroupState>
  readonly coordination: RegionCoordination
  readonly groups: OpenRegion['groups']
}

/** {@link RegionEngine} over a {@link Driver}. */
export class DriverEngine implements RegionEngine {
  readonly #components: DriverEngineComponents
  readonly #init: DriverEngineInit
  #opened: Opened | undefined

  constructor(components: DriverEngineComponents, init: DriverEngineInit = {}) {
    this.#components = components
    this.#init = init
  }

  /** A frame of the lanes `raft` and `bulk` came. */
  onFrame(peerId: string, lane: Lane, frame: Uint8Array): void {
    this.#opened?.driver.onFrame(peerId, lane, frame)
  }

  /** The connection to a peer was made, or broke. */
  onLink(peerId: string, isUp: boolean): void {
    this.#opened?.driver.onLink(peerId, isUp)
  }

  /** What the open groups count, by room. */
  get counters(): Readonly<Record<string, Readonly<Record<string, number>>>> {
    if (this.#opened === undefined) return {}
    const { driver, states, coordination } = this.#opened
    const state: Record<string, number> = {}
    for (const { counters } of states.values()) {
      for (const [name, value] of Object.entries(counters)) state[name] = (state[name] ?? 0) + value
    }
    return { driver: { ...driver.counters }, state, client: { ...coordination.counters } }
  }

  /** The groups that are open here. */
  get groups(): OpenRegion['groups'] | undefined {
    return this.#opened?.groups
  }

  /** Brings a message of the soft state to the leader of a shard. @throws TrackerError as {@link RegionCoordination.tellLeader} */
  async tellLeader(shard: number, message: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    if (this.#opened === undefined)
      throw new TrackerError('ERR_UNAVAILABLE', 'this peer is in no region yet')
    return await this.#opened.coordination.tellLeader(shard, message, options)
  }

  async open(facts: RegionFacts, guide: RegionGuide): Promise<OpenRegion> {
    const { clock, transport, lane, access, onLeader } = this.#components
    const states = new Map<number, GroupState>()
    const stateMachine = (group: number): GroupState => {
      // What the leases' keeper proposes and is lost, it proposes again.
      const propose = (command: Uint8Array): void => {
        driver.propose(group, command).catch(() => {})
      }
      const state = new GroupState({ clock, propose })
      states.set(group, state)
      return state
    }
    const driver = this.#driver(facts, guide, stateMachine)
    await driver.start()
    const region = regionNumber(facts.regionId)
    const groups = new MemberGroups({ driver }, { region })
    const candidates = (group: number): string[] => {
      const own = driver.groupIds.includes(group) ? [transport.peerId] : []
      return [...own, ...guide.contacts()]
    }
    const members = { candidates, region }
    const coordination = new RegionCoordination({ lane, clock, members, onLeader })
    const control = groupControl(driver, groups, states)
    this.#opened = { driver, states, coordination, groups: control }
    access.switchTo(groups)
    for (const group of driver.groupIds) groups.add(group, states.get(group) as GroupState)
    return {
      coordination,
      stateMachine,
      groups: control,
      close: async () => {
        await coordination.stop()
        for (const group of driver.groupIds) groups.remove(group)
        access.switchTo(undefined)
        this.#opened = undefined
        await driver.stop()
      },
    }
  }

  async erase(): Promise<void> {
    for (const folder of [this.#components.logFolder, this.#components.snapshotFolder]) {
      for (const name of await folder.list()) await folder.remove(name)
      await folder.sync()
    }
  }

  #driver(
    facts: RegionFacts,
    guide: RegionGuide,
    stateMachine: (group: number) => GroupState,
  ): Driver {
    const { clock, transport, logFolder, snapshotFolder } = this.#components
    const { random, randomBytes, logger, defer, onFailure } = this.#components
    const { segmentBytes } = this.#init
    return new Driver(
      {
        ...{ clock, logFolder, snapshotFolder, random, randomBytes, logger, defer, onFailure },
        send: (peerId, lane, frame) => transport.send(peerId, lane, frame),
        admits: (peerId, memberId) => guide.admits(peerId, memberId),
      },
      {
        ...{ region: facts.regionId, memberId: facts.memberId, peerId: transport.peerId },
        ...{ stateMachine, ...(segmentBytes === undefined ? {} : { segmentBytes }) },
      },
    )
  }
}

/** The driver's groups, told to those who answer calls as they come and go. */
function groupControl(
  driver: Driver,
  groups: MemberGroups,
  states: Map<number, GroupState>,
): OpenRegion['groups'] {
  return {
    get groupIds() {
      return driver.groupIds
    },
    status: (group) => driver.status(group),
    createGroup: async (group, init, state) => {
      await driver.createGroup(group, init, state)
      groups.add(group, state as GroupState)
    },
    joinGroup: (group, state, contacts) => {
      const isNew = !driver.groupIds.includes(group)
      driver.joinGroup(group, state, contacts)
      if (isNew) groups.add(group, state as GroupState)
    },
    removeGroup: async (group) => {
      groups.remove(group)
      states.delete(group)
      await driver.removeGroup(group)
    },
    changeMembers: (group, changes, options) => driver.changeMembers(group, changes, options),
    transferLeadership: (group, memberId) => driver.transferLeadership(group, memberId),
    onLeadership: (group, listener) => driver.onLeadership(group, listener),
  }
}
