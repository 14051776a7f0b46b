/**
 * What commands and snapshots may hold, for whoever reads one; who makes one asks `coordination-check.ts`. Each rule answers with what is
 * wrong, or undefined.
 */
import { coordinationLimits } from '../coordination.ts'
import { type OperationStep, operationKinds } from './commands.ts'
import { leaseIdBytesMax } from './state-limits.ts'

const leaseIdForm = /^[0-9a-z-]+$/

/** Of the name of a keyspace, given its size in UTF-8. */
export function nameFault(bytes: number): string | undefined {
  if (bytes >= 1 && bytes <= coordinationLimits.nameBytesMax) return undefined
  return `a keyspace's name has 1 to ${coordinationLimits.nameBytesMax} bytes`
}

/** Of a key, given its size in UTF-8. */
export function keyFault(bytes: number): string | undefined {
  if (bytes >= 1 && bytes <= coordinationLimits.keyBytesMax) return undefined
  return `a key has 1 to ${coordinationLimits.keyBytesMax} bytes`
}

/** Of a prefix, given its size in UTF-8. */
export function prefixFault(bytes: number): string | undefined {
  if (bytes <= coordinationLimits.keyBytesMax) return undefined
  return `a prefix has ${coordinationLimits.keyBytesMax} bytes at most`
}

/** Of a value, given its size. */
export function valueFault(bytes: number): string | undefined {
  if (bytes <= coordinationLimits.valueBytesMax) return undefined
  return `a value has ${coordinationLimits.valueBytesMax} bytes at most`
}

/** Of a lease's id. Whether there is such a lease is another question. */
export function leaseIdFault(leaseId: string): string | undefined {
  if (leaseId.length <= leaseIdBytesMax && leaseIdForm.test(leaseId)) return undefined
  return 'no lease has such an id'
}

/** Of a lease's time. */
export function ttlFault(ttlMs: number): string | undefined {
  const { leaseMsMin, leaseMsMax } = coordinationLimits
  if (Number.isInteger(ttlMs) && ttlMs >= leaseMsMin && ttlMs <= leaseMsMax) return undefined
  return `a lease lasts ${leaseMsMin} to ${leaseMsMax} whole milliseconds`
}

/** Of the size of a transaction. */
export function sizeFault(steps: number, bytes: number): string | undefined {
  const { transactionStepsMax, transactionBytesMax } = coordinationLimits
  if (steps > transactionStepsMax) return `a transaction has ${transactionStepsMax} steps at most`
  if (bytes > transactionBytesMax) return `a transaction has ${transactionBytesMax} bytes at most`
  return undefined
}

/** Of one branch: a key that is put is changed by nothing else in it, so that each revision changes a key once (etcd's rule, too). */
export function branchFault(branch: readonly OperationStep[]): string | undefined {
  let puts: Set<string> | undefined
  for (const { kind, order } of branch) {
    if (kind !== operationKinds.put) continue
    puts ??= new Set()
    if (puts.has(order)) return 'a transaction puts a key once'
    puts.add(order)
  }
  if (puts === undefined) return undefined
  for (const { kind, order } of branch) {
    if (kind === operationKinds.delete && puts.has(order))
      return 'a transaction does not delete a key that it puts'
    if (kind === operationKinds.deletePrefix) {
      for (const put of puts) {
        if (put.startsWith(order)) return 'a transaction does not delete a key that it puts'
      }
    }
  }
  return undefined
}
