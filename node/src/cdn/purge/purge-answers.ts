/** Answers other peers on the purge protocol: carries out what they purge, and tells them what they have missed. */
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { CancelTimer, Clock } from '../../clock.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import type { PeerStream } from '../../host/transport.ts'
import { purgeLimits } from '../../limits/purge.ts'
import type { Logger } from '../../logger.ts'
import type {
  PurgeAnswerSchema,
  PurgeRequest,
  SignedPurge as WireSignedPurge,
} from '../../protocol/generated/purge_pb.js'
import { TokenBuckets } from '../../token-buckets.ts'
import type { PurgeJournal } from './purge-journal.ts'
import type { OriginState, PurgeLedger } from './purge-ledger.ts'
import { readPurge, type SignedPurge, verifyPurge } from './purge-message.ts'
import type { PurgeMetrics } from './purge-metrics.ts'
import type { PurgePresence } from './purge-presence.ts'
import type { PurgeTrust } from './purge-trust.ts'
import { decodeState, encodeState, readRequests, writeAnswer } from './purge-wire.ts'

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
  /** Open streams by peer, oldest first, and all of them. */
  readonly #streams = new Map<string, Set<PeerStream>>()
  #open = 0
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

  /** Answers the requests of one stream until the other side closes it, or is silent for long. */
  async answer(stream: PeerStream): Promise<void> {
    if (!this.#enter(stream)) return await writeAnswer(stream, { code: 'ERR_LIMIT' })
    const wait = (): CancelTimer =>
      this.#components.clock.after(purgeLimits.streamIdleMs, () =>
        stream.abort(new KairoError('ERR_TIMEOUT', 'no purge came for a while')),
      )
    let cancel = wait()
    try {
      for await (const request of readRequests(stream)) {
        const { number } = request
        await writeAnswer(stream, { ...(await this.#answerOf(request, stream.remotePeer)), number })
        cancel()
        cancel = wait()
      }
    } finally {
      cancel()
      this.#leave(stream)
    }
  }

  /** Streams over a connection that has died unnoticed must not keep out those over a new one: the oldest of a peer gives way. */
  #enter(stream: PeerStream): boolean {
    const { remotePeer } = stream
    const streams = this.#streams.get(remotePeer) ?? new Set()
    const [oldest] = streams
    if (oldest !== undefined && streams.size >= purgeLimits.streamsPerPeerMax) {
      this.#components.metrics.limits.inc({ limit: 'streamsPerPeerMax' })
      this.#leave(oldest)
      oldest.abort(new KairoError('ERR_LIMIT', 'newer streams have come'))
    }
    if (this.#open >= purgeLimits.streamsMax) {
      this.#components.metrics.limits.inc({ limit: 'streamsMax' })
      return false
    }
    this.#open += 1
    this.#streams.set(remotePeer, streams.add(stream))
    return true
  }

  #leave(stream: PeerStream): void {
    const streams = this.#streams.get(stream.remotePeer)
    if (streams === undefined || !streams.delete(stream)) return
    this.#open -= 1
    if (streams.size === 0) this.#streams.delete(stream.remotePeer)
  }

  /**
   * Says whether a purge may be carried out, and checks its signature last.
   * @returns false when it was carried out before.
   * @throws KairoError `ERR_FORBIDDEN` for an issuer that is not believed, `ERR_LIMIT` above its rate, `ERR_VERIFICATION`,
   * `ERR_NAME_TAKEN` when another purge had its number.
   */
  #admit(signed: SignedPurge): boolean {
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
    // Before the signature, which costs more than all else; others cannot use up an issuer's rate with forged ones, as a
    // stream brings the remote peer's own only.
    if (!this.#issuers.take(issuer) || !this.#all.take('all')) {
      metrics.limits.inc({ limit: 'issuerPerSecond' })
      throw new KairoError('ERR_LIMIT', `${issuer} purges too often`)
    }
    verifyPurge(signed)
    return true
  }

  async #answerOf(request: PurgeRequest, from: string): Promise<Answer> {
    try {
      if (request.purge !== undefined) return await this.#carryOut(request.purge, from)
      return this.#tell(request, from)
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#components.logger.debug({ err: error, peer: from }, 'refused a purge')
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
      const isNew = this.#admit(signed)
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
