/** One browser at the WebTorrent tracker: the swarms that it is in, what it says there, and what is passed on to it. */
import type { Clock } from '../clock.ts'
import { isKairoError } from '../errors.ts'
import { webtorrentLimits as limits } from '../limits/signalling.ts'
import { fullBucket, type TokenBucket, takeToken } from '../token-buckets.ts'
import type { SignallingMetrics } from './signalling-metrics.ts'
import type { PeerLine } from './swarm.ts'
import type { EntryRefusal, Swarms } from './swarms.ts'
import {
  announceAnswer,
  announceFailure,
  givenAnswer,
  givenOffer,
  scrapeAnswer,
} from './tracker-answer.ts'
import {
  type Announce,
  type Answer,
  type Offer,
  readTrackerMessage,
  type Scrape,
  type TrackerMessage,
} from './tracker-message.ts'
import { WebSocketLine } from './web-socket-line.ts'
import type { TakenSocket, WebSocketClient } from './web-sockets.ts'

/** What a connection works with. */
export interface TrackerConnectionComponents {
  readonly clock: Clock
  readonly swarms: Swarms
  readonly metrics: SignallingMetrics
  /** 0 to 1. */
  readonly random: () => number
}

/** A peer that the client is in a swarm; the clients of one page share a connection, and may be several. */
interface Membership {
  readonly infoHash: string
  readonly peerId: string
  readonly announcedMs: number
}

type PeerName = Pick<Membership, 'infoHash' | 'peerId'>

/** Both are twenty characters. */
function keyOf({ infoHash, peerId }: PeerName): string {
  return infoHash + peerId
}

const offerRate = { perSecond: limits.offersGivenPerSecondMax, burst: limits.offersGivenBurstMax }

/** What a client is told when it cannot be in a swarm. */
const refusalWords: Readonly<Record<EntryRefusal, string>> = {
  swarms: 'this tracker has no room for another swarm',
  'swarm-peers': 'this swarm is full',
  'peer-id': 'this peer_id is used from another address',
}

/** One connection. */
export class TrackerConnection implements PeerLine, WebSocketClient {
  readonly address: string
  readonly #components: TrackerConnectionComponents
  readonly #line: WebSocketLine
  /** By {@link keyOf}, the one announced longest ago first. */
  readonly #memberships = new Map<string, Membership>()
  readonly #offers: TokenBucket
  /** Whom an offer was given to, by its id; the oldest first. Nobody else may answer it, and nobody twice. */
  readonly #offered = new Map<string, PeerLine>()
  /** When it was last in a swarm. */
  #activeMs: number

