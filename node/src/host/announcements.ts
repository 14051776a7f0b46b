/** What a peer tells all others of by gossip, followed until it is out: counted, logged when it fails, waited for at a stop. */
import type { Counter } from 'prom-client'
import type { Logger } from '../logger.ts'
import type { Gossip } from './network.ts'

/** What announcements work with. */
export interface AnnouncementsComponents {
  readonly gossip: Pick<Gossip, 'publish'>
  readonly logger: Logger
  /** Counts each one as `ok` or `failed`. */
  readonly announcements: Counter<'outcome'>
}

/** Announcements under one topic. */
export class Announcements {
  readonly #components: AnnouncementsComponents
  readonly #topic: string
  readonly #failure: string
  readonly #underWay = new Set<Promise<void>>()

  /** @param failure what the log says of one that failed. */
  constructor(components: AnnouncementsComponents, topic: string, failure: string) {
    this.#components = components
    this.#topic = topic
    this.#failure = failure
  }

  /** Sends without being waited for; the next announcement makes up for one that fails. */
  send(bytes: Uint8Array): void {
    const { gossip, logger, announcements } = this.#components
    const sending = gossip.publish(this.#topic, bytes).then(
      () => announcements.inc({ outcome: 'ok' }),
      (error: Error) => {
        announcements.inc({ outcome: 'failed' })
        logger.warn({ err: error }, this.#failure)
      },
    )
    this.#underWay.add(sending)
    void sending.finally(() => this.#underWay.delete(sending))
  }

  /** Resolves when all that were sent are out, or have failed. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay)
  }
}
