/**
 * Requests and answers of the coordination service as bytes. docs/protocol/tracker.md draws them. Answers and items are written into a
 * frame at once, so their bytes stay only until the next message is encoded.
 */
import { ByteReader, malformed } from '../bytes/byte-reader.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import {
  coordinationLimits,
  type KeyList,
  type KeyValue,
  type Operation,
  type OperationResult,
  type Transaction,
  type TransactionResult,
  type WatchBatch,
  type WatchEvent,
} from '../coordination.ts'
import type { CommandResult } from '../state/commands.ts'
import { commandBytesMax, leaseIdBytesMax } from '../state/state-limits.ts'
import { callLimits } from './call-limits.ts'
import type { Leadership } from './group-access.ts'

/** A request of a client. */
export type CoordinationRequest =
  /** Transactions, grants and revocations, as the state has them. */
  | { readonly type: 'propose'; readonly group: number; readonly command: Uint8Array }
  | {
      readonly type: 'get'
      readonly group: number
      readonly keyspace: string
      readonly key: string
    }
  | {
      readonly type: 'list'
      readonly group: number
      readonly keyspace: string
      readonly prefix: string
      readonly after: string | undefined
      readonly limit: number
    }
  | { readonly type: 'renew'; readonly group: number; readonly leaseId: string }
  /** A stream of {@link WatchBatch}; one without events says where it stands. */
  | {
      readonly type: 'watch'
      readonly group: number
      readonly keyspace: string
      readonly prefix: string
      readonly after: number | undefined
    }
  /** A stream of who leads which group. */
  | { readonly type: 'follow' }

const kinds = { propose: 1, get: 2, list: 3, renew: 4, watch: 5, follow: 6 } as const
const { nameBytesMax, keyBytesMax, valueBytesMax, listMax } = coordinationLimits

const writer = new ByteWriter(1_024)
const noBytes = new Uint8Array(0)
const noOperations: readonly Operation[] = []

/** A request as bytes. @param region number of the region that is meant, see {@link regionNumber} */
export function encodeRequest(request: CoordinationRequest, region = 0): Uint8Array {
  writer.integer(region)
  writer.u8(kinds[request.type])
  if (request.type === 'follow') return finish()
  writer.u8(request.group)
  switch (request.type) {
    case 'propose':
      writer.bytes32(request.command)
      break
    case 'get':
      writer.text16(request.keyspace)
      writer.text16(request.key)
      break
    case 'list':
      writer.text16(request.keyspace)
      writer.text16(request.prefix)
      // No key is empty, so '' is none.
      writer.text16(request.after ?? '')
      writer.u16(request.limit)
      break
    case 'renew':
      writer.text16(request.leaseId)
      break
    case 'watch':
      writer.text16(request.keyspace)
      writer.text16(request.prefix)
      writer.u8(request.after === undefined ? 0 : 1)
      writer.integer(request.after ?? 0)
      break
  }
  return finish()
}

/**
 * The reverse of {@link encodeRequest}; the command of a proposal is a copy.
 * @throws TrackerError ERR_MALFORMED
 */
export function decodeRequest(bytes: Uint8Array): CoordinationRequest {
  const reader = new ByteReader(bytes)
  reader.integer()
  const request = readRequest(reader)
  reader.end()
  return request
}

/** The number of the region that a request means. @throws TrackerError ERR_MALFORMED */
export function requestRegion(bytes: Uint8Array): number {
  return new ByteReader(bytes).integer()
}

/**
 * A region's id as the number that requests carry: a member that moved to another region is still asked for a while by those who
 * do not know, and must not answer out of the wrong one.
 */
export function regionNumber(regionId: string): number {
  // 52 bits of what was drawn at random.
  return Number.parseInt(regionId.slice(0, 13), 16)
}

