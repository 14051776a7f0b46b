/**
 * Shelters the HTTP servers of a peer: counts the connections and requests of each client address and subnet, and turns new work away
 * while the process cannot keep up, before its memory grows.
 */
import type { Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../../clock.ts'
import { clientLimits, overloadLimits } from '../../limits/shelter.ts'
import type { Logger } from '../../logger.ts'
import { pathOf } from '../problem.ts'
import { clientKeys } from './client-network.ts'
import { ClientPass, type ClientRecords, type ClientTables, takeBoth } from './client-pass.ts'
import { ClientTable } from './client-table.ts'
import { memoryShare } from './machine-memory.ts'
import { Overload, type OverloadReason } from './overload.ts'
import { type RefusalReason, ShelterMetrics } from './shelter-metrics.ts'
import { TrustedProxies } from './trusted-proxies.ts'

/** What a shelter is built on. */
export interface ShelterComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  /** Share of the memory in use, 0 to 1; default: this process's and machine's. */
  readonly memoryShare?: () => number
  /** Processor time that the process has used, in milliseconds; default: this one's. */
  readonly cpuMs?: () => number
}

/** What one client may do. */
export interface ShelterInit {
  /** Requests a second of one address; its subnet may do `clientLimits.subnetShare` times that. 0: no limit. */
  readonly requestsPerSecondMax: number
  /** Connections of one address; its subnet likewise. 0: no limit. */
  readonly connectionsPerAddressMax: number
  /** Addresses and networks of proxies, whose connections are not counted and whose word on their client is believed. */
  readonly trustedProxies: readonly string[]
}

/** Answered whatever the load: an overloaded peer must still be able to say that it is. */
const alwaysAnswered = new Set(['/health/live', '/health/ready', '/metrics'])
/** Where the operator is answered whatever the load; elsewhere credentials are meant for others, such as an origin. */
const OPERATOR_PATH = '/api/'

/** A request at the ordinary server. */
export interface ShelteredRequest {
  /** Whom it is from: the connection's client, or whom a proxy speaks for. */
  readonly client: string
  readonly url: string
  /** Whether it shows the operator's credentials; asked only when it would be turned away. */
  readonly isOperators: () => boolean
}

/** Leave for one request; called when it is over. */
export type RequestLeave = () => void

/** One for all servers of a peer. */
export class Shelter {
  /** The operator's proxies. */
  readonly proxies: TrustedProxies
  readonly #clock: Clock
  readonly #memoryShare: () => number
  readonly #cpuMs: () => number
  readonly #metrics: ShelterMetrics
  readonly #tables: ClientTables
  readonly #overload: Overload
  #inFlight = 0
  /** Those of the operator that no other would have been served beside. */
  #spared = 0
  /** Monotonic time as of the last look; rates need no finer one. */
  #nowMs: number
  #cancelLook: CancelTimer | undefined

