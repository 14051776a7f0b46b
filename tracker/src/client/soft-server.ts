/** The soft state of the shards that this member leads: takes what peers tell, answers what they ask, and forgets it when another one leads. */
import type { Clock } from '../clock.ts'
import { TrackerError } from '../errors.ts'
import { regionGroup } from '../region/shard-of.ts'
import { messageTypes } from '../soft/batch.ts'
import { softServerLimits } from '../soft/soft-limits.ts'
import { SoftShard, type SoftSize } from '../soft/soft-shard.ts'
import { type CallLane, callServices } from './call-lane.ts'
import type { GroupAccess } from './group-access.ts'
import type { IncomingCall } from './incoming-call.ts'
import { decodeSoftRequest, type SoftRequest } from './soft-request.ts'

const SECOND_MS = 1_000

/** What the server works with. */
export interface SoftServerComponents {
  readonly lane: CallLane
  readonly access: GroupAccess
  readonly clock: Clock
  /** A number in [0, 1); chooses who is introduced to whom. */
  readonly random: () => number
  /** Whether a peer may tell and ask. */
  readonly admits: (peerId: string) => boolean
}

interface Shard {
  readonly state: SoftShard
  /** In which it is led here; undefined while it is not. */
  term: number | undefined
}

/** The soft service of one member. */
export class SoftServer {
  readonly #components: SoftServerComponents
  /** Of every shard that was led here once, so that their counters go on. */
  readonly #shards = new Map<number, Shard>()
  /** Requests with questions in this second, by peer. */
  readonly #asks = new Map<string, number>()
  #asksSecond = 0
  #refused = 0
  #asksRefused = 0
  #stopListening: (() => void) | undefined

  constructor(components: SoftServerComponents) {
    this.#components = components
  }

  /** Takes messages from now on. */
  start(): void {
    const { lane, access } = this.#components
    lane.serve(callServices.soft, (call) => this.#onCall(call))
    this.#stopListening = access.onLeadership((group) => this.#follow(group))
  }

  /** Forgets everything. */
  stop(): void {
    this.#stopListening?.()
    for (const shard of this.#shards.values()) lead(shard, undefined)
  }

  /** The connection to a peer was made, or broke: what it held is not to be had from it then. */
  onLink(peerId: string, isUp: boolean): void {
    if (isUp) return
    for (const { state } of this.#shards.values()) state.forget(peerId)
  }

  /** What happened so far, in all shards. */
  get counters(): Readonly<Record<string, number>> {
    const sums: Record<string, number> = { refusals: this.#refused, asksRefused: this.#asksRefused }
    for (const { state } of this.#shards.values()) {
      for (const [name, value] of Object.entries(state.counters)) {
        sums[name] = (sums[name] ?? 0) + value
      }
    }
    return sums
  }

  /** What is known here now, in all shards that are led here. */
  get size(): SoftSize {
    const sum = { peers: 0, subjects: 0, entries: 0, words: 0, bytes: 0 }
    for (const { state } of this.#shards.values()) {
      const { size } = state
      if (size === undefined) continue
      for (const name of Object.keys(sum) as (keyof SoftSize)[]) sum[name] += size[name]
    }
    return sum
  }

  #onCall(call: IncomingCall): void {
    try {
      call.answer(this.#answer(call))
    } catch (error) {
      if (!(error instanceof TrackerError)) throw error
      this.#refused += 1
      call.refuse(error)
    }
  }

  #answer({ peerId, payload }: IncomingCall): Uint8Array {
    const { access, admits, lane } = this.#components
    const isSelf = peerId === lane.peerId
    if (!isSelf && !admits(peerId))
      throw new TrackerError('ERR_NOT_A_MEMBER', 'this peer is not of the region')
    const request = decodeSoftRequest(payload)
    if (request.region !== (access.region ?? 0))
      throw new TrackerError('ERR_NOT_A_MEMBER', 'this peer is not in that region')
    if (!isSelf) this.#countAsk(peerId, request)
    return this.#leading(request.shard).answer(peerId, request.message)
  }

  /** Batches are counted by the shard itself; questions cost more than they look. */
  #countAsk(peerId: string, { message }: SoftRequest): void {
    if (message[0] !== messageTypes.questions) return
    const second = Math.floor(this.#components.clock.monotonicMs() / SECOND_MS)
    if (second !== this.#asksSecond) this.#asks.clear()
    this.#asksSecond = second
    const count = (this.#asks.get(peerId) ?? 0) + 1
    const isNoRoom = count === 1 && this.#asks.size >= softServerLimits.askersMax
    if (isNoRoom || count > softServerLimits.asksPerSecondMax) {
      this.#asksRefused += 1
      throw new TrackerError('ERR_OVERLOADED', 'more questions than a member answers one peer')
    }
    this.#asks.set(peerId, count)
  }

  #leading(group: number): SoftShard {
    // Groups that were led before this server began to listen.
    if (this.#shards.get(group)?.term === undefined) this.#follow(group)
    const shard = this.#shards.get(group)
    if (shard?.term !== undefined) return shard.state
    const leader = this.#components.access.leaderPeerId(group)
    throw new TrackerError('ERR_NOT_LEADER', 'this member does not lead the shard', { leader })
  }

  /** Leads a shard's soft state as long as its group is led here. */
  #follow(group: number): void {
    if (group === regionGroup) return
    const { access, lane, clock, random } = this.#components
    const leadership = access.leadership(group)
    const term = leadership?.peerId === lane.peerId ? leadership.term : undefined
    let shard = this.#shards.get(group)
    if (shard === undefined) {
      if (term === undefined) return
      shard = { state: new SoftShard({ clock, random }), term: undefined }
      this.#shards.set(group, shard)
    }
    lead(shard, term)
  }
}

function lead(shard: Shard, term: number | undefined): void {
  if (shard.term === term) return
  shard.term = term
  shard.state.lead(term)
}
