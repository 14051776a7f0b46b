/** Answers what clients ask of the groups that this member leads, and tells them who leads the others. */
import { ByteReader } from '../bytes/byte-reader.ts'
import type { CancelTimer, Clock } from '../clock.ts'
import type { WatchBatch } from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import { groupOf } from '../region/shard-of.ts'
import { type CommandResult, commandKinds } from '../state/commands.ts'
import { checkClientCommand } from '../state/decode-command.ts'
import { leaseLimits } from '../state/state-limits.ts'
import type { Watch } from '../state/watches.ts'
import { type CallLane, callServices } from './call-lane.ts'
import { callServerLimits } from './call-limits.ts'
import {
  type CoordinationRequest,
  decodeRequest,
  encodeBatch,
  encodeItem,
  encodeLeadership,
  encodeList,
  encodeResult,
  requestRegion,
} from './coordination-codec.ts'
import type { GroupAccess, GroupStore } from './group-access.ts'
import type { IncomingCall } from './incoming-call.ts'

/** What the server works with. */
export interface CoordinationServerComponents {
  readonly lane: CallLane
  readonly access: GroupAccess
  readonly clock: Clock
  /** Whether a peer may ask. Default: everybody whom the transport lets in. */
  readonly admits?: (peerId: string) => boolean
}

type Request<Type extends CoordinationRequest['type']> = Extract<
  CoordinationRequest,
  { readonly type: Type }
>

/** A watch of a client. */
interface ServedWatch {
  readonly group: number
  readonly call: IncomingCall
  readonly watch: Watch
  /** Where the client knows that it stands. */
  toldRevision: number
}

/** Renewals of one group that came in one turn: one round confirms all of them. */
interface Renewals {
  readonly leaseIds: string[]
  readonly calls: IncomingCall[]
}

/** The coordination service of one member. */
export class CoordinationServer {
  readonly counters = { requests: 0, refused: 0, watches: 0, followers: 0 }
  readonly #components: CoordinationServerComponents
  readonly #watches = new Set<ServedWatch>()
  readonly #followers = new Set<IncomingCall>()
  readonly #renewals = new Map<number, Renewals>()
  /** The batch that was encoded last: many watches are told the same one. */
  #lastBatch: WatchBatch | undefined
  #lastBytes = new Uint8Array(0)
  #cancelProgress: CancelTimer | undefined
  #stopListening: (() => void) | undefined

  constructor(components: CoordinationServerComponents) {
    this.#components = components
  }

  /** Takes requests from now on. */
  start(): void {
    const { lane, access } = this.#components
    lane.serve(callServices.coordination, (call) => this.#onCall(call))
    this.#stopListening = access.onLeadership((group) => this.#onLeadership(group))
  }

  /** Ends all watches. Requests that come later are refused. */
  stop(): void {
    this.#stopListening?.()
    this.#cancelProgress?.()
    const error = new TrackerError('ERR_STOPPED', 'this member was stopped')
    for (const served of [...this.#watches]) this.#endWatch(served, error)
    for (const call of [...this.#followers]) call.refuse(error)
    this.#followers.clear()
  }

  #onCall(call: IncomingCall): void {
    this.counters.requests += 1
    const { access, admits, lane } = this.#components
    try {
      if (call.peerId !== lane.peerId && admits?.(call.peerId) === false)
        throw new TrackerError('ERR_NOT_A_MEMBER', 'this peer is not of the region')
      if (requestRegion(call.payload) !== (access.region ?? 0))
        throw new TrackerError('ERR_NOT_A_MEMBER', 'this peer is not in that region')
      this.#answer(call, decodeRequest(call.payload))
    } catch (error) {
      this.#refuse(call, error)
    }
  }

  #answer(call: IncomingCall, request: CoordinationRequest): void {
    switch (request.type) {
      case 'propose':
        this.#propose(call, request)
        return
      case 'get':
        this.#read(call, request.group, request.keyspace, (store) =>
          encodeItem(store.get(request.keyspace, request.key)),
        )
        return
      case 'list':
        this.#read(call, request.group, request.keyspace, (store) => {
          const { keyspace, prefix, after, limit } = request
          return encodeList(
            store.list(keyspace, prefix, { limit, ...(after === undefined ? {} : { after }) }),
          )
        })
        return
      case 'renew':
        this.#renew(call, request)
        return
      case 'watch':
        this.#watch(call, request).catch((error: unknown) => this.#refuse(call, error))
        return
      case 'follow':
        this.#follow(call)
        return
    }
  }

