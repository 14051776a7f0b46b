/** Questions to the leader of a shard about its soft state and the replies, as values and as bytes; docs/protocol/soft-state.md draws the layout. */
import { ByteReader } from '../bytes/byte-reader.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import { holdingFields, messageTypes, recordFields, writeHolding } from './batch.ts'
import { type Holding, type SegmentRange, u32Max } from './holding.ts'
import { softLimits } from './soft-limits.ts'

/** What a holder must have: one part, whole segments in a row, or anything (being in the swarm). */
export type Wanted =
  | { readonly type: 'part'; readonly segment: number; readonly part: number }
  | { readonly type: 'segments'; readonly first: number; readonly count: number }
  | { readonly type: 'any' }

/** Which holders come first: most free upload; nearest to who asks, by coordinates; least of its capacity used. */
export type HolderOrder = 'upload' | 'near' | 'idle'

/** A question. */
export type SoftQuestion =
  | {
      readonly type: 'holders'
      readonly stream: string
      readonly rendition: string
      readonly wanted: Wanted
      readonly order: HolderOrder
      /** At most {@link softLimits}.holdersMax. */
      readonly limit: number
    }
  /** Some other peers of a swarm, at random. */
  | {
      readonly type: 'swarm'
      readonly stream: string
      readonly rendition: string
      readonly limit: number
    }
  | { readonly type: 'viewers'; readonly stream: string; readonly rendition: string }
  | { readonly type: 'totals' }
  /** What a peer holds, a page of {@link softLimits}.holdingsPageMax; `from` is 0, then `next` of the page before. */
  | { readonly type: 'holdings'; readonly peerId: string; readonly from: number }
  /** The ids of peers behind handles. */
  | { readonly type: 'names'; readonly handles: readonly number[] }

/** One peer among holders. */
export interface Holder {
  readonly peerId: string
  readonly uploadFreeKbps: number
  readonly busyPermille: number
}

/** One thing that a peer holds. */
export interface HeldSubject extends Holding {
  readonly stream: string
  readonly rendition: string
}

/** A reply, of the same type as its question. */
export type SoftReply =
  | { readonly type: 'holders'; readonly holders: readonly Holder[] }
  | { readonly type: 'swarm'; readonly peerIds: readonly string[] }
  | { readonly type: 'viewers'; readonly viewers: number; readonly holders: number }
  | {
      readonly type: 'totals'
      readonly peers: number
      readonly subjects: number
      readonly entries: number
      /** Of all streams of this shard. */
      readonly viewers: number
    }
  | {
      readonly type: 'holdings'
      readonly held: readonly HeldSubject[]
      /** Where the next page starts; undefined when this was the last. */
      readonly next: number | undefined
    }
  /** In the order of the handles; undefined for a peer that is gone. */
  | { readonly type: 'names'; readonly peerIds: readonly (string | undefined)[] }

/** Replies to one request. */
export interface SoftReplies {
  readonly term: number
  /** False until the peers have had time to tell a new leader everything. */
  readonly isComplete: boolean
  readonly replies: readonly SoftReply[]
}

const questionTypes = ['holders', 'swarm', 'viewers', 'totals', 'holdings', 'names'] as const
const wantedTypes = ['part', 'segments', 'any'] as const
const orders: readonly HolderOrder[] = ['upload', 'near', 'idle']

/** Questions as bytes. */
export function encodeQuestions(questions: readonly SoftQuestion[]): Uint8Array {
  const writer = new ByteWriter()
  writer.u8(messageTypes.questions)
  for (const question of questions) {
    writer.u8(questionTypes.indexOf(question.type))
    writeQuestion(writer, question)
  }
  return writer.take()
}

function writeQuestion(writer: ByteWriter, question: SoftQuestion): void {
  switch (question.type) {
    case 'holders':
      writeSubject(writer, question)
      writeWanted(writer, question.wanted)
      writer.u8(orders.indexOf(question.order))
      writer.u8(question.limit)
      break
    case 'swarm':
      writeSubject(writer, question)
      writer.u8(question.limit)
      break
    case 'viewers':
      writeSubject(writer, question)
      break
    case 'holdings':
      writer.text(question.peerId)
      writer.varint(question.from)
      break
    case 'names':
      writer.varint(question.handles.length)
      writer.u32s(question.handles, question.handles.length)
      break
    case 'totals':
  }
}

