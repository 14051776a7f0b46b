/** This peer's part in the region's soft state: what it tells the leaders, what it asks them, and what it leads itself. */
import type { CallLane } from '../client/call-lane.ts'
import type { GroupAccess } from '../client/group-access.ts'
import { SoftServer } from '../client/soft-server.ts'
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import { shardCount, shardOf } from '../region/shard-of.ts'
import { u32Max } from '../soft/holding.ts'
import {
  decodeReplies,
  encodeQuestions,
  type SoftQuestion,
  type SoftReplies,
} from '../soft/questions.ts'
import { type FedSubject, SoftFeeder } from '../soft/soft-feeder.ts'
import { softClientLimits, softFeederLimits, softLimits } from '../soft/soft-limits.ts'
import type {
  SoftNews,
  SoftTotals,
  StreamQuestion,
  StreamReply,
  Swarms,
  ToldSubject,
} from '../soft/swarms.ts'

/** What it works with. */
export interface SoftMemberComponents {
  readonly lane: CallLane
  readonly access: GroupAccess
  readonly clock: Clock
  /** A number in [0, 1). */
  readonly random: () => number
  readonly admits: (peerId: string) => boolean
  /** Brings a message to the leader of a shard of the region that this peer is in. */
  readonly tellLeader: (
    shard: number,
    message: Uint8Array,
    options: CallOptions,
  ) => Promise<Uint8Array>
}

/** The soft state of this peer's region. */
export class SoftMember implements Swarms {
  readonly #components: SoftMemberComponents
  readonly #server: SoftServer
  readonly #feeder: SoftFeeder
  readonly #told = new Map<string, FedSubject>()
  #untold = 0

  constructor(components: SoftMemberComponents) {
    this.#components = components
    const { clock, random, tellLeader } = components
    this.#server = new SoftServer(components)
    const send = (shard: number, message: Uint8Array): Promise<Uint8Array> =>
      tellLeader(shard, message, { timeoutMs: softFeederLimits.sendMs })
    this.#feeder = new SoftFeeder({ clock, random, send }, { shardOf })
  }

  start(): void {
    this.#server.start()
    this.#feeder.start()
  }

  /** Says goodbye to the leaders that were told something, and forgets what was told here. */
  async stop(): Promise<void> {
    await this.#feeder.stop()
    this.#server.stop()
  }

  /** The connection to a peer was made, or broke. */
  onLink(peerId: string, isUp: boolean): void {
    this.#server.onLink(peerId, isUp)
  }

  /** Somebody leads a shard in a new term. */
  leaderChanged(shard: number): void {
    this.#feeder.leaderChanged(shard)
  }

  /** Counters of the leader's side and of the one that tells, by room. */
  get counters(): Readonly<Record<string, Readonly<Record<string, number>>>> {
    const feeder = { ...this.#feeder.counters, untold: this.#untold }
    return { soft: this.#server.counters, feeder }
  }

  /** What the shards that are led here know, by figure. */
  get figures(): Readonly<Record<string, number>> {
    const { peers, subjects, entries, bytes } = this.#server.size
    return {
      'soft.known_peers': peers,
      'soft.known_subjects': subjects,
      'soft.known_entries': entries,
      'soft.known_bytes': bytes,
    }
  }

  tell({ held, gone, load }: SoftNews): void {
    for (const { stream, rendition } of gone) {
      const key = keyOf(stream, rendition)
      this.#told.get(key)?.close()
      this.#told.delete(key)
    }
    for (const subject of held) this.#tellOf(subject)
    this.#feeder.setLoad(load)
  }

  async ask(
    questions: readonly StreamQuestion[],
    options: CallOptions = {},
  ): Promise<StreamReply[]> {
    if (questions.length > softClientLimits.questionsMax) {
      const message = `at most ${softClientLimits.questionsMax} questions at once`
      throw new TrackerError('ERR_INVALID_INPUT', message)
    }
    const replies: StreamReply[] = new Array(questions.length)
    const byShard = Map.groupBy(questions.keys(), (at) =>
      shardOf((questions[at] as StreamQuestion).stream),
    )
    const asked = [...byShard].flatMap(([shard, places]) =>
      chunks(places, softLimits.questionsMax).map(async (part) => {
        const answer = await this.#ask(
          shard,
          part.map((at) => questions[at] as StreamQuestion),
          options,
        )
        for (const [index, at] of part.entries()) {
          const reply = answer instanceof TrackerError ? unknown(answer) : answer.replies[index]
          replies[at] = reply as StreamReply
        }
      }),
    )
    await Promise.all(asked)
    return replies
  }

  async totals(options: CallOptions = {}): Promise<SoftTotals> {
    const shards = Array.from({ length: shardCount }, (_, index) => index + 1)
    const answers = await Promise.all(
      shards.map((shard) => this.#ask(shard, [{ type: 'totals' }], options)),
    )
    const totals = { peers: 0, subjects: 0, entries: 0, viewers: 0, answered: 0, complete: 0 }
    for (const answer of answers) {
      if (answer instanceof TrackerError) continue
      const [reply] = answer.replies
      if (reply?.type !== 'totals') continue
      totals.peers = Math.max(totals.peers, reply.peers)
      totals.subjects += reply.subjects
      totals.entries += reply.entries
      totals.viewers += reply.viewers
      totals.answered += 1
      totals.complete += answer.isComplete ? 1 : 0
    }
    return { ...totals, shards: shardCount }
  }

  /** The news takes the place of what was told before. */
  #tellOf({ stream, rendition, viewers, ranges, parts }: ToldSubject): void {
    const key = keyOf(stream, rendition)
    let subject = this.#told.get(key)
    if (subject === undefined) {
      try {
        subject = this.#feeder.open(stream, rendition, softLimits.partsPerSegmentMax)
      } catch (error) {
        if (!(error instanceof TrackerError)) throw error
        // More than the shards take of one peer, or this one stops; what is not told is asked of nobody.
        this.#untold += 1
        return
      }
      this.#told.set(key, subject)
    }
    subject.setViewers(viewers)
    subject.removeSegments(0, u32Max + 1)
    for (const { first, count } of ranges) subject.addSegments(first, count)
    for (const [segment, part] of parts) subject.addPart(segment, part)
  }

  /** The answer of a shard, or why there is none. */
  async #ask(
    shard: number,
    questions: readonly SoftQuestion[],
    options: CallOptions,
  ): Promise<SoftReplies | TrackerError> {
    const timeoutMs = options.timeoutMs ?? softFeederLimits.answerMs
    try {
      const message = encodeQuestions(questions)
      const answer = await this.#components.tellLeader(shard, message, { ...options, timeoutMs })
      const replies = decodeReplies(answer)
      const isFitting =
        replies.replies.length === questions.length &&
        replies.replies.every((reply, at) => reply.type === questions[at]?.type)
      if (isFitting) return replies
      return new TrackerError('ERR_MALFORMED', 'other replies than there were questions')
    } catch (error) {
      if (error instanceof TrackerError) return error
      throw error
    }
  }
}

function unknown({ code, message }: TrackerError): StreamReply {
  return { type: 'unknown', code, message }
}

/** Neither name has a line feed in it that could make two of one: streams and renditions are names on the wire. */
function keyOf(stream: string, rendition: string): string {
  return `${stream}\n${rendition}`
}

function chunks(items: readonly number[], size: number): number[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, at) =>
    items.slice(at * size, (at + 1) * size),
  )
}
