/**
 * Membership changes as bytes of a log entry: a protobuf message written by hand, so that it stays readable for tools
 * that know Raft's usual encoding (transition = 1, changes = 2 {type = 1, node id = 2}, context = 3). The change that
 * only leaves a joint configuration is no bytes at all: no limit on proposals can ever hold it up.
 */
import { varintSize } from './entry-size.ts'
import { RaftError } from './raft-error.ts'
import {
  type ConfChange,
  type ConfChangeSingle,
  confChangeTransitions,
  confChangeTypes,
  noBytes,
} from './types.ts'

const transitionTag = 0x08
const changeTag = 0x12
const contextTag = 0x1a
const typeTag = 0x08
const nodeIdTag = 0x10

/** A change of membership as bytes. */
export function encodeConfChange(change: ConfChange): Uint8Array {
  const bytes: number[] = []
  const transition = confChangeTransitions.indexOf(change.transition)
  if (transition > 0) bytes.push(transitionTag, transition)
  for (const { type, nodeId } of change.changes) {
    bytes.push(changeTag, 3 + varintSize(nodeId), typeTag, confChangeTypes.indexOf(type), nodeIdTag)
    pushVarint(bytes, nodeId)
  }
  if (change.context.length > 0) {
    bytes.push(contextTag)
    pushVarint(bytes, change.context.length)
    for (const byte of change.context) bytes.push(byte)
  }
  return Uint8Array.from(bytes)
}

/**
 * A change of membership from bytes.
 * @throws RaftError ERR_RAFT_CODEC when they are none.
 */
export function decodeConfChange(bytes: Uint8Array): ConfChange {
  const reader = new Reader(bytes)
  const changes: ConfChangeSingle[] = []
  let transition: string | undefined = confChangeTransitions[0]
  let context = noBytes
  while (!reader.done) {
    const tag = reader.varint()
    if (tag === transitionTag) transition = confChangeTransitions[reader.varint()]
    else if (tag === changeTag) changes.push(decodeSingle(reader.bytes()))
    else if (tag === contextTag) context = reader.bytes()
    else throw malformed(`field ${tag}`)
  }
  if (transition === undefined) throw malformed('transition')
  return { transition: transition as ConfChange['transition'], changes, context }
}

function decodeSingle(bytes: Uint8Array): ConfChangeSingle {
  const reader = new Reader(bytes)
  let type: string | undefined = confChangeTypes[0]
  let nodeId = 0
  while (!reader.done) {
    const tag = reader.varint()
    if (tag === typeTag) type = confChangeTypes[reader.varint()]
    else if (tag === nodeIdTag) nodeId = reader.varint()
    else throw malformed(`field ${tag}`)
  }
  if (type === undefined) throw malformed('type')
  return { type: type as ConfChangeSingle['type'], nodeId }
}

class Reader {
  readonly #source: Uint8Array
  #at = 0

  constructor(source: Uint8Array) {
    this.#source = source
  }

  get done(): boolean {
    return this.#at >= this.#source.length
  }

  varint(): number {
    let value = 0
    for (let factor = 1; ; factor *= 0x80) {
      const byte = this.#source[this.#at]
      if (byte === undefined) throw malformed('end')
      this.#at += 1
      value += (byte & 0x7f) * factor
      if (!Number.isSafeInteger(value)) throw malformed('number')
      if (byte < 0x80) return value
    }
  }

  bytes(): Uint8Array {
    const length = this.varint()
    if (length > this.#source.length - this.#at) throw malformed('length')
    this.#at += length
    return this.#source.slice(this.#at - length, this.#at)
  }
}

function pushVarint(bytes: number[], value: number): void {
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80)
  bytes.push(rest)
}

function malformed(what: string): RaftError {
  return new RaftError('ERR_RAFT_CODEC', `no membership change: unexpected ${what}`)
}
