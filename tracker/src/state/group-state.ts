/** The state of one group: what its log's commands make of it, what reads and watches see of it. */
import type { Clock } from '../clock.ts'
import type { KeyList, KeyValue } from '../coordination.ts'
import {
  checkKey,
  checkLimit,
  checkName,
  checkPrefix,
  checkRevision,
} from '../coordination-check.ts'
import type { Committed, StateMachine } from '../driver/state-machine.ts'
import { type CommandResult, commandKinds, type DecodedCommand } from './commands.ts'
import { CommandDecoder } from './decode-command.ts'
import { GroupData } from './group-data.ts'
import { ChangeHistory } from './history.ts'
import { type ByteText, toByteText } from './key-text.ts'
import type { KeyspaceStore } from './keyspace-store.ts'
import { LeaseKeeper, type Renewed } from './lease-keeper.ts'
import { Lease } from './lease-table.ts'
import { readSnapshot, writeSnapshot } from './snapshot-codec.ts'
import { type GroupLimits, groupLimits, stateLimits } from './state-limits.ts'
import { refusal, transact } from './transaction.ts'
import { type Watch, WatchHub, type WatchListener } from './watches.ts'

/** What the state of a group works with. */
export interface GroupStateComponents {
  readonly clock: Clock
  /** Proposes a command to the group while this member leads it; it may be lost. */
  propose(command: Uint8Array): void
}

/** How much is kept at this member. */
export interface GroupStateInit {
  /** Default: {@link groupLimits}, which every member of a real group has. */
  readonly limits?: GroupLimits
  /** Default: {@link stateLimits}.historyChangesMax. */
  readonly historyChangesMax?: number
  /** Default: {@link stateLimits}.historyBytesMax. */
  readonly historyBytesMax?: number
  /** Default: {@link stateLimits}.watchesMax. */
  readonly watchesMax?: number
}

/** The state machine of one group. */
export class GroupState implements StateMachine {
  /** What was done, since this object was made. */
  readonly counters = {
    commands: 0,
    refused: 0,
    changes: 0,
    leasesGranted: 0,
    leasesRevoked: 0,
    leasesExpired: 0,
    expiriesVoid: 0,
    snapshots: 0,
    restores: 0,
  }
  readonly #limits: GroupLimits
  readonly #decoder = new CommandDecoder()
  readonly #history: ChangeHistory
  readonly #watches: WatchHub
  readonly #keeper: LeaseKeeper
  #data = new GroupData()

