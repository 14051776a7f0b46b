/** What parts are: their lengths and digests, as the edge says or HTTP proved; and the making of digests. */
import { KairoError } from '../errors.ts'
import type { Digests } from '../protocol/edge-messages.ts'
import type { PartKey } from '../protocol/part-key.ts'
import { integrityLimits } from './limits.ts'

/** Of one part. */
export interface PartDigest {
  readonly bytes: number
  /** SHA-256, base64url without padding. */
  readonly digest: string
}

/** What is known; the parts told longest ago are forgotten when they are too many. */
export class PartDigests {
  readonly #known = new Map<PartKey, PartDigest>()
  #forgotten = 0

  /** Parts that had to be forgotten. */
  get forgotten(): number {
    return this.#forgotten
  }

  /**
   * What is told last holds.
   * @returns the parts of which this was not known
   */
  add(parts: Digests['parts']): readonly PartKey[] {
    const news: PartKey[] = []
    for (const { key, bytes, digest } of parts) {
      const before = this.#known.get(key)
      if (before?.digest !== digest || before.bytes !== bytes) news.push(key)
      // The newest stands last.
      this.#known.delete(key)
      this.#known.set(key, { bytes, digest })
      this.#bound()
    }
    return news
  }

  get(key: PartKey): PartDigest | undefined {
    return this.#known.get(key)
  }

  #bound(): void {
    if (this.#known.size <= integrityLimits.digestsMax) return
    const [oldest] = this.#known.keys()
    if (oldest !== undefined) this.#known.delete(oldest)
    this.#forgotten += 1
  }
}

/** Whether this page can check bytes at all: browsers give WebCrypto to secure contexts only (`https:`, or this machine). */
export function canDigest(): boolean {
  return globalThis.crypto?.subtle !== undefined
}

/**
 * The SHA-256 of bytes as base64url without padding; they are not to be changed meanwhile.
 * @throws KairoError `ERR_UNSUPPORTED` where {@link canDigest} is false
 */
export async function digestOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  if (!canDigest()) throw new KairoError('ERR_UNSUPPORTED', 'no WebCrypto without https')
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)))
}

/** Without padding (RFC 4648, section 5). */
function base64url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes))
  return text.replace(/[+/=]/g, (letter) => ({ '+': '-', '/': '_' })[letter] ?? '')
}
