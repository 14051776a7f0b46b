/**
 * Takes the leader of a group away again and again, while a client writes all the time, and looks at the end whether all that was acknowledged
 * is there.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Keyspace } from '../../tracker/src/coordination.ts'
import { TrackerError } from '../../tracker/src/errors.ts'
import { groupOf } from '../../tracker/src/region/shard-of.ts'
import type { RaftClient } from './raft-client.ts'
import type { RaftMembers } from './raft-members.ts'

/** A write is begun this often, whether or not those before are answered. */
const WRITE_EVERY_MS = 2
/** Writing before the signal, and after the first acknowledged write. */
const LEAD_MS = 300
const TAIL_MS = 200
const FAILOVER_MS = 30_000
/** No leader changed for so long before the next signal: what the region evens out by itself is over. */
const STEADY_MS = 1_500
const KEYSPACE = 'failover'
const PAGE = 1_000

/** What became of one shot, milliseconds from the signal. */
export interface Failover {
  /** To the acknowledgement of a write that was begun after the signal: of the writer that begins one all the time. */
  readonly firstMs: number
  /** The same of a writer that waits for each write before it begins the next one. */
  readonly patientMs: number
}

/** The writers and what they were told. */
export class FailoverRun {
  readonly #members: RaftMembers
  readonly #keyspace: Keyspace
  readonly #acknowledged: string[] = []
  #writes = 0

  constructor(members: RaftMembers, client: RaftClient) {
    this.#members = members
    this.#keyspace = client.keyspace(KEYSPACE)
  }

  /** How many writes were acknowledged. */
  get acknowledged(): number {
    return this.#acknowledged.length
  }

  /** Sends the signal to the leader, measures, and brings it back. */
  async shoot(signal: 'SIGKILL' | 'SIGSTOP'): Promise<Failover> {
    const view = await this.#members.untilSteady(STEADY_MS)
    const over = new AbortController()
    let signalledMs = Number.POSITIVE_INFINITY
    const firsts = [Number.NaN, Number.NaN]
    const { promise: all, resolve } = Promise.withResolvers<void>()
    const onAck = (writer: number) => (begunMs: number, ackedMs: number) => {
      if (begunMs < signalledMs || !Number.isNaN(firsts[writer])) return
      firsts[writer] = ackedMs - signalledMs
      if (!firsts.some(Number.isNaN)) resolve()
    }
    const writers = [this.#steady(over.signal, onAck(0)), this.#patient(over.signal, onAck(1))]
    await delay(LEAD_MS)
    const { atMs, restore } = this.#members.fell(view, groupOf(KEYSPACE), signal)
    signalledMs = atMs
    try {
      await Promise.race([all, delay(FAILOVER_MS, undefined, { signal: over.signal })])
      await delay(TAIL_MS)
    } finally {
      over.abort()
      await restore()
      await Promise.all(writers)
    }
    const [firstMs = Number.NaN, patientMs = Number.NaN] = firsts
    if (Number.isNaN(firstMs + patientMs))
      throw new Error(`no write was acknowledged ${FAILOVER_MS} ms after ${signal}`)
    return { firstMs, patientMs }
  }

  /** Reads everything back. Returns how many acknowledged writes are not there. */
  async lost(): Promise<number> {
    const found = new Map<string, string>()
    for (let after: string | undefined; ; ) {
      const options = after === undefined ? { limit: PAGE } : { limit: PAGE, after }
      const { items, more } = await this.#keyspace.list('', options)
      for (const { key, value } of items) found.set(key, Buffer.from(value).toString())
      after = items.at(-1)?.key
      if (!more) break
    }
    return this.#acknowledged.filter((key) => found.get(key) !== textOf(key)).length
  }

  async #steady(over: AbortSignal, onAck: (begunMs: number, ackedMs: number) => void) {
    const writes = new Set<Promise<void>>()
    while (!over.aborted) {
      const write = this.#write(onAck)
      writes.add(write)
      void write.then(() => writes.delete(write))
      await delay(WRITE_EVERY_MS)
    }
    await Promise.all(writes)
  }

  async #patient(over: AbortSignal, onAck: (begunMs: number, ackedMs: number) => void) {
    while (!over.aborted) await this.#write(onAck)
  }

  async #write(onAck: (begunMs: number, ackedMs: number) => void): Promise<void> {
    const key = `write-${this.#writes++}`
    const begunMs = performance.now()
    try {
      await this.#keyspace.transact({
        then: [{ type: 'put', key, value: Buffer.from(textOf(key)) }],
      })
      this.#acknowledged.push(key)
      onAck(begunMs, performance.now())
    } catch (error) {
      // Nobody said that it was done.
      if (!(error instanceof TrackerError)) throw error
    }
  }
}

function textOf(key: string): string {
  return `${key} was written`.padEnd(64)
}
