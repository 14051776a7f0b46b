/** Deliveries that wait, one small file each, so that a peer which restarts goes on with them. */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { replaceFile } from '../files.ts'
import { parseJson } from '../json.ts'
import type { Logger } from '../logger.ts'

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

/** The files of one home folder. A disk that refuses costs durability and not the delivery. */
export class DeliveryJournal {
  readonly #directory: string
  readonly #logger: Logger

  constructor(directory: string, logger: Logger) {
    this.#directory = directory
    this.#logger = logger
  }

  /** Reads what waits, the oldest first; what cannot be read is deleted. */
  open(): Delivery[] {
    const deliveries: Delivery[] = []
    this.#try('read', () => {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
      for (const file of readdirSync(this.#directory)) {
        const path = join(this.#directory, file)
        const parsed = deliverySchema.safeParse(parseJson(readFileSync(path, 'utf8')))
        if (parsed.success && file === `${parsed.data.key}.json`) deliveries.push(parsed.data)
        else rmSync(path, { force: true })
      }
    })
    return deliveries.sort((a, b) => a.createdMs - b.createdMs)
  }

  write(delivery: Delivery): void {
    const path = this.#path(delivery)
    this.#try('write', () => replaceFile(path, `${JSON.stringify(delivery)}\n`))
  }

  remove(delivery: Delivery): void {
    this.#try('remove', () => rmSync(this.#path(delivery), { force: true }))
  }

  #path({ key }: Delivery): string {
    return join(this.#directory, `${key}.json`)
  }

  #try(what: string, work: () => void): void {
    try {
      work()
    } catch (err) {
      this.#logger.error({ err, what }, 'webhooks would not survive a restart now')
    }
  }
}
