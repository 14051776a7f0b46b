/** Compresses stored text once for all who take it. Whoever comes first does not wait for that: its bytes are encoded on their way. */
import { digestOf } from '../../content/digest.ts'
import type { ContentStore } from '../../content/store/store.ts'
import type { PreparedResponse } from '../../http/prepared-response.ts'
import { cdnLimits } from '../../limits/cdn.ts'
import type { Logger } from '../../logger.ts'
import type { CacheMetrics } from '../cache/cache-metrics.ts'
import type { CacheEntry, Coding } from '../cache/entry.ts'
import type { CacheRequest } from '../message.ts'
import { encodedFields } from '../rules/answer-fields.ts'
import { responseControl } from '../rules/cache-control.ts'
import { listOf } from '../rules/field.ts'
import { normalise } from '../rules/vary.ts'
import type { EncodedBytes } from './answers.ts'
import { encoded, encoders } from './encoders.ts'
import type { Site } from './site.ts'

/** What a compressor works with. */
export interface CompressorComponents {
  readonly store: ContentStore
  readonly metrics: CacheMetrics
  readonly logger: Logger
}

const textTypes =
  /^(?:text\/|application\/(?:json|javascript|xml|x-javascript|manifest\+json|wasm|vnd\.apple\.mpegurl|dash\+xml|graphql)|[a-z]+\/[a-z0-9.-]+\+(?:json|xml|text)|image\/(?:svg\+xml|x-icon|bmp)|font\/(?:ttf|otf))/i

/** The best first. */
const preferred: readonly Coding[] = ['br', 'zstd', 'gzip']

/** Whether an entry's bytes may be sent in a coding of ours, per version of its head. */
interface Verdict {
  readonly version: number
  readonly may: boolean
}

/** Makes and finds encoded bodies. */
export class Compressor {
  readonly #components: CompressorComponents
  readonly #verdicts = new WeakMap<CacheEntry, Verdict>()
  /** Being made: entry and coding. */
  readonly #running = new Set<string>()
  /** Answers that are encoded on their way. */
  #streams = 0

  constructor(components: CompressorComponents) {
    this.#components = components
  }

  /** True when the answer depends on `Accept-Encoding`, whether or not this one is encoded. */
  varies(site: Site, entry: CacheEntry): boolean {
    const { length } = entry
    if (!site.rule.compress || (length !== undefined && !isWorthwhile(length))) return false
    const known = this.#verdicts.get(entry)
    if (known?.version === entry.version) return known.may
    const may = isCompressible(entry)
    this.#verdicts.set(entry, { version: entry.version, may })
    return may
  }

  /** The body in the best coding that the client takes, if it was made; if not, it is begun to be made. */
  find(site: Site, entry: CacheEntry, request: CacheRequest): EncodedBytes | undefined {
    if (!this.varies(site, entry) || request.headers.range !== undefined) return undefined
    const coding = codingFor(request)
    if (coding === undefined) return undefined
    const body = entry.encoded.get(coding)
    const bytes = body === undefined ? undefined : this.#components.store.peek(body.digest)
    if (body !== undefined && bytes !== undefined) return { coding, body, bytes }
    this.#begin(site, entry, coding)
    return undefined
  }

  /** The answer of the request that brought the entry, encoded on its way where the client takes it and there is room. */
  onTheWay(
    site: Site,
    entry: CacheEntry,
    request: CacheRequest,
    answer: PreparedResponse,
  ): PreparedResponse {
    const coding = codingFor(request)
    const isWhole = answer.status === 200 && request.method === 'GET'
    if (!isWhole || coding === undefined || !this.varies(site, entry)) return answer
    if (this.#streams >= cdnLimits.compressedStreamsMax) return answer
    const stream = this.#encode(answer, coding, () => this.#begin(site, entry, coding))
    return { ...answer, headers: encodedFields(answer.headers, { coding }), body: [], stream }
  }

  async *#encode(
    { stream, body }: PreparedResponse,
    coding: Coding,
    done: () => void,
  ): AsyncGenerator<Uint8Array> {
    this.#streams += 1
    try {
      yield* encoded(stream ?? body, coding)
    } finally {
      this.#streams -= 1
    }
    // Who comes next gets it as it will then be stored.
    setImmediate(done)
  }

  #begin(site: Site, entry: CacheEntry, coding: Coding): void {
    const { logger } = this.#components
    const id = `${entry.id} ${coding}`
    const { body } = entry
    if (body === undefined || entry.fill !== undefined || this.#running.has(id)) return
    if (this.#running.size >= cdnLimits.compressionsMax) return
    this.#running.add(id)
    this.#make(site, entry, coding)
      .catch((error: unknown) => logger.warn({ err: error, key: entry.key }, 'not compressed'))
      .finally(() => this.#running.delete(id))
  }

  async #make(site: Site, entry: CacheEntry, coding: Coding): Promise<void> {
    const { store, metrics } = this.#components
    const pieces: Buffer[] = []
    for (const digest of entry.body?.slices ?? []) {
      const bytes = digest === undefined ? undefined : await store.read(digest)
      if (bytes === undefined) return
      pieces.push(bytes)
    }
    const encoded = await encoders[coding](Buffer.concat(pieces))
    const digest = digestOf(encoded)
    store.put(digest, encoded, { owner: { tenant: site.rule.name } })
    entry.encoded.set(coding, { digest, length: encoded.byteLength })
    entry.version += 1
    metrics.compressed.inc({ coding })
  }
}

function isWorthwhile(length: number): boolean {
  return length >= cdnLimits.compressBytesMin && length <= cdnLimits.compressBytesMax
}

/** The best coding that the client takes. */
function codingFor({ headers }: Pick<CacheRequest, 'headers'>): Coding | undefined {
  const field = headers['accept-encoding']
  if (field === undefined) return undefined
  const taken = listOf(normalise('accept-encoding', field))
  return preferred.find((coding) => taken.includes(coding))
}

function isCompressible({ head }: CacheEntry): boolean {
  const { headers, status } = head
  if (status !== 200 || headers['content-encoding'] !== undefined) return false
  if (responseControl(head).noTransform) return false
  return textTypes.test(headers['content-type'] ?? '')
}
