/** What every engine refuses before it sends anything, so that what works with one works with the other. */
import {
  type Comparison,
  coordinationLimits,
  type Operation,
  type Transaction,
} from './coordination.ts'
import { TrackerError } from './errors.ts'

/**
 * The name of a keyspace.
 * @throws TrackerError ERR_INVALID_INPUT
 */
export function checkName(name: string): void {
  checkText(name, 1, coordinationLimits.nameBytesMax, 'name of a keyspace')
}

/**
 * A key.
 * @throws TrackerError ERR_INVALID_INPUT
 */
export function checkKey(key: string): void {
  checkText(key, 1, coordinationLimits.keyBytesMax, 'key')
}

/**
 * A prefix of keys, '' for all.
 * @throws TrackerError ERR_INVALID_INPUT
 */
export function checkPrefix(prefix: string): void {
  checkText(prefix, 0, coordinationLimits.keyBytesMax, 'prefix')
}

/**
 * How many keys a list may bring; the most when nothing is given.
 * @throws TrackerError ERR_INVALID_INPUT
 */
export function checkLimit(limit: number = coordinationLimits.listMax): number {
  const { listMax } = coordinationLimits
  demand(Number.isSafeInteger(limit) && limit >= 1 && limit <= listMax, 'limit of a list', listMax)
  return limit
}

/**
 * The time of a lease, milliseconds.
 * @throws TrackerError ERR_INVALID_INPUT
 */
export function checkLease(ttlMs: number): void {
  const { leaseMsMin, leaseMsMax } = coordinationLimits
  const isGood = Number.isSafeInteger(ttlMs) && ttlMs >= leaseMsMin && ttlMs <= leaseMsMax
  demand(isGood, `time of a lease (${ttlMs} ms)`, `${leaseMsMin} to ${leaseMsMax} ms`)
}

/**
 * The revision that a watch goes on from.
 * @throws TrackerError ERR_INVALID_INPUT
 */
export function checkRevision(revision: number): void {
  demand(Number.isSafeInteger(revision) && revision >= 0, 'revision', 'whole and not negative')
}

/**
 * Milliseconds until a call is given up; the default when nothing is given.
 * @throws TrackerError ERR_INVALID_INPUT
 */
export function checkTimeout(timeoutMs: number = coordinationLimits.callMs): number {
  demand(Number.isFinite(timeoutMs) && timeoutMs > 0, `time of a call (${timeoutMs} ms)`, '> 0')
  return timeoutMs
}

/**
 * A transaction: keys, values, steps, and that no branch changes a key twice, of which the order would count.
 * @throws TrackerError ERR_INVALID_INPUT
 */
export function checkTransaction(transaction: Transaction): void {
  const { when = [], then, otherwise = [] } = transaction
  const { transactionStepsMax, transactionBytesMax } = coordinationLimits
  const steps = when.length + then.length + otherwise.length
  demand(steps <= transactionStepsMax, `transaction of ${steps} steps`, transactionStepsMax)
  let bytes = 0
  for (const comparison of when) bytes += comparisonBytes(comparison)
  for (const branch of [then, otherwise]) {
    for (const operation of branch) bytes += operationBytes(operation)
    checkBranch(branch)
  }
  demand(bytes <= transactionBytesMax, `transaction of ${bytes} bytes`, transactionBytesMax)
}

function comparisonBytes(comparison: Comparison): number {
  checkKey(comparison.key)
  if ('modRevision' in comparison) checkRevision(comparison.modRevision)
  if ('createRevision' in comparison) checkRevision(comparison.createRevision)
  const value = 'value' in comparison ? checkValue(comparison.value) : 0
  return Buffer.byteLength(comparison.key) + value
}

function operationBytes(operation: Operation): number {
  if (operation.type === 'delete-prefix') {
    checkPrefix(operation.prefix)
    return Buffer.byteLength(operation.prefix)
  }
  checkKey(operation.key)
  const value = operation.type === 'put' ? checkValue(operation.value) : 0
  return Buffer.byteLength(operation.key) + value
}

function checkValue(value: Uint8Array): number {
  const { valueBytesMax } = coordinationLimits
  demand(value.length <= valueBytesMax, `value of ${value.length} bytes`, valueBytesMax)
  return value.length
}

function checkBranch(branch: readonly Operation[]): void {
  if (branch.length < 2) return
  const puts = new Set<string>()
  for (const operation of branch) {
    if (operation.type !== 'put') continue
    if (puts.has(operation.key)) refuse('a branch of a transaction puts a key twice')
    puts.add(operation.key)
  }
  for (const operation of branch) {
    const isTwice =
      operation.type === 'delete'
        ? puts.has(operation.key)
        : operation.type === 'delete-prefix' &&
          [...puts].some((key) => key.startsWith(operation.prefix))
    if (isTwice) refuse('a branch of a transaction puts a key that it deletes')
  }
}

function checkText(text: string, bytesMin: number, bytesMax: number, what: string): void {
  // A lone surrogate has no UTF-8: two such keys would become one.
  const isGood = typeof text === 'string' && text.isWellFormed()
  const bytes = isGood ? Buffer.byteLength(text) : 0
  if (!isGood || bytes < bytesMin || bytes > bytesMax) {
    refuse(`a ${what} has ${bytesMin} to ${bytesMax} bytes of UTF-8`)
  }
}

function demand(holds: boolean, what: string, allowed: number | string): void {
  if (!holds) refuse(`${what} is outside of what is allowed: ${allowed}`)
}

function refuse(message: string): never {
  throw new TrackerError('ERR_INVALID_INPUT', message)
}
