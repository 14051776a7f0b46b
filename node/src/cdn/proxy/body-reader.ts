/**
 * The bytes of stored responses: from the content store, from a body that is being fetched, and, where neither has them, from the origin,
 * a slice at a time. A slice is only taken when the origin says that it is of the very version that is stored.
 */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import type { Digest } from '../../content/digest.ts'
import { digestOf } from '../../content/digest.ts'
import { SingleFlight } from '../../content/single-flight.ts'
import type { ContentStore } from '../../content/store/store.ts'
import { deadline } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import { cdnLimits } from '../../limits/cdn.ts'
import type { CacheIndex } from '../cache/cache-index.ts'
import type { CacheEntry, SlicedBody } from '../cache/entry.ts'
import { parseContentRange } from '../rules/byte-ranges.ts'
import { mayJoin, sliceGuard } from '../rules/conditional.ts'
import { collect } from './collect.ts'
import type { Exchange } from './exchange.ts'
import type { OriginAnswer, OriginClient } from './origin-client.ts'
import type { Site } from './site.ts'

/** Who reads: whose request the origin is asked in the words of. */
export interface BodyContext {
  readonly site: Site
  readonly exchange: Exchange
  readonly signal: AbortSignal
}

/** What a reader works with. */
export interface BodyReaderComponents {
  readonly clock: Clock
  readonly store: ContentStore
  readonly index: CacheIndex
  readonly origins: OriginClient
  /** Is told of slices that came by themselves. */
  readonly onSlice: (entry: CacheEntry, index: number, digest: Digest) => void
}

/** Reads bodies. */
export class BodyReader {
  readonly #components: BodyReaderComponents
  readonly #slices = new SingleFlight<Buffer>()

  constructor(components: BodyReaderComponents) {
    this.#components = components
  }

  /** Slices being fetched. */
  get inFlight(): number {
    return this.#slices.size
  }

  /** The whole body, when all of it is in memory and short enough to be written at once. */
  peek(entry: CacheEntry): readonly Buffer[] | undefined {
    const { body } = entry
    if (body === undefined || entry.fill !== undefined) return undefined
    if (body.length > cdnLimits.wholeBytesMax) return undefined
    const pieces: Buffer[] = []
    for (const digest of body.slices) {
      const bytes = digest === undefined ? undefined : this.#components.store.peek(digest)
      if (bytes === undefined) return undefined
      pieces.push(bytes)
    }
    return pieces
  }

