/**
 * One peer's tracker in one thread: the lines to other peers, what is asked over them, the region and its groups. It has no thread, no
 * clock and no disk of its own, so that a simulation runs the same.
 */
import { CallLane, callServices } from '../client/call-lane.ts'
import { CoordinationServer } from '../client/coordination-server.ts'
import type { IncomingCall } from '../client/incoming-call.ts'
import type { Clock } from '../clock.ts'
import type { Coordination } from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import type { RaftLogger } from '../raft/types.ts'
import type { PlacementSettings } from '../region/placement-types.ts'
import type { PeerFacts } from '../region/presence-keeper.ts'
import { Region } from '../region/region.ts'
import type { AgentStatus } from '../region/region-agent.ts'
import { type RegionRequestKind, regionRequestKinds } from '../region/region-messages.ts'
import type { RegionView } from '../region/region-view.ts'
import type { OpenRegion } from '../region/residence.ts'
import type { TrackerFigures } from '../tracker.ts'
import type { TrackerTransport } from '../transport.ts'
import type { Folder } from '../wal/folder.ts'
import { CurrentCoordination } from './current-coordination.ts'
import { CurrentGroups } from './current-groups.ts'
import { DriverEngine } from './driver-engine.ts'
import { SoftMember } from './soft-member.ts'

/** What a member stands on. */
export interface TrackerMemberComponents {
  readonly clock: Clock
  readonly transport: TrackerTransport
  /** Three folders: what the peer knows of itself, the log, the snapshots. */
  readonly folder: Folder
  readonly logFolder: Folder
  readonly snapshotFolder: Folder
  /** A number in [0, 1), from a source that nobody can guess. */
  readonly random: () => number
  readonly randomBytes: (length: number) => Uint8Array
  /** Calls back after what happens at the same time has happened. */
  readonly defer: (callback: () => void) => void
  readonly logger: RaftLogger
  /** Whether a peer may join the region, and ask for what it decides. */
  readonly mayJoin: (peerId: string) => boolean
  readonly peerFacts: () => PeerFacts
  readonly onStatus: (status: AgentStatus) => void
  /** The disk failed: nothing works here any more. */
  readonly onFailure: (error: TrackerError) => void
}

/** Settings of a member. */
export interface TrackerMemberInit {
  /** Name of the region to be in. */
  readonly region: string
  /** Whether there are others to look for. */
  readonly expectsPeers: boolean
  /** Size of a segment of the log. Default: the log's own. */
  readonly segmentBytes?: number
  /** How fast seats are given and taken. Defaults: {@link placementLimits}. */
  readonly placement?: Partial<PlacementSettings>
}

/** One peer's tracker. */
export class TrackerMember {
  readonly coordination: Coordination
  readonly region: Region
  /** What is only told: who holds what, who watches. */
  readonly swarms: SoftMember
  readonly #components: TrackerMemberComponents
  readonly #lane: CallLane
  readonly #server: CoordinationServer
  readonly #engine: DriverEngine

  constructor(components: TrackerMemberComponents, init: TrackerMemberInit) {
    this.#components = components
    const { transport, clock, random, logger, mayJoin, peerFacts, onStatus } = components
    const lane = new CallLane({ transport, clock, random })
    const access = new CurrentGroups()
    const { segmentBytes, placement, region: name, expectsPeers } = init
    const sizes = segmentBytes === undefined ? {} : { segmentBytes }
    this.#lane = lane
    this.#server = new CoordinationServer({ lane, access, clock, admits: mayJoin })
    this.#engine = new DriverEngine(
      { ...components, lane, access, onLeader: (group) => this.swarms.leaderChanged(group) },
      sizes,
    )
    this.swarms = new SoftMember({
      ...{ lane, access, clock, random, admits: mayJoin },
      tellLeader: (shard, message, options) => this.#engine.tellLeader(shard, message, options),
    })
    this.region = new Region(
      {
        ...{ clock, folder: components.folder, engine: this.#engine, random, logger },
        ...{ mayJoin, peerFacts, onStatus },
        ask: (peerId, kind, body, { timeoutMs }) =>
          lane.ask(peerId, callServices.region, regionRequest(kind, body), { timeoutMs }),
      },
      {
        ...{ peerId: transport.peerId, name, expectsPeers },
        ...(placement === undefined ? {} : { placement }),
      },
    )
    this.coordination = new CurrentCoordination(() => this.region.coordination)
  }

  /** Takes frames, and goes on in the region of before, looks for one, or founds one. @throws what {@link Region.start} throws */
  async start(): Promise<void> {
    const { transport } = this.#components
    this.#lane.serve(callServices.region, (call) => this.#onRegionCall(call))
    this.#server.start()
    this.swarms.start()
    transport.start({
      onFrame: (peerId, lane, frame) => {
        if (lane === 'call') this.#lane.onFrame(peerId, frame)
        else this.#engine.onFrame(peerId, lane, frame)
      },
      onLink: (peerId, isUp) => {
        this.#lane.onLink(peerId, isUp)
        this.#engine.onLink(peerId, isUp)
        this.swarms.onLink(peerId, isUp)
        this.region.onLink(peerId, isUp)
      },
    })
    await this.region.start()
  }

  /** Hands over what it leads, ends all calls and closes the log. */
  async stop(): Promise<void> {
    // First: the leaders are to know that this peer holds nothing any more.
    await this.swarms.stop()
    await this.region.stop()
    this.#server.stop()
    this.#lane.stop()
  }

  /** What this peer has of the region's groups; undefined while it is in none. */
  get groups(): OpenRegion['groups'] | undefined {
    return this.#engine.groups
  }

  /** Everything for an operator. */
  view(): Promise<RegionView> {
    return this.region.view()
  }

  /** All counters, each under the name of its room and its own. */
  figures(): TrackerFigures {
    const { counters: calls } = this.#lane
    const rooms = {
      ...this.#engine.counters,
      ...this.swarms.counters,
      ...{ calls, server: this.#server.counters, region: this.region.counters },
    }
    const named = Object.entries(rooms).flatMap(([room, counters]) =>
      Object.entries(counters).map(([name, value]) => [`${room}.${name}`, value] as const),
    )
    const { groupIds = [], status } = this.groups ?? {}
    const led = groupIds.filter((group) => status?.(group).isLeader)
    const gauges = { 'groups.led': led.length, ...this.swarms.figures }
    return { ...Object.fromEntries(named), ...gauges }
  }

  #onRegionCall(call: IncomingCall): void {
    const kind = regionRequestKinds[call.payload[0] as number]
    if (kind === undefined) {
      call.refuse(new TrackerError('ERR_MALFORMED', 'an unknown request'))
      return
    }
    this.region.handle(call.peerId, kind, call.payload.slice(1)).then(
      (answer) => call.answer(answer),
      (error: unknown) => call.refuse(this.#refusal(kind, error)),
    )
  }

  #refusal(kind: RegionRequestKind, error: unknown): TrackerError {
    if (error instanceof TrackerError) return error
    this.#components.logger.warn?.(`a request failed (${kind}): ${error}`)
    return new TrackerError('ERR_UNAVAILABLE', 'the request failed')
  }
}

/** One byte that names the request, then its body. */
function regionRequest(kind: RegionRequestKind, body: Uint8Array): Uint8Array {
  const payload = new Uint8Array(body.length + 1)
  payload[0] = regionRequestKinds.indexOf(kind)
  payload.set(body, 1)
  return payload
}
