/**
 * What a group is about: keyspaces, leases, the revision. Changes of one revision are made by `put`, `remove` and `endLease`, and gathered
 * until `commit` makes them one; whoever calls has made sure that there is room.
 */
import type { FencingToken, KeyValue } from '../coordination.ts'
import type { Change } from './history.ts'
import { type ByteText, toText } from './key-text.ts'
import { KeyspaceStore } from './keyspace-store.ts'
import { type Lease, LeaseTable } from './lease-table.ts'
import type { Slot } from './ordered-slots.ts'
import { itemOverheadBytes } from './state-limits.ts'

/** Never added to. */
const none: Change[] = []

/** The state that is in a snapshot. */
export class GroupData {
  readonly keyspaces = new Map<ByteText, KeyspaceStore>()
  readonly leases = new LeaseTable()
  /** Grows by one with each commit. */
  revision = 0
  /** Keys of all keyspaces. */
  keys = 0
  /** What they take, by {@link itemBytes}. */
  bytes = 0
  /** What was changed since the last commit. */
  #changes: Change[] = none

  /** The keyspace to put into; it is left without keys by nobody who commits. */
  keyspaceFor(name: ByteText): KeyspaceStore {
    let store = this.keyspaces.get(name)
    if (store === undefined) {
      store = new KeyspaceStore(name)
      this.keyspaces.set(name, store)
    }
    return store
  }

  /** Puts a key of which the slot is, when there is one. */
  put(
    store: KeyspaceStore,
    slot: Slot | undefined,
    order: ByteText,
    value: Uint8Array,
    lease: Lease | undefined,
    token: FencingToken,
  ): KeyValue {
    const modRevision = this.revision + 1
    const leaseId = lease?.id
    let item: KeyValue
    if (slot === undefined) {
      const key = toText(order)
      item = { key, value, createRevision: modRevision, modRevision, token, leaseId }
      this.insert(store, item, order, lease)
    } else {
      const { key, createRevision, token: first, value: old } = slot.item
      item = { key, value, createRevision, modRevision, token: first, leaseId }
      slot.item = item
      this.bytes += value.length - old.length
      if (slot.lease !== lease) {
        slot.lease?.detach(slot)
        slot.lease = lease
        lease?.attach(slot)
      }
    }
    this.#changed({ revision: modRevision, keyspace: store.name, event: { type: 'put', item } })
    return item
  }

  /** Adds a key that is not there. */
  insert(store: KeyspaceStore, item: KeyValue, order: ByteText, lease: Lease | undefined): void {
    const slot: Slot = { order, keyspace: store.name, item, lease }
    store.insert(slot)
    lease?.attach(slot)
    this.keys += 1
    this.bytes += itemBytes(store.name, order, item.value)
  }

  /** Deletes a key. */
  remove(store: KeyspaceStore, slot: Slot): void {
    store.remove(slot)
    slot.lease?.detach(slot)
    this.keys -= 1
    this.bytes -= itemBytes(store.name, slot.order, slot.item.value)
    const event = { type: 'deleted', key: slot.item.key } as const
    this.#changed({ revision: this.revision + 1, keyspace: store.name, event })
  }

  /** Ends a lease and deletes what goes with it. */
  endLease(lease: Lease): void {
    for (const slot of lease.sorted()) {
      const store = this.keyspaceFor(slot.keyspace)
      this.remove(store, slot)
      this.dropEmpty(store)
    }
    this.leases.delete(lease)
  }

  /** A keyspace without keys is not there. */
  dropEmpty(store: KeyspaceStore): void {
    if (store.size === 0) this.keyspaces.delete(store.name)
  }

  /** True when a commit would make a revision. */
  get hasChanges(): boolean {
    return this.#changes.length > 0
  }

  /** Makes what was changed since the last commit one revision; none when nothing was. */
  commit(): readonly Change[] {
    const changes = this.#changes
    if (changes.length === 0) return changes
    this.#changes = none
    this.revision += 1
    return changes
  }

  /** Most revisions are one change: a list that is made to grow is made for others only. */
  #changed(change: Change): void {
    if (this.#changes.length === 0) this.#changes = [change]
    else this.#changes.push(change)
  }
}

/** What a key takes of the group's bytes. */
export function itemBytes(keyspace: ByteText, order: ByteText, value: Uint8Array): number {
  return itemOverheadBytes + keyspace.length + order.length + value.length
}
