/**
 * One feed as its receiver sees it. Nothing is handed on before it is verified: entries and heads by the signature of the
 * window they make, bytes by the digests of those entries.
 */
import { create } from '@bufbuild/protobuf'
import type { Clock } from '../../clock.ts'
import { deadline } from '../../deadline.ts'
import { type ErrorCode, errorStatus, isKairoError, KairoError } from '../../errors.ts'
import { FEED_PROTOCOL } from '../../host/protocols.ts'
import type { PeerStream, Transport } from '../../host/transport.ts'
import { contentLimits } from '../../limits.ts'
import { encodeFrameHeader, type Frame, FrameDecoder } from '../../protocol/frame-codec.ts'
import {
  type FeedFrame,
  FeedFrameSchema,
  type FeedPart,
  FeedRequestSchema,
  type FeedWindow,
} from '../../protocol/generated/feed_pb.js'
import { type Digest, digestFromBytes, digestOf } from '../digest.ts'
import { decodeEntry } from '../index/index-codec.ts'
import { comparePositions, IndexWindow } from '../index/index-window.ts'
import type { RenditionChange } from '../index/live-rendition.ts'
import type { StreamPublicKey } from '../stream-key.ts'
import { backlogDigests } from './backlog.ts'
import type { FeedMetrics } from './feed-metrics.ts'
import { FEED_VERSION } from './server.ts'

/** Where a feed's verified contents go. */
export interface FeedSink {
  /** The window as it is now; undefined before the first. */
  readonly window: IndexWindow | undefined
  /** True while the stream's record says that it is live. */
  readonly isLive: boolean
  /** Takes a verified window that is not behind the present one. */
  apply(window: IndexWindow, kind: RenditionChange['kind']): void
  /** True when the bytes of an object are not here yet. */
  lacks(digest: Digest): boolean
  /** These objects come with this feed; whoever needs one may wait for it. */
  expect(digests: readonly Digest[]): void
  /** Takes bytes that match a digest of the window. */
  keep(digest: Digest, bytes: Buffer): void
  /** An object did not come as it should; it must be fetched elsewhere. */
  missing(digest: Digest): void
  /**
   * The way from the sender to the publisher, the sender first; empty while the sender has none.
   * @throws KairoError when the feed must not be followed on this way.
   */
  route(peers: readonly string[]): void
}

/** What a subscription works with. */
export interface FeedSubscriptionComponents {
  readonly clock: Clock
  readonly transport: Transport
  readonly metrics: FeedMetrics
  readonly sink: FeedSink
}

/** Which feed, and from whom. */
export interface FeedSubscriptionInit {
  readonly peerId: string
  readonly key: StreamPublicKey
  readonly rendition: string
}

const PEER_ID_CHARS_MAX = 128

