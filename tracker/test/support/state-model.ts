/** The state of a group done slowly and plainly, to compare the real one with: everything in one map, copied before each transaction. */
import type { Comparison, KeyValue, Operation, WatchEvent } from '../../src/coordination.ts'
import type { Command, CommandResult } from '../../src/state/commands.ts'
import { type GroupLimits, itemOverheadBytes } from '../../src/state/state-limits.ts'

/** One key of one keyspace. */
export interface ModelItem {
  readonly keyspace: string
  readonly item: KeyValue
}

/** One change. */
export interface ModelChange {
  readonly revision: number
  readonly keyspace: string
  readonly event: WatchEvent
}

const bytesOf = (text: string): Buffer => Buffer.from(text, 'utf8')
const order = (a: string, b: string): number => Buffer.compare(bytesOf(a), bytesOf(b))
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

/** The model. */
export class StateModel {
  revision = 0
  items: ModelItem[] = []
  readonly leases = new Map<string, number>()
  readonly changes: ModelChange[] = []
  readonly #limits: GroupLimits

  constructor(limits: GroupLimits) {
    this.#limits = limits
  }

  /** Every key of a keyspace under a prefix, in order. */
  list(keyspace: string, prefix: string): KeyValue[] {
    return this.items
      .filter((each) => each.keyspace === keyspace && each.item.key.startsWith(prefix))
      .map(({ item }) => item)
      .sort((a, b) => order(a.key, b.key))
  }

  find(keyspace: string, key: string): KeyValue | undefined {
    return this.list(keyspace, key).find((item) => item.key === key)
  }

  apply(command: Command, term: number, index: number): CommandResult {
    switch (command.type) {
      case 'grant-lease': {
        if (this.leases.size >= this.#limits.leasesMax) return refused('ERR_OVERLOADED')
        const leaseId = `${term.toString(36)}-${index.toString(36)}`
        this.leases.set(leaseId, command.ttlMs)
        return { type: 'granted', leaseId, ttlMs: command.ttlMs }
      }
      case 'revoke-lease':
        this.#end(command.leaseId)
        return { type: 'revoked', revision: this.revision }
      case 'expire-leases': {
        const ended = command.leaseIds.filter((id) => command.term === term && this.#end(id))
        return { type: 'expired', count: ended.length, revision: this.revision }
      }
      case 'compact':
        if (command.revision > this.revision) return refused('ERR_INVALID_INPUT')
        return { type: 'compacted', revision: this.revision }
      case 'transact': {
        const { when = [], then, otherwise = [] } = command.transaction
        const succeeded = when.every((each) => this.#holds(command.keyspace, each))
        const branch = succeeded ? then : otherwise
        return this.#transact(command.keyspace, succeeded, branch, { term, index })
      }
    }
  }

  #holds(keyspace: string, comparison: Comparison): boolean {
    const item = this.find(keyspace, comparison.key)
    if ('exists' in comparison) return comparison.exists === (item !== undefined)
    if ('modRevision' in comparison) return (item?.modRevision ?? 0) === comparison.modRevision
    if ('createRevision' in comparison)
      return (item?.createRevision ?? 0) === comparison.createRevision
    if ('value' in comparison) return item !== undefined && same(item.value, comparison.value)
    return item !== undefined && item.leaseId === comparison.leaseId
  }

  #transact(
    keyspace: string,
    succeeded: boolean,
    branch: readonly Operation[],
    token: { term: number; index: number },
  ): CommandResult {
    const before = this.items
    const fault = this.#faultBefore(keyspace, branch)
    if (fault !== undefined) return fault
    const modRevision = this.revision + 1
    const events: WatchEvent[] = []
    const results = branch.map((operation) => {
      if (operation.type === 'get')
        return { type: 'got' as const, item: this.find(keyspace, operation.key) }
      if (operation.type === 'put') {
        const { key, value, leaseId } = operation
        const old = this.find(keyspace, key)
        const createRevision = old?.createRevision ?? modRevision
        const item = {
          key,
          value,
          createRevision,
          modRevision,
          token: old?.token ?? token,
          leaseId,
        }
        this.#drop(keyspace, [key])
        this.items = [...this.items, { keyspace, item }]
        events.push({ type: 'put', item })
        return { type: 'put' as const, item }
      }
      const keys = this.#deleted(keyspace, operation)
      this.#drop(keyspace, keys)
      for (const key of keys) events.push({ type: 'deleted', key })
      return { type: 'deleted' as const, count: keys.length }
    })
    if (this.#isTooMuch()) {
      this.items = before
      return refused('ERR_OVERLOADED')
    }
    this.#commit(events.map((event) => ({ keyspace, event })))
    return { type: 'transacted', succeeded, revision: this.revision, token, results }
  }

  #deleted(keyspace: string, operation: Operation): string[] {
    if (operation.type === 'delete')
      return this.find(keyspace, operation.key) === undefined ? [] : [operation.key]
    if (operation.type === 'delete-prefix')
      return this.list(keyspace, operation.prefix).map(({ key }) => key)
    return []
  }

