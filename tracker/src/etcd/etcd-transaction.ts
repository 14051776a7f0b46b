/** Transactions and keys as etcd says them. */
import type { ICompare, IKeyValue, IRequestOp, IResponseOp, ITxnResponse } from 'etcd3'
import type {
  Comparison,
  KeyValue,
  Operation,
  OperationResult,
  Transaction,
  TransactionResult,
} from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import type { KeyNames } from './key-names.ts'

/** No lease has this id, and no key carries it. */
const noSuchLease = '-1'

/** A lease as etcd numbers them. */
const leaseForm = /^[1-9]\d{0,18}$/

/** The id of a lease as etcd takes it; one that etcd cannot have given becomes one that is not there. */
export function leaseToEtcd(leaseId: string): string {
  const isGood = leaseForm.test(leaseId) && BigInt(leaseId) < 2n ** 63n
  return isGood ? leaseId : noSuchLease
}

/** What etcd is asked for a transaction. */
export function transactionToEtcd(
  names: KeyNames,
  transaction: Transaction,
): { compare: ICompare[]; success: IRequestOp[]; failure: IRequestOp[] } {
  return {
    compare: (transaction.when ?? []).map((comparison) => compareToEtcd(names, comparison)),
    success: transaction.then.map((operation) => operationToEtcd(names, operation)),
    failure: (transaction.otherwise ?? []).map((operation) => operationToEtcd(names, operation)),
  }
}

/** What etcd did. Its revision stands for the fencing index: it grows with every change, whoever leads. */
export function transactionFromEtcd(
  names: KeyNames,
  transaction: Transaction,
  response: ITxnResponse,
): TransactionResult {
  const done = response.succeeded ? transaction.then : (transaction.otherwise ?? [])
  const revision = Number(response.header.revision)
  const results = done.map((operation, index) => {
    const part = response.responses[index]
    if (part === undefined) throw malformed()
    return resultFromEtcd(names, operation, part, revision)
  })
  return { succeeded: response.succeeded, revision, token: { term: 0, index: revision }, results }
}

/** A key as etcd gives it; undefined for one that another program has put there. */
export function itemFromEtcd(names: KeyNames, kv: IKeyValue): KeyValue | undefined {
  const key = names.fromEtcd(kv.key)
  if (key === undefined) return undefined
  const createRevision = Number(kv.create_revision)
  return {
    key,
    value: kv.value,
    createRevision,
    modRevision: Number(kv.mod_revision),
    token: { term: 0, index: createRevision },
    leaseId: kv.lease === '0' ? undefined : kv.lease,
  }
}

function compareToEtcd(names: KeyNames, comparison: Comparison): ICompare {
  const key = names.toEtcd(comparison.key)
  if ('exists' in comparison) {
    return {
      key,
      target: 'Version',
      result: comparison.exists ? 'Greater' : 'Equal',
      version: 0,
    }
  }
  const equal = { key, result: 'Equal' as const }
  if ('modRevision' in comparison) {
    return { ...equal, target: 'Mod', mod_revision: comparison.modRevision }
  }
  if ('createRevision' in comparison) {
    return { ...equal, target: 'Create', create_revision: comparison.createRevision }
  }
  if ('value' in comparison) {
    return { ...equal, target: 'Value', value: Buffer.from(comparison.value) }
  }
  return { ...equal, target: 'Lease', lease: leaseToEtcd(comparison.leaseId) }
}

function operationToEtcd(names: KeyNames, operation: Operation): IRequestOp {
  switch (operation.type) {
    case 'put': {
      const { key, value, leaseId } = operation
      const lease = leaseId === undefined ? 0 : leaseToEtcd(leaseId)
      const put = { key: names.toEtcd(key), value: Buffer.from(value), lease, prev_kv: true }
      return { request_put: put }
    }
    case 'delete':
      return { request_delete_range: { key: names.toEtcd(operation.key) } }
    case 'delete-prefix': {
      const range_end = names.endOf(operation.prefix)
      return { request_delete_range: { key: names.toEtcd(operation.prefix), range_end } }
    }
    case 'get':
      return { request_range: { key: names.toEtcd(operation.key) } }
  }
}

function resultFromEtcd(
  names: KeyNames,
  operation: Operation,
  part: IResponseOp,
  revision: number,
): OperationResult {
  switch (operation.type) {
    case 'put': {
      const { key, value, leaseId } = operation
      const before = part.response_put?.prev_kv
      const createRevision = before ? Number(before.create_revision) : revision
      const token = { term: 0, index: createRevision }
      return {
        type: 'put',
        item: { key, value, createRevision, modRevision: revision, token, leaseId },
      }
    }
    case 'delete':
    case 'delete-prefix':
      return { type: 'deleted', count: Number(part.response_delete_range.deleted) }
    case 'get': {
      const [kv] = part.response_range.kvs
      return { type: 'got', item: kv === undefined ? undefined : itemFromEtcd(names, kv) }
    }
  }
}

function malformed(): TrackerError {
  return new TrackerError('ERR_MALFORMED', 'etcd answers fewer steps than it was asked')
}