/** Follows one rendition at one peer, once. */
export class FeedSubscription {
  readonly #clock: Clock
  readonly #transport: Transport
  readonly #metrics: FeedMetrics
  readonly #sink: FeedSink
  readonly #init: FeedSubscriptionInit
  readonly #decoder = new FrameDecoder(FeedFrameSchema, (frame) => frame.payloadBytes, {
    headerBytesMax: contentLimits.frameHeaderBytesMax,
    payloadBytesMax: contentLimits.objectBytesMax,
  })
  #hasWindow = false
  #mismatches = 0
  #lastChunkMs = 0
  #lastPartMs = 0
  #detachedSinceMs: number | undefined
  #cancelWatch: (() => void) | undefined

  constructor(components: FeedSubscriptionComponents, init: FeedSubscriptionInit) {
    this.#clock = components.clock
    this.#transport = components.transport
    this.#metrics = components.metrics
    this.#sink = components.sink
    this.#init = init
  }

  /** Follows until the feed ends, breaks or the signal fires; resolves with the reason. */
  async run(signal: AbortSignal): Promise<KairoError> {
    const opening = deadline(this.#clock, contentLimits.feedOpenMsMax, signal)
    let stream: PeerStream | undefined
    let reason: KairoError
    try {
      stream = await this.#transport.open(this.#init.peerId, FEED_PROTOCOL, opening)
      reason = await this.#follow(stream, opening.signal, signal)
    } catch (error) {
      reason = isKairoError(error)
        ? error
        : new KairoError('ERR_NO_PROVIDER', 'the feed broke', { cause: error })
    } finally {
      opening.clear()
      this.#cancelWatch?.()
    }
    stream?.abort(reason)
    return reason
  }

  async #follow(
    stream: PeerStream,
    opening: AbortSignal,
    signal: AbortSignal,
  ): Promise<KairoError> {
    const onAbort = (): void => stream.abort(abortError(signal))
    const onLate = (): void => {
      if (!this.#hasWindow) stream.abort(new KairoError('ERR_TIMEOUT', 'no index window came'))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    opening.addEventListener('abort', onLate, { once: true })
    try {
      if (opening.aborted) throw abortError(opening)
      await stream.write(this.#request())
      this.#lastChunkMs = this.#clock.monotonicMs()
      this.#lastPartMs = this.#lastChunkMs
      this.#watch(stream)
      for await (const chunk of stream.incoming) {
        this.#lastChunkMs = this.#clock.monotonicMs()
        this.#metrics.receivedBytes.inc(chunk.byteLength)
        for (const frame of this.#decoder.push(chunk)) {
          const end = this.#onFrame(frame)
          if (end !== undefined) return end
        }
      }
      return new KairoError('ERR_NO_PROVIDER', 'the sender closed the feed without a reason')
    } finally {
      signal.removeEventListener('abort', onAbort)
      opening.removeEventListener('abort', onLate)
    }
  }

  #request(): Buffer {
    const last = this.#sink.window?.last
    return encodeFrameHeader(
      FeedRequestSchema,
      create(FeedRequestSchema, {
        version: FEED_VERSION,
        publicKey: this.#init.key.raw,
        rendition: this.#init.rendition,
        resume: last !== undefined,
        afterMsn: BigInt(last?.msn ?? 0),
        afterPart: last?.part ?? 0,
      }),
    )
  }

  /** Breaks the stream when its sender has gone silent, has no source itself, or stays behind. */
  #watch(stream: PeerStream): void {
    this.#cancelWatch = this.#clock.after(contentLimits.feedHeartbeatMs / 2, () => {
      const now = this.#clock.monotonicMs()
      const detachedMs = now - (this.#detachedSinceMs ?? now)
      if (now - this.#lastChunkMs > contentLimits.feedSilenceMsMax) {
        stream.abort(new KairoError('ERR_TIMEOUT', 'the sender has gone silent'))
      } else if (detachedMs > contentLimits.feedDetachedMsMax) {
        stream.abort(new KairoError('ERR_NO_PROVIDER', 'the sender has lost its own source'))
      } else if (now - this.#lastPartMs > this.#idleMsMax()) {
        stream.abort(new KairoError('ERR_TIMEOUT', 'no new part came'))
      } else this.#watch(stream)
    })
  }

  #idleMsMax(): number {
    const head = this.#sink.window?.head
    // An ended window of a stream that is live is an old one: the publisher has come back since.
    if (head === undefined || (head.ended && !this.#sink.isLive)) return Number.POSITIVE_INFINITY
    return (contentLimits.feedIdlePartsMax * head.partTargetUs) / 1_000
  }

  #onFrame({ header, payload }: Frame<FeedFrame>): KairoError | undefined {
    const { body } = header
    if (!this.#hasWindow && body.case !== 'window' && body.case !== 'end') {
      throw new KairoError('ERR_PROTOCOL', 'a feed that does not begin with a window')
    }
    if (payload.byteLength > 0 && body.case !== 'part' && body.case !== 'object') {
      throw new KairoError('ERR_PROTOCOL', 'a feed frame with a payload that has no place in it')
    }
    switch (body.case) {
      case 'window':
        this.#onWindow(body.value)
        return undefined
      case 'part':
        this.#onPart(body.value, payload)
        return undefined
      case 'object':
        this.#onObject(digestFromBytes(body.value.digest), payload)
        return undefined
      case 'update':
        this.#onUpdate(body.value)
        return undefined
      case 'route':
        this.#onRoute(body.value.peers)
        return undefined
      case 'end':
        return endReason(body.value)
      default:
        throw new KairoError('ERR_PROTOCOL', 'a feed frame of an unknown kind')
    }
  }

  #onWindow(message: FeedWindow): void {
    const window = IndexWindow.verify(this.#init.key, message)
    if (window.head.rendition !== this.#init.rendition) {
      throw new KairoError('ERR_PROTOCOL', 'the window of another rendition')
    }
    this.#onRoute(message.route)
    const { window: present } = this.#sink
    // A sender that shows the same old window again and again brings no more than one that is silent.
    if (!this.#hasWindow || reachesFurther(window, present)) {
      this.#lastPartMs = this.#clock.monotonicMs()
    }
    this.#hasWindow = true
    if (present === undefined || supersedes(window, present)) this.#sink.apply(window, 'window')
    const from = { msn: Number(message.backlogMsn), part: message.backlogPart }
    const coming = backlogDigests(window, from).filter((digest) => this.#sink.lacks(digest))
    this.#sink.expect(coming)
  }

  #onPart(message: FeedPart, payload: Buffer): void {
    const present = this.#presentWindow()
    const entry = decodeEntry(message.entry)
    const isKnown = present.last !== undefined && comparePositions(entry, present.last) <= 0
    if (isKnown) {
      // This sender is behind the one before it. What it sends may still be of use, if the index names it.
      const known = present.entry(entry.msn, entry.part)
      if (known?.digest === entry.digest) this.#onObject(entry.digest, payload)
      return
    }
    const window = present.appendVerified(this.#init.key, message)
    this.#lastPartMs = this.#clock.monotonicMs()
    this.#metrics.parts.inc()
    const bad = payload.byteLength > 0 && !matches(entry.digest, entry.bytes, payload)
    if (payload.byteLength > 0 && !bad) this.#sink.keep(entry.digest, payload)
    this.#sink.apply(window, 'part')
    if (this.#sink.lacks(entry.initDigest)) this.#sink.expect([entry.initDigest])
    if (bad) this.#mismatch(entry.digest)
    else if (payload.byteLength === 0 && this.#sink.lacks(entry.digest)) {
      this.#sink.missing(entry.digest)
    }
  }

  #onObject(digest: Digest, payload: Buffer): void {
    if (!this.#sink.lacks(digest) || !names(this.#presentWindow(), digest)) return
    if (digestOf(payload) === digest) this.#sink.keep(digest, payload)
    else this.#mismatch(digest)
  }

  #onUpdate(message: { readonly head: Uint8Array; readonly signature: Uint8Array }): void {
    const present = this.#presentWindow()
    if (Buffer.compare(message.head, present.headBytes) === 0) return
    this.#sink.apply(present.withHeadVerified(this.#init.key, message), 'head')
  }

  #onRoute(peers: readonly string[]): void {
    const isWellFormed =
      peers.length <= contentLimits.feedHopsMax &&
      peers.every((peer) => peer.length > 0 && peer.length <= PEER_ID_CHARS_MAX) &&
      (peers.length === 0 || peers[0] === this.#init.peerId)
    if (!isWellFormed) throw new KairoError('ERR_PROTOCOL', 'a malformed or too long route')
    if (peers.length > 0) this.#detachedSinceMs = undefined
    else this.#detachedSinceMs ??= this.#clock.monotonicMs()
    this.#sink.route(peers)
  }

  /** Bytes that are not what they are announced as: thrown away, counted, and fetched elsewhere. */
  #mismatch(digest: Digest): void {
    this.#metrics.mismatches.inc()
    this.#mismatches += 1
    this.#sink.missing(digest)
    if (this.#mismatches >= contentLimits.feedMismatchesMax) {
      throw new KairoError('ERR_VERIFICATION', 'the sender keeps sending bytes that do not match')
    }
  }

  #presentWindow(): IndexWindow {
    const { window } = this.#sink
    if (window === undefined) throw new KairoError('ERR_PROTOCOL', 'no window came before')
    return window
  }
}

