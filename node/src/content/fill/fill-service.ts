/**
 * What the operator wants cached before anybody asks for it: URLs that this peer reads through its own cache, at once or at a quiet time
 * of the day, some at a time. The list outlives a restart.
 */
import { readFileSync } from 'node:fs'
import { Counter, Gauge, type Registry } from 'prom-client'
import { z } from 'zod'
import { backoffMs } from '../../backoff.ts'
import type { CancelTimer, Clock } from '../../clock.ts'
import { deadline } from '../../deadline.ts'
import { type ErrorCode, isKairoError, KairoError } from '../../errors.ts'
import { replaceFileLater, storageError } from '../../files.ts'
import { parseJson } from '../../json.ts'
import { fillLimits } from '../../limits/fill.ts'
import type { Logger } from '../../logger.ts'
import { isWithin, parseTimeWindow } from './time-window.ts'

const fillSchema = z.strictObject({
  url: z.string().max(fillLimits.urlCharsMax),
  /** UTC, `01:00-06:00`; empty for at once. */
  between: z.string(),
  state: z.enum(['waiting', 'done', 'failed']),
  attempts: z.number().int().min(0),
  bytes: z.number().int().min(0),
  /** What went wrong last; empty when nothing did. */
  problem: z.string(),
})
const fileSchema = z.strictObject({
  version: z.literal(1),
  fills: z.array(fillSchema).max(fillLimits.fillsMax),
})

/** One URL of the list. */
export type Fill = Readonly<z.output<typeof fillSchema>>

/** What fills work with. */
export interface FillServiceComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  /** Reads a URL whole through this peer's cache; resolves with its length in bytes. */
  readonly load: (url: string, signal: AbortSignal) => Promise<number>
}

interface Entry extends z.output<typeof fillSchema> {
  running: boolean
  /** Monotonic milliseconds before which it is not tried again. */
  notBeforeMs: number
}

/** The list of fills, and who works it off. */
export class FillService {
  readonly #components: FillServiceComponents
  readonly #file: string
  readonly #logger: Logger
  readonly #fills = new Map<string, Entry>()
  readonly #outcomes: Counter<'code'>
  readonly #abort = new AbortController()
  readonly #working = new Set<Promise<void>>()
  #saving: Promise<void> = Promise.resolve()
  #cancelLook: CancelTimer | undefined
  #cancelSave: CancelTimer | undefined

