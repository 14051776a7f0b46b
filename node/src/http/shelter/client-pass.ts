/** What a connection carries: who its client is, so that a request needs no look-up. */
import type { ClientRecord, ClientTable } from './client-table.ts'
import type { RefusalReason } from './shelter-metrics.ts'

/** The tables of addresses and of subnets. */
export interface ClientTables {
  readonly addresses: ClientTable
  readonly subnets: ClientTable
}

/** One client's records in both tables. */
export interface ClientRecords {
  readonly address: ClientRecord
  readonly subnet: ClientRecord
}

/** One connection's leave to ask. */
export class ClientPass {
  readonly #tables: ClientTables
  /** Undefined for a proxy, whose connections and own requests are not counted. */
  readonly #records: ClientRecords | undefined
  #isClosed = false
  /** True when the next request is counted already: the first one with its connection. */
  #isPrepaid = true
  /** Requests under way at the ordinary server. */
  inFlight = 0

  constructor(tables: ClientTables, records: ClientRecords | undefined) {
    this.#tables = tables
    this.#records = records
    if (records === undefined) return
    records.address.connections += 1
    records.subnet.connections += 1
  }

  /** True for the connection of a proxy, which speaks for others. */
  get isProxy(): boolean {
    return this.#records === undefined
  }

  /** Counts a request of the client itself; what it is too much for, or undefined. */
  take(nowMs: number): RefusalReason | undefined {
    if (this.#records === undefined) return undefined
    if (!this.#isPrepaid) return takeBoth(this.#tables, this.#records, nowMs)
    this.#isPrepaid = false
    return undefined
  }

  /** The last request was not answered and will come again, to the ordinary server. */
  giveBack(): void {
    this.#isPrepaid = true
  }

  /** The connection is gone. */
  close(): void {
    if (this.#isClosed || this.#records === undefined) return
    this.#isClosed = true
    this.#records.address.connections -= 1
    this.#records.subnet.connections -= 1
  }
}

/** Counts a request of a client by address and by subnet; what it is too much for, or undefined. */
export function takeBoth(
  tables: ClientTables,
  records: ClientRecords,
  nowMs: number,
): RefusalReason | undefined {
  if (!tables.addresses.take(records.address, nowMs)) return 'rate-address'
  if (tables.subnets.take(records.subnet, nowMs)) return undefined
  records.address.tokens += 1
  return 'rate-subnet'
}
