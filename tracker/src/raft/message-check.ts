/** Whether a message from another member is one at all. What passes here cannot make the core throw by its form. */
import { decodeConfChange } from './conf-change-codec.ts'
import { RaftError } from './raft-error.ts'
import type { Message, MessageType, Refusal } from './types.ts'

const localTypes: ReadonlySet<MessageType> = new Set([
  'MsgHup',
  'MsgBeat',
  'MsgUnreachable',
  'MsgSnapStatus',
  'MsgCheckQuorum',
  'MsgStorageAppend',
  'MsgStorageAppendResp',
  'MsgStorageApply',
  'MsgStorageApplyResp',
  'MsgForgetLeader',
])

const responseTypes: ReadonlySet<MessageType> = new Set([
  'MsgAppResp',
  'MsgVoteResp',
  'MsgHeartbeatResp',
  'MsgReadIndexResp',
  'MsgPreVoteResp',
])

/** Kinds that belong to no term. */
const termless: ReadonlySet<MessageType> = new Set(['MsgProp', 'MsgReadIndex'])

/** Why a message must not reach the core, or undefined when it may. */
export function refusalOf(
  message: Message,
  isMember: (id: number) => boolean,
): Refusal | undefined {
  if (localTypes.has(message.type)) return 'ERR_LOCAL_MESSAGE'
  if (responseTypes.has(message.type) && !isMember(message.from)) return 'ERR_UNKNOWN_PEER'
  return isWellFormed(message) ? undefined : 'ERR_MALFORMED_MESSAGE'
}

function isIndex(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function isWellFormed(message: Message): boolean {
  const { type, term, from, logTerm, index, commit, rejectHint, context, entries } = message
  for (const value of [term, from, logTerm, index, commit, rejectHint, context]) {
    if (!isIndex(value)) return false
  }
  // Without a term it would pass for one of this member's own.
  if (term === 0 && !termless.has(type)) return false
  switch (type) {
    case 'MsgApp':
      return continues(message)
    case 'MsgSnap':
      return message.snapshot !== undefined && message.snapshot.index > 0
    case 'MsgProp':
      return entries.length > 0 && entries.every(({ type, data }) => isProposal(type, data))
    case 'MsgReadIndex':
    case 'MsgReadIndexResp':
      return entries.length === 1
    default:
      return true
  }
}

/** Whether the entries of an append follow on one another, in terms that do not fall. */
function continues({ term, index, logTerm, entries }: Message): boolean {
  let [lastIndex, lastTerm] = [index, logTerm]
  for (const entry of entries) {
    if (entry.index !== lastIndex + 1 || !isIndex(entry.term)) return false
    if (entry.term < lastTerm || entry.term > term) return false
    lastIndex = entry.index
    lastTerm = entry.term
  }
  return true
}

function isProposal(type: string, data: Uint8Array): boolean {
  if (type === 'EntryNormal') return true
  try {
    decodeConfChange(data)
    return true
  } catch (error) {
    if (error instanceof RaftError) return false
    throw error
  }
}
