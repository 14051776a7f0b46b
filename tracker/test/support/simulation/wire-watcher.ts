/**
 * Reads what members say to one another and holds it against the promises of Raft (figure 3 of the paper): one leader a term, one vote a
 * member and term, logs that match, and leaders that have all that was committed before their term.
 */
import { Buffer } from 'node:buffer'
import { ByteReader } from '../../../src/bytes/byte-reader.ts'
import { frameHeadBytes, readFrameHead } from '../../../src/driver/frame-codec.ts'
import { readMessage } from '../../../src/driver/message-codec.ts'
import { type Entry, type Message, messageTypes } from '../../../src/raft/types.ts'
import type { Chronicle } from './chronicle.ts'
import { promise } from './violation.ts'

/** Terms of a run stay below this. */
const TERMS_MAX = 2 ** 20

/** Where the kind of the first message stands, behind the head and a small group's number; a frame this short has no second one. */
const TYPE_AT = frameHeadBytes + 1
const ONE_SHORT_MESSAGE = frameHeadBytes + 8
const heartbeatAnswer = messageTypes.indexOf('MsgHeartbeatResp')

interface SeenEntry {
  readonly previousTerm: number
  readonly data: Uint8Array
}

/** Watches the wire of one group. */
export class WireWatcher {
  readonly #chronicle: Chronicle
  /** By term. */
  readonly #leaders = new Map<number, number>()
  /** By member and term. */
  readonly #votes = new Map<number, number>()
  /** By index and term. */
  readonly #entries = new Map<number, SeenEntry>()
  /** What each member was last known to have promised. */
  readonly #terms = new Map<number, number>()

  constructor(chronicle: Chronicle) {
    this.#chronicle = chronicle
  }

  /** Terms that had a leader. */
  get elections(): number {
    return this.#leaders.size
  }

  /** A member said this. */
  see(frame: Uint8Array): void {
    if (this.#isAnswerToHeartbeat(frame)) return
    const reader = new ByteReader(frame)
    const head = readFrameHead(reader)
    while (reader.left > 0) this.#see(readMessage(reader, head.from, head.to).message)
  }

  /** A member came back; what it promised before it must still know. */
  returned(memberId: number, term: number): void {
    const promised = this.#terms.get(memberId) ?? 0
    promise(
      term >= promised,
      () => `durable terms: member ${memberId} promised in term ${promised} and is in ${term} now`,
    )
  }

  /** Nearly half of all frames, and they promise nothing. */
  #isAnswerToHeartbeat(frame: Uint8Array): boolean {
    return frame.length < ONE_SHORT_MESSAGE && frame[TYPE_AT] === heartbeatAnswer
  }

  #see(message: Message): void {
    const { type, from, to, term, reject } = message
    promise(term < TERMS_MAX, () => `term ${term}`)
    if (type === 'MsgApp' || type === 'MsgHeartbeat') this.#seeLeader(from, term)
    if (type === 'MsgApp') this.#seeEntries(message)
    if (type === 'MsgVoteResp' && !reject) this.#seeVote(from, to, term)
    if ((type === 'MsgVoteResp' || type === 'MsgAppResp') && !reject)
      this.#terms.set(from, Math.max(this.#terms.get(from) ?? 0, term))
  }

  #seeLeader(from: number, term: number): void {
    const known = this.#leaders.get(term)
    if (known === undefined) this.#leaders.set(term, from)
    else promise(known === from, () => `election safety: ${known} and ${from} lead in term ${term}`)
  }

  #seeVote(from: number, to: number, term: number): void {
    const key = from * TERMS_MAX + term
    const known = this.#votes.get(key)
    if (known === undefined) this.#votes.set(key, to)
    else
      promise(known === to, () => `one vote: ${from} votes for ${known} and ${to} in term ${term}`)
  }

  #seeEntries({ term, index, logTerm, entries, from }: Message): void {
    this.#checkComplete(from, term, index, logTerm)
    let previousTerm = logTerm
    for (const entry of entries) {
      this.#checkComplete(from, term, entry.index, entry.term)
      this.#checkMatch(entry, previousTerm)
      previousTerm = entry.term
    }
  }

  /** A leader has what was applied anywhere before. */
  #checkComplete(from: number, term: number, index: number, has: number): void {
    const applied = this.#chronicle.termAt(index)
    if (applied === undefined || applied > term) return
    promise(
      applied === has,
      () =>
        `leader completeness: ${from} leads in ${term} with ${has}/${index}, not ${applied}/${index}`,
    )
  }

  #checkMatch(entry: Entry, previousTerm: number): void {
    const key = entry.index * TERMS_MAX + entry.term
    const known = this.#entries.get(key)
    if (known === undefined) {
      this.#entries.set(key, { previousTerm, data: entry.data })
      return
    }
    promise(
      known.previousTerm === previousTerm && Buffer.compare(known.data, entry.data) === 0,
      () => `log matching: two entries ${entry.term}/${entry.index}`,
    )
  }
}
