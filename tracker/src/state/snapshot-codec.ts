/**
 * The state of a group as bytes, and back. A state has one form only: keyspaces and keys in the order of their bytes, leases in the order in
 * which they were granted; so members with the same state write the same bytes. docs/protocol/tracker-state.md draws it.
 */
import { coordinationLimits, type FencingToken } from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { keyFault, nameFault, ttlFault } from './command-rules.ts'
import { GroupData } from './group-data.ts'
import { type ByteText, toText } from './key-text.ts'
import type { KeyspaceStore } from './keyspace-store.ts'
import { Lease } from './lease-table.ts'
import { type GroupLimits, itemOverheadBytes } from './state-limits.ts'

/** "KSTA" as the first four bytes read. */
const MAGIC = 0x4154534b
/** A reader refuses another. */
const VERSION = 1
/** Magic, version, revision, counts of leases and keyspaces. */
const HEAD_BYTES = 24
/** Term, index, time. */
const LEASE_BYTES = 20
/** Length of the name, count of keys. */
const KEYSPACE_BYTES = 6
/** Length of the key, of the value, the revisions, the token, the lease. */
const ITEM_BYTES = 46

/** Writes a state. */
export function writeSnapshot(data: GroupData): Uint8Array {
  const stores = [...data.keyspaces.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  const writer = new ByteWriter(snapshotBytes(data, stores))
  writer.u32(MAGIC)
  writer.u32(VERSION)
  writer.integer(data.revision)
  writer.u32(data.leases.size)
  writer.u32(stores.length)
  for (const lease of data.leases.values()) {
    writer.integer(lease.term)
    writer.integer(lease.index)
    writer.u32(lease.ttlMs)
  }
  for (const store of stores) writeKeyspace(writer, store)
  return writer.finish()
}

function writeKeyspace(writer: ByteWriter, store: KeyspaceStore): void {
  writer.u16(store.name.length)
  writer.text(store.name)
  writer.u32(store.size)
  store.visit('', undefined, ({ order, item, lease }) => {
    writer.u16(order.length)
    writer.text(order)
    writer.u32(item.value.length)
    writer.raw(item.value)
    writer.integer(item.createRevision)
    writer.integer(item.modRevision)
    writer.integer(item.token.term)
    writer.integer(item.token.index)
    writer.integer(lease === undefined ? 0 : lease.index)
    return true
  })
}

/** The size, from what the state knows of itself. */
function snapshotBytes(data: GroupData, stores: readonly KeyspaceStore[]): number {
  let size = HEAD_BYTES + data.leases.size * LEASE_BYTES + data.keys * ITEM_BYTES + data.bytes
  for (const { name, size: keys } of stores)
    size += KEYSPACE_BYTES + name.length - keys * (name.length + itemOverheadBytes)
  return size
}

/**
 * Reads a state.
 * @throws TrackerError ERR_MALFORMED
 */
export function readSnapshot(bytes: Uint8Array, limits: GroupLimits): GroupData {
  const reader = new ByteReader()
  reader.start(bytes)
  const snapshot = new SnapshotReader(reader, limits)
  snapshot.read()
  if (reader.left > 0) reader.fail('more than a snapshot')
  if (reader.failure !== undefined) throw new TrackerError('ERR_MALFORMED', reader.failure)
  return snapshot.data
}

class SnapshotReader {
  readonly data = new GroupData()
  readonly #reader: ByteReader
  readonly #limits: GroupLimits
  /** By the index of the entry that granted each. */
  readonly #leases = new Map<number, Lease>()
  /** Keys of one change share its token. */
  #token: FencingToken = { term: 0, index: 0 }

  constructor(reader: ByteReader, limits: GroupLimits) {
    this.#reader = reader
    this.#limits = limits
  }

  read(): void {
    const reader = this.#reader
    const { data } = this
    this.#demand(reader.u32() === MAGIC, 'no snapshot of a group')
    this.#demand(reader.u32() === VERSION, 'a snapshot of another version')
    data.revision = reader.integer()
    const leases = reader.u32()
    const keyspaces = reader.u32()
    this.#demand(leases <= this.#limits.leasesMax, 'more leases than a group has')
    this.#readLeases(leases)
    let last: ByteText = ''
    for (let i = 0; i < keyspaces && reader.failure === undefined; i++) {
      const length = reader.u16()
      this.#demand(nameFault(length) === undefined, 'a name of a wrong length')
      const name = reader.text(length)
      this.#demand(name > last, 'keyspaces that are out of order')
      last = name
      this.#readKeyspace(name)
    }
    const { keysMax, bytesMax } = this.#limits
    this.#demand(data.keys <= keysMax && data.bytes <= bytesMax, 'more than a group holds')
  }

  #readLeases(count: number): void {
    const reader = this.#reader
    let last = { term: 0, index: 0 }
    for (let i = 0; i < count && reader.failure === undefined; i++) {
      const lease = new Lease(reader.integer(), reader.integer(), reader.u32())
      this.#demand(ttlFault(lease.ttlMs) === undefined, 'a lease of a wrong time')
      this.#demand(
        lease.index > last.index && lease.term >= last.term,
        'leases that are out of order',
      )
      last = lease
      this.data.leases.add(lease)
      this.#leases.set(lease.index, lease)
    }
  }

  #readKeyspace(name: ByteText): void {
    const reader = this.#reader
    const { data } = this
    const count = reader.u32()
    this.#demand(count > 0, 'a keyspace without keys')
    this.#demand(data.keys + count <= this.#limits.keysMax, 'more keys than a group holds')
    if (reader.failure !== undefined) return
    const store = data.keyspaceFor(name)
    let last: ByteText = ''
    for (let i = 0; i < count; i++) {
      const order = this.#readKey()
      this.#demand(order > last, 'keys that are out of order')
      last = order
      const value = this.#readValue()
      const createRevision = reader.integer()
      const modRevision = reader.integer()
      this.#demand(
        createRevision > 0 && createRevision <= modRevision && modRevision <= data.revision,
        'revisions that cannot be',
      )
      const token = this.#readToken()
      const lease = this.#readLease()
      if (reader.failure !== undefined) return
      const leaseId = lease?.id
      const item = { key: toText(order), value, createRevision, modRevision, token, leaseId }
      data.insert(store, item, order, lease)
    }
  }

  #readKey(): ByteText {
    const length = this.#reader.u16()
    this.#demand(keyFault(length) === undefined, 'a key of a wrong length')
    return this.#reader.text(length)
  }

  #readValue(): Uint8Array {
    const length = this.#reader.u32()
    this.#demand(length <= coordinationLimits.valueBytesMax, 'a value of a wrong length')
    return this.#reader.copy(length)
  }

  #readToken(): FencingToken {
    const term = this.#reader.integer()
    const index = this.#reader.integer()
    if (term !== this.#token.term || index !== this.#token.index) this.#token = { term, index }
    return this.#token
  }

  #readLease(): Lease | undefined {
    const index = this.#reader.integer()
    if (index === 0) return undefined
    const lease = this.#leases.get(index)
    this.#demand(
      lease !== undefined && lease.size < this.#limits.keysPerLeaseMax,
      'a key of a lease that cannot have it',
    )
    return lease
  }

  #demand(holds: boolean, otherwise: string): void {
    if (!holds) this.#reader.fail(otherwise)
  }
}