  /** What is refused by looking at the state as it is. */
  #faultBefore(keyspace: string, branch: readonly Operation[]): CommandResult | undefined {
    let changes = 0
    let readBytes = 0
    for (const operation of branch) {
      if (operation.type === 'put') {
        changes += 1
        if (operation.leaseId !== undefined && !this.leases.has(operation.leaseId))
          return refused('ERR_LEASE_NOT_FOUND')
      } else if (operation.type === 'get') {
        readBytes += this.find(keyspace, operation.key)?.value.length ?? 0
      } else {
        changes += this.#deleted(keyspace, operation).length
      }
    }
    const { changesMax, readBytesMax } = this.#limits
    return changes > changesMax || readBytes > readBytesMax ? refused('ERR_OVERLOADED') : undefined
  }

  /** What all keys take. */
  get bytes(): number {
    let bytes = 0
    for (const { keyspace, item } of this.items) {
      bytes += itemOverheadBytes + bytesOf(keyspace).length + bytesOf(item.key).length
      bytes += item.value.length
    }
    return bytes
  }

  #isTooMuch(): boolean {
    const { keysMax, bytesMax, keysPerLeaseMax } = this.#limits
    const { bytes } = this
    const perLease = new Map<string, number>()
    for (const { item } of this.items) {
      if (item.leaseId !== undefined)
        perLease.set(item.leaseId, (perLease.get(item.leaseId) ?? 0) + 1)
    }
    const isLeaseFull = [...perLease.values()].some((count) => count > keysPerLeaseMax)
    return this.items.length > keysMax || bytes > bytesMax || isLeaseFull
  }

  #end(leaseId: string): boolean {
    if (!this.leases.delete(leaseId)) return false
    const gone = this.items.filter(({ item }) => item.leaseId === leaseId)
    gone.sort((a, b) => order(a.keyspace, b.keyspace) || order(a.item.key, b.item.key))
    this.items = this.items.filter(({ item }) => item.leaseId !== leaseId)
    this.#commit(
      gone.map(({ keyspace, item }) => ({ keyspace, event: { type: 'deleted', key: item.key } })),
    )
    return true
  }

  #drop(keyspace: string, keys: readonly string[]): void {
    this.items = this.items.filter(
      (each) => each.keyspace !== keyspace || !keys.includes(each.item.key),
    )
  }

  #commit(changes: readonly { keyspace: string; event: WatchEvent }[]): void {
    if (changes.length === 0) return
    this.revision += 1
    for (const change of changes) this.changes.push({ revision: this.revision, ...change })
  }
}

function refused(code: 'ERR_LEASE_NOT_FOUND' | 'ERR_OVERLOADED' | 'ERR_INVALID_INPUT') {
  return { type: 'refused', code, message: '' } as const
}
