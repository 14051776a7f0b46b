/** Raft messages as they stand in a frame: docs/protocol/raft.md. Only the kinds that members say to one another on the `raft` lane. */
import { type ByteReader, malformed } from '../bytes/byte-reader.ts'
import type { ByteWriter } from '../bytes/byte-writer.ts'
import {
  createMessage,
  type Entry,
  entryTypes,
  type Message,
  type MessageType,
  messageTypes,
} from '../raft/types.ts'

/** Kinds that travel. A snapshot goes piece by piece on the `bulk` lane; the rest never leaves its member. */
const kinds: ReadonlySet<MessageType> = new Set([
  'MsgApp',
  'MsgAppResp',
  'MsgVote',
  'MsgVoteResp',
  'MsgPreVote',
  'MsgPreVoteResp',
  'MsgHeartbeat',
  'MsgHeartbeatResp',
  'MsgTimeoutNow',
])

const kindNumbers = new Map(messageTypes.map((type, number) => [type, number]))

/** Bits that say which fields follow. */
const has = { logTerm: 1, index: 2, commit: 4, rejectHint: 8, context: 16, entries: 32, reject: 64 }
const KNOWN_BITS = 127
/** An entry is its kind, the step of its term and its length at least. */
const ENTRY_BYTES_MIN = 3

/** A message of one group. */
export interface GroupMessage {
  readonly group: number
  readonly message: Message
}

/** Whether a message may go on the `raft` lane. */
export function travels(type: MessageType): boolean {
  return kinds.has(type)
}

/** Writes a message behind what is there. */
export function writeMessage(writer: ByteWriter, group: number, message: Message): void {
  const { logTerm, index, commit, rejectHint, context, entries } = message
  writer.varint(group)
  writer.u8(kindNumbers.get(message.type) as number)
  writer.u8(
    (logTerm === 0 ? 0 : has.logTerm) |
      (index === 0 ? 0 : has.index) |
      (commit === 0 ? 0 : has.commit) |
      (rejectHint === 0 ? 0 : has.rejectHint) |
      (context === 0 ? 0 : has.context) |
      (entries.length === 0 ? 0 : has.entries) |
      (message.reject ? has.reject : 0),
  )
  writer.varint(message.term)
  if (logTerm !== 0) writer.varint(logTerm)
  if (index !== 0) writer.varint(index)
  if (commit !== 0) writer.varint(commit)
  if (rejectHint !== 0) writer.varint(rejectHint)
  if (context !== 0) writer.varint(context)
  if (entries.length !== 0) writeEntries(writer, logTerm, entries)
}

/** Entries follow on `index`, and their terms do not fall: steps of the term say all. */
function writeEntries(writer: ByteWriter, logTerm: number, entries: readonly Entry[]): void {
  writer.varint(entries.length)
  let term = logTerm
  for (const entry of entries) {
    writer.u8(entryTypes.indexOf(entry.type))
    writer.varint(entry.term - term)
    writer.varint(entry.data.length)
    writer.raw(entry.data)
    term = entry.term
  }
}

/**
 * Reads one message; its entries' bytes are those of the frame.
 * @throws TrackerError ERR_MALFORMED
 */
export function readMessage(reader: ByteReader, from: number, to: number): GroupMessage {
  const group = reader.varint()
  if (group >= 2 ** 32) throw malformed('a group is out of range')
  const type = messageTypes[reader.u8()]
  if (type === undefined || !kinds.has(type)) throw malformed('a kind that nobody sends')
  const bits = reader.u8()
  if (bits > KNOWN_BITS) throw malformed('unknown fields')
  const field = (bit: number): number => {
    if ((bits & bit) === 0) return 0
    const value = reader.varint()
    if (value === 0) throw malformed('a field that is not there')
    return value
  }
  const term = reader.varint()
  const logTerm = field(has.logTerm)
  const index = field(has.index)
  const commit = field(has.commit)
  const rejectHint = field(has.rejectHint)
  const context = field(has.context)
  const reject = (bits & has.reject) !== 0
  const common = { type, from, to, term, logTerm, index, commit, rejectHint, context, reject }
  if ((bits & has.entries) === 0) return { group, message: createMessage(common) }
  if (type !== 'MsgApp') throw malformed(`entries in a ${type}`)
  const entries = readEntries(reader, index, logTerm)
  return { group, message: createMessage({ ...common, entries }) }
}

function readEntries(reader: ByteReader, index: number, logTerm: number): Entry[] {
  const count = reader.varint()
  if (count === 0 || count * ENTRY_BYTES_MIN > reader.left) throw malformed('ends early')
  if (!Number.isSafeInteger(index + count)) throw malformed('an index is out of range')
  const entries: Entry[] = new Array(count)
  let term = logTerm
  for (let at = 0; at < count; at++) {
    const type = entryTypes[reader.u8()]
    if (type === undefined) throw malformed('an unknown kind of entry')
    term += reader.varint()
    if (!Number.isSafeInteger(term)) throw malformed('a term is out of range')
    const data = reader.raw(reader.varint())
    entries[at] = { term, index: index + 1 + at, type, data }
  }
  return entries
}
