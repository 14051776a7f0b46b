/** One shard's soft state as its members see it: the leader takes batches and replies to questions, the others say that they do not lead. */
import { ByteWriter } from '../bytes/byte-writer.ts'
import type { Clock } from '../clock.ts'
import { TrackerError } from '../errors.ts'
import { BatchReader, messageTypes } from './batch.ts'
import { writeAnswerHead } from './batch-answer.ts'
import { decodeQuestions, encodeReplies, type SoftQuestion, type SoftReplies } from './questions.ts'
import { softLimits } from './soft-limits.ts'
import { replyTo } from './soft-queries.ts'
import { type SoftCounters, type SoftLimits, SoftState } from './soft-state.ts'

/** What a shard's soft state works with. */
export interface SoftShardComponents {
  readonly clock: Clock
  /** Gives 0 up to 1; chooses who is introduced to whom. */
  readonly random: () => number
}

/** Options. */
export interface SoftShardInit {
  /** Other numbers than {@link softLimits} has. */
  readonly limits?: Partial<SoftLimits>
}

/** What a shard's tables hold. */
export interface SoftSize {
  readonly peers: number
  readonly subjects: number
  readonly entries: number
  /** Words of 4 bytes in bits, ranges and lists. */
  readonly words: number
  /** Memory of the tables, bytes; the names of peers and streams come on top. */
  readonly bytes: number
}

interface Lead {
  readonly term: number
  readonly state: SoftState
  readonly sinceMs: number
  stopTicking: () => void
}

/** The soft state of one shard at one member. Everything is synchronous. */
export class SoftShard {
  readonly counters: SoftCounters = {
    batches: 0,
    updates: 0,
    sendAlls: 0,
    expired: 0,
    refused: 0,
    peersRefused: 0,
    tooOften: 0,
    malformed: 0,
    questions: 0,
  }
  readonly #components: SoftShardComponents
  readonly #limits: SoftLimits
  readonly #batch = new BatchReader()
  readonly #answer = new ByteWriter()
  readonly #introductions = new ByteWriter()
  #lead: Lead | undefined

  constructor(components: SoftShardComponents, init: SoftShardInit = {}) {
    this.#components = components
    this.#limits = { ...softLimits, ...init.limits }
  }

  /** This member leads the shard in a term, from now on, or leads it no longer: what was told to it is forgotten either way. */
  lead(term: number | undefined): void {
    this.#lead?.stopTicking()
    this.#lead = undefined
    if (term === undefined) return
    const { clock, random } = this.#components
    const state = new SoftState(this.#limits, this.counters, random)
    this.#lead = { term, state, sinceMs: clock.monotonicMs(), stopTicking: () => {} }
    this.#tickLater(this.#lead)
  }

  /** True when every peer has had the time to tell everything since this member began to lead. */
  get isComplete(): boolean {
    return this.#lead !== undefined && this.#isComplete(this.#lead)
  }

  /** What the leader's tables hold and take; undefined at a member that does not lead. */
  get size(): SoftSize | undefined {
    if (this.#lead === undefined) return undefined
    const { peers, subjects, entries, words, bytes } = this.#lead.state
    return { peers: peers.size, subjects: subjects.size, entries: entries.rows.size, words, bytes }
  }

  /** The connection to a peer broke: what it held is not to be had from it. */
  forget(peerId: string): void {
    this.#lead?.state.remove(peerId)
  }

  /**
   * Answers a message of an authenticated peer: a batch or questions.
   * @throws TrackerError ERR_NOT_LEADER; ERR_INVALID_INPUT for bytes that cannot be right, of which nothing was taken; ERR_OVERLOADED
   *   for a peer that sends too often, or for which there is no room
   */
  answer(peerId: string, message: Uint8Array): Uint8Array {
    const lead = this.#leading()
    try {
      return message[0] === messageTypes.questions
        ? encodeReplies(this.ask(decodeQuestions(message), peerId))
        : this.#takeBatch(lead, peerId, message)
    } catch (error) {
      if (error instanceof TrackerError && error.code === 'ERR_INVALID_INPUT') {
        this.counters.malformed += 1
      }
      throw error
    }
  }

  /**
   * Replies to questions of this program.
   * @param askerId who asks: not among the replies itself
   * @throws TrackerError ERR_NOT_LEADER
   */
  ask(questions: readonly SoftQuestion[], askerId: string): SoftReplies {
    const lead = this.#leading()
    this.#goOn(lead)
    this.counters.questions += questions.length
    return {
      term: lead.term,
      isComplete: this.#isComplete(lead),
      replies: questions.map((question) => replyTo(lead.state, question, askerId)),
    }
  }

  #leading(): Lead {
    if (this.#lead !== undefined) return this.#lead
    throw new TrackerError('ERR_NOT_LEADER', 'this member does not lead the shard')
  }

  #takeBatch(lead: Lead, peerId: string, message: Uint8Array): Uint8Array {
    this.#goOn(lead)
    const batch = this.#batch
    batch.read(message)
    const answer = this.#answer
    const introductions = this.#introductions
    introductions.length = 0
    // A batch that builds on what another leader knows changes nothing here.
    const outcome = lead.state.take(peerId, batch, lead.term, introductions)
    if (outcome === 'too-often') {
      throw new TrackerError('ERR_OVERLOADED', 'more batches than the shard takes of one peer')
    }
    if (outcome === 'no-room') {
      throw new TrackerError('ERR_OVERLOADED', 'the shard has no room for another peer')
    }
    answer.length = 0
    writeAnswerHead(answer, {
      isTaken: outcome !== 'send-all',
      term: lead.term,
      sequence: batch.sequence,
      isComplete: this.#isComplete(lead),
      refused: lead.state.refused,
    })
    if (introductions.length > 0) answer.raw(introductions.bytes.subarray(0, introductions.length))
    return answer.take()
  }

  #isComplete(lead: Lead): boolean {
    const ledMs = this.#components.clock.monotonicMs() - lead.sinceMs
    return ledMs >= this.#limits.quietMs + this.#limits.settleMs
  }

  #goOn(lead: Lead): void {
    const ledMs = this.#components.clock.monotonicMs() - lead.sinceMs
    lead.state.advance(Math.floor(ledMs / this.#limits.tickMs))
  }

  /** Also with nobody asking, peers that are gone are to be forgotten. */
  #tickLater(lead: Lead): void {
    lead.stopTicking = this.#components.clock.after(this.#limits.tickMs, () => {
      this.#goOn(lead)
      this.#tickLater(lead)
    })
  }
}
