/** The RAM half of the content store: least recently used objects go first, and parts of live windows last. */
import type { Digest } from '../digest.ts'

/** Objects in RAM, bounded by bytes. Not aware of disk or digests' truth: the store checks those. */
export class MemoryTier {
  readonly #bytesMax: number
  readonly #onEvict: (digest: Digest) => void
  /** In order of last use, oldest first. */
  readonly #loose = new Map<Digest, Buffer>()
  /** Objects of live windows, in order of arrival. */
  readonly #pinned = new Map<Digest, Buffer>()
  /** How many windows hold each digest, whether or not its bytes are here. */
  readonly #pins = new Map<Digest, number>()
  #bytes = 0

  constructor(init: {
    readonly bytesMax: number
    readonly onEvict: (digest: Digest) => void
  }) {
    this.#bytesMax = init.bytesMax
    this.#onEvict = init.onEvict
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes
  }

  /** Objects held. */
  get size(): number {
    return this.#loose.size + this.#pinned.size
  }

  /** The object, marked as just used. */
  get(digest: Digest): Buffer | undefined {
    const pinned = this.#pinned.get(digest)
    if (pinned !== undefined) return pinned
    const bytes = this.#loose.get(digest)
    if (bytes === undefined) return undefined
    this.#loose.delete(digest)
    this.#loose.set(digest, bytes)
    return bytes
  }

  /** True when the object is held; does not count as use. */
  has(digest: Digest): boolean {
    return this.#pinned.has(digest) || this.#loose.has(digest)
  }

  /** Takes an object, making room; one larger than the whole tier is not taken. */
  put(digest: Digest, bytes: Buffer): void {
    if (this.has(digest) || bytes.byteLength > this.#bytesMax) return
    const tier = this.#pins.has(digest) ? this.#pinned : this.#loose
    tier.set(digest, bytes)
    this.#bytes += bytes.byteLength
    this.#makeRoom(digest)
  }

  /** Forgets an object. */
  delete(digest: Digest): boolean {
    for (const tier of [this.#loose, this.#pinned]) {
      const bytes = tier.get(digest)
      if (bytes === undefined) continue
      tier.delete(digest)
      this.#bytes -= bytes.byteLength
      return true
    }
    return false
  }

  /** Keeps the object, now or once it comes, from going before objects without a pin. */
  pin(digest: Digest): void {
    const pins = this.#pins.get(digest) ?? 0
    this.#pins.set(digest, pins + 1)
    if (pins === 0) move(digest, this.#loose, this.#pinned)
  }

  /** Takes one pin back. */
  unpin(digest: Digest): void {
    const pins = this.#pins.get(digest)
    if (pins === undefined) return
    if (pins > 1) {
      this.#pins.set(digest, pins - 1)
      return
    }
    this.#pins.delete(digest)
    move(digest, this.#pinned, this.#loose)
  }

  #makeRoom(newest: Digest): void {
    for (const tier of [this.#loose, this.#pinned]) {
      for (const digest of tier.keys()) {
        if (this.#bytes <= this.#bytesMax) return
        // A new loose object goes before a pinned one only when nothing else is loose.
        if (digest === newest && tier === this.#pinned) continue
        this.delete(digest)
        this.#onEvict(digest)
      }
    }
  }
}

function move(digest: Digest, from: Map<Digest, Buffer>, to: Map<Digest, Buffer>): void {
  const bytes = from.get(digest)
  if (bytes === undefined) return
  from.delete(digest)
  to.set(digest, bytes)
}
