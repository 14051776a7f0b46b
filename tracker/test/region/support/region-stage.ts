/**
 * Whole members in memory: log, driver, state, client and region of each, with folders that survive, lines between them, and virtual time.
 */
import assert from 'node:assert/strict'
import { CallLane, callServices } from '../../../src/client/call-lane.ts'
import { regionNumber } from '../../../src/client/coordination-codec.ts'
import { CoordinationServer } from '../../../src/client/coordination-server.ts'
import type { GroupAccess, GroupStore, Leadership } from '../../../src/client/group-access.ts'
import { MemberGroups } from '../../../src/client/member-groups.ts'
import { RegionCoordination } from '../../../src/client/region-coordination.ts'
import type { Keyspace } from '../../../src/coordination.ts'
import { Driver } from '../../../src/driver/driver.ts'
import { TrackerError } from '../../../src/errors.ts'
import { Region } from '../../../src/region/region.ts'
import type { AgentStatus } from '../../../src/region/region-agent.ts'
import type { RegionInit } from '../../../src/region/region-init.ts'
import { regionTimes } from '../../../src/region/region-limits.ts'
import { regionRequestKinds } from '../../../src/region/region-messages.ts'
import type { OpenRegion, RegionEngine } from '../../../src/region/residence.ts'
import { GroupState } from '../../../src/state/group-state.ts'
import { drawFrom } from '../../support/log-stage.ts'
import { MemoryNetwork } from '../../support/memory-network.ts'
import { SimulatedFolder } from '../../support/simulated-folder.ts'
import { type ClockView, VirtualClock } from '../../support/virtual-clock.ts'

/** Everything as it is, only sooner: a virtual minute of seven members costs seconds. */
const hurried = {
  ...{ roundMs: 1_000, voterAgeMs: 2_000, goneMs: 12_000 },
  ...{ returnMs: 5_000, transferMs: 5_000 },
}

/** The groups that are open now, behind one door: the region of a peer may change while its call lane stays. */
class SwitchedGroups implements GroupAccess {
  current: MemberGroups | undefined
  readonly #listeners = new Set<(group: number) => void>()

