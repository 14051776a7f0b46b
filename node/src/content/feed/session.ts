/**
 * One feed as its sender sees it: the window, the backlog, then every change in order. What a slow subscriber has not taken
 * yet is queued up to a limit; beyond it the feed is ended rather than the peer's memory.
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type { Clock } from '../../clock.ts'
import { deadline } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import type { PeerStream } from '../../host/transport.ts'
import { contentLimits } from '../../limits.ts'
import { encodeFrameHeader } from '../../protocol/frame-codec.ts'
import { FeedFrameSchema } from '../../protocol/generated/feed_pb.js'
import { type Digest, digestToBytes } from '../digest.ts'
import type { IndexWindow, Position } from '../index/index-window.ts'
import type { RenditionChange, WindowedRendition } from '../index/live-rendition.ts'
import type { ServedStream } from '../served-stream.ts'
import { backlogDigests, backlogStart } from './backlog.ts'

type FrameBody = NonNullable<MessageInitShape<typeof FeedFrameSchema>['body']>

/** A frame that waits. Bytes of the backlog are read when their turn comes; those of new parts are at hand. */
type Item =
  | { readonly kind: 'frame'; readonly body: FrameBody }
  | { readonly kind: 'object'; readonly digest: Digest }
  | {
      readonly kind: 'part'
      readonly body: FrameBody
      readonly digest: Digest
      readonly bytes: Buffer | undefined
    }

/** What a session works with. */
export interface FeedSessionComponents {
  readonly clock: Clock
  readonly stream: PeerStream
  readonly served: ServedStream
  readonly rendition: WindowedRendition
  readonly onSent: (bytes: number) => void
}

/** A payload below this size is copied behind its header into one write. */
const JOINED_BYTES_MAX = 16 * 1024
/** Time for the last frame of a feed that is ended for being slow. */
const GOODBYE_MS = 1_000

/** Serves one feed until either side ends it. */
export class FeedSession {
  readonly #clock: Clock
  readonly #stream: PeerStream
  readonly #served: ServedStream
  readonly #rendition: WindowedRendition
  readonly #onSent: (bytes: number) => void
  readonly #abort = new AbortController()
  readonly #queue: Item[] = []
  /** Init segments that the subscriber has been sent. */
  readonly #inits = new Set<Digest>()
  #queuedBytes = 0
  #wake: (() => void) | undefined
  /** True once the subscriber has closed its half. */
  #left = false
  #end: KairoError | undefined
  #sentVersion = 0
  #sentRoute = ''
  #cancelBeat: (() => void) | undefined

  constructor(components: FeedSessionComponents) {
    this.#clock = components.clock
    this.#stream = components.stream
    this.#served = components.served
    this.#rendition = components.rendition
    this.#onSent = components.onSent
  }

  /**
   * Serves until the subscriber leaves or the session ends; resolves with the error that ended it, or undefined when the
   * subscriber left in good order. The stream is closed or broken then.
   */
  async run(after: Position | undefined): Promise<KairoError | undefined> {
    const window = this.#rendition.window
    this.#sentVersion = this.#rendition.version
    const stopListening = this.#rendition.onChange((change) => this.#onChange(change))
    const stopWaiting = this.#rendition.onRelease((error) => this.end(error))
    this.#pushWindow(window, after)
    this.#beat()
    this.#watchSubscriber().catch((error: Error) => this.#stream.abort(error))
    try {
      await this.#pump()
      await this.#stream.close()
    } catch (cause) {
      this.#end ??= new KairoError('ERR_NO_PROVIDER', 'the subscriber is gone', { cause })
      this.#stream.abort(this.#end)
    } finally {
      stopListening()
      stopWaiting()
      this.#cancelBeat?.()
      this.#abort.abort(this.#end)
      this.#queue.length = 0
    }
    return this.#end
  }

  /** Ends the feed with a reason that the subscriber is told. */
  end(error: KairoError): void {
    if (this.#end !== undefined) return
    this.#end = error
    this.#queue.length = 0
    this.#queuedBytes = 0
    this.#wake?.()
    // A write that hangs would keep the last frame, and with it this session, for ever.
    const cancel = this.#clock.after(GOODBYE_MS, () => this.#stream.abort(error))
    this.#abort.signal.addEventListener('abort', cancel, { once: true })
  }

  async #pump(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      const item = this.#queue.shift()
      if (item !== undefined) await this.#send(item)
      else if (this.#end !== undefined) {
        return await this.#write({ case: 'end', value: endOf(this.#end) }, undefined)
      } else if (this.#left) return
      else await this.#idle()
    }
  }

