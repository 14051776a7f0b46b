/** Reads what an edge tells a page. */
import {
  digest,
  flag,
  key,
  length,
  list,
  matching,
  messageReader,
  number,
  object,
  optional,
  pageId,
  pageIds,
  parts,
  rendition,
  sized,
  span,
  step,
  token,
  word,
} from './checks.ts'
import type { EdgeMessage } from './edge-messages.ts'
import { protocolLimits as limits } from './limits.ts'

/** The rest of a URL, which browsers read themselves. */
const rest = `[!-~]{1,${limits.urlCharsMax}}$`
const credential = optional(sized(limits.credentialCharsMax))

const iceServer = object({
  urls: list(limits.serversMax, matching(new RegExp(`^(stun|turn)s?:${rest}`))),
  username: credential,
  credential,
})

/**
 * Reads a message of an edge; undefined for one of a kind that this version does not know.
 * @throws ProtocolError for anything that a correct edge would not send
 */
export const readEdgeMessage = messageReader<EdgeMessage>(limits.edgeMessageCharsMax, {
  welcome: object({
    id: pageId,
    session: token(limits.sessionCharsMax),
    iceServers: list(limits.serversMax, iceServer),
    edges: list(limits.serversMax, matching(new RegExp(`^wss?://${rest}`))),
    stateEveryMs: number(limits.stateEveryMsMin, limits.waitMsMax),
  }),
  peers: object({ connect: pageIds }),
  grant: object({ key, forMs: span }),
  from: object({ key, peers: pageIds, isWhole: flag, forMs: span }),
  tree: object({
    rendition,
    stripes: list(limits.stripesMax, object({ parent: optional(pageId), children: pageIds })),
  }),
  digests: object({ parts: parts(object({ key, bytes: length, digest })) }),
  signal: object({ from: pageId, step }),
  gone: object({ id: pageId }),
  off: object({
    reason: word('ticket', 'full', 'unknown-swarm', 'misbehaved'),
    detail: sized(limits.detailCharsMax),
  }),
})
