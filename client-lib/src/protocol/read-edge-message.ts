/** Reads what an edge tells a page. */
import type {
  Digests,
  EdgeMessage,
  From,
  Off,
  StripePlace,
  Tree,
  Welcome,
} from './edge-messages.ts'
import { protocolLimits as limits } from './limits.ts'
import { ProtocolError } from './protocol-error.ts'
import {
  type Fields,
  fieldsOf,
  pageIdOf,
  readBoolean,
  readDigest,
  readKey,
  readLength,
  readList,
  readObject,
  readPageId,
  readRendition,
  readSpan,
  readText,
  readToken,
  readWord,
} from './read-fields.ts'
import { readStep } from './read-page-message.ts'

const iceUrl = /^(?:stun|turn)s?:[!-~]+$/
const socketUrl = /^wss?:\/\/[!-~]+$/

/**
 * Reads a message of an edge; undefined for one of a kind that this version does not know.
 * @throws ProtocolError for anything that a correct edge would not send
 */
export function readEdgeMessage(text: string): EdgeMessage | undefined {
  const { kind, fields } = readObject(text, limits.edgeMessageCharsMax)
  switch (kind) {
    case 'welcome':
      return readWelcome(fields)
    case 'peers':
      return { kind, connect: readList(fields, 'connect', limits.peersPerMessageMax, pageIdOf) }
    case 'grant':
      return { kind, key: readKey(fields), forMs: readSpan(fields, 'forMs') }
    case 'from':
      return readFrom(fields)
    case 'tree':
      return readTree(fields)
    case 'digests':
      return readDigests(fields)
    case 'signal':
      return { kind, from: readPageId(fields, 'from'), step: readStep(fields) }
    case 'gone':
      return { kind, id: readPageId(fields, 'id') }
    case 'off':
      return readOff(fields)
    default:
      return undefined
  }
}

function readWelcome(fields: Fields): Welcome {
  return {
    kind: 'welcome',
    id: readPageId(fields, 'id'),
    session: readToken(fields, 'session', limits.sessionCharsMax),
    iceServers: readList(fields, 'iceServers', limits.serversMax, readIceServer),
    edges: readList(fields, 'edges', limits.serversMax, (value) => urlOf(value, socketUrl)),
    stateEveryMs: readSpan(fields, 'stateEveryMs', limits.stateEveryMsMin),
  }
}

function readIceServer(value: unknown): Welcome['iceServers'][number] {
  const fields = fieldsOf(value, 'iceServers')
  const { username, credential } = fields
  const text = (name: string): string => readText(fields, name, limits.credentialCharsMax, 0)
  return {
    urls: readList(fields, 'urls', limits.serversMax, (url) => urlOf(url, iceUrl)),
    ...(username !== undefined && { username: text('username') }),
    ...(credential !== undefined && { credential: text('credential') }),
  }
}

function urlOf(value: unknown, pattern: RegExp): string {
  if (typeof value !== 'string' || value.length > limits.urlCharsMax || !pattern.test(value)) {
    throw new ProtocolError('bad URL')
  }
  return value
}

function readFrom(fields: Fields): From {
  return {
    kind: 'from',
    key: readKey(fields),
    peers: readList(fields, 'peers', limits.peersPerMessageMax, pageIdOf),
    isWhole: readBoolean(fields, 'isWhole'),
    forMs: readSpan(fields, 'forMs'),
  }
}

function readTree(fields: Fields): Tree {
  return {
    kind: 'tree',
    rendition: readRendition(fields),
    stripes: readList(fields, 'stripes', limits.stripesMax, readStripe),
  }
}

function readStripe(value: unknown): StripePlace {
  const fields = fieldsOf(value, 'stripe')
  return {
    ...(fields.parent !== undefined && { parent: readPageId(fields, 'parent') }),
    children: readList(fields, 'children', limits.peersPerMessageMax, pageIdOf),
  }
}

function readDigests(fields: Fields): Digests {
  const parts = readList(fields, 'parts', limits.partsPerMessageMax, (value) => {
    const part = fieldsOf(value, 'part')
    return { key: readKey(part), bytes: readLength(part), digest: readDigest(part) }
  })
  return { kind: 'digests', parts }
}

function readOff(fields: Fields): Off {
  return {
    kind: 'off',
    reason: readWord(fields, 'reason', ['ticket', 'full', 'unknown-swarm', 'misbehaved']),
    detail: readText(fields, 'detail', limits.detailCharsMax, 0),
  }
}
