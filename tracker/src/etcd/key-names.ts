/** How the keys of a keyspace lie in etcd: `/kairo/<region>/<keyspace>/<key>`. */

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The keys of one keyspace. Region and keyspace are percent-encoded, so that no two of them can meet. */
export class KeyNames {
  readonly #start: Buffer

  constructor(region: string, keyspace: string) {
    const parts = [region, keyspace].map(encodeURIComponent)
    this.#start = Buffer.from(`/kairo/${parts.join('/')}/`)
  }

  /** A key, or the start of all keys with a prefix. */
  toEtcd(key: string): Buffer {
    return Buffer.concat([this.#start, Buffer.from(key)])
  }

  /** The first key that comes after a key. */
  after(key: string): Buffer {
    return Buffer.concat([this.#start, Buffer.from(key), zero])
  }

  /** The end of all keys with a prefix, which etcd leaves out itself. */
  endOf(prefix: string): Buffer {
    const end = this.toEtcd(prefix)
    // The start ends with a slash and UTF-8 has no 0xff, so the last byte can always grow.
    end.writeUInt8(end.readUInt8(end.length - 1) + 1, end.length - 1)
    return end
  }

  /** @returns undefined for what this program cannot have written */
  fromEtcd(key: Buffer): string | undefined {
    try {
      return utf8.decode(key.subarray(this.#start.length))
    } catch {
      // Another program's key, that is not UTF-8.
      return undefined
    }
  }
}

const zero = Buffer.alloc(1)
