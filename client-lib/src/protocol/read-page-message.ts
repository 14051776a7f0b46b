/** Reads what pages tell an edge. The edge runs this on whatever strangers send. */
import type {
  Follow,
  Got,
  HeldParts,
  Hello,
  PageMessage,
  PageState,
  Report,
  Step,
  Want,
} from './edge-messages.ts'
import { protocolLimits as limits } from './limits.ts'
import { readPartKey } from './part-key.ts'
import { ProtocolError } from './protocol-error.ts'
import {
  type Fields,
  fieldsOf,
  keyOf,
  readBoolean,
  readDigest,
  readKey,
  readLength,
  readList,
  readNumber,
  readObject,
  readOptionalToken,
  readPageId,
  readRate,
  readRendition,
  readSpan,
  readText,
  readWord,
} from './read-fields.ts'

/** No character of control and no half of a surrogate pair: two names that are different stay so when they are written as UTF-8. */
const oddCharacters = /[\p{Cc}\p{Cs}]/u
/** One more than the largest sequence number of a key. */
const sequencesMax = 1e15

/**
 * Reads a message of a page; undefined for one of a kind that this version does not know.
 * @throws ProtocolError for anything that a correct page would not send
 */
export function readPageMessage(text: string): PageMessage | undefined {
  const { kind, fields } = readObject(text, limits.edgeMessageCharsMax)
  switch (kind) {
    case 'hello':
      return readHello(fields)
    case 'state':
      return readState(fields)
    case 'want':
      return readWant(fields)
    case 'describe':
      return { kind, keys: readList(fields, 'keys', limits.partsPerMessageMax, keyOf) }
    case 'follow':
      return readFollow(fields)
    case 'got':
      return readGot(fields)
    case 'failed':
      return { kind, key: readKey(fields) }
    case 'signal':
      return { kind, to: readPageId(fields, 'to'), step: readStep(fields) }
    case 'report':
      return readReport(fields)
    default:
      return undefined
  }
}

/** The step of a signal. */
export function readStep(fields: Fields): Step {
  const step = fieldsOf(fields.step, 'step')
  const type = readWord(step, 'type', ['offer', 'answer', 'candidate'])
  // An empty candidate says that there are no more of them.
  const charsMin = type === 'candidate' ? 0 : 1
  return { type, text: readText(step, 'text', limits.signalCharsMax, charsMin) }
}

function readHello(fields: Fields): Hello {
  const swarm = readText(fields, 'swarm', limits.swarmCharsMax)
  if (oddCharacters.test(swarm)) throw new ProtocolError('bad swarm')
  const ticket = readOptionalToken(fields, 'ticket', limits.ticketCharsMax)
  const session = readOptionalToken(fields, 'session', limits.sessionCharsMax)
  return {
    kind: 'hello',
    swarm,
    ...(ticket !== undefined && { ticket }),
    uploadBps: readRate(fields, 'uploadBps'),
    canConnect: readBoolean(fields, 'canConnect'),
    ...(session !== undefined && { session }),
  }
}

function readState(fields: Fields): PageState {
  return {
    kind: 'state',
    held: readList(fields, 'held', limits.partsPerMessageMax, readHeld),
    uploadBps: readRate(fields, 'uploadBps'),
    neighbours: readList(fields, 'neighbours', limits.peersPerMessageMax, readNeighbour),
  }
}

function readHeld(value: unknown): HeldParts {
  const fields = fieldsOf(value, 'held')
  const key = readKey(fields)
  const count = readNumber(fields, 'count', 1, limits.runPartsMax)
  if (count === 1) return { key, count }
  const place = readPartKey(key)
  if (place === undefined || place.part !== undefined || place.sequence + count > sequencesMax) {
    throw new ProtocolError('bad count')
  }
  return { key, count }
}

function readNeighbour(value: unknown): PageState['neighbours'][number] {
  const fields = fieldsOf(value, 'neighbour')
  return {
    id: readPageId(fields, 'id'),
    rttMs: readSpan(fields, 'rttMs'),
    downBps: readRate(fields, 'downBps'),
  }
}

function readWant(fields: Fields): Want {
  const parts = readList(fields, 'parts', limits.partsPerMessageMax, (value) => {
    const part = fieldsOf(value, 'part')
    return { key: readKey(part), withinMs: readSpan(part, 'withinMs') }
  })
  return { kind: 'want', parts }
}

function readFollow(fields: Fields): Follow {
  if (fields.rendition === undefined) return { kind: 'follow' }
  const rendition = readRendition(fields)
  if (fields.partMs === undefined) return { kind: 'follow', rendition }
  return { kind: 'follow', rendition, partMs: readSpan(fields, 'partMs', 1) }
}

function readGot(fields: Fields): Got {
  return {
    kind: 'got',
    key: readKey(fields),
    bytes: readLength(fields),
    digest: readDigest(fields),
  }
}

function readReport(fields: Fields): Report {
  return {
    kind: 'report',
    peer: readPageId(fields, 'peer'),
    reason: readWord(fields, 'reason', ['bytes', 'silent']),
    key: readKey(fields),
  }
}
