/**
 * Which web pages of other origins may read answers (the Fetch standard's CORS protocol). Media and other public
 * answers follow `corsOrigins`, by default `*`; answers to callers with credentials go only to origins that are named.
 */

/** Header names a page of another origin may read beside the safelisted ones. */
const exposed = 'Content-Length, Content-Range, ETag, Repr-Digest, Retry-After, X-Request-Id'

/** Decides by origin; the settings never change while a server runs. */
export class CorsPolicy {
  readonly #any: boolean
  readonly #origins: ReadonlySet<string>

  /** @param origins exact origins (`https://example.org`) or `*` for every page. Empty: none. */
  constructor(origins: readonly string[]) {
    this.#any = origins.includes('*')
    this.#origins = new Set(origins)
  }

  /** True when public answers carry the same headers whoever asks. */
  get sameForAll(): boolean {
    return this.#any || this.#origins.size === 0
  }

  /** Whether pages of an origin may read what is public. */
  allows(origin: string): boolean {
    return this.#any || this.#origins.has(origin)
  }

  /** Names and values, one after the other, for an answer that anyone may fetch. */
  publicFields(origin: string | undefined): readonly string[] {
    return this.#any ? anyOrigin : this.#namedFields(origin)
  }

  /** Names and values, one after the other, for an answer that needs credentials. */
  credentialedFields(origin: string | undefined): readonly string[] {
    return this.#namedFields(origin)
  }

  #namedFields(origin: string | undefined): readonly string[] {
    if (this.#origins.size === 0) {
      return none
    }
    if (origin === undefined || origin === '*' || !this.#origins.has(origin)) {
      return varyOnly
    }
    return [...allow(origin), 'vary', 'Origin']
  }
}

function allow(origin: string): string[] {
  return [
    'access-control-allow-origin',
    origin,
    'access-control-expose-headers',
    exposed,
    'timing-allow-origin',
    origin,
  ]
}

const anyOrigin: readonly string[] = allow('*')
const varyOnly: readonly string[] = ['vary', 'Origin']
const none: readonly string[] = []
