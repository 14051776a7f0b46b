/** Messages, entries and work as the scenario files write them. */
import { decodeConfChange } from '../../src/raft/conf-change-codec.ts'
import {
  type ConfState,
  type Entry,
  type HardState,
  localAppendThread,
  localApplyThread,
  type Message,
  type Ready,
  type Snapshot,
} from '../../src/raft/types.ts'

const changeLetters = {
  ConfChangeAddNode: 'v',
  ConfChangeAddLearnerNode: 'l',
  ConfChangeRemoveNode: 'r',
  ConfChangeUpdateNode: 'u',
} as const

/** The work of one member. */
export function describeReady(ready: Ready): string {
  const { softState, hardState, readStates, entries, snapshot, committedEntries, messages } = ready
  const parts: string[] = []
  if (softState !== undefined) parts.push(`Lead:${softState.lead} State:${softState.state}\n`)
  if (hardState !== undefined) parts.push(`HardState ${describeHardState(hardState)}\n`)
  if (readStates.length > 0) {
    const list = readStates.map(({ index, requestContext }) => {
      return `{${index} [${[...requestContext].join(' ')}]}`
    })
    parts.push(`ReadStates [${list.join(' ')}]\n`)
  }
  if (entries.length > 0) parts.push(`Entries:\n${describeEntries(entries)}`)
  if (snapshot !== undefined) parts.push(`Snapshot ${describeSnapshot(snapshot)}\n`)
  if (committedEntries.length > 0) {
    parts.push(`CommittedEntries:\n${describeEntries(committedEntries)}`)
  }
  if (messages.length > 0) parts.push('Messages:\n')
  for (const message of messages) parts.push(`${describeMessage(message)}\n`)
  return parts.length === 0
    ? '<empty Ready>'
    : `Ready MustSync=${ready.mustSync}:\n${parts.join('')}`
}

function describeHardState({ term, vote, commit }: HardState): string {
  return `Term:${term}${vote === 0 ? '' : ` Vote:${vote}`} Commit:${commit}`
}

function describeSnapshot({ index, term, confState }: Snapshot): string {
  return `Index:${index} Term:${term} ConfState:${describeConfState(confState)}`
}

function describeConfState(state: ConfState): string {
  const list = (ids: readonly number[]): string => `[${ids.join(' ')}]`
  return `Voters:${list(state.voters)} VotersOutgoing:${list(state.votersOutgoing)} Learners:${list(state.learners)} LearnersNext:${list(state.learnersNext)} AutoLeave:${state.autoLeave}`
}

/** One message, with the messages it carries. */
export function describeMessage(message: Message, indent = ''): string {
  const { from, to, type, term, logTerm, index, entries, snapshot, responses } = message
  const parts = [
    `${indent}${describeTarget(from)}->${describeTarget(to)} ${type} Term:${term} Log:${logTerm}/${index}`,
  ]
  if (message.reject) parts.push(` Rejected (Hint: ${message.rejectHint})`)
  if (message.commit !== 0) parts.push(` Commit:${message.commit}`)
  if (message.vote !== 0) parts.push(` Vote:${message.vote}`)
  if (entries.length === 1) {
    parts.push(` Entries:[${describeEntry(entries[0] as Entry)}]`)
  } else if (entries.length > 1) {
    const lines = entries.map((entry) => `\n${indent}  ${describeEntry(entry)}`)
    parts.push(` Entries:[${lines.join('')}\n${indent}]`)
  }
  if (snapshot !== undefined && snapshot.index > 0) {
    parts.push(`\n${indent}  Snapshot: ${describeSnapshot(snapshot)}`)
  }
  if (responses.length > 0) {
    const lines = responses.map((response) => `\n${describeMessage(response, `${indent}  `)}`)
    parts.push(` Responses:[${lines.join('')}\n${indent}]`)
  }
  return parts.join('')
}

function describeTarget(id: number): string {
  if (id === 0) return 'None'
  if (id === localAppendThread) return 'AppendThread'
  return id === localApplyThread ? 'ApplyThread' : id.toString(16)
}

/** Entries, one a line. */
export function describeEntries(entries: readonly Entry[]): string {
  return entries.map((entry) => `${describeEntry(entry)}\n`).join('')
}

function describeEntry({ term, index, type, data }: Entry): string {
  const content =
    type === 'EntryNormal'
      ? quote(data)
      : decodeConfChange(data)
          .changes.map((change) => `${changeLetters[change.type]}${change.nodeId}`)
          .join(' ')
  return `${term}/${index} ${type}${content === '' ? '' : ` ${content}`}`
}

const escapes: Readonly<Record<string, string>> = {
  ...{ '"': '\\"', '\\': '\\\\', '\x07': '\\a', '\b': '\\b', '\f': '\\f' },
  ...{ '\n': '\\n', '\r': '\\r', '\t': '\\t', '\v': '\\v' },
}

/** Bytes as a quoted string. */
function quote(data: Uint8Array): string {
  const characters = [...Buffer.from(data).toString('utf8')].map((character) => {
    const code = character.codePointAt(0) as number
    if (escapes[character] !== undefined) return escapes[character]
    return code < 0x20 || code === 0x7f ? `\\x${code.toString(16).padStart(2, '0')}` : character
  })
  return `"${characters.join('')}"`
}