  /** Tells the store that the body is in use; false when it is not in memory any more. */
  touch(entry: CacheEntry): boolean {
    const { body } = entry
    if (body === undefined) return false
    for (const digest of body.slices) {
      if (digest === undefined || this.#components.store.peek(digest) === undefined) return false
    }
    return true
  }

  /** True when the body can be had: it is here, or coming, or its missing slices can be asked for. */
  isServable(entry: CacheEntry): boolean {
    if (entry.fill !== undefined || entry.rangeable) return true
    const { store } = this.#components
    return entry.body?.slices.every((digest) => digest !== undefined && store.has(digest)) === true
  }

  /**
   * Makes sure that the first byte can be sent before a head is; later ones are fetched as they are needed.
   * @throws KairoError when it cannot be had; the entry is then forgotten.
   */
  async prepare(entry: CacheEntry, first: number, context: BodyContext): Promise<void> {
    const { body } = entry
    if (body === undefined || body.length === 0 || this.#isComing(entry, first)) return
    await this.slice(entry, Math.floor(first / body.sliceBytes), context)
  }

  /** The bytes from `first` to `last`, or to the end. */
  async *read(
    entry: CacheEntry,
    first: number,
    last: number | undefined,
    context: BodyContext,
  ): AsyncGenerator<Buffer> {
    let position = first
    while (last === undefined || position <= last) {
      const piece = this.#isComing(entry, position)
        ? undefined
        : await this.#sliceAt(entry, position, context)
      if (piece !== undefined) {
        if (piece.byteLength === 0) return
        const bytes = last === undefined ? piece : piece.subarray(0, last + 1 - position)
        position += bytes.byteLength
        yield bytes
        continue
      }
      try {
        for await (const bytes of this.#fill(entry).read(position, last, context.signal)) {
          position += bytes.byteLength
          yield bytes
        }
        return
      } catch (error) {
        // What the first connection to the origin left out, another one may bring.
        const isFilling = entry.fill !== undefined && entry.fill.state !== 'failed'
        const canGoOn = entry.alive && entry.rangeable && !isFilling
        if (context.signal.aborted || !canGoOn) throw error
      }
    }
  }

  /** One slice, from wherever it is. */
  async slice(entry: CacheEntry, index: number, context: BodyContext): Promise<Buffer> {
    const { body } = entry
    const digest = body?.slices[index]
    if (!entry.rangeable || body === undefined) {
      return await this.sealed(entry, digest, context.signal)
    }
    if (digest !== undefined) {
      const bytes = await this.#components.store.read(digest, { signal: context.signal })
      if (bytes !== undefined) return bytes
    }
    return await this.#slices.run(`${entry.id}/${index}`, context.signal, async (signal) => {
      const limit = deadline(this.#components.clock, cdnLimits.sliceTimeoutMs, signal)
      try {
        return await this.#fetchSlice(entry, body, index, { ...context, signal: limit.signal })
      } finally {
        limit.clear()
      }
    })
  }

  /** A slice that can be had from the store only; without it the entry is of no use. */
  async sealed(
    entry: CacheEntry,
    digest: Digest | undefined,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const { store, index } = this.#components
    const bytes = digest === undefined ? undefined : await store.read(digest, { signal })
    if (bytes !== undefined) return bytes
    index.remove(entry)
    throw new KairoError('ERR_NO_PROVIDER', 'a part of the stored response is gone')
  }

  /** Takes the bytes of a slice into the store. */
  keep(site: Site, bytes: Buffer): Digest {
    const digest = digestOf(bytes)
    this.#components.store.put(digest, bytes, { owner: { tenant: site.rule.name } })
    return digest
  }

  #isComing(entry: CacheEntry, position: number): boolean {
    const { fill } = entry
    if (fill === undefined || fill.state === 'failed') return false
    return !entry.rangeable || position <= fill.received + cdnLimits.leadBytesMax
  }

  #fill(entry: CacheEntry): NonNullable<CacheEntry['fill']> {
    if (entry.fill === undefined) throw new KairoError('ERR_STOPPED', 'the response broke off')
    return entry.fill
  }

  async #sliceAt(entry: CacheEntry, position: number, context: BodyContext): Promise<Buffer> {
    const { body } = entry
    if (body === undefined) throw new KairoError('ERR_STOPPED', 'the response broke off')
    if (position >= body.length) return Buffer.alloc(0)
    const index = Math.floor(position / body.sliceBytes)
    const bytes = await this.slice(entry, index, context)
    return bytes.subarray(position - index * body.sliceBytes)
  }

  async #fetchSlice(
    entry: CacheEntry,
    body: SlicedBody,
    index: number,
    context: BodyContext,
  ): Promise<Buffer> {
    const { site, exchange, signal } = context
    const first = index * body.sliceBytes
    const last = Math.min(first + body.sliceBytes, body.length) - 1
    const guard = sliceGuard(entry.head) ?? ''
    const own = new AbortController()
    const answer = await this.#components.origins.ask(site, {
      exchange,
      fill: { range: `bytes=${first}-${last}`, 'if-range': guard },
      signal: AbortSignal.any([signal, own.signal]),
      shieldKey: entry.key,
    })
    if (!isSlice(entry, answer, { first, last, length: body.length })) {
      own.abort(new KairoError('ERR_STOPPED', 'this is another version'))
      this.#components.index.remove(entry)
      throw new KairoError('ERR_VERIFICATION', 'the response has changed at the origin')
    }
    const bytes = await collect(answer.response.body, last - first + 1)
    const digest = this.keep(site, bytes)
    body.slices[index] = digest
    if (entry.alive) this.#components.onSlice(entry, index, digest)
    return bytes
  }
}

function isSlice(
  entry: CacheEntry,
  { response }: OriginAnswer,
  wanted: { readonly first: number; readonly last: number; readonly length: number },
): boolean {
  if (response.status !== 206) return false
  const range = parseContentRange(response.headers['content-range'] ?? '')
  return (
    range?.first === wanted.first &&
    range.last === wanted.last &&
    range.length === wanted.length &&
    mayJoin(entry.head, response)
  )
}

/** Parts several ranges in one answer; nobody can guess it, so no stored bytes hold it. */
export function newBoundary(): string {
  return randomBytes(16).toString('hex')
}
