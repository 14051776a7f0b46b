/** What clients have done lately, by address or by subnet; bounded, so that it is no target itself. */
import { clientLimits as limits } from '../../limits/shelter.ts'
import { fullBucket, type TokenBucket, type TokenRate, takeToken } from '../../token-buckets.ts'

/** One address or subnet, and the requests that it may make. Connections keep a reference, so that a request costs no look-up. */
export interface ClientRecord extends TokenBucket {
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
  readonly #rate: TokenRate
  readonly #records = new Map<string, ClientRecord>()
  /**
   * Stands before the record that was looked for longest ago, because whatever it passes is deleted or moved to the end. A fresh iterator would walk
   * over the gaps that deleted records leave in the map, once for each record that goes.
   */
  #oldest = this.#records.entries()

  constructor(init: ClientTableInit) {
    this.#init = init
    const { requestsPerSecond: perSecond } = init
    this.#rate = { perSecond, burst: perSecond * limits.burstS }
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
      record = { ...fullBucket(this.#rate, nowMs), connections: 0 }
    }
    this.#records.set(key, record)
    return record
  }

  /** True when one more connection is too many. */
  isCrowded(record: ClientRecord): boolean {
    return record.connections >= this.#init.connectionsMax
  }

  /** Counts one more request; false when it is too much. */
  take(record: ClientRecord, nowMs: number): boolean {
    return takeToken(record, this.#rate, nowMs)
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
