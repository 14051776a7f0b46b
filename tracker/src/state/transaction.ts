/** Carries out transactions: looks whether all of it can be done, then does it, so that nothing ever has to be undone. */
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import type { FencingToken, OperationResult } from '../coordination.ts'
import {
  type CommandResult,
  type ComparisonStep,
  comparisonKinds,
  type OperationStep,
  operationKinds,
  type TransactionSteps,
} from './commands.ts'
import { type GroupData, itemBytes } from './group-data.ts'
import type { ByteText } from './key-text.ts'
import type { KeyspaceStore } from './keyspace-store.ts'
import type { Slot } from './ordered-slots.ts'
import { checkRoom } from './room.ts'
import type { GroupLimits } from './state-limits.ts'

/** Carries out a transaction; its changes wait for the commit. */
export function transact(
  data: GroupData,
  steps: TransactionSteps,
  token: FencingToken,
  limits: GroupLimits,
): CommandResult {
  const store = data.keyspaces.get(steps.keyspace)
  let succeeded = true
  for (const comparison of steps.when) {
    if (!holds(store?.find(comparison.order), comparison)) {
      succeeded = false
      break
    }
  }
  const branch = succeeded ? steps.then : steps.otherwise
  const refused = checkBranch(data, store, branch, steps.keyspace, limits)
  if (refused !== undefined) return refused
  const results = carryOut(data, store, branch, steps.keyspace, token)
  const revision = data.hasChanges ? data.revision + 1 : data.revision
  return { type: 'transacted', succeeded, revision, token, results }
}

/** True when a comparison holds; a key that is not there has revision 0, no value and no lease. */
function holds(slot: Slot | undefined, comparison: ComparisonStep): boolean {
  switch (comparison.kind) {
    case comparisonKinds.missing:
      return slot === undefined
    case comparisonKinds.exists:
      return slot !== undefined
    case comparisonKinds.modRevision:
      return (slot?.item.modRevision ?? 0) === comparison.revision
    case comparisonKinds.createRevision:
      return (slot?.item.createRevision ?? 0) === comparison.revision
    case comparisonKinds.value:
      return slot !== undefined && Buffer.compare(slot.item.value, comparison.value) === 0
    default:
      return slot !== undefined && slot.item.leaseId === comparison.leaseId
  }
}

/** Says why a branch cannot be done; reckons quickly, and exactly only where room is short. */
function checkBranch(
  data: GroupData,
  store: KeyspaceStore | undefined,
  branch: readonly OperationStep[],
  keyspace: ByteText,
  limits: GroupLimits,
): CommandResult | undefined {
  let keys = data.keys
  let bytes = data.bytes
  let changes = 0
  let readBytes = 0
  let isTight = false
  for (const { kind, order, value, leaseId } of branch) {
    const slot = kind === operationKinds.deletePrefix ? undefined : store?.find(order)
    if (kind === operationKinds.put) {
      changes += 1
      if (leaseId !== '') {
        const lease = data.leases.get(leaseId)
        if (lease === undefined) return refusal('ERR_LEASE_NOT_FOUND', `no lease ${leaseId}`)
        isTight ||= lease.size + branch.length > limits.keysPerLeaseMax
      }
      if (slot === undefined) {
        keys += 1
        bytes += itemBytes(keyspace, order, value)
      } else if (value.length > slot.item.value.length) {
        bytes += value.length - slot.item.value.length
      }
    } else if (kind === operationKinds.get) {
      readBytes += slot?.item.value.length ?? 0
    } else if (slot !== undefined) {
      changes += 1
    } else if (kind === operationKinds.deletePrefix) {
      store?.visit(order, undefined, () => {
        changes += 1
        return changes <= limits.changesMax
      })
    }
  }
  if (changes > limits.changesMax)
    return refusal('ERR_OVERLOADED', `a transaction changes ${limits.changesMax} keys at most`)
  if (readBytes > limits.readBytesMax)
    return refusal('ERR_OVERLOADED', `a transaction reads ${limits.readBytesMax} bytes at most`)
  isTight ||= keys > limits.keysMax || bytes > limits.bytesMax
  if (!isTight) return undefined
  const fault = checkRoom(data, store, branch, keyspace, limits)
  return fault === undefined ? undefined : refusal('ERR_OVERLOADED', fault)
}

function carryOut(
  data: GroupData,
  found: KeyspaceStore | undefined,
  branch: readonly OperationStep[],
  keyspace: ByteText,
  token: FencingToken,
): readonly OperationResult[] {
  const store = found ?? (branch.some(isPut) ? data.keyspaceFor(keyspace) : undefined)
  const [only] = branch
  const results =
    branch.length === 1 && only !== undefined
      ? [carryOutStep(data, store, only, token)]
      : branch.map((step) => carryOutStep(data, store, step, token))
  if (store !== undefined) data.dropEmpty(store)
  return results
}

function isPut({ kind }: OperationStep): boolean {
  return kind === operationKinds.put
}

function carryOutStep(
  data: GroupData,
  store: KeyspaceStore | undefined,
  { kind, order, value, leaseId }: OperationStep,
  token: FencingToken,
): OperationResult {
  const slot = kind === operationKinds.deletePrefix ? undefined : store?.find(order)
  switch (kind) {
    case operationKinds.put: {
      assert(store !== undefined, 'a branch that puts has a keyspace')
      const lease = leaseId === '' ? undefined : data.leases.get(leaseId)
      return { type: 'put', item: data.put(store, slot, order, value, lease, token) }
    }
    case operationKinds.get:
      return { type: 'got', item: slot?.item }
    case operationKinds.delete:
      if (store === undefined || slot === undefined) return { type: 'deleted', count: 0 }
      data.remove(store, slot)
      return { type: 'deleted', count: 1 }
    default:
      return { type: 'deleted', count: removeUnder(data, store, order) }
  }
}

/** Deletes all under a prefix; returns how many there were. */
function removeUnder(data: GroupData, store: KeyspaceStore | undefined, prefix: ByteText): number {
  if (store === undefined) return 0
  const slots: Slot[] = []
  store.visit(prefix, undefined, (slot) => {
    slots.push(slot)
    return true
  })
  for (const slot of slots) data.remove(store, slot)
  return slots.length
}

/** A result that says that nothing was done. */
export function refusal(
  code: 'ERR_LEASE_NOT_FOUND' | 'ERR_OVERLOADED' | 'ERR_MALFORMED' | 'ERR_INVALID_INPUT',
  message: string,
): CommandResult {
  return { type: 'refused', code, message }
}