  /** @param init file of the list; its folder exists. */
  constructor(components: FillServiceComponents, init: { readonly file: string }) {
    this.#components = components
    this.#file = init.file
    this.#logger = components.logger.child({ name: 'kairo:fill' })
    const registers = [components.registry]
    this.#outcomes = new Counter({
      name: 'kairo_fill_attempts_total',
      help: 'URLs read to fill the cache, by error code or ok',
      labelNames: ['code'],
      registers,
    })
    const waiting = (): number => this.list().filter(({ state }) => state === 'waiting').length
    new Gauge({
      name: 'kairo_fill_waiting',
      help: 'URLs that wait to be read to fill the cache',
      registers,
      collect() {
        this.set(waiting())
      },
    })
  }

  /**
   * Takes over the list of an earlier run and begins.
   * @throws KairoError `ERR_STORAGE` when there is a list that cannot be read.
   */
  start(): void {
    for (const fill of this.#read()) {
      this.#fills.set(fill.url, { ...fill, running: false, notBeforeMs: 0 })
    }
    this.#look()
  }

  /** Breaks off what runs, which is tried again at the next start, and writes the list. */
  async stop(): Promise<void> {
    this.#abort.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
    this.#cancelLook?.()
    await Promise.all(this.#working)
    await this.#save()
  }

  /** The list, in the order in which it was ordered. */
  list(): Fill[] {
    return [...this.#fills.values()].map(({ running: _, notBeforeMs: __, ...fill }) => fill)
  }

  /**
   * Orders URLs; one that is in the list is ordered anew.
   * @param between UTC, `01:00-06:00`; empty for at once.
   * @throws KairoError `ERR_INVALID_INPUT` for what is no such time, `ERR_LIMIT` when the list is full.
   */
  order(urls: readonly string[], between: string): void {
    if (between !== '' && parseTimeWindow(between) === undefined) {
      throw new KairoError('ERR_INVALID_INPUT', 'expected a time in UTC such as 01:00-06:00')
    }
    const fresh = urls.filter((url) => !this.#fills.has(url)).length
    this.#forgetDone(this.#fills.size + fresh - fillLimits.fillsMax)
    if (this.#fills.size + fresh > fillLimits.fillsMax) {
      throw new KairoError('ERR_LIMIT', `the list has room for ${fillLimits.fillsMax} URLs`)
    }
    for (const url of urls) {
      if (this.#fills.get(url)?.running === true) continue
      this.#fills.delete(url)
      const state = { state: 'waiting', attempts: 0, bytes: 0, problem: '' } as const
      this.#fills.set(url, { url, between, ...state, running: false, notBeforeMs: 0 })
    }
    this.#saveLater()
    this.#look()
  }

  /** Takes everything off the list that does not run now. */
  clear(): void {
    for (const [url, { running }] of this.#fills) if (!running) this.#fills.delete(url)
    this.#saveLater()
  }

  #look(): void {
    this.#cancelLook?.()
    this.#cancelLook = undefined
    if (this.#abort.signal.aborted) return
    let waiting = 0
    for (const fill of this.#fills.values()) {
      if (fill.state !== 'waiting' || fill.running) continue
      if (this.#working.size < fillLimits.runningMax && this.#isDue(fill)) this.#begin(fill)
      else waiting += 1
    }
    if (waiting === 0) return
    this.#cancelLook = this.#components.clock.after(fillLimits.lookMs, () => this.#look())
  }

  #isDue({ between, notBeforeMs }: Entry): boolean {
    const { clock } = this.#components
    if (clock.monotonicMs() < notBeforeMs) return false
    const window = parseTimeWindow(between)
    return window === undefined || isWithin(window, clock.now())
  }

  #begin(fill: Entry): void {
    fill.running = true
    const work = this.#run(fill).then(() => {
      fill.running = false
      this.#working.delete(work)
      this.#look()
    })
    this.#working.add(work)
  }

  async #run(fill: Entry): Promise<void> {
    const { clock, load } = this.#components
    const limit = deadline(clock, fillLimits.runMsMax, this.#abort.signal)
    let code: ErrorCode | 'ok' | 'bug' = 'ok'
    try {
      fill.bytes = await load(fill.url, limit.signal)
      fill.state = 'done'
      fill.problem = ''
    } catch (error) {
      code = isKairoError(error) ? error.code : 'bug'
      this.#failed(fill, error as Error)
    }
    limit.clear()
    this.#outcomes.inc({ code })
    this.#saveLater()
  }

  #failed(fill: Entry, error: Error): void {
    if (this.#abort.signal.aborted) return
    this.#logger.warn({ url: fill.url, err: error }, 'a URL could not be read to fill the cache')
    fill.notBeforeMs =
      this.#components.clock.monotonicMs() + backoffMs(fillLimits, fill.attempts, () => 0)
    fill.attempts += 1
    fill.problem = error.message
    if (fill.attempts >= fillLimits.attemptsMax) fill.state = 'failed'
  }

  #forgetDone(count: number): void {
    let left = count
    for (const [url, { state }] of this.#fills) {
      if (left <= 0) return
      if (state === 'waiting') continue
      this.#fills.delete(url)
      left -= 1
    }
  }

  #read(): Fill[] {
    let text: string
    try {
      text = readFileSync(this.#file, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw storageError('cannot read the list of fills', error)
    }
    const parsed = fileSchema.safeParse(parseJson(text))
    if (parsed.success) return parsed.data.fills
    throw new KairoError('ERR_STORAGE', `${this.#file} is no list of fills; remove it`, {
      cause: parsed.error,
    })
  }

  #saveLater(): void {
    if (this.#abort.signal.aborted) return
    this.#cancelSave ??= this.#components.clock.after(fillLimits.saveMs, () => {
      this.#save().catch((error: Error) => this.#logger.error({ err: error }, 'saving failed'))
    })
  }

  async #save(): Promise<void> {
    this.#cancelSave?.()
    this.#cancelSave = undefined
    this.#saving = this.#saving.then(async () => {
      try {
        await replaceFileLater(this.#file, JSON.stringify({ version: 1, fills: this.list() }))
      } catch (error) {
        const err = storageError('cannot write the list of fills', error)
        this.#logger.error({ err, code: err.code }, 'the list of fills is not saved')
      }
    })
    await this.#saving
  }
}