/** What became of a command. A refusal has no bytes: it goes as one of the lane. */
export function encodeResult(result: Exclude<CommandResult, { type: 'refused' }>): Uint8Array {
  switch (result.type) {
    case 'transacted':
      writer.u8(result.succeeded ? 1 : 0)
      writer.integer(result.revision)
      writer.integer(result.token.term)
      writer.integer(result.token.index)
      writer.u8(result.results.length)
      for (const each of result.results) writeOperationResult(each)
      return view()
    case 'granted':
      writer.text16(result.leaseId)
      return view()
    case 'revoked':
    case 'expired':
    case 'compacted':
      return noBytes
  }
}

/**
 * What became of a transaction; what it put is not sent back.
 * @throws TrackerError ERR_MALFORMED, also for what cannot be the answer to that transaction
 */
export function decodeTransacted(bytes: Uint8Array, transaction: Transaction): TransactionResult {
  const reader = new ByteReader(bytes)
  const succeeded = reader.flag()
  const revision = reader.integer()
  const token = { term: reader.integer(), index: reader.integer() }
  const operations = succeeded ? transaction.then : (transaction.otherwise ?? noOperations)
  if (reader.u8() !== operations.length) throw malformed('other results than there are steps')
  const results = operations.map((operation) => readOperationResult(reader, operation, revision))
  reader.end()
  return { succeeded, revision, token, results }
}

/** @throws TrackerError ERR_MALFORMED */
export function decodeGranted(bytes: Uint8Array): string {
  const reader = new ByteReader(bytes)
  const leaseId = reader.text16(leaseIdBytesMax)
  reader.end()
  return leaseId
}

/** A key, or that there is none. */
export function encodeItem(item: KeyValue | undefined): Uint8Array {
  writeOptionalItem(item)
  return view()
}

/** @throws TrackerError ERR_MALFORMED */
export function decodeItem(bytes: Uint8Array): KeyValue | undefined {
  const reader = new ByteReader(bytes)
  const item = readOptionalItem(reader)
  reader.end()
  return item
}

/** A list. */
export function encodeList(list: KeyList): Uint8Array {
  writer.integer(list.revision)
  writer.u8(list.more ? 1 : 0)
  writer.u16(list.items.length)
  for (const item of list.items) writeItem(item)
  return view()
}

/** @throws TrackerError ERR_MALFORMED */
export function decodeList(bytes: Uint8Array): KeyList {
  const reader = new ByteReader(bytes)
  const revision = reader.integer()
  const more = reader.flag()
  const count = reader.u16()
  if (count > listMax) throw malformed('a list that is too long')
  const items: KeyValue[] = []
  for (let at = 0; at < count; at++) items.push(readItem(reader))
  reader.end()
  return { revision, items, more }
}

/** Changes of one revision, or none: where the watch stands. */
export function encodeBatch(batch: WatchBatch): Uint8Array {
  writer.integer(batch.revision)
  writer.u32(batch.events.length)
  for (const event of batch.events) {
    writer.u8(event.type === 'put' ? 1 : 0)
    if (event.type === 'put') writeItem(event.item)
    else writer.text16(event.key)
  }
  return view()
}

/** @throws TrackerError ERR_MALFORMED */
export function decodeBatch(bytes: Uint8Array): WatchBatch {
  const reader = new ByteReader(bytes)
  const revision = reader.integer()
  const count = reader.u32()
  const events: WatchEvent[] = []
  // Each event takes some of the bytes, so that a wrong count ends where they do.
  for (let at = 0; at < count; at++) {
    if (reader.flag()) events.push({ type: 'put', item: readItem(reader) })
    else events.push({ type: 'deleted', key: reader.text16(keyBytesMax) })
  }
  reader.end()
  return { revision, events }
}

/** Who leads a group. */
export function encodeLeadership(group: number, leadership: Leadership): Uint8Array {
  writer.u8(group)
  writer.integer(leadership.term)
  writer.text16(leadership.peerId ?? '')
  return view()
}