  switchTo(groups: MemberGroups | undefined): void {
    this.current = groups
    groups?.onLeadership((group) => {
      for (const listener of this.#listeners) listener(group)
    })
  }

  get region(): number {
    return this.current?.region ?? 0
  }

  get groups(): Iterable<number> {
    return this.current?.groups ?? []
  }

  leaderPeerId(group: number): string | undefined {
    return this.current?.leaderPeerId(group)
  }

  leadership(group: number): Leadership | undefined {
    return this.current?.leadership(group)
  }

  onLeadership(listener: (group: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  propose(group: number, command: Uint8Array): Promise<unknown> {
    return this.#open().propose(group, command)
  }

  barrier(group: number): Promise<void> {
    return this.#open().barrier(group)
  }

  store(group: number): GroupStore | undefined {
    return this.current?.store(group)
  }

  #open(): MemberGroups {
    if (this.current === undefined) throw new TrackerError('ERR_NOT_LEADER', 'in no region')
    return this.current
  }
}

/** One peer and all that is its own. */
export class StagePeer {
  readonly peerId: string
  readonly statuses: AgentStatus[] = []
  readonly logged: string[] = []
  isRunning = false
  mayJoin: (peerId: string) => boolean = () => true
  roles: readonly string[] = []
  region!: Region
  driver: Driver | undefined
  clock: ClockView
  readonly #stage: RegionStage
  readonly #init: Partial<RegionInit>
  #folder: SimulatedFolder
  #logFolder: SimulatedFolder
  #snapshotFolder: SimulatedFolder

  constructor(stage: RegionStage, peerId: string, init: Partial<RegionInit>) {
    this.#stage = stage
    this.peerId = peerId
    this.#init = init
    this.clock = stage.clock.view()
    this.#folder = new SimulatedFolder(stage.draw)
    this.#logFolder = new SimulatedFolder(stage.draw)
    this.#snapshotFolder = new SimulatedFolder(stage.draw)
  }

  get memberId(): number {
    const facts = this.region.status.facts
    assert(facts !== undefined, `${this.peerId} is in no region`)
    return facts.memberId
  }

  get regionId(): string | undefined {
    const { phase, facts } = this.region.status
    return phase === 'member' ? facts?.regionId : undefined
  }

  keyspace(name = 'region'): Keyspace {
    const coordination = this.region.coordination
    assert(coordination !== undefined, `${this.peerId} is in no region`)
    return coordination.keyspace(name)
  }

  voters(group: number): readonly number[] {
    return this.driver?.status(group).confState.voters ?? []
  }

  async start(): Promise<void> {
    const stage = this.#stage
    this.clock = stage.clock.view()
    const { clock } = this
    const transport = stage.network.transport(this.peerId, clock)
    const random = (): number => stage.draw(2 ** 30) / 2 ** 30
    const lane = new CallLane({ transport, clock, random })
    const access = new SwitchedGroups()
    const server = new CoordinationServer({ lane, access, clock })
    const engine: RegionEngine = {
      open: (facts, guide) => this.#open(facts, guide, { lane, access, transport, random, clock }),
      erase: async () => {
        this.#logFolder = new SimulatedFolder(stage.draw)
        this.#snapshotFolder = new SimulatedFolder(stage.draw)
      },
    }
    const logger = {
      info: (message: string) => this.logged.push(message),
      warn: (message: string) => this.logged.push(message),
    }
    const region = new Region(
      {
        ...{ clock, folder: this.#folder, engine, random, logger },
        ask: (peerId, kind, body, { timeoutMs }) => {
          const payload = new Uint8Array(body.length + 1)
          payload[0] = regionRequestKinds.indexOf(kind)
          payload.set(body, 1)
          return lane.ask(peerId, callServices.region, payload, { timeoutMs })
        },
        mayJoin: (peerId) => this.mayJoin(peerId),
        peerFacts: () => ({ isReachable: true, load: 0, roles: this.roles }),
        onStatus: (status) => this.statuses.push(status),
      },
      { peerId: this.peerId, expectsPeers: false, placement: hurried, ...this.#init },
    )
    lane.serve(callServices.region, (call) => {
      const kind = regionRequestKinds[call.payload[0] as number]
      if (kind === undefined) {
        call.refuse(new TrackerError('ERR_MALFORMED', 'an unknown request'))
        return
      }
      region.handle(call.peerId, kind, call.payload.slice(1)).then(
        (answer) => call.answer(answer),
        (error: unknown) =>
          call.refuse(
            error instanceof TrackerError ? error : new TrackerError('ERR_UNAVAILABLE', `${error}`),
          ),
      )
    })
    transport.start({
      onFrame: (peerId, kind, frame) => {
        if (kind === 'call') lane.onFrame(peerId, frame)
        else this.driver?.onFrame(peerId, kind, frame)
      },
      onLink: (peerId, isUp) => {
        lane.onLink(peerId, isUp)
        this.driver?.onLink(peerId, isUp)
        region.onLink(peerId, isUp)
      },
    })
    server.start()
    this.region = region
    this.isRunning = true
    const start = region.start()
    await stage.clock.result(start)
  }

  async #open(
    facts: Parameters<RegionEngine['open']>[0],
    guide: Parameters<RegionEngine['open']>[1],
    of: {
      readonly lane: CallLane
      readonly access: SwitchedGroups
      readonly transport: ReturnType<MemoryNetwork['transport']>
      readonly random: () => number
      readonly clock: ClockView
    },
  ): Promise<OpenRegion> {
    const { lane, access, transport, random, clock } = of
    const stage = this.#stage
    const states = new Map<number, GroupState>()
    const stateMachine = (group: number): GroupState => {
      const state = new GroupState({
        clock,
        propose: (command) => {
          driver.propose(group, command).catch(() => undefined)
        },
      })
      states.set(group, state)
      return state
    }
    const driver: Driver = new Driver(
      {
        ...{ clock, random, logFolder: this.#logFolder, snapshotFolder: this.#snapshotFolder },
        send: transport.send,
        randomBytes: (length) => Uint8Array.from({ length }, () => stage.draw(256)),
        defer: clock.defer,
        admits: (peerId, memberId) => guide.admits(peerId, memberId),
        logger: { warn: (message) => this.logged.push(message) },
      },
      {
        ...{ region: facts.regionId, memberId: facts.memberId, peerId: this.peerId },
        ...{ segmentBytes: 64 * 1024, stateMachine },
      },
    )
    await driver.start()
    this.driver = driver
    const number = regionNumber(facts.regionId)
    const groups = new MemberGroups({ driver }, { region: number })
    access.switchTo(groups)
    for (const group of driver.groupIds) groups.add(group, states.get(group) as GroupState)
    const candidates = (group: number): string[] => {
      const own = driver.groupIds.includes(group) ? [this.peerId] : []
      return [...own, ...guide.contacts()]
    }
    const coordination = new RegionCoordination({
      lane,
      clock,
      members: { candidates, region: number },
    })
    return {
      coordination,
      stateMachine,
      groups: {
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
          await driver.removeGroup(group)
        },
        changeMembers: (group, changes, options) => driver.changeMembers(group, changes, options),
        transferLeadership: (group, memberId) => driver.transferLeadership(group, memberId),
        onLeadership: (group, listener) => driver.onLeadership(group, listener),
      },
      close: async () => {
        await coordination.stop()
        for (const group of driver.groupIds) groups.remove(group)
        access.switchTo(undefined)
        this.driver = undefined
        await driver.stop()
      },
    }
  }

  /** Stops in order. */
  async stop(): Promise<void> {
    await this.#stage.clock.result(this.region.stop())
    this.#gone()
    this.#stage.network.remove(this.peerId)
  }

  /** The process is killed: what the page cache has stays. */
  kill(): void {
    this.#stage.network.remove(this.peerId)
    this.#gone()
    this.#folder = this.#folder.handOver()
    this.#logFolder = this.#logFolder.handOver()
    this.#snapshotFolder = this.#snapshotFolder.handOver()
  }

  /** Its disk is replaced by an older or an empty one while it is down. */
  replaceFolders(by: StagePeer | undefined): void {
    assert(!this.isRunning)
    const { draw } = this.#stage
    this.#folder = by === undefined ? new SimulatedFolder(draw) : by.#folder
    this.#logFolder = by === undefined ? new SimulatedFolder(draw) : by.#logFolder
    this.#snapshotFolder = by === undefined ? new SimulatedFolder(draw) : by.#snapshotFolder
  }

  #gone(): void {
    this.isRunning = false
    // Whatever the process had planned never happens.
    this.clock.pause()
  }
}

/** A whole test. */
export class RegionStage {
  readonly clock = new VirtualClock()
  readonly draw: (below: number) => number
  readonly network: MemoryNetwork
  readonly peers: StagePeer[] = []

  constructor(seed = 1) {
    this.draw = drawFrom(seed)
    // Elections follow the round trip: far peers need fewer heartbeats in a virtual hour.
    this.network = new MemoryNetwork(this.clock, { delayMs: () => 50 })
  }

  /** Starts a peer that knows some others. */
  async add(
    peerId: string,
    known: readonly StagePeer[] = [],
    init: Partial<RegionInit> = {},
  ): Promise<StagePeer> {
    const peer = new StagePeer(this, peerId, { expectsPeers: known.length > 0, ...init })
    this.peers.push(peer)
    await peer.start()
    for (const other of known) this.meet(peer, other)
    return peer
  }

  /** Two peers connect. */
  meet(a: StagePeer, b: StagePeer): void {
    if (!a.isRunning || !b.isRunning) return
    a.region.onLink(b.peerId, true)
    b.region.onLink(a.peerId, true)
  }

  meetAll(): void {
    for (const a of this.peers) for (const b of this.peers) if (a.peerId < b.peerId) this.meet(a, b)
  }

  get running(): StagePeer[] {
    return this.peers.filter(({ isRunning }) => isRunning)
  }

  /** Waits until peers are in one region that decides things. */
  async together(peers: readonly StagePeer[] = this.running, withinMs = 120_000): Promise<void> {
    await this.until(
      () =>
        peers.every(({ region }) => region.status.hasQuorum) &&
        new Set(peers.map(({ regionId }) => regionId)).size === 1,
      withinMs,
    )
  }

  /** Waits until every group that anybody holds has these members as voters, as all of them have applied. */
  async voters(
    expected: (voters: readonly number[]) => boolean,
    withinMs = 240_000,
  ): Promise<void> {
    await this.until(() => {
      const held = this.running.flatMap((peer) =>
        (peer.driver?.groupIds ?? []).map((group) => peer.voters(group)),
      )
      return held.length > 0 && held.every(expected)
    }, withinMs)
  }

  /** Waits in steps that are large enough not to take all day. */
  async until(holds: () => boolean, withinMs: number): Promise<void> {
    const endMs = this.clock.nowMs + withinMs
    while (!holds()) {
      if (this.clock.nowMs >= endMs) {
        const peers = this.peers.map(
          ({ peerId, region, logged }) =>
            `${peerId}: ${JSON.stringify(region.status)}\n  ${logged.slice(-5).join('\n  ')}`,
        )
        throw new Error(`did not come to hold within ${withinMs} ms\n${peers.join('\n')}`)
      }
      await this.clock.pass(regionTimes.askAgainMs / 4)
    }
  }
}
