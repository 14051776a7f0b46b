/** Fetches single objects from other peers: once for all who wait, one provider after the other, verified before use. */
import { create } from '@bufbuild/protobuf'
import { Counter, type Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import { abortReason, deadline } from '../../deadline.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { FETCH_PROTOCOL } from '../../host/protocols.ts'
import type { PeerStream, Transport } from '../../host/transport.ts'
import { contentLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import { encodeFrameHeader, FrameDecoder } from '../../protocol/frame-codec.ts'
import { FetchRequestSchema, FetchResponseSchema } from '../../protocol/generated/feed_pb.js'
import { type Digest, digestOf, digestToBytes } from '../digest.ts'
import { SingleFlight } from '../single-flight.ts'
import type { ContentStore } from '../store/store.ts'
import { FETCH_VERSION } from './fetch-server.ts'

/** What a fetcher works with. */
export interface FetcherComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly transport: Transport
  readonly store: ContentStore
}

/** Fetches objects into the store. */
export class Fetcher {
  readonly #components: FetcherComponents
  readonly #logger: Logger
  readonly #flights = new SingleFlight<Buffer>()
  readonly #outcomes: Counter<'code'>
  readonly #receivedBytes: Counter

  constructor(components: FetcherComponents) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:fetch' })
    const registers = [components.registry]
    this.#outcomes = new Counter({
      name: 'kairo_fetch_requests_total',
      help: 'Objects asked of single providers, by error code or ok',
      labelNames: ['code'],
      registers,
    })
    this.#receivedBytes = new Counter({
      name: 'kairo_fetch_received_bytes_total',
      help: 'Bytes of objects fetched from other peers',
      registers,
    })
  }

  /**
   * The object from the first of these providers that has it, verified and stored.
   * @throws KairoError `ERR_NO_PROVIDER` when none gives it, `ERR_VERIFICATION` when what came last was not it,
   * `ERR_LIMIT` when too many fetches run, `ERR_TIMEOUT` when the signal fires.
   */
  async fetch(
    digest: Digest,
    providers: readonly string[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Buffer> {
    if (!this.#flights.has(digest) && this.#flights.size >= contentLimits.fetchesMax) {
      this.#outcomes.inc({ code: 'ERR_LIMIT' })
      throw new KairoError('ERR_LIMIT', 'too many objects are being fetched')
    }
    return await this.#flights.run(digest, options.signal, (signal) =>
      this.#fetch(digest, providers, signal),
    )
  }

  async #fetch(digest: Digest, providers: readonly string[], signal: AbortSignal): Promise<Buffer> {
    let last = new KairoError('ERR_NO_PROVIDER', 'no provider of the object is known')
    for (const peer of providers) {
      if (signal.aborted) throw abortReason(signal)
      try {
        const bytes = await this.#fetchFrom(peer, digest, signal)
        this.#outcomes.inc({ code: 'ok' })
        this.#components.store.put(digest, bytes)
        return bytes
      } catch (cause) {
        const code = isKairoError(cause) ? cause.code : 'ERR_NO_PROVIDER'
        this.#outcomes.inc({ code })
        this.#logger.debug({ peer, digest, err: cause }, 'a provider did not give an object')
        last = new KairoError(
          code === 'ERR_VERIFICATION' ? code : 'ERR_NO_PROVIDER',
          'no provider gave the object',
          { cause },
        )
      }
    }
    throw last
  }

  async #fetchFrom(peer: string, digest: Digest, signal: AbortSignal): Promise<Buffer> {
    const { clock, transport } = this.#components
    const limit = deadline(clock, contentLimits.fetchProviderMsMax, signal)
    let stream: PeerStream | undefined
    const onAbort = (): void => stream?.abort(abortReason(limit.signal))
    limit.signal.addEventListener('abort', onAbort, { once: true })
    try {
      stream = await transport.open(peer, FETCH_PROTOCOL, { signal: limit.signal })
      if (limit.signal.aborted) throw abortReason(limit.signal)
      await stream.write(
        encodeFrameHeader(
          FetchRequestSchema,
          create(FetchRequestSchema, { version: FETCH_VERSION, digest: digestToBytes(digest) }),
        ),
      )
      const bytes = await this.#readAnswer(stream)
      if (digestOf(bytes) !== digest) {
        throw new KairoError('ERR_VERIFICATION', 'a fetched object does not match its digest')
      }
      await stream.close()
      return bytes
    } catch (error) {
      stream?.abort(error instanceof Error ? error : new Error(String(error)))
      throw error
    } finally {
      limit.signal.removeEventListener('abort', onAbort)
      limit.clear()
    }
  }

  async #readAnswer(stream: PeerStream): Promise<Buffer> {
    const decoder = new FrameDecoder(FetchResponseSchema, (header) => header.payloadBytes, {
      headerBytesMax: contentLimits.fetchHeaderBytesMax,
      payloadBytesMax: contentLimits.objectBytesMax,
    })
    for await (const chunk of stream.incoming) {
      this.#receivedBytes.inc(chunk.byteLength)
      const frame = decoder.push(chunk).next()
      if (frame.done === true) continue
      const { header, payload } = frame.value
      if (header.code === '') return payload
      throw new KairoError('ERR_NO_PROVIDER', `the provider answered ${header.code.slice(0, 40)}`)
    }
    throw new KairoError('ERR_NO_PROVIDER', 'the provider ended the stream before the object')
  }
}
