/** Compresses stored text once for all who take it. The first client does not wait for it: who comes later gets it. */
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip, zstdCompress } from 'node:zlib'
import { digestOf } from '../../content/digest.ts'
import type { ContentStore } from '../../content/store/store.ts'
import { cdnLimits } from '../../limits/cdn.ts'
import type { Logger } from '../../logger.ts'
import type { CacheMetrics } from '../cache/cache-metrics.ts'
import type { CacheEntry, Coding } from '../cache/entry.ts'
import type { CacheRequest } from '../message.ts'
import { responseControl } from '../rules/cache-control.ts'
import { listOf } from '../rules/field.ts'
import { normalise } from '../rules/vary.ts'
import type { EncodedBytes } from './answers.ts'
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

const encoders: Readonly<Record<Coding, (bytes: Buffer) => Promise<Buffer>>> = {
  br: (bytes) =>
    promisify(brotliCompress)(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: 5,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.byteLength,
      },
    }),
  gzip: (bytes) => promisify(gzip)(bytes, { level: 6 }),
  zstd: (bytes) => promisify(zstdCompress)(bytes),
}

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

  constructor(components: CompressorComponents) {
    this.#components = components
  }

  /** True when the answer depends on `Accept-Encoding`, whether or not this one is encoded. */
  varies(site: Site, entry: CacheEntry): boolean {
    if (!site.rule.compress) return false
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

  #begin(site: Site, entry: CacheEntry, coding: Coding): void {
    const { logger } = this.#components
    const id = `${entry.id} ${coding}`
    const { body } = entry
    if (body === undefined || entry.fill !== undefined || this.#running.has(id)) return
    if (body.length < cdnLimits.compressBytesMin || body.length > cdnLimits.compressBytesMax) return
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
