/** One browser at the WebTorrent tracker: the swarms that it is in, what it says there, and what is passed on to it. */
import { type RawData, WebSocket } from 'ws'
import type { CancelTimer, Clock } from '../clock.ts'
import { isKairoError } from '../errors.ts'
import { webtorrentLimits as limits } from '../limits/signalling.ts'
import { fullBucket, type TokenBucket, takeToken } from '../token-buckets.ts'
import type { EndReason, SignallingMetrics } from './signalling-metrics.ts'
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

/** What a connection works with. */
export interface TrackerConnectionComponents {
  readonly clock: Clock
  readonly swarms: Swarms
  readonly metrics: SignallingMetrics
  /** 0 to 1. */
  readonly random: () => number
}

/** Whose it is. */
export interface TrackerConnectionInit {
  readonly socket: WebSocket
  /** The client's address, as far as it tells clients apart; empty where a proxy does not tell. */
  readonly address: string
  readonly onClosed: () => void
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

const messageRate = { perSecond: limits.messagesPerSecondMax, burst: limits.messageBurstMax }
const offerRate = { perSecond: limits.offersGivenPerSecondMax, burst: limits.offersGivenBurstMax }

/** Close codes (RFC 6455 7.4.1); clients show them and nothing more. */
const closeCodes = { protocol: 1008, rate: 1008, idle: 1000, stop: 1001 } as const

/** What a client is told when it cannot be in a swarm. */
const refusalWords: Readonly<Record<EntryRefusal, string>> = {
  swarms: 'this tracker has no room for another swarm',
  'swarm-peers': 'this swarm is full',
  'peer-id': 'this peer_id is used from another address',
}

/** One connection. */
export class TrackerConnection implements PeerLine {
  readonly address: string
  readonly #components: TrackerConnectionComponents
  readonly #socket: WebSocket
  /** By {@link keyOf}, the one announced longest ago first. */
  readonly #memberships = new Map<string, Membership>()
  readonly #messages: TokenBucket
  readonly #offers: TokenBucket
  /** Whom an offer was given to, by its id; the oldest first. Nobody else may answer it, and nobody twice. */
  readonly #offered = new Map<string, PeerLine>()
  #isAlive = true
  /** When it was last in a swarm. */
  #activeMs: number
  #isEnding = false
  #cancelCut: CancelTimer | undefined

  constructor(components: TrackerConnectionComponents, init: TrackerConnectionInit) {
    this.#components = components
    this.#socket = init.socket
    this.address = init.address
    const nowMs = components.clock.monotonicMs()
    this.#messages = fullBucket(messageRate, nowMs)
    this.#offers = fullBucket(offerRate, nowMs)
    this.#activeMs = nowMs
    const { socket } = init
    socket.on('message', (data, isBinary) => this.#take(data, isBinary))
    socket.on('ping', () => this.#countMessage())
    socket.on('pong', () => this.#countMessage())
    socket.on('error', (error) => this.#failed(error))
    socket.on('close', () => {
      this.#leaveAll()
      this.#cancelCut?.()
      init.onClosed()
    })
  }

  giveOffer(text: string): boolean {
    const { clock, metrics } = this.#components
    if (takeToken(this.#offers, offerRate, clock.monotonicMs())) return this.#send(text)
    metrics.limited.inc({ limit: 'offers-given' })
    return false
  }

  giveAnswer(offerId: string, from: PeerLine, text: string): boolean {
    if (this.#offered.get(offerId) !== from) return false
    this.#offered.delete(offerId)
    return this.#send(text)
  }

  displaced(infoHash: string, peerId: string): void {
    this.#memberships.delete(keyOf({ infoHash, peerId }))
  }

  /** Looks whether the client is still there, and still in its swarms; then asks it. */
  check(nowMs: number): void {
    if (this.#isEnding) return
    if (!this.#isAlive) {
      this.#cut('silent')
      return
    }
    for (const membership of this.#memberships.values()) {
      if (nowMs - membership.announcedMs < limits.announceMsMax) break
      this.#leave(membership)
    }
    if (this.#memberships.size > 0) this.#activeMs = nowMs
    else if (nowMs - this.#activeMs >= limits.idleMsMax) {
      this.end('idle')
      return
    }
    this.#isAlive = false
    this.#socket.ping()
  }

  /** Says goodbye, and waits a little for the client to do so. */
  end(reason: keyof typeof closeCodes): void {
    if (!this.#beginEnd(reason)) return
    this.#socket.close(closeCodes[reason], reason)
  }

  /** Ends without a word. */
  #cut(reason: EndReason): void {
    if (this.#beginEnd(reason)) this.#socket.terminate()
  }

  /** False when the end has begun already. */
  #beginEnd(reason: EndReason): boolean {
    if (this.#isEnding) return false
    this.#isEnding = true
    const { clock, metrics } = this.#components
    metrics.ended.inc({ reason })
    this.#leaveAll()
    this.#cancelCut = clock.after(limits.closeGraceMs, () => this.#socket.terminate())
    return true
  }

  /** The library found the bytes to be no WebSocket, or too much; or the connection broke, which is the client's business. */
  #failed(error: Error & { readonly code?: string }): void {
    const code = error.code ?? ''
    // It sends a close frame of its own then.
    if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') this.#beginEnd('message-bytes')
    else if (code.startsWith('WS_ERR_')) this.#beginEnd('protocol')
  }

  #take(data: RawData, isBinary: boolean): void {
    if (!this.#countMessage()) return
    const message = isBinary ? undefined : readOrNothing(String(data))
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

  /** Notes that the client said something; false when that was too much, or it is on its way out. */
  #countMessage(): boolean {
    if (this.#isEnding) return false
    this.#isAlive = true
    const nowMs = this.#components.clock.monotonicMs()
    if (takeToken(this.#messages, messageRate, nowMs)) return true
    this.end('rate')
    return false
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
        this.#send(announceFailure(infoHash, refusalWords[refusal]))
        return
      }
    }
    this.#send(announceAnswer(infoHash, swarms.countsOf(infoHash)))
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
    this.#send(scrapeAnswer(infoHashes.map((hash) => [hash, swarms.countsOf(hash)])))
  }

  /** Leaves a swarm; one that another connection has entered under this id is none of ours to leave. */
  #leave(membership: PeerName): void {
    if (!this.#memberships.delete(keyOf(membership))) return
    this.#components.swarms.leave(membership.infoHash, membership.peerId)
  }

  #leaveAll(): void {
    for (const membership of [...this.#memberships.values()]) this.#leave(membership)
  }

  /** False when it does not go out. */
  #send(text: string): boolean {
    if (this.#isEnding || this.#socket.readyState !== WebSocket.OPEN) return false
    if (this.#socket.bufferedAmount > limits.unsentBytesMax) {
      this.#cut('slow-reader')
      return false
    }
    this.#socket.send(text)
    return true
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