function writeSubject(writer: ByteWriter, of: { stream: string; rendition: string }): void {
  writer.text(of.stream)
  writer.text(of.rendition)
}

function writeWanted(writer: ByteWriter, wanted: Wanted): void {
  writer.u8(wantedTypes.indexOf(wanted.type))
  if (wanted.type === 'part') {
    writer.varint(wanted.segment)
    writer.varint(wanted.part)
  } else if (wanted.type === 'segments') {
    writer.varint(wanted.first)
    writer.varint(wanted.count)
  }
}

/** @throws TrackerError ERR_INVALID_INPUT for bytes that nobody of this version can have written */
export function decodeQuestions(bytes: Uint8Array): SoftQuestion[] {
  const reader = new ByteReader(bytes, 'ERR_INVALID_INPUT')
  if (bytes.length > softLimits.batchBytesMax) reader.fail('too long')
  if (reader.u8() !== messageTypes.questions) reader.fail('not questions')
  const questions: SoftQuestion[] = []
  let large = 0
  while (reader.at < bytes.length) {
    const question = readQuestion(reader)
    if (question.type === 'names' || question.type === 'holdings') large += 1
    questions.push(question)
    const isTooMuch =
      questions.length > softLimits.questionsMax || large > softLimits.largeQuestionsMax
    if (isTooMuch) reader.fail('too many questions')
  }
  return questions
}

function readQuestion(reader: ByteReader): SoftQuestion {
  const type = reader.word(questionTypes)
  switch (type) {
    case 'holders': {
      const subject = readSubject(reader)
      const wanted = readWanted(reader)
      const order = reader.word(orders)
      return { type, ...subject, wanted, order, limit: readLimit(reader, softLimits.holdersMax) }
    }
    case 'swarm':
      return {
        type,
        ...readSubject(reader),
        limit: readLimit(reader, softLimits.introductionsMax),
      }
    case 'viewers':
      return { type, ...readSubject(reader) }
    case 'totals':
      return { type }
    case 'holdings': {
      const peerId = reader.text(softLimits.peerIdBytesMax)
      return { type, peerId, from: reader.varint(softLimits.entriesPerPeerMax) }
    }
    case 'names': {
      const count = reader.varint(softLimits.namesMax)
      return { type, handles: [...reader.u32s(count)] }
    }
  }
}

function readSubject(reader: ByteReader): { stream: string; rendition: string } {
  const stream = reader.text(softLimits.streamBytesMax, 1)
  return { stream, rendition: reader.text(softLimits.renditionBytesMax) }
}

function readLimit(reader: ByteReader, max: number): number {
  const limit = reader.u8()
  return limit === 0 || limit > max ? reader.fail('a limit') : limit
}

function readWanted(reader: ByteReader): Wanted {
  const type = reader.word(wantedTypes)
  if (type === 'any') return { type }
  const first = reader.varint(u32Max)
  if (type === 'part') {
    return { type, segment: first, part: reader.varint(softLimits.partsPerSegmentMax - 1) }
  }
  const count = reader.varint(u32Max)
  return count === 0 || first + count > u32Max + 1 ? reader.fail('a range') : { type, first, count }
}

/** Replies as bytes. */
export function encodeReplies({ term, isComplete, replies }: SoftReplies): Uint8Array {
  const writer = new ByteWriter()
  writer.u8(messageTypes.replies)
  writer.varint(term)
  writer.flag(isComplete)
  for (const reply of replies) {
    writer.u8(questionTypes.indexOf(reply.type))
    writeReply(writer, reply)
  }
  return writer.take()
}

function writeReply(writer: ByteWriter, reply: SoftReply): void {
  switch (reply.type) {
    case 'holders':
      writer.varint(reply.holders.length)
      for (const { peerId, uploadFreeKbps, busyPermille } of reply.holders) {
        writer.text(peerId)
        writer.varint(uploadFreeKbps)
        writer.varint(busyPermille)
      }
      break
    case 'viewers':
      writer.varint(reply.viewers)
      writer.varint(reply.holders)
      break
    case 'totals':
      for (const key of ['peers', 'subjects', 'entries', 'viewers'] as const) {
        writer.varint(reply[key])
      }
      break
    case 'holdings':
      writer.varint(reply.held.length)
      for (const held of reply.held) {
        writeSubject(writer, held)
        writer.u8(holdingFields(held))
        writeHolding(writer, held)
      }
      writer.varint(reply.next ?? 0)
      break
    case 'swarm':
    case 'names':
      // Nobody's id is empty.
      writer.varint(reply.peerIds.length)
      for (const peerId of reply.peerIds) writer.text(peerId ?? '')
  }
}

