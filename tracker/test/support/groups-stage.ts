/** Groups of a test that stay as they are: members with real drivers and states on simulated folders, clients beside them, one network and clock. */
import { CallLane } from '../../src/client/call-lane.ts'
import { CoordinationServer } from '../../src/client/coordination-server.ts'
import { MemberGroups } from '../../src/client/member-groups.ts'
import { RegionCoordination } from '../../src/client/region-coordination.ts'
import { Driver } from '../../src/driver/driver.ts'
import { groupOf, shardCount } from '../../src/region/shard-of.ts'
import { GroupState } from '../../src/state/group-state.ts'
import { drawFrom } from './log-stage.ts'
import { MemoryNetwork } from './memory-network.ts'
import { SimulatedFolder } from './simulated-folder.ts'
import { type ClockView, VirtualClock } from './virtual-clock.ts'

/** One member. */
export class GroupsMember {
  readonly peerId: string
  readonly clock: ClockView
  readonly lane: CallLane
  readonly driver: Driver
  readonly groups: MemberGroups
  readonly server: CoordinationServer
  readonly states = new Map<number, GroupState>()

  constructor(stage: GroupsStage, id: number) {
    this.peerId = `peer-${id}`
    this.clock = stage.clock.view()
    const transport = stage.network.transport(this.peerId, this.clock)
    this.lane = new CallLane({ transport, clock: this.clock, random: stage.random })
    this.driver = new Driver(
      {
        clock: this.clock,
        send: transport.send,
        logFolder: new SimulatedFolder(stage.draw),
        snapshotFolder: new SimulatedFolder(stage.draw),
        random: stage.random,
        randomBytes: (length) => Uint8Array.from({ length }, () => stage.draw(256)),
        defer: this.clock.defer,
      },
      {
        ...{ region: 'test', memberId: id, peerId: this.peerId, segmentBytes: 8 * 1024 * 1024 },
        stateMachine: (group) => this.state(group),
      },
    )
    this.groups = new MemberGroups({ driver: this.driver })
    const { lane, groups, clock } = this
    this.server = new CoordinationServer({ lane, access: groups, clock })
    transport.start({
      onFrame: (peerId, lane, frame) => {
        if (lane === 'call') this.lane.onFrame(peerId, frame)
        else this.driver.onFrame(peerId, lane, frame)
      },
      onLink: (peerId, isUp) => {
        this.lane.onLink(peerId, isUp)
        this.driver.onLink(peerId, isUp)
      },
    })
  }

  state(group: number): GroupState {
    let state = this.states.get(group)
    if (state === undefined) {
      const propose = (command: Uint8Array) => {
        // Lost with leadership; the keeper proposes it again.
        this.driver.propose(group, command).catch(() => undefined)
      }
      state = new GroupState({ clock: this.clock, propose })
      this.states.set(group, state)
    }
    return state
  }

  /** Whether this member leads a group and has said so. */
  leads(group: number): boolean {
    return this.groups.leaderPeerId(group) === this.peerId
  }
}

/** A client with a line of its own. */
export interface GroupsClient {
  readonly peerId: string
  readonly clock: ClockView
  readonly lane: CallLane
  readonly coordination: RegionCoordination
}

/** A whole test. */
export class GroupsStage {
  readonly clock = new VirtualClock()
  readonly network: MemoryNetwork
  readonly members: GroupsMember[] = []
  readonly draw: ReturnType<typeof drawFrom>
  #clients = 0
  #isPassing = false
  #passing: Promise<void> | undefined

  constructor(seed = 1) {
    this.draw = drawFrom(seed)
    this.network = new MemoryNetwork(this.clock)
  }

  readonly random = (): number => this.draw(2 ** 30) / 2 ** 30

  /** Founds a region with all of its groups, or some of them. */
  async found(
    count: number,
    groups: readonly number[] = Array.from({ length: shardCount + 1 }, (_, group) => group),
  ): Promise<void> {
    for (let id = 1; id <= count; id++) this.members.push(new GroupsMember(this, id))
    const voters = this.members.map(({ peerId }, at) => ({ memberId: at + 1, peerId }))
    for (const member of this.members) {
      await this.clock.result(member.driver.start())
      member.server.start()
      for (const group of groups) {
        const state = member.state(group)
        await this.clock.result(member.driver.createGroup(group, { voters }, state))
        member.groups.add(group, state)
      }
    }
    await this.clock.until(() =>
      groups.every((group) => this.members.some((member) => member.leads(group))),
    )
  }

  /** A client that knows all members. */
  connect(): GroupsClient {
    this.#clients += 1
    const peerId = `client-${this.#clients}`
    const clock = this.clock.view()
    const transport = this.network.transport(peerId, clock)
    const lane = new CallLane({ transport, clock, random: this.random })
    transport.start({
      onFrame: (from, _lane, frame) => lane.onFrame(from, frame),
      onLink: (other, isUp) => lane.onLink(other, isUp),
    })
    return { peerId, clock, lane, coordination: this.#coordination(lane, clock) }
  }

  /** A client at a member. */
  connectAt(member: GroupsMember): RegionCoordination {
    return this.#coordination(member.lane, member.clock)
  }

  /** The member that leads the group of a keyspace. */
  leader(keyspace: string): GroupsMember {
    const group = groupOf(keyspace)
    const leaders = this.members.filter((member) => member.leads(group))
    if (leaders.length !== 1) throw new Error(`${leaders.length} members lead group ${group}`)
    return leaders[0] as GroupsMember
  }

  /** Lets time pass by itself until {@link stop}. */
  run(): void {
    this.#isPassing = true
    const pass = async () => {
      while (this.#isPassing) await this.clock.pass(1)
    }
    this.#passing = pass()
  }

  async stop(): Promise<void> {
    this.#isPassing = false
    await this.#passing
    for (const member of this.members) {
      member.server.stop()
      member.lane.stop()
      await this.clock.result(member.driver.stop())
    }
  }

  #coordination(lane: CallLane, clock: ClockView): RegionCoordination {
    const peerIds = this.members.map(({ peerId }) => peerId)
    return new RegionCoordination({ lane, clock, members: { candidates: () => peerIds } })
  }
}