  /** @throws KairoError `ERR_CONFIG` for a proxy that is no network. */
  constructor(components: ShelterComponents, init: ShelterInit) {
    this.#clock = components.clock
    this.#memoryShare = components.memoryShare ?? memoryShare
    this.#cpuMs = components.cpuMs ?? ownCpuMs
    this.#nowMs = this.#clock.monotonicMs()
    this.proxies = new TrustedProxies(init.trustedProxies)
    this.#overload = new Overload({ logger: components.logger.child({ name: 'kairo:shelter' }) })
    const rate = init.requestsPerSecondMax || Number.POSITIVE_INFINITY
    const connections = init.connectionsPerAddressMax || Number.POSITIVE_INFINITY
    const table = (share: number): ClientTable =>
      new ClientTable({
        requestsPerSecond: rate * share,
        connectionsMax: connections * share,
        onEvicted: () => this.#metrics.evicted.inc(),
      })
    this.#tables = { addresses: table(1), subnets: table(clientLimits.subnetShare) }
    this.#metrics = new ShelterMetrics(components.registry, () => ({
      addresses: this.#tables.addresses.size,
      inFlight: this.#inFlight,
      isOverloaded: this.#overload.reason !== undefined,
    }))
  }

  /** Begins to look at the load. */
  start(): void {
    this.#nowMs = this.#clock.monotonicMs()
    const dueMs = this.#nowMs + overloadLimits.tickMs
    const beforeMs = this.#cpuMs()
    this.#cancelLook = this.#clock.after(overloadLimits.tickMs, () => {
      this.#overload.look({
        lateMs: this.#clock.monotonicMs() - dueMs,
        busyMs: this.#cpuMs() - beforeMs,
        memoryShare: this.#memoryShare(),
      })
      this.start()
    })
  }

  /** Looks no more. */
  stop(): void {
    this.#cancelLook?.()
    this.#cancelLook = undefined
  }

  /** Counts a fresh connection together with its first request; undefined turns it away. Whoever gets a pass closes it. */
  open(address: string): ClientPass | undefined {
    if (this.proxies.trusts(address)) return new ClientPass(this.#tables, undefined)
    const records = this.#recordsOf(address)
    const { addresses, subnets } = this.#tables
    const isCrowded = addresses.isCrowded(records.address)
    if (isCrowded || subnets.isCrowded(records.subnet)) {
      return this.#refuse(isCrowded ? 'connections-address' : 'connections-subnet')
    }
    const reason = takeBoth(this.#tables, records, this.#nowMs)
    return reason === undefined ? new ClientPass(this.#tables, records) : this.#refuse(reason)
  }

  /** Counts a request in the fast lane; false when it is too much. */
  take(pass: ClientPass): boolean {
    const reason = pass.take(this.#nowMs)
    if (reason === undefined) return true
    this.#refuse(reason)
    return false
  }

  /** True while not even answers that are waited for may be begun: each holds memory until it comes. */
  get refusesWaiting(): boolean {
    return this.#overload.reason === 'memory'
  }

  /** Notes that an answer was not waited for. */
  refusedWaiting(): void {
    this.#refuse('memory')
  }

  /** Counts a request at the ordinary server; whose fault it is that it is turned away, or leave, to be given back when it is over. */
  begin(pass: ClientPass, request: ShelteredRequest): 'client' | 'server' | RequestLeave {
    const reason = pass.isProxy ? this.#takeBehind(request.client) : pass.take(this.#nowMs)
    if (reason !== undefined) {
      this.#refuse(reason)
      return 'client'
    }
    const load = this.#loadReason(pass)
    const path = load === undefined ? '' : pathOf(request.url)
    if (load === undefined || alwaysAnswered.has(path)) return this.#leave(pass)
    const mayBeSpared = load !== 'in-flight-connection' && path.startsWith(OPERATOR_PATH)
    const isSpared = mayBeSpared && request.isOperators()
    if (isSpared && this.#spared < overloadLimits.operatorInFlightMax) return this.#spare(pass)
    this.#refuse(isSpared ? 'in-flight-operator' : load)
    return 'server'
  }

  #leave(pass: ClientPass): RequestLeave {
    pass.inFlight += 1
    this.#inFlight += 1
    return () => {
      pass.inFlight -= 1
      this.#inFlight -= 1
    }
  }

  #spare(pass: ClientPass): RequestLeave {
    const giveBack = this.#leave(pass)
    this.#spared += 1
    this.#metrics.spared.inc()
    return () => {
      giveBack()
      this.#spared -= 1
    }
  }

  #loadReason(pass: ClientPass): OverloadReason | 'in-flight' | 'in-flight-connection' | undefined {
    if (this.#overload.reason !== undefined) return this.#overload.reason
    if (this.#inFlight >= overloadLimits.inFlightMax) return 'in-flight'
    const isPipeline = pass.inFlight >= clientLimits.inFlightPerConnectionMax
    return isPipeline ? 'in-flight-connection' : undefined
  }

  #takeBehind(client: string): RefusalReason | undefined {
    // The proxy itself, or a chain of proxies that names nobody.
    if (this.proxies.trusts(client)) return undefined
    return takeBoth(this.#tables, this.#recordsOf(client), this.#nowMs)
  }

  #recordsOf(address: string): ClientRecords {
    const keys = clientKeys(address)
    const { addresses, subnets } = this.#tables
    return {
      address: addresses.find(keys.address, this.#nowMs),
      subnet: subnets.find(keys.subnet, this.#nowMs),
    }
  }

  #refuse(reason: RefusalReason): undefined {
    this.#metrics.refused.inc({ reason })
    return undefined
  }
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
