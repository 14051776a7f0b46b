/** What clients have done lately, by address or by subnet; bounded, so that it is no target itself. */
import { clientLimits as limits } from '../../limits/shelter.ts'

/** One address or subnet. Connections keep a reference, so that a request costs no look-up. */
export interface ClientRecord {
  /** Requests that it may still make before the bucket is filled again. */
  tokens: number
  /** Monotonic time of the last filling. */
  filledMs: number
  /** Open connections. */
  connections: number
}

/** What one address or subnet may do. */
export interface ClientTableInit {
  /** Requests a second. */
  readonly requestsPerSecond: number
  readonly connectionsMax: number
  /** Told when a record goes to make room. */
  readonly onEvicted: () => void
}

/** Records in the order in which they were last looked for. */
export class ClientTable {
  readonly #init: ClientTableInit
  readonly #records = new Map<string, ClientRecord>()
  /**
   * Stands before the record that was looked for longest ago, because whatever it passes is deleted or moved to the end. A fresh iterator would walk
   * over the gaps that deleted records leave in the map, once for each record that goes.
   */
  #oldest = this.#records.entries()

  constructor(init: ClientTableInit) {
    this.#init = init
  }

  /** Records there are. */
  get size(): number {
    return this.#records.size
  }

  /** The record of a key, a fresh one if there is none. */
  find(key: string, nowMs: number): ClientRecord {
    let record = this.#records.get(key)
    if (record !== undefined) {
      this.#records.delete(key)
    } else {
      if (this.#records.size >= limits.addressesMax) this.#evict()
      record = { tokens: this.#burst, filledMs: nowMs, connections: 0 }
    }
    this.#records.set(key, record)
    return record
  }

  /** True when one more connection is too many. */
  isCrowded(record: ClientRecord): boolean {
    return record.connections >= this.#init.connectionsMax
  }

  /**
   * Takes a token; false when there is none. The bucket is filled only when it is empty, which is as much in the long run and costs a
   * request one comparison; a client that was slow before may then do twice its burst at once.
   */
  take(record: ClientRecord, nowMs: number): boolean {
    if (record.tokens < 1) {
      const filled = ((nowMs - record.filledMs) * this.#init.requestsPerSecond) / 1_000
      if (record.tokens + filled < 1) return false
      record.tokens = Math.min(this.#burst, record.tokens + filled)
      record.filledMs = nowMs
    }
    record.tokens -= 1
    return true
  }

  get #burst(): number {
    return this.#init.requestsPerSecond * limits.burstS
  }

  #evict(): void {
    let looked: string | undefined
    for (let looks = 0; looks < limits.evictionLookMax; looks += 1) {
      const next = this.#oldest.next()
      if (next.done === true) {
        this.#oldest = this.#records.entries()
        continue
      }
      const [key, record] = next.value
      looked = key
      if (record.connections === 0) break
      this.#records.delete(key)
      this.#records.set(key, record)
    }
    if (looked !== undefined) this.#records.delete(looked)
    this.#init.onEvicted()
  }
}