/** True when a verified window may take the place of the present one: the index never goes back. */
function supersedes(window: IndexWindow, present: IndexWindow): boolean {
  if (window.last === undefined) {
    return present.last === undefined && window.head.firstMsn >= present.head.firstMsn
  }
  if (present.last === undefined) return window.last.msn >= present.head.firstMsn
  const order = comparePositions(window.last, present.last)
  return order > 0 || (order === 0 && (window.head.ended || !present.head.ended))
}

function reachesFurther({ last }: IndexWindow, present: IndexWindow | undefined): boolean {
  if (last === undefined) return false
  return present?.last === undefined || comparePositions(last, present.last) > 0
}

function names(window: IndexWindow, digest: Digest): boolean {
  return window.entries.some((entry) => entry.digest === digest || entry.initDigest === digest)
}

function matches(digest: Digest, bytes: number, payload: Buffer): boolean {
  return payload.byteLength === bytes && digestOf(payload) === digest
}

function endReason(end: { readonly code: string; readonly message: string }): KairoError {
  const code: ErrorCode = end.code in errorStatus ? (end.code as ErrorCode) : 'ERR_NO_PROVIDER'
  return new KairoError(code, `the sender ended the feed: ${end.message.slice(0, 200)}`)
}

function abortError(signal: AbortSignal): KairoError {
  const reason: unknown = signal.reason
  return reason instanceof KairoError ? reason : new KairoError('ERR_STOPPED', 'no longer followed')
}