/** @throws TrackerError ERR_MALFORMED for bytes that no leader of this version can have written */
export function decodeReplies(bytes: Uint8Array): SoftReplies {
  const reader = new ByteReader(bytes, 'ERR_MALFORMED')
  if (bytes.length > softLimits.answerBytesMax) reader.fail('replies that are too large')
  if (reader.u8() !== messageTypes.replies) reader.fail('not replies')
  const term = reader.varint(Number.MAX_SAFE_INTEGER)
  const isComplete = reader.flag()
  const replies: SoftReply[] = []
  while (reader.at < bytes.length) {
    if (replies.length === softLimits.questionsMax) reader.fail('too many replies')
    replies.push(readReply(reader))
  }
  return { term, isComplete, replies }
}

function readReply(reader: ByteReader): SoftReply {
  const type = reader.word(questionTypes)
  const integer = (): number => reader.varint(Number.MAX_SAFE_INTEGER)
  switch (type) {
    case 'holders': {
      const holders: Holder[] = []
      for (let left = reader.varint(softLimits.holdersMax); left > 0; left--) {
        const peerId = reader.text(softLimits.peerIdBytesMax, 1)
        const uploadFreeKbps = reader.varint(u32Max)
        holders.push({ peerId, uploadFreeKbps, busyPermille: reader.varint(1_000) })
      }
      return { type, holders }
    }
    case 'swarm': {
      const peerIds: string[] = []
      for (let left = reader.varint(softLimits.introductionsMax); left > 0; left--) {
        peerIds.push(reader.text(softLimits.peerIdBytesMax, 1))
      }
      return { type, peerIds }
    }
    case 'viewers': {
      const viewers = integer()
      return { type, viewers, holders: integer() }
    }
    case 'totals': {
      const peers = integer()
      const subjects = integer()
      const entries = integer()
      return { type, peers, subjects, entries, viewers: integer() }
    }
    case 'holdings':
      return readHoldings(reader)
    case 'names': {
      const peerIds: (string | undefined)[] = []
      for (let left = reader.varint(softLimits.namesMax); left > 0; left--) {
        peerIds.push(reader.text(softLimits.peerIdBytesMax) || undefined)
      }
      return { type, peerIds }
    }
  }
}

function readHoldings(reader: ByteReader): SoftReply {
  const held: HeldSubject[] = []
  for (let left = reader.varint(softLimits.holdingsPageMax); left > 0; left--) {
    const subject = readSubject(reader)
    held.push({ ...subject, ...readHolding(reader, reader.u8()) })
  }
  const next = reader.varint(softLimits.entriesPerPeerMax)
  return { type: 'holdings', held, next: next === 0 ? undefined : next }
}

function readHolding(reader: ByteReader, fields: number): Holding {
  const { state, viewers: hasViewers, window: hasWindow, ranges: hasRanges } = recordFields
  if ((fields & state) === 0 || fields > (state | hasViewers | hasWindow | hasRanges)) {
    reader.fail('unknown fields')
  }
  const viewers = (fields & hasViewers) === 0 ? 0 : reader.varint(softLimits.viewersPerEntryMax)
  let window: Holding['window']
  if ((fields & hasWindow) !== 0) {
    const firstSegment = reader.varint(u32Max)
    const partsPerSegment = reader.varint(softLimits.partsPerSegmentMax)
    const length = reader.varint(softLimits.windowBytesMax)
    const from = reader.skip(length)
    if (partsPerSegment === 0 || length === 0) reader.fail('an empty window')
    window = { firstSegment, partsPerSegment, bits: reader.bytes.slice(from, from + length) }
  }
  const ranges: SegmentRange[] = []
  let end = 0
  const count = (fields & hasRanges) === 0 ? 0 : reader.varint(softLimits.rangesPerEntryMax)
  for (let left = count; left > 0; left--) {
    const first = end + reader.varint(u32Max)
    const length = reader.varint(u32Max)
    end = first + length
    if (length === 0 || end > u32Max + 1) reader.fail('a range')
    ranges.push({ first, count: length })
  }
  return { viewers, window, ranges }
}