/** @throws TrackerError ERR_MALFORMED */
export function decodeLeadership(bytes: Uint8Array): { group: number } & Leadership {
  const reader = new ByteReader(bytes)
  const group = reader.u8()
  const term = reader.integer()
  const peerId = reader.text16(callLimits.peerIdBytesMax)
  reader.end()
  return { group, term, peerId: peerId === '' ? undefined : peerId }
}

function finish(): Uint8Array {
  return writer.take(callLimits.frameBytesKept)
}

function view(): Uint8Array {
  return writer.lend(callLimits.frameBytesKept)
}

function readRequest(reader: ByteReader): CoordinationRequest {
  const kind = reader.u8()
  if (kind === kinds.follow) return { type: 'follow' }
  const group = reader.u8()
  switch (kind) {
    case kinds.propose:
      return { type: 'propose', group, command: reader.bytes32(commandBytesMax) }
    case kinds.get:
      return {
        type: 'get',
        group,
        keyspace: reader.text16(nameBytesMax),
        key: reader.text16(keyBytesMax),
      }
    case kinds.list: {
      const keyspace = reader.text16(nameBytesMax)
      const prefix = reader.text16(keyBytesMax)
      const after = reader.text16(keyBytesMax)
      const limit = reader.u16()
      return { type: 'list', group, keyspace, prefix, after: after || undefined, limit }
    }
    case kinds.renew:
      return { type: 'renew', group, leaseId: reader.text16(leaseIdBytesMax) }
    case kinds.watch: {
      const keyspace = reader.text16(nameBytesMax)
      const prefix = reader.text16(keyBytesMax)
      const hasAfter = reader.flag()
      const after = reader.integer()
      return { type: 'watch', group, keyspace, prefix, after: hasAfter ? after : undefined }
    }
    default:
      throw malformed('a request of no known kind')
  }
}

const resultKinds = { put: 1, deleted: 2, got: 3 } as const

function writeOperationResult(result: OperationResult): void {
  writer.u8(resultKinds[result.type])
  if (result.type === 'put') {
    writer.integer(result.item.createRevision)
    writer.integer(result.item.token.term)
    writer.integer(result.item.token.index)
  } else if (result.type === 'got') writeOptionalItem(result.item)
  else writer.u32(result.count)
}

function readOperationResult(
  reader: ByteReader,
  operation: Operation,
  modRevision: number,
): OperationResult {
  const kind = reader.u8()
  if (kind === resultKinds.put && operation.type === 'put') {
    const { key, value, leaseId } = operation
    const createRevision = reader.integer()
    const token = { term: reader.integer(), index: reader.integer() }
    return { type: 'put', item: { key, value, createRevision, modRevision, token, leaseId } }
  }
  if (kind === resultKinds.got && operation.type === 'get')
    return { type: 'got', item: readOptionalItem(reader) }
  const isDelete = operation.type === 'delete' || operation.type === 'delete-prefix'
  if (kind === resultKinds.deleted && isDelete) return { type: 'deleted', count: reader.u32() }
  throw malformed('a result of another kind than its step')
}

function writeOptionalItem(item: KeyValue | undefined): void {
  writer.u8(item === undefined ? 0 : 1)
  if (item !== undefined) writeItem(item)
}

function readOptionalItem(reader: ByteReader): KeyValue | undefined {
  return reader.flag() ? readItem(reader) : undefined
}

function writeItem(item: KeyValue): void {
  writer.text16(item.key)
  writer.bytes32(item.value)
  writer.integer(item.createRevision)
  writer.integer(item.modRevision)
  writer.integer(item.token.term)
  writer.integer(item.token.index)
  writer.text16(item.leaseId ?? '')
}

function readItem(reader: ByteReader): KeyValue {
  const key = reader.text16(keyBytesMax)
  // A copy: a part of the frame would keep all of it in memory.
  const value = reader.bytes32(valueBytesMax)
  const createRevision = reader.integer()
  const modRevision = reader.integer()
  const token = { term: reader.integer(), index: reader.integer() }
  const leaseId = reader.text16(leaseIdBytesMax)
  return { key, value, createRevision, modRevision, token, leaseId: leaseId || undefined }
}
