/** Reads what pages tell an edge. The edge runs this on whatever strangers send. */
import {
  bad,
  type Check,
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
  parts,
  rate,
  rendition,
  span,
  step,
  token,
  word,
} from './checks.ts'
import type { HeldParts, PageMessage } from './edge-messages.ts'
import { protocolLimits as limits } from './limits.ts'
import { readPartKey } from './part-key.ts'

/** No character of control and no half of a surrogate pair: two names that are different stay so when they are written as UTF-8. */
const swarm = matching(/^[^\p{Cc}\p{Cs}]+$/u)
/** One more than the largest sequence number of a key. */
const sequencesMax = 1e15

const heldFields = object({ key, count: number(1, limits.runPartsMax) })

const held: Check<HeldParts> = (value, name) => {
  const run = heldFields(value, name)
  const place = run.count === 1 ? undefined : readPartKey(run.key)
  if (place === undefined) return run
  const isRun = place.part === undefined && place.sequence + run.count <= sequencesMax
  return isRun ? run : bad('count')
}

const neighbour = object({ id: pageId, rttMs: span, downBps: rate })

/**
 * Reads a message of a page; undefined for one of a kind that this version does not know.
 * @throws ProtocolError for anything that a correct page would not send
 */
export const readPageMessage = messageReader<PageMessage>(limits.edgeMessageCharsMax, {
  hello: object({
    swarm: (value, name) => {
      const text = swarm(value, name)
      return text.length <= limits.swarmCharsMax ? text : bad(name)
    },
    ticket: optional(token(limits.ticketCharsMax)),
    uploadBps: rate,
    canConnect: flag,
    session: optional(token(limits.sessionCharsMax)),
  }),
  state: object({
    held: parts(held),
    uploadBps: rate,
    neighbours: list(limits.peersPerMessageMax, neighbour),
  }),
  want: object({ parts: parts(object({ key, withinMs: span })) }),
  describe: object({ keys: parts(key) }),
  follow: object({
    rendition: optional(rendition),
    partMs: optional(number(1, limits.waitMsMax)),
  }),
  got: object({ key, bytes: length, digest }),
  failed: object({ key }),
  signal: object({ to: pageId, step }),
  report: object({ peer: pageId, reason: word('bytes', 'silent'), key }),
})
