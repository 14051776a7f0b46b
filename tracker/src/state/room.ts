/** Whether a group has room for what a transaction puts, reckoned exactly: what it deletes makes room for what it puts. */
import { type OperationStep, operationKinds } from './commands.ts'
import { type GroupData, itemBytes } from './group-data.ts'
import type { ByteText } from './key-text.ts'
import type { KeyspaceStore } from './keyspace-store.ts'
import type { Lease } from './lease-table.ts'
import type { Slot } from './ordered-slots.ts'
import type { GroupLimits } from './state-limits.ts'

/** Says what there is no room for; undefined when there is room for all. The leases that a branch puts with are there. */
export function checkRoom(
  data: GroupData,
  store: KeyspaceStore | undefined,
  branch: readonly OperationStep[],
  keyspace: ByteText,
  limits: GroupLimits,
): string | undefined {
  let { keys, bytes } = data
  /** By how much the number of a lease's keys grows. */
  const attached = new Map<Lease, number>()
  const attach = (lease: Lease | undefined, by: number): void => {
    if (lease !== undefined) attached.set(lease, (attached.get(lease) ?? 0) + by)
  }
  for (const slot of deletedBy(store, branch)) {
    keys -= 1
    bytes -= itemBytes(keyspace, slot.order, slot.item.value)
    attach(slot.lease, -1)
  }
  for (const { kind, order, value, leaseId } of branch) {
    if (kind !== operationKinds.put) continue
    const slot = store?.find(order)
    if (slot === undefined) keys += 1
    else bytes -= itemBytes(keyspace, order, slot.item.value)
    bytes += itemBytes(keyspace, order, value)
    attach(slot?.lease, -1)
    if (leaseId !== '') attach(data.leases.get(leaseId), 1)
  }
  if (keys > limits.keysMax) return `there are ${limits.keysMax} keys at most`
  if (bytes > limits.bytesMax) return `keys and values take ${limits.bytesMax} bytes at most`
  for (const [lease, by] of attached) {
    if (lease.size + by > limits.keysPerLeaseMax)
      return `a lease has ${limits.keysPerLeaseMax} keys at most`
  }
  return undefined
}

/** What a branch deletes, each once. */
function deletedBy(store: KeyspaceStore | undefined, branch: readonly OperationStep[]): Set<Slot> {
  const slots = new Set<Slot>()
  for (const { kind, order } of branch) {
    if (kind === operationKinds.delete) {
      const slot = store?.find(order)
      if (slot !== undefined) slots.add(slot)
    } else if (kind === operationKinds.deletePrefix) {
      store?.visit(order, undefined, (slot) => {
        slots.add(slot)
        return true
      })
    }
  }
  return slots
}
