/**
 * Numbers that a stream must never use twice, kept over restarts: media sequence numbers and discontinuity sequence numbers
 * (RFC 8216 4.3.3.2, 4.3.3.3). They are reserved on disk in blocks before they are used, so that after a SIGKILL the next
 * session begins beyond everything that was ever published.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { Level } from 'level'
import type { Registry } from 'prom-client'
import { KairoError } from '../../errors.ts'
import { contentLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import { SequenceReservationSchema } from '../../protocol/generated/state_pb.js'
import { sharedCounter } from '../metrics.ts'
import type { StreamId } from '../stream.ts'

/** Where a stream's numbering stands. */
export interface StreamNumbers {
  /** First media sequence number that no session has used. */
  readonly nextMsn: number
  /** Discontinuities of all sessions before. */
  readonly discontinuitySequence: number
}

/** Where a stream's numbering stands at its opening, and the way to report its use. */
export interface SequenceCursor extends StreamNumbers {
  /** Notes that numbers below `nextMsn` and `discontinuitySequence` are used; reserves more ahead in the background. */
  note(nextMsn: number, discontinuitySequence: number): void
  /** Gives back what was reserved and not used. */
  close(): Promise<void>
}

/** What a sequence store works with. */
export interface SequenceStoreComponents {
  readonly logger: Logger
  readonly registry: Registry
}

/** The numbering of this peer's own streams, in a level database. */
export class SequenceStore {
  readonly #logger: Logger
  readonly #failures
  readonly #level: Level<string, Uint8Array>
  readonly #cursors = new Map<StreamId, Cursor>()

  constructor(components: SequenceStoreComponents, init: { readonly directory: string }) {
    this.#logger = components.logger.child({ name: 'kairo:sequence' })
    this.#failures = sharedCounter(
      components.registry,
      'kairo_content_sequence_failures_total',
      'Reservations of segment numbers that could not be written',
    )
    this.#level = new Level(init.directory, { valueEncoding: 'view' })
  }

  /**
   * Opens the database.
   * @throws KairoError `ERR_ADDRESS_IN_USE` when another process holds it, `ERR_STORAGE` when it cannot be used.
   */
  async start(): Promise<void> {
    try {
      await this.#level.open()
    } catch (error) {
      const locked =
        ((error as Error).cause as { code?: string } | undefined)?.code === 'LEVEL_LOCKED'
      throw locked
        ? new KairoError('ERR_ADDRESS_IN_USE', 'another process uses the state folder', {
            cause: error,
          })
        : new KairoError('ERR_STORAGE', 'the state folder cannot be opened', { cause: error })
    }
  }

  /** Gives back what was reserved and not used, and closes the database. */
  async stop(): Promise<void> {
    for (const cursor of [...this.#cursors.values()]) await cursor.close()
    await this.#level.close()
  }

  /**
   * The numbering of a stream, with the first block already reserved on disk.
   * @throws KairoError `ERR_STORAGE` when it cannot be read, `ERR_PUBLISHER_ACTIVE` when it is already open.
   */
  async open(id: StreamId): Promise<SequenceCursor> {
    if (this.#cursors.has(id)) {
      throw new KairoError('ERR_PUBLISHER_ACTIVE', 'the numbering of this stream is already in use')
    }
    const key = `sequence/${id}`
    const cursor = new Cursor(await this.#read(key), {
      write: async (reservation) => await this.#write(key, reservation),
      failed: (error) => this.#failed(id, error),
      closed: () => this.#cursors.delete(id),
    })
    this.#cursors.set(id, cursor)
    await cursor.reserve()
    return cursor
  }

  async #read(key: string): Promise<StreamNumbers> {
    try {
      const stored = await this.#level.get(key)
      if (stored === undefined) return { nextMsn: 0, discontinuitySequence: 0 }
      const message = fromBinary(SequenceReservationSchema, stored)
      return {
        nextMsn: Number(message.nextMsn),
        discontinuitySequence: Number(message.discontinuitySequence),
      }
    } catch (cause) {
      throw new KairoError('ERR_STORAGE', 'the numbering of the stream cannot be read', { cause })
    }
  }

  async #write(key: string, reservation: StreamNumbers): Promise<void> {
    const value = toBinary(
      SequenceReservationSchema,
      create(SequenceReservationSchema, {
        version: 1,
        nextMsn: BigInt(reservation.nextMsn),
        discontinuitySequence: BigInt(reservation.discontinuitySequence),
      }),
    )
    // Flushed to the device: a reservation that a power cut undoes would be none.
    await this.#level.put(key, value, { sync: true })
  }

  #failed(id: StreamId, error: unknown): void {
    this.#failures.inc()
    this.#logger.error(
      { stream: id, err: error },
      'could not reserve segment numbers; after a crash now, numbers may be used twice',
    )
  }
}

/** What a cursor needs of its store. */
interface CursorStore {
  write(reservation: StreamNumbers): Promise<void>
  failed(error: unknown): void
  closed(): void
}

class Cursor implements SequenceCursor {
  readonly nextMsn: number
  readonly discontinuitySequence: number
  readonly #store: CursorStore
  #used: StreamNumbers
  #reserved: StreamNumbers
  #writing: Promise<void> | undefined
  #closed = false

  constructor(stored: StreamNumbers, store: CursorStore) {
    this.nextMsn = stored.nextMsn
    this.discontinuitySequence = stored.discontinuitySequence
    this.#store = store
    this.#used = stored
    this.#reserved = stored
  }

  note(nextMsn: number, discontinuitySequence: number): void {
    this.#used = {
      nextMsn: Math.max(this.#used.nextMsn, nextMsn),
      discontinuitySequence: Math.max(this.#used.discontinuitySequence, discontinuitySequence),
    }
    if (this.#closed || this.#writing !== undefined || !this.#isShort()) return
    this.#writing = this.reserve().finally(() => {
      this.#writing = undefined
    })
  }

  /** Writes a reservation one block beyond what is used. Failures are reported, not thrown: the stream goes on. */
  async reserve(): Promise<void> {
    const block = contentLimits.sequenceBlock
    const next: StreamNumbers = {
      nextMsn: this.#used.nextMsn + block,
      discontinuitySequence: this.#used.discontinuitySequence + block,
    }
    try {
      await this.#store.write(next)
      this.#reserved = next
    } catch (error) {
      this.#store.failed(error)
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#writing
    try {
      await this.#store.write(this.#used)
    } catch (error) {
      this.#store.failed(error)
    }
    this.#store.closed()
  }

  /** Half a block is left in time for the next to be written. */
  #isShort(): boolean {
    const margin = contentLimits.sequenceBlock / 2
    return (
      this.#reserved.nextMsn - this.#used.nextMsn < margin ||
      this.#reserved.discontinuitySequence - this.#used.discontinuitySequence < margin
    )
  }
}
