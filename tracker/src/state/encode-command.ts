/** Commands as bytes. docs/protocol/tracker-state.md draws them. */
import assert from 'node:assert/strict'
import type { Comparison, Operation, Transaction } from '../coordination.ts'
import { checkLease, checkName, checkRevision, checkTransaction } from '../coordination-check.ts'
import { ByteWriter } from './byte-writer.ts'
import { leaseIdFault } from './command-rules.ts'
import {
  type Command,
  type ComparisonStep,
  commandKinds,
  comparisonKinds,
  type OperationStep,
  operationKinds,
} from './commands.ts'
import { toByteText } from './key-text.ts'
import { leaseLimits } from './state-limits.ts'

const noValue: Uint8Array = new Uint8Array(0)
/** Of the form of a lease's id, and nobody's. */
const noSuchLease = '-'

/**
 * A command as the bytes of an entry.
 * @throws TrackerError ERR_INVALID_INPUT for what no engine would take, see `coordinationLimits`
 */
export function encodeCommand(command: Command): Uint8Array {
  switch (command.type) {
    case 'transact':
      return encodeTransaction(command.keyspace, command.transaction)
    case 'grant-lease': {
      checkLease(command.ttlMs)
      const writer = new ByteWriter(5)
      writer.u8(commandKinds.grantLease)
      writer.u32(command.ttlMs)
      return writer.finish()
    }
    case 'revoke-lease': {
      const leaseId = plainLeaseId(command.leaseId)
      const writer = new ByteWriter(2 + leaseId.length)
      writer.u8(commandKinds.revokeLease)
      writeLeaseId(writer, leaseId)
      return writer.finish()
    }
    case 'expire-leases':
      return encodeExpiry(command.term, command.leaseIds)
    case 'compact': {
      checkRevision(command.revision)
      const writer = new ByteWriter(9)
      writer.u8(commandKinds.compact)
      writer.integer(command.revision)
      return writer.finish()
    }
  }
}

function encodeExpiry(term: number, leaseIds: readonly string[]): Uint8Array {
  assert(leaseIds.length <= leaseLimits.expireLeasesMax, 'one command ends a bounded number')
  assert(Number.isSafeInteger(term) && term >= 0, 'a term is a whole number')
  let size = 11
  for (const leaseId of leaseIds) size += 1 + leaseId.length
  const writer = new ByteWriter(size)
  writer.u8(commandKinds.expireLeases)
  writer.integer(term)
  writer.u16(leaseIds.length)
  for (const leaseId of leaseIds) writeLeaseId(writer, leaseId)
  return writer.finish()
}

function encodeTransaction(keyspace: string, transaction: Transaction): Uint8Array {
  const { when = [], then, otherwise = [] } = transaction
  checkName(keyspace)
  checkTransaction(transaction)
  const name = toByteText(keyspace)
  const comparisons = when.map(comparisonStep)
  const branches = [then.map(operationStep), otherwise.map(operationStep)] as const
  let size = 6 + name.length
  for (const step of comparisons) size += 3 + step.order.length + comparisonBytes(step)
  for (const branch of branches) {
    for (const step of branch) {
      size += 3 + step.order.length
      if (step.kind === operationKinds.put) size += 5 + step.value.length + step.leaseId.length
    }
  }
  const writer = new ByteWriter(size)
  writer.u8(commandKinds.transact)
  writer.u16(name.length)
  writer.text(name)
  writer.u8(comparisons.length)
  for (const branch of branches) writer.u8(branch.length)
  for (const step of comparisons) writeComparison(writer, step)
  for (const branch of branches) for (const step of branch) writeOperation(writer, step)
  return writer.finish()
}

function comparisonStep(comparison: Comparison): ComparisonStep {
  const step = {
    kind: 0,
    order: toByteText(comparison.key),
    revision: 0,
    value: noValue,
    leaseId: '',
  }
  if ('exists' in comparison) {
    step.kind = comparison.exists ? comparisonKinds.exists : comparisonKinds.missing
  } else if ('modRevision' in comparison) {
    step.kind = comparisonKinds.modRevision
    step.revision = comparison.modRevision
  } else if ('createRevision' in comparison) {
    step.kind = comparisonKinds.createRevision
    step.revision = comparison.createRevision
  } else if ('value' in comparison) {
    step.kind = comparisonKinds.value
    step.value = comparison.value
  } else {
    step.kind = comparisonKinds.leaseId
    step.leaseId = plainLeaseId(comparison.leaseId)
  }
  return step
}

function operationStep(operation: Operation): OperationStep {
  const step = { kind: 0, order: '', value: noValue, leaseId: '' }
  switch (operation.type) {
    case 'put':
      step.kind = operationKinds.put
      step.value = operation.value
      if (operation.leaseId !== undefined) step.leaseId = plainLeaseId(operation.leaseId)
      break
    case 'delete':
      step.kind = operationKinds.delete
      break
    case 'get':
      step.kind = operationKinds.get
      break
    case 'delete-prefix':
      step.kind = operationKinds.deletePrefix
      step.order = toByteText(operation.prefix)
      return step
  }
  step.order = toByteText(operation.key)
  return step
}

/** What a comparison has beside its kind and its key. */
function comparisonBytes(step: ComparisonStep): number {
  switch (step.kind) {
    case comparisonKinds.modRevision:
    case comparisonKinds.createRevision:
      return 8
    case comparisonKinds.value:
      return 4 + step.value.length
    case comparisonKinds.leaseId:
      return 1 + step.leaseId.length
    default:
      return 0
  }
}

function writeComparison(writer: ByteWriter, step: ComparisonStep): void {
  writer.u8(step.kind)
  writer.u16(step.order.length)
  writer.text(step.order)
  switch (step.kind) {
    case comparisonKinds.modRevision:
    case comparisonKinds.createRevision:
      writer.integer(step.revision)
      break
    case comparisonKinds.value:
      writer.u32(step.value.length)
      writer.raw(step.value)
      break
    case comparisonKinds.leaseId:
      writeLeaseId(writer, step.leaseId)
      break
  }
}

function writeOperation(writer: ByteWriter, step: OperationStep): void {
  writer.u8(step.kind)
  writer.u16(step.order.length)
  writer.text(step.order)
  if (step.kind !== operationKinds.put) return
  writer.u32(step.value.length)
  writer.raw(step.value)
  writeLeaseId(writer, step.leaseId)
}

/** What cannot be the id of a lease is sent as that of none: it is not there, as it is with any engine. */
function plainLeaseId(leaseId: string): string {
  return leaseIdFault(leaseId) === undefined ? leaseId : noSuchLease
}

function writeLeaseId(writer: ByteWriter, leaseId: string): void {
  writer.u8(leaseId.length)
  writer.text(leaseId)
}
