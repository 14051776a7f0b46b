/**
 * Whole members in memory: log, driver, state, client and region of each, with folders that survive, lines between them, and virtual time.
 */
import assert from 'node:assert/strict'
import type { Keyspace } from '../../../src/coordination.ts'
import { TrackerMember } from '../../../src/member/tracker-member.ts'
import type { Region } from '../../../src/region/region.ts'
import type { AgentStatus } from '../../../src/region/region-agent.ts'
import type { RegionInit } from '../../../src/region/region-init.ts'
import { regionTimes } from '../../../src/region/region-limits.ts'
import { drawFrom } from '../../support/log-stage.ts'
import { MemoryNetwork } from '../../support/memory-network.ts'
import { SimulatedFolder } from '../../support/simulated-folder.ts'
import { type ClockView, VirtualClock } from '../../support/virtual-clock.ts'

/** Everything as it is, only sooner: a virtual minute of seven members costs seconds. */
const hurried = {
  ...{ roundMs: 1_000, voterAgeMs: 2_000, goneMs: 12_000 },
  ...{ returnMs: 5_000, transferMs: 5_000 },
}

/** One peer and all that is its own. */
export class StagePeer {
  readonly peerId: string
  readonly statuses: AgentStatus[] = []
  readonly logged: string[] = []
  isRunning = false
  mayJoin: (peerId: string) => boolean = () => true
  roles: readonly string[] = []
  clock: ClockView
  #member!: TrackerMember
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

  get region(): Region {
    return this.#member.region
  }

  /** What it has of the groups; undefined while it is in no region. */
  get groups(): TrackerMember['groups'] {
    return this.isRunning ? this.#member.groups : undefined
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
    return this.groups?.status(group).confState.voters ?? []
  }

  async start(): Promise<void> {
    const stage = this.#stage
    this.clock = stage.clock.view()
    const { clock } = this
    const note = (message: string): void => {
      this.logged.push(message)
    }
    const { expectsPeers = false, name: region = 'default', ...rest } = this.#init
    this.#member = new TrackerMember(
      {
        ...{ clock, folder: this.#folder },
        ...{ logFolder: this.#logFolder, snapshotFolder: this.#snapshotFolder },
        transport: stage.network.transport(this.peerId, clock),
        random: () => stage.draw(2 ** 30) / 2 ** 30,
        randomBytes: (length) => Uint8Array.from({ length }, () => stage.draw(256)),
        defer: clock.defer,
        logger: { info: note, warn: note },
        mayJoin: (peerId) => this.mayJoin(peerId),
        peerFacts: () => ({ isReachable: true, load: 0, roles: this.roles }),
        onStatus: (status) => this.statuses.push(status),
        onFailure: (error) => {
          throw error
        },
      },
      { region, expectsPeers, placement: hurried, segmentBytes: 64 * 1024, ...rest },
    )
    this.isRunning = true
    const start = this.#member.start()
    await stage.clock.result(start)
  }

  /** Stops in order. */
  async stop(): Promise<void> {
    await this.#stage.clock.result(this.#member.stop())
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
        (peer.groups?.groupIds ?? []).map((group) => peer.voters(group)),
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
