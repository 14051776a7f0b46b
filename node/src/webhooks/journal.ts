/** Deliveries that wait, one small file each, so that a peer which restarts goes on with them. */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { replaceFileLater } from '../files.ts'
import { parseJson } from '../json.ts'
import type { Logger } from '../logger.ts'
import type { WebhookMetrics } from './webhook-metrics.ts'

const deliverySchema = z.object({
  version: z.literal(1),
  /** Unique; also the file's name. */
  key: z.string().regex(/^[a-z0-9-]{1,64}$/),
  /** Id of the message, the same at every endpoint and every attempt. */
  id: z.string(),
  event: z.string(),
  url: z.string(),
  body: z.string(),
  /** Attempts that failed. */
  attempts: z.number().int().min(0),
  /** Wall milliseconds. */
  createdMs: z.number(),
})

/** One message on its way to one endpoint. */
export type Delivery = z.output<typeof deliverySchema>

/** What a {@link DeliveryJournal} works with. */
export interface DeliveryJournalComponents {
  readonly logger: Logger
  readonly metrics: Pick<WebhookMetrics, 'unwritten'>
}

/**
 * The files of one home folder, written one after the other in the background: nobody who tells of an event waits for the disk. A
 * delivery is on disk a moment after it was made; one that is done by then never is. A disk that refuses costs durability and not
 * the delivery.
 */
export class DeliveryJournal {
  readonly #directory: string
  readonly #components: DeliveryJournalComponents
  /** What files are to become, by key, undefined for gone; never more than deliveries that wait and files that there are. */
  readonly #wanted = new Map<string, Delivery | undefined>()
  /** Keys whose file may be there. */
  readonly #files = new Set<string>()
  #working: Promise<void> | undefined
  #isRefused = false

  constructor(directory: string, components: DeliveryJournalComponents) {
    this.#directory = directory
    this.#components = components
  }

  /** Reads what waits, the oldest first; what cannot be read is deleted. */
  async open(): Promise<Delivery[]> {
    const deliveries: Delivery[] = []
    await this.#try('read', async () => {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 })
      for (const file of await readdir(this.#directory)) {
        const path = join(this.#directory, file)
        const parsed = deliverySchema.safeParse(parseJson(await readFile(path, 'utf8')))
        if (parsed.success && file === `${parsed.data.key}.json`) deliveries.push(parsed.data)
        else await rm(path, { force: true })
      }
    })
    for (const { key } of deliveries) this.#files.add(key)
    return deliveries.sort((a, b) => a.createdMs - b.createdMs)
  }

  /** Keeps a delivery as it is now. */
  write(delivery: Delivery): void {
    this.#want(delivery.key, delivery)
  }

  /** Forgets a delivery, also one that is just being written. */
  remove({ key }: Delivery): void {
    if (this.#files.has(key)) this.#want(key, undefined)
    else this.#wanted.delete(key)
  }

  /** Resolves when everything that was asked for so far is done. */
  async idle(): Promise<void> {
    await this.#working
  }

  #want(key: string, delivery: Delivery | undefined): void {
    this.#wanted.set(key, delivery)
    this.#working ??= this.#work()
  }

  /** Never rejects. */
  async #work(): Promise<void> {
    for (const [key, delivery] of this.#wanted) {
      this.#wanted.delete(key)
      const path = join(this.#directory, `${key}.json`)
      if (delivery === undefined) {
        this.#files.delete(key)
        await this.#try('remove', async () => await rm(path, { force: true }))
      } else {
        this.#files.add(key)
        const text = `${JSON.stringify(delivery)}\n`
        await this.#try('write', async () => await replaceFileLater(path, text))
      }
    }
    this.#working = undefined
  }

  async #try(what: 'read' | 'write' | 'remove', work: () => Promise<void>): Promise<void> {
    try {
      await work()
      // Deleting works on a full disk too.
      if (what === 'write') this.#isRefused = false
    } catch (err) {
      const { logger, metrics } = this.#components
      metrics.unwritten.inc()
      if (!this.#isRefused) {
        logger.error({ err, what }, 'webhooks would not survive a restart now')
      }
      this.#isRefused = true
    }
  }
}
