/**
 * Where an address is, by the MMDB file that the operator supplies (GeoLite2-City and what is made like it). Read again when
 * it changes. A file that is missing or broken is told in the log and to the doctor; placing clients goes on without it, or with
 * what was read before.
 */
import { readFile, stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import { type CityResponse, Reader } from 'maxmind'
import { Counter, type Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import { geoLimits } from '../limits/nearest.ts'
import type { Logger } from '../logger.ts'
import type { GeoPoint } from './geo-point.ts'

/** What the database needs. */
export interface GeoDatabaseComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
}

/** How the file is. */
export type GeoStatus =
  | { readonly state: 'off' }
  | { readonly state: 'ok'; readonly description: string; readonly builtAtMs: number }
  | { readonly state: 'bad'; readonly reason: string }

/** Looks addresses up. */
export class GeoDatabase {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #path: string
  readonly #lookups: Counter<'outcome'>
  #reader: Reader<CityResponse> | undefined
  #status: GeoStatus = { state: 'off' }
  /** Modification time and size of the file as last looked at. */
  #version = ''
  #cancel: CancelTimer | undefined
  #checking: Promise<void> = Promise.resolve()
  #stopped = false

  /** @param init.path of the file; empty places nobody. */
  constructor(components: GeoDatabaseComponents, init: { readonly path: string }) {
    this.#clock = components.clock
    this.#logger = components.logger.child({ name: 'kairo:nearest' })
    this.#path = init.path
    this.#lookups = new Counter({
      name: 'kairo_nearest_geo_lookups_total',
      help: 'Look-ups of client addresses in the geographic database.',
      labelNames: ['outcome'],
      registers: [components.registry],
    })
  }

  /** Reads the file; a broken one is no reason not to start. */
  async start(): Promise<void> {
    this.#stopped = false
    if (this.#path === '') return
    await this.#check()
    this.#schedule()
  }

  /** Stops looking at the file. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#checking
  }

  /** How the file is, for the doctor. */
  status(): GeoStatus {
    return this.#status
  }

  /** Where an address is; undefined when that is not known. */
  locate(address: string): GeoPoint | undefined {
    if (this.#reader === undefined || isIP(address) === 0) return undefined
    let place: GeoPoint | undefined
    try {
      place = pointOf(this.#reader.get(address)?.location)
    } catch (error) {
      this.#lookups.inc({ outcome: 'failed' })
      this.#setBad(`it is damaged: ${(error as Error).message}`, error)
      return undefined
    }
    this.#lookups.inc({ outcome: place === undefined ? 'unknown' : 'found' })
    return place
  }

  #schedule(): void {
    this.#cancel = this.#clock.after(geoLimits.checkIntervalMs, () => {
      this.#checking = this.#check().then(() => {
        if (!this.#stopped) this.#schedule()
      })
    })
  }

  async #check(): Promise<void> {
    try {
      const { mtimeMs, size } = await stat(this.#path)
      const version = `${mtimeMs} ${size}`
      if (version === this.#version) return
      this.#version = version
      if (size > geoLimits.fileBytesMax) {
        throw new KairoError('ERR_LIMIT', `it has ${size} bytes, which is too large`)
      }
      this.#reader = new Reader<CityResponse>(await readFile(this.#path))
      const { databaseType, buildEpoch } = this.#reader.metadata
      const builtAtMs = buildEpoch.getTime()
      this.#status = { state: 'ok', description: databaseType, builtAtMs }
      this.#logger.info({ path: this.#path, databaseType }, 'clients are placed by a database')
    } catch (error) {
      this.#setBad((error as Error).message, error)
    }
  }

  /** Logged once for each reason; tried again when the file changes. */
  #setBad(reason: string, error: unknown): void {
    if (this.#status.state === 'bad' && this.#status.reason === reason) return
    this.#status = { state: 'bad', reason }
    this.#logger.error(
      { err: error, path: this.#path },
      'the geographic database cannot be used; clients are placed without it',
    )
  }
}

/** A city's place as databases have it; what is in the file is not believed to have its types. */
function pointOf(
  location: Partial<Record<keyof GeoPoint, unknown>> | undefined,
): GeoPoint | undefined {
  const { latitude, longitude } = location ?? {}
  if (typeof latitude !== 'number' || typeof longitude !== 'number') return undefined
  return { latitude, longitude }
}