  #idle(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    return promise
  }

  /** The subscriber sends nothing after its request; the end of its half means that it has had enough. */
  async #watchSubscriber(): Promise<void> {
    try {
      for await (const chunk of this.#stream.incoming) {
        if (chunk.byteLength > 0) {
          this.end(new KairoError('ERR_PROTOCOL', 'a subscriber sent more than its request'))
          break
        }
      }
    } catch {
      // A broken stream is the subscriber's way of leaving too; the write that fails says so as well.
    }
    this.#left = true
    this.#queue.length = 0
    this.#wake?.()
  }

  #onChange(change: RenditionChange): void {
    if (change.version <= this.#sentVersion) return
    this.#sentVersion = change.version
    this.#served.touch()
    const { window } = change
    const last = window.last
    if (change.kind === 'part' && last !== undefined) this.#pushPart(window)
    else if (change.kind === 'head') {
      this.#push({
        kind: 'frame',
        body: {
          case: 'update',
          value: { head: window.headBytes, signature: window.signature },
        },
      })
    } else this.#pushWindow(window, undefined)
  }

  #pushWindow(window: IndexWindow, after: Position | undefined): void {
    const from = backlogStart(window, after)
    const route = [...this.#served.route(this.#rendition.head.rendition)]
    this.#sentRoute = route.join()
    this.#push({
      kind: 'frame',
      body: {
        case: 'window',
        value: {
          head: window.headBytes,
          entries: window.encodedEntries,
          signature: window.signature,
          backlogMsn: BigInt(from.msn),
          backlogPart: from.part,
          route,
        },
      },
    })
    for (const digest of backlogDigests(window, from)) this.#push({ kind: 'object', digest })
    for (const entry of window.entries) this.#inits.add(entry.initDigest)
  }

  #pushPart(window: IndexWindow): void {
    const entry = window.last
    if (entry === undefined) return
    // Encoded now and not when it is sent: a window is cheap to encode after the one before it, and only then.
    const { headBytes, lastEncoded, signature } = window
    this.#push({
      kind: 'part',
      body: { case: 'part', value: { head: headBytes, entry: lastEncoded, signature } },
      digest: entry.digest,
      bytes: this.#served.peek(entry.digest),
    })
    if (this.#inits.has(entry.initDigest)) return
    // After the entry that names it, so that the subscriber can verify it.
    this.#inits.clear()
    this.#inits.add(entry.initDigest)
    this.#push({ kind: 'object', digest: entry.initDigest })
  }

  /** Tells the route when it changed, and at least every second, as a sign of life. */
  #beat(): void {
    this.#cancelBeat = this.#clock.after(contentLimits.feedHeartbeatMs, () => {
      const peers = [...this.#served.route(this.#rendition.head.rendition)]
      const isIdle = this.#queue.length === 0
      if (isIdle || peers.join() !== this.#sentRoute) {
        this.#sentRoute = peers.join()
        this.#push({ kind: 'frame', body: { case: 'route', value: { peers } } })
      }
      this.#beat()
    })
  }

  #push(item: Item): void {
    if (this.#end !== undefined || this.#left) return
    this.#queue.push(item)
    this.#queuedBytes += bytesOf(item)
    if (
      this.#queuedBytes > contentLimits.feedQueueBytesMax ||
      this.#queue.length > contentLimits.feedQueueFramesMax
    ) {
      this.end(new KairoError('ERR_LIMIT', 'the subscriber takes the feed too slowly'))
      return
    }
    this.#wake?.()
  }

  async #send(item: Item): Promise<void> {
    this.#queuedBytes = Math.max(0, this.#queuedBytes - bytesOf(item))
    if (item.kind === 'frame') return await this.#write(item.body, undefined)
    const bytes = (item.kind === 'part' ? item.bytes : undefined) ?? (await this.#readObject(item))
    if (item.kind === 'object') {
      // The subscriber fetches what it misses; order tells it that this one does not come.
      if (bytes === undefined) return
      await this.#write({ case: 'object', value: { digest: digestToBytes(item.digest) } }, bytes)
      return
    }
    // Without its bytes a part is still told: the subscriber fetches them where it can.
    await this.#write(item.body, bytes)
  }

  async #readObject(item: { readonly digest: Digest }): Promise<Buffer | undefined> {
    const inMemory = this.#served.peek(item.digest)
    if (inMemory !== undefined) return inMemory
    const limit = deadline(this.#clock, contentLimits.feedObjectMsMax, this.#abort.signal)
    try {
      return await this.#served.read(item.digest, { signal: limit.signal })
    } catch {
      // Not to be had: the caller decides what that means for the feed.
      return undefined
    } finally {
      limit.clear()
    }
  }

  async #write(body: FrameBody, payload: Buffer | undefined): Promise<void> {
    const header = encodeFrameHeader(
      FeedFrameSchema,
      create(FeedFrameSchema, { payloadBytes: payload?.byteLength ?? 0, body }),
    )
    const cancel = this.#clock.after(contentLimits.feedWriteMsMax, () => {
      this.#stream.abort(new KairoError('ERR_TIMEOUT', 'the subscriber does not read'))
    })
    try {
      if (payload === undefined) await this.#stream.write(header)
      else if (payload.byteLength < JOINED_BYTES_MAX) {
        await this.#stream.write(Buffer.concat([header, payload]))
      } else {
        await this.#stream.write(header)
        await this.#stream.write(payload)
      }
    } finally {
      cancel()
    }
    this.#onSent(header.byteLength + (payload?.byteLength ?? 0))
  }
}

/** The only frame of a feed that is refused, and the end of our half. */
export async function refuseFeed(stream: PeerStream, error: KairoError): Promise<void> {
  const frame = create(FeedFrameSchema, { body: { case: 'end', value: endOf(error) } })
  await stream.write(encodeFrameHeader(FeedFrameSchema, frame))
  await stream.close()
}

function endOf(error: KairoError): { code: string; message: string } {
  return { code: error.code, message: error.message }
}

function bytesOf(item: Item): number {
  return item.kind === 'part' ? (item.bytes?.byteLength ?? 0) : 0
}
