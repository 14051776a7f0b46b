/**
 * The records protocol: a peer that is asked answers with every signed record it knows and closes; so a peer that joins lists
 * the network's streams, or videos, at once rather than after the next announcements.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { Clock } from '../../clock.ts'
import { deadline } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import { PerPeerLimit } from '../../host/per-peer-limit.ts'
import type { PeerStream, Transport } from '../../host/transport.ts'
import { contentLimits, recordLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import { RecordListSchema, SignedRecordSchema } from '../../protocol/generated/records_pb.js'

/** Records judged in one turn; their signatures cost about 0.1 ms each. */
const RECORDS_PER_TURN = 32
/** Field header of one record in the list. */
const ENTRY_OVERHEAD_BYTES = 8

/** What the exchange needs. */
export interface RecordExchangeComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly transport: Transport
  /** Name of the protocol. */
  readonly protocol: string
  /** Encoded SignedRecords that this peer knows; first those that are wanted most, since a long list is cut. */
  readonly records: () => readonly Uint8Array[]
  /** Takes one record that a peer told. */
  readonly accept: (bytes: Uint8Array, peerId: string) => void
}

/** Asks and answers. */
export class RecordExchange {
  readonly #components: RecordExchangeComponents
  /** Peers to be asked, and those being asked. */
  readonly #waiting = new Set<string>()
  readonly #asking = new Map<string, Promise<void>>()
  readonly #stopping = new AbortController()
  readonly #slots = new PerPeerLimit({
    totalMax: recordLimits.recordAnswersMax,
    perPeerMax: recordLimits.recordAnswersPerPeerMax,
  })

  constructor(components: RecordExchangeComponents) {
    this.#components = components
  }

  /** Asks a peer for its records, soon; failures are logged only, since gossip brings the same later. */
  ask(peerId: string): void {
    if (this.#stopping.signal.aborted || this.#asking.has(peerId)) return
    this.#waiting.add(peerId)
    this.#next()
  }

  /**
   * Answers one stream.
   * @throws KairoError `ERR_LIMIT` when too many are being answered; the host breaks the stream and counts it.
   */
  async answer(stream: PeerStream): Promise<void> {
    const refusal = this.#slots.enter(stream.remotePeer)
    if (refusal !== undefined) throw new KairoError('ERR_LIMIT', refusal)
    try {
      await this.#answer(stream)
    } finally {
      this.#slots.leave(stream.remotePeer)
    }
  }

  async #answer(stream: PeerStream): Promise<void> {
    const records: Uint8Array[] = []
    let bytes = 0
    for (const record of this.#components.records()) {
      bytes += record.byteLength + ENTRY_OVERHEAD_BYTES
      if (bytes > recordLimits.recordListBytesMax) break
      records.push(record)
    }
    const list = create(RecordListSchema, {
      records: records.map((record) => fromBinary(SignedRecordSchema, record)),
    })
    const limit = deadline(this.#components.clock, recordLimits.recordListTimeoutMs)
    limit.signal.addEventListener('abort', () => stream.abort(limit.signal.reason))
    try {
      await stream.write(toBinary(RecordListSchema, list))
    } finally {
      limit.clear()
    }
  }

  /** Gives up what is being asked and waits for it to end. */
  async stop(): Promise<void> {
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
    this.#waiting.clear()
    await Promise.all(this.#asking.values())
  }

  #next(): void {
    for (const peerId of this.#waiting) {
      if (this.#asking.size >= recordLimits.recordQueriesMax) return
      this.#waiting.delete(peerId)
      const done = this.#query(peerId)
        .catch((error: Error) => {
          this.#components.logger.debug(
            { err: error, peer: peerId, protocol: this.#components.protocol },
            'could not ask a peer for its records',
          )
        })
        .then(() => {
          this.#asking.delete(peerId)
          this.#next()
        })
      this.#asking.set(peerId, done)
    }
  }

  async #query(peerId: string): Promise<void> {
    const { clock, transport, protocol, accept } = this.#components
    const limit = deadline(clock, recordLimits.recordListTimeoutMs, this.#stopping.signal)
    try {
      const stream = await transport.open(peerId, protocol, { signal: limit.signal })
      const list = await readList(stream, limit.signal)
      for (const [index, record] of list.entries()) {
        if (this.#stopping.signal.aborted) return
        accept(record, peerId)
        if (index % RECORDS_PER_TURN === RECORDS_PER_TURN - 1) {
          await new Promise((resolve) => setImmediate(resolve))
        }
      }
    } finally {
      limit.clear()
    }
  }
}

/** Reads a whole RecordList, bounded in size and by the signal; the stream is over afterwards either way. */
async function readList(stream: PeerStream, signal: AbortSignal): Promise<Uint8Array[]> {
  const onAbort = (): void => stream.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    await stream.close()
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of stream.incoming) {
      bytes += chunk.byteLength
      if (bytes > recordLimits.recordListBytesMax) {
        throw new KairoError('ERR_LIMIT', 'the list of records is too long')
      }
      chunks.push(chunk)
    }
    const list = fromBinary(RecordListSchema, Buffer.concat(chunks))
    return list.records
      .slice(0, contentLimits.recordsMax)
      .map((record) => toBinary(SignedRecordSchema, record))
  } catch (error) {
    stream.abort(error instanceof Error ? error : new Error(String(error)))
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