  #propose(call: IncomingCall, { group, command }: Request<'propose'>): void {
    checkClientCommand(command)
    checkGroup(command, group)
    this.#components.access.propose(group, command).then(
      (result) => {
        const done = result as CommandResult
        if (done.type !== 'refused') call.answer(encodeResult(done))
        else this.#refuse(call, new TrackerError(done.code, done.message))
      },
      (error: unknown) => this.#refuse(call, error, group),
    )
  }

  #read(
    call: IncomingCall,
    group: number,
    keyspace: string,
    read: (store: GroupStore) => Uint8Array,
  ): void {
    checkKeyspace(keyspace, group)
    this.#components.access
      .barrier(group)
      .then(() => call.answer(read(this.#store(group))))
      .catch((error: unknown) => this.#refuse(call, error, group))
  }

  #renew(call: IncomingCall, { group, leaseId }: Request<'renew'>): void {
    const renewals = this.#renewals.get(group)
    if (renewals !== undefined && renewals.calls.length < leaseLimits.renewMax) {
      renewals.leaseIds.push(leaseId)
      renewals.calls.push(call)
      return
    }
    const first = { leaseIds: [leaseId], calls: [call] }
    this.#renewals.set(group, first)
    queueMicrotask(() => this.#renewAll(group, first))
  }

  #renewAll(group: number, renewals: Renewals): void {
    if (this.#renewals.get(group) === renewals) this.#renewals.delete(group)
    const { access } = this.#components
    const renewed = async () =>
      this.#store(group).renewLeases(renewals.leaseIds, () => access.barrier(group))
    renewed().then(
      (goesOn) => {
        for (const [at, call] of renewals.calls.entries()) {
          if (goesOn[at]) call.answer(new Uint8Array(0))
          else this.#refuse(call, new TrackerError('ERR_LEASE_NOT_FOUND', 'the lease is not there'))
        }
      },
      (error: unknown) => {
        for (const call of renewals.calls) this.#refuse(call, error, group)
      },
    )
  }

  async #watch(call: IncomingCall, request: Request<'watch'>): Promise<void> {
    const { access, lane } = this.#components
    const { group, keyspace, prefix } = request
    checkKeyspace(keyspace, group)
    if (access.leaderPeerId(group) !== lane.peerId) throw this.#notLeader(group)
    let { after } = request
    if (after === undefined) {
      // Everything acknowledged so far was before "now".
      await access.barrier(group)
      after = this.#store(group).revision
      call.item(encodeBatch({ revision: after, events: [] }))
    }
    if (call.isOver) return
    const watch = this.#store(group).watch(keyspace, prefix, after, {
      onBatch: (batch) => call.item(this.#encodeBatch(batch)),
      onEnd: (error) => this.#endWatch(served, error),
    })
    const served: ServedWatch = { group, call, watch, toldRevision: after }
    this.#watches.add(served)
    this.counters.watches = this.#watches.size
    call.onCredit = () => watch.resume()
    call.onGone = () => this.#forgetWatch(served)
    watch.resume()
    this.#cancelProgress ??= this.#progressLater()
  }

  #encodeBatch(batch: WatchBatch): Uint8Array {
    if (this.#lastBatch !== batch) {
      this.#lastBytes = new Uint8Array(encodeBatch(batch))
      this.#lastBatch = batch
    }
    return this.#lastBytes
  }

  #follow(call: IncomingCall): void {
    if (this.#followers.size >= callServerLimits.followersMax)
      throw new TrackerError('ERR_OVERLOADED', 'too many peers are told already')
    this.#followers.add(call)
    this.counters.followers = this.#followers.size
    call.onGone = () => {
      this.#followers.delete(call)
      this.counters.followers = this.#followers.size
    }
    for (const group of this.#components.access.groups) {
      const leadership = this.#components.access.leadership(group)
      if (leadership !== undefined) call.item(encodeLeadership(group, leadership))
    }
  }

  #onLeadership(group: number): void {
    const { access, lane } = this.#components
    const leadership = access.leadership(group)
    if (leadership !== undefined) {
      const bytes = encodeLeadership(group, leadership)
      for (const call of this.#followers) call.item(bytes)
    }
    if (leadership?.peerId === lane.peerId) return
    for (const served of [...this.#watches]) {
      if (served.group === group) this.#endWatch(served, this.#notLeader(group))
    }
  }

  /** Tells watches that hear nothing where they stand: what they would go on from must not be forgotten elsewhere. */
  #progressLater(): CancelTimer {
    return this.#components.clock.after(callServerLimits.progressMs, () => {
      this.#cancelProgress = undefined
      for (const served of this.#watches) {
        const { revision } = served.watch
        if (revision - served.toldRevision < callServerLimits.progressRevisions) continue
        served.toldRevision = revision
        served.call.item(encodeBatch({ revision, events: [] }))
      }
      if (this.#watches.size > 0) this.#cancelProgress ??= this.#progressLater()
    })
  }

  #endWatch(served: ServedWatch, error: TrackerError): void {
    this.#forgetWatch(served)
    this.#refuse(served.call, error)
  }

  #forgetWatch(served: ServedWatch): void {
    served.watch.close()
    this.#watches.delete(served)
    this.counters.watches = this.#watches.size
  }

  #store(group: number): GroupStore {
    const store = this.#components.access.store(group)
    if (store === undefined) throw this.#notLeader(group)
    return store
  }

  #notLeader(group: number): TrackerError {
    const leader = this.#components.access.leaderPeerId(group)
    return new TrackerError('ERR_NOT_LEADER', 'this member does not lead the group', { leader })
  }

  #refuse(call: IncomingCall, error: unknown, group?: number): void {
    if (!(error instanceof TrackerError)) throw error
    this.counters.refused += 1
    const isBare = error.code === 'ERR_NOT_LEADER' && error.leader === undefined
    call.refuse(isBare && group !== undefined ? this.#notLeader(group) : error)
  }
}

/** A transaction says its keyspace; one that lies elsewhere would be found by nobody. */
function checkGroup(command: Uint8Array, group: number): void {
  const reader = new ByteReader(command)
  if (reader.u8() !== commandKinds.transact) return
  checkKeyspace(reader.text16(command.length), group)
}

function checkKeyspace(keyspace: string, group: number): void {
  if (groupOf(keyspace) !== group)
    throw new TrackerError('ERR_INVALID_INPUT', 'the keyspace lies in another group')
}
