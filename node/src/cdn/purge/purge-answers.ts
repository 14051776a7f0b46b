/** Answers other peers on the purge protocol: carries out what they purge, and tells them what they have missed. */
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { Clock } from '../../clock.ts'
import { deadline } from '../../deadline.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { PerPeerLimit } from '../../host/per-peer-limit.ts'
import type { PeerStream } from '../../host/transport.ts'
import { purgeLimits } from '../../limits/purge.ts'
import type { Logger } from '../../logger.ts'
import type {
  PurgeAnswerSchema,
  PurgeRequest,
  SignedPurge as WireSignedPurge,
} from '../../protocol/generated/purge_pb.js'
import type { PurgeJournal } from './purge-journal.ts'
import type { OriginState, PurgeLedger } from './purge-ledger.ts'
import { readPurge, type SignedPurge, verifyPurge } from './purge-message.ts'
import type { PurgeMetrics } from './purge-metrics.ts'
import type { PurgePresence } from './purge-presence.ts'
import type { PurgeTrust } from './purge-trust.ts'
import { decodeState, encodeState, readRequest, writeAnswer } from './purge-wire.ts'
import { TokenBuckets } from './token-buckets.ts'

/** What answering works with. */
export interface PurgeAnswersComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: PurgeMetrics
  readonly ledger: PurgeLedger
  readonly journal: PurgeJournal
  readonly trust: PurgeTrust
  readonly presence: PurgePresence
  /** Is told what a peer knows. */
  readonly onState: (peerId: string, state: readonly OriginState[] | 'same') => void
  /** Is told of a peer that knows purges which this one has missed. */
  readonly onAhead: (peerId: string) => void
}

type Answer = MessageInitShape<typeof PurgeAnswerSchema>

/** Answers for one peer. */
export class PurgeAnswers {
  readonly #components: PurgeAnswersComponents
  readonly #slots = new PerPeerLimit({
    totalMax: purgeLimits.answersMax,
    perPeerMax: purgeLimits.answersPerPeerMax,
  })
  readonly #issuers: TokenBuckets
  readonly #all: TokenBuckets
  readonly #questions: TokenBuckets

  constructor(components: PurgeAnswersComponents) {
    this.#components = components
    const { issuerBurst, issuerPerSecond, ratedIssuersMax: bucketsMax } = purgeLimits
    const { allBurst, allPerSecond, questionsBurst, questionsPerSecond } = purgeLimits
    this.#issuers = new TokenBuckets(components, {
      ...{ burst: issuerBurst, perSecond: issuerPerSecond, bucketsMax },
    })
    this.#all = new TokenBuckets(components, {
      ...{ burst: allBurst, perSecond: allPerSecond, bucketsMax: 1 },
    })
    this.#questions = new TokenBuckets(components, {
      ...{ burst: questionsBurst, perSecond: questionsPerSecond, bucketsMax },
    })
  }

  /** Answers one stream. */
  async answer(stream: PeerStream): Promise<void> {
    const refusal = this.#slots.enter(stream.remotePeer)
    if (refusal !== undefined) {
      this.#components.metrics.limits.inc({ limit: 'answersMax' })
      return await writeAnswer(stream, { code: 'ERR_LIMIT' })
    }
    const limit = deadline(this.#components.clock, purgeLimits.exchangeTimeoutMs)
    limit.signal.addEventListener('abort', () => stream.abort(limit.signal.reason as Error))
    try {
      await writeAnswer(stream, await this.#answerOf(stream))
    } finally {
      limit.clear()
      this.#slots.leave(stream.remotePeer)
    }
  }

  /**
   * Says whether a purge that comes from somewhere may be carried out, and checks its signature last.
   * @returns false when it was carried out before.
   * @throws KairoError `ERR_FORBIDDEN` for an issuer that is not believed, `ERR_LIMIT` above its rate, `ERR_VERIFICATION`,
   * `ERR_NAME_TAKEN` when another purge had its number.
   */
  admit(signed: SignedPurge): boolean {
    const { trust, ledger, clock, metrics } = this.#components
    const { issuer } = signed.purge
    if (!trust.believes(issuer)) {
      throw new KairoError('ERR_FORBIDDEN', `purges of ${issuer} are not carried out here`)
    }
    if (ledger.has(signed.purge)) {
      expectSame(signed, ledger.find(signed.purge))
      return false
    }
    ledger.expectRoom(signed, clock.now())
    // Before the signature, which costs more than all else; others cannot use up an issuer's rate with forged ones, as those of a
    // stream must be the remote peer's own and gossip is signed by who published it.
    if (!this.#issuers.take(issuer) || !this.#all.take('all')) {
      metrics.limits.inc({ limit: 'issuerPerSecond' })
      throw new KairoError('ERR_LIMIT', `${issuer} purges too often`)
    }
    verifyPurge(signed)
    return true
  }

  async #answerOf(stream: PeerStream): Promise<Answer> {
    try {
      const request = await readRequest(stream)
      if (request.purge !== undefined) return await this.#carryOut(request.purge, stream.remotePeer)
      return this.#tell(request, stream.remotePeer)
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#components.logger.debug({ err: error, peer: stream.remotePeer }, 'refused a purge')
      return { code: error.code }
    }
  }

  async #carryOut(wire: WireSignedPurge, from: string): Promise<Answer> {
    const { journal, metrics } = this.#components
    try {
      const signed = readPurge(wire)
      if (signed.purge.issuer !== from) {
        throw new KairoError('ERR_FORBIDDEN', 'purges of others are told on request only')
      }
      const isNew = this.admit(signed)
      const purged = await journal.carryOut(signed)
      metrics.carriedOut.inc({ source: 'sent', outcome: isNew ? 'done' : 'known' })
      return { purged: BigInt(purged) }
    } catch (error) {
      const outcome = isKairoError(error) ? error.code : 'ERR_INTERNAL'
      metrics.carriedOut.inc({ source: 'sent', outcome })
      throw error
    }
  }

  #tell(request: PurgeRequest, from: string): Answer {
    const { ledger, trust, presence, metrics, onState, onAhead } = this.#components
    if (!this.#questions.take(from)) {
      metrics.limits.inc({ limit: 'questionsPerSecond' })
      throw new KairoError('ERR_LIMIT', 'you ask too often')
    }
    const caughtUp = presence.vouchesTo(from)
    if (request.state === undefined) {
      const same = ledger.digest().equals(request.digest)
      if (same) onState(from, 'same')
      return { same, caughtUp }
    }
    const theirs = decodeState(request.state)
    onState(from, theirs)
    const believed = theirs.filter(({ issuer }) => trust.believes(issuer))
    if (ledger.lacks(believed)) onAhead(from)
    const { purges, more } = ledger.missing(theirs)
    const state = encodeState([...ledger.state(), ...trust.ignored()])
    return { caughtUp, more, state, purges: purges.map(({ wire }) => wire) }
  }
}

/** An issuer whose disk was set back gives numbers twice: to take its new purge for the old one would acknowledge what was not done. */
function expectSame({ wire }: SignedPurge, known: SignedPurge | undefined): void {
  if (known !== undefined && Buffer.compare(known.wire.purge, wire.purge) === 0) return
  throw new KairoError('ERR_NAME_TAKEN', 'the number of this purge was used before')
}