  constructor(components: GroupStateComponents, init: GroupStateInit = {}) {
    this.#limits = init.limits ?? groupLimits
    this.#history = new ChangeHistory({
      historyChangesMax: init.historyChangesMax ?? stateLimits.historyChangesMax,
      historyBytesMax: init.historyBytesMax ?? stateLimits.historyBytesMax,
    })
    this.#watches = new WatchHub(this.#history, init.watchesMax ?? stateLimits.watchesMax)
    this.#keeper = new LeaseKeeper(components, this.#data.leases)
  }

  /** The revision of all keyspaces of the group. */
  get revision(): number {
    return this.#data.revision
  }

  /** What is held now, and what the leases' keeper did. */
  get status(): GroupStatus {
    return {
      revision: this.#data.revision,
      keyspaces: this.#data.keyspaces.size,
      keys: this.#data.keys,
      bytes: this.#data.bytes,
      leases: this.#data.leases.size,
      watches: this.#watches.size,
      watchesLost: this.#watches.lost,
      historyChanges: this.#history.size,
      historyBytes: this.#history.bytes,
      historyFloor: this.#history.floor,
      historyForgotten: this.#history.forgotten,
      ...this.#keeper.counters,
    }
  }

  apply({ index, term, command }: Committed): CommandResult {
    this.counters.commands += 1
    const decoded = this.#decoder.decode(command)
    const result =
      typeof decoded === 'string'
        ? refusal('ERR_MALFORMED', decoded)
        : this.#carryOut(decoded, term, index)
    if (result.type === 'refused') this.counters.refused += 1
    return result
  }

  snapshot(): Uint8Array {
    this.counters.snapshots += 1
    return writeSnapshot(this.#data)
  }

  restore(snapshot: Uint8Array): void {
    this.#data = readSnapshot(snapshot, this.#limits)
    this.counters.restores += 1
    const toldRevision = this.#history.revision
    this.#history.restart(this.#data.revision)
    this.#keeper.restart(this.#data.leases)
    this.#watches.restarted(toldRevision)
  }

  lead(term: number | undefined): void {
    this.#keeper.lead(term)
  }

  /**
   * One key, as of what was applied here.
   * @throws TrackerError ERR_INVALID_INPUT
   */
  get(keyspace: string, key: string): KeyValue | undefined {
    checkKey(key)
    return this.#store(keyspace)?.find(toByteText(key))?.item
  }

  /**
   * Keys under a prefix, as of what was applied here; fewer than asked for when they are large.
   * @throws TrackerError ERR_INVALID_INPUT
   */
  list(
    keyspace: string,
    prefix: string,
    options: { readonly limit?: number; readonly after?: string } = {},
  ): KeyList {
    const { limit, after } = options
    const countMax = checkLimit(limit)
    checkPrefix(prefix)
    if (after !== undefined) checkPrefix(after)
    const from = after === undefined ? undefined : toByteText(after)
    const items: KeyValue[] = []
    let bytes = 0
    let more = false
    this.#store(keyspace)?.visit(toByteText(prefix), from, ({ order, item }) => {
      bytes += order.length + item.value.length
      more = items.length === countMax || (items.length > 0 && bytes > stateLimits.listBytesMax)
      if (!more) items.push(item)
      return !more
    })
    return { revision: this.#data.revision, items, more }
  }

  /**
   * Watches what is under a prefix ('' for all), after a revision, or from now on. Nothing is told before its first `resume`. May be asked of
   * any member; one that is behind tells later.
   * @throws TrackerError ERR_COMPACTED, ERR_OVERLOADED, ERR_INVALID_INPUT
   */
  watch(
    keyspace: string,
    prefix: string,
    after: number | undefined,
    listener: WatchListener,
  ): Watch {
    checkName(keyspace)
    checkPrefix(prefix)
    if (after !== undefined) checkRevision(after)
    return this.#watches.open(toByteText(keyspace), prefix, after ?? this.revision, listener)
  }

  /** Renews leases at the leader, see {@link LeaseKeeper.renew}. */
  renewLeases(leaseIds: readonly string[], confirm: () => Promise<void>): Promise<Renewed> {
    return this.#keeper.renew(leaseIds, confirm)
  }

  /** @throws TrackerError ERR_INVALID_INPUT */
  #store(keyspace: string): KeyspaceStore | undefined {
    checkName(keyspace)
    return this.#data.keyspaces.get(toByteText(keyspace))
  }

  #carryOut(command: DecodedCommand, term: number, index: number): CommandResult {
    switch (command.kind) {
      case commandKinds.transact: {
        const result = transact(this.#data, command, { term, index }, this.#limits)
        this.#commit()
        return result
      }
      case commandKinds.grantLease:
        return this.#grant(new Lease(term, index, command.ttlMs))
      case commandKinds.revokeLease: {
        const wasThere = this.#end(command.leaseId)
        if (wasThere) this.counters.leasesRevoked += 1
        return { type: 'revoked', revision: this.revision }
      }
      case commandKinds.expireLeases:
        return this.#expire(command.leaseIds, command.term === term)
      case commandKinds.compact: {
        if (command.revision > this.revision)
          return refusal('ERR_INVALID_INPUT', 'a revision that has not been is not forgotten')
        this.#history.compact(command.revision)
        return { type: 'compacted', revision: this.revision }
      }
    }
  }

  #grant(lease: Lease): CommandResult {
    const { leases } = this.#data
    if (leases.size >= this.#limits.leasesMax)
      return refusal('ERR_OVERLOADED', `there are ${this.#limits.leasesMax} leases at most`)
    leases.add(lease)
    this.#keeper.granted(lease)
    this.counters.leasesGranted += 1
    return { type: 'granted', leaseId: lease.id, ttlMs: lease.ttlMs }
  }

  /**
   * Ends leases that ran out. A command of another term than its entry's was made before leadership changed, and its leases have been given
   * their whole time again since.
   */
  #expire(leaseIds: readonly string[], isOfThisTerm: boolean): CommandResult {
    let count = 0
    if (isOfThisTerm) for (const leaseId of leaseIds) if (this.#end(leaseId)) count += 1
    if (!isOfThisTerm) this.counters.expiriesVoid += 1
    this.counters.leasesExpired += count
    return { type: 'expired', count, revision: this.revision }
  }

  /** Ends a lease; its keys go in one revision. Returns whether it was there. */
  #end(leaseId: ByteText): boolean {
    const lease = this.#data.leases.get(leaseId)
    if (lease === undefined) return false
    this.#data.endLease(lease)
    this.#keeper.ended(lease)
    this.#commit()
    return true
  }

  /** Makes what was changed a revision, and tells of it. */
  #commit(): void {
    const changes = this.#data.commit()
    if (changes.length === 0) return
    this.counters.changes += changes.length
    this.#history.add(changes)
    this.#watches.publish(changes)
  }
}

/** Numbers of one group at this member. */
export interface GroupStatus {
  readonly revision: number
  readonly keyspaces: number
  readonly keys: number
  readonly bytes: number
  readonly leases: number
  readonly watches: number
  /** Watches that ended because they were too slow. */
  readonly watchesLost: number
  readonly historyChanges: number
  readonly historyBytes: number
  /** Watches go on from this revision or a later one. */
  readonly historyFloor: number
  /** Changes that made room for others. */
  readonly historyForgotten: number
  readonly renewals: number
  readonly renewalsRefused: number
  readonly expiriesProposed: number
  readonly wakes: number
}