  constructor(components: TrackerConnectionComponents, { socket, address, onClosed }: TakenSocket) {
    this.#components = components
    this.address = address
    const { clock, metrics } = components
    const nowMs = clock.monotonicMs()
    this.#offers = fullBucket(offerRate, nowMs)
    this.#activeMs = nowMs
    this.#line = new WebSocketLine(
      { clock, ended: metrics.ended },
      {
        ...{ socket, limits },
        onMessage: (text) => this.#take(text),
        onEnding: () => this.#leaveAll(),
        onClosed: () => {
          this.#leaveAll()
          onClosed()
        },
      },
    )
  }

  giveOffer(text: string): boolean {
    const { clock, metrics } = this.#components
    if (takeToken(this.#offers, offerRate, clock.monotonicMs())) return this.#line.send(text)
    metrics.limited.inc({ limit: 'offers-given' })
    return false
  }

  giveAnswer(offerId: string, from: PeerLine, text: string): boolean {
    if (this.#offered.get(offerId) !== from) return false
    this.#offered.delete(offerId)
    return this.#line.send(text)
  }

  displaced(infoHash: string, peerId: string): void {
    this.#memberships.delete(keyOf({ infoHash, peerId }))
  }

  /** Looks whether the client is still there, and still in its swarms; then asks it. */
  check(nowMs: number): void {
    if (!this.#line.isThere()) return
    for (const membership of this.#memberships.values()) {
      if (nowMs - membership.announcedMs < limits.announceMsMax) break
      this.#leave(membership)
    }
    if (this.#memberships.size > 0) this.#activeMs = nowMs
    else if (nowMs - this.#activeMs >= limits.idleMsMax) {
      this.end('idle')
      return
    }
    this.#line.ping()
  }

  /** Says goodbye, and waits a little for the client to do so. */
  end(reason: 'protocol' | 'idle' | 'stop'): void {
    this.#line.end(reason)
  }

  #take(text: string | undefined): void {
    const message = text === undefined ? undefined : readOrNothing(text)
    const { metrics } = this.#components
    if (message === undefined) {
      metrics.messages.inc({ kind: 'invalid' })
      this.end('protocol')
      return
    }
    metrics.messages.inc({ kind: message.kind === 'announce' ? message.event : message.kind })
    if (message.kind === 'announce') this.#announce(message)
    else if (message.kind === 'answer') this.#passOn(message)
    else this.#scrape(message)
  }

  #announce(message: Announce): void {
    const { swarms } = this.#components
    const { infoHash, event } = message
    if (event === 'stopped') {
      this.#leave(message)
    } else {
      const refusal = this.#enter(message)
      if (refusal !== undefined) {
        this.#components.metrics.limited.inc({ limit: refusal })
        this.#line.send(announceFailure(infoHash, refusalWords[refusal]))
        return
      }
    }
    this.#line.send(announceAnswer(infoHash, swarms.countsOf(infoHash)))
    if (event !== 'stopped') this.#offer(message)
  }

  #enter({ infoHash, peerId, event, isComplete }: Announce): EntryRefusal | undefined {
    const { clock, swarms, metrics } = this.#components
    const key = keyOf({ infoHash, peerId })
    const wasComplete =
      this.#memberships.has(key) && swarms.find(infoHash, peerId)?.isComplete === true
    const peer = {
      ...{ id: peerId, line: this },
      isComplete: isComplete || event === 'completed' || wasComplete,
    }
    const refusal = swarms.enter(infoHash, peer)
    if (refusal !== undefined) return refusal
    this.#memberships.delete(key)
    const [longestQuiet] = this.#memberships.values()
    if (longestQuiet !== undefined && this.#memberships.size >= limits.peersPerConnectionMax) {
      metrics.limited.inc({ limit: 'connection-peers' })
      this.#leave(longestQuiet)
    }
    this.#memberships.set(key, { infoHash, peerId, announcedMs: clock.monotonicMs() })
    return undefined
  }

  /** Gives each offer to one other peer of the swarm. */
  #offer({ infoHash, peerId, offers, droppedOffers }: Announce): void {
    const { swarms, metrics, random } = this.#components
    if (droppedOffers > 0) metrics.limited.inc({ limit: 'offers' }, droppedOffers)
    const peers = swarms.pick(infoHash, offers.length, peerId, random)
    for (const [at, peer] of peers.entries()) {
      const offer = offers[at] as Offer
      const isGiven = peer.line.giveOffer(givenOffer(infoHash, peerId, offer))
      this.#count('offer', isGiven)
      if (!isGiven) continue
      this.#offered.set(offer.offerId, peer.line)
      const [oldest] = this.#offered.keys()
      if (this.#offered.size > limits.offeredMax) this.#offered.delete(oldest as string)
    }
  }

  #passOn(answer: Answer): void {
    const { swarms, metrics } = this.#components
    if (answer.sdp.length > limits.sdpCharsMax) {
      metrics.limited.inc({ limit: 'sdp' })
      return
    }
    const to = this.#memberships.has(keyOf(answer))
      ? swarms.find(answer.infoHash, answer.toPeerId)
      : undefined
    const text = givenAnswer(answer)
    this.#count('answer', to?.line.giveAnswer(answer.offerId, this, text) === true)
  }

  #count(kind: 'offer' | 'answer', isRelayed: boolean): void {
    const { relayed, undelivered } = this.#components.metrics
    const counter = isRelayed ? relayed : undelivered
    counter.inc({ kind })
  }

  #scrape({ infoHashes }: Scrape): void {
    const { swarms } = this.#components
    this.#line.send(scrapeAnswer(infoHashes.map((hash) => [hash, swarms.countsOf(hash)])))
  }

  /** Leaves a swarm; one that another connection has entered under this id is none of ours to leave. */
  #leave(membership: PeerName): void {
    if (!this.#memberships.delete(keyOf(membership))) return
    this.#components.swarms.leave(membership.infoHash, membership.peerId)
  }

  #leaveAll(): void {
    for (const membership of [...this.#memberships.values()]) this.#leave(membership)
  }
}

/** The message of a text, or undefined when it is none. */
function readOrNothing(text: string): TrackerMessage | undefined {
  try {
    return readTrackerMessage(text)
  } catch (error) {
    if (isKairoError(error)) return undefined
    throw error
  }
}
