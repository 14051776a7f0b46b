/**
 * The streams of the network as this peer knows them: signed records that come by gossip and, at once on each new
 * connection, by asking; own records re-signed and announced while they last. Nothing here is exact: whoever needs to
 * know who has a stream now asks the DHT.
 */
import { strict as assert } from 'node:assert'
import { EventEmitter } from 'node:events'
import type { Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../../clock.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { Announcements } from '../../host/announcements.ts'
import type { Gossip, GossipVerdict, PeerWatch } from '../../host/network.ts'
import { RECORDS_PROTOCOL, RECORDS_TOPIC } from '../../host/protocols.ts'
import type { Transport } from '../../host/transport.ts'
import { recordLimits } from '../../limits.ts'
import type { Logger } from '../../logger.ts'
import type { StreamId, StreamRecord } from '../stream.ts'
import type { StreamKey } from '../stream-key.ts'
import { DirectoryMetrics } from './directory-metrics.ts'
import { compareTokens, replaces } from './precedence.ts'
import { RecordExchange } from './record-exchange.ts'
import { type KnownRecord, RecordTable } from './record-table.ts'
import { decodeSignedRecord, encodeSignedRecord } from './stream-record.ts'

/** What the directory needs. */
export interface DirectoryComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly gossip: Gossip
  readonly transport: Transport
  readonly peers: PeerWatch
}

/** What a publisher says of its stream; the directory adds who, when and until when. */
export type OwnRecord = Omit<StreamRecord, 'id' | 'sequence' | 'originPeer' | 'expiresAtMs'>

/** Changes, told after they are made. A refresh that changes nothing but its time is not told. */
export interface DirectoryEvents {
  /** A record is new, or says something else than before. */
  'record:changed': [record: StreamRecord]
  /** A record ran out. */
  'record:removed': [record: StreamRecord]
  /** Another peer says that it owns a stream that is announced here, and came to it later. */
  'record:rival': [record: StreamRecord]
}

interface OwnStream {
  readonly key: StreamKey
  fields: OwnRecord
  sequence: number
  /** What another peer last said of the stream, when it holds before what is said here. */
  rival: KnownRecord | undefined
}

/** The directory of one peer. */
export class Directory {
  readonly events = new EventEmitter<DirectoryEvents>()
  readonly #components: DirectoryComponents
  readonly #logger: Logger
  readonly #metrics: DirectoryMetrics
  readonly #table: RecordTable
  readonly #exchange: RecordExchange
  readonly #own = new Map<StreamId, OwnStream>()
  #status: 'stopped' | 'started' = 'stopped'
  /** Announcements on their way out; a stop lets the last ones leave. */
  readonly #announcements: Announcements
  #cancelAnnounce: CancelTimer | undefined
  #unwatch: (() => void) | undefined

  constructor(components: DirectoryComponents) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:directory' })
    this.#metrics = new DirectoryMetrics(components.registry, () => this.#table.size)
    this.#announcements = new Announcements(
      {
        gossip: components.gossip,
        logger: this.#logger,
        announcements: this.#metrics.announcements,
      },
      RECORDS_TOPIC,
      'could not announce a stream',
    )
    this.#table = new RecordTable(components.clock, (record) => {
      this.events.emit('record:removed', record)
    })
    this.#exchange = new RecordExchange({
      clock: components.clock,
      logger: this.#logger,
      transport: components.transport,
      protocol: RECORDS_PROTOCOL,
      records: () => this.#liveFirst(),
      accept: (bytes) => this.#hear(bytes),
    })
  }

  /** Listens for records and begins to announce own ones. The host must be running. */
  async start(): Promise<void> {
    assert.equal(this.#status, 'stopped', 'the directory is started once')
    this.#status = 'started'
    const { gossip, transport, peers } = this.#components
    gossip.subscribe(RECORDS_TOPIC, (data) => this.#hear(data))
    await transport.handle(RECORDS_PROTOCOL, (stream) => this.#exchange.answer(stream))
    this.#unwatch = peers.watch(RECORDS_PROTOCOL, (peerId) => this.#exchange.ask(peerId))
    this.#announceAll()
  }

  /** Stops listening and announcing; own streams should be withdrawn before. Must come before the host's stop. */
  async stop(): Promise<void> {
    if (this.#status === 'stopped') return
    this.#status = 'stopped'
    this.#cancelAnnounce?.()
    this.#unwatch?.()
    this.#components.gossip.unsubscribe(RECORDS_TOPIC)
    this.#table.stop()
    await Promise.all([this.#announcements.settled(), this.#exchange.stop()])
  }

  /**
   * Announces a stream that is published here, now and until {@link withdraw}; call again when something of it changes.
   * @throws KairoError `ERR_INVALID_INPUT` when a field breaks its rule, `ERR_LIMIT` when there are too many.
   */
  publishOwn(key: StreamKey, fields: OwnRecord): StreamRecord {
    const before = this.#own.get(key.id)
    if (before === undefined && this.#own.size >= recordLimits.ownRecordsMax) {
      throw new KairoError('ERR_LIMIT', `${recordLimits.ownRecordsMax} streams are announced here`)
    }
    const known = this.#table.get(key.id)?.record.sequence ?? 0
    const sequence = Math.max(before?.sequence ?? 0, known)
    const own = { key, fields, sequence, rival: before?.rival }
    const record = this.#announce(own)
    this.#own.set(key.id, own)
    return record
  }

  /** Tells the network that the stream has ended and announces it no more. */
  withdraw(id: StreamId): void {
    const own = this.#own.get(id)
    if (own === undefined) return
    this.#own.delete(id)
    own.fields = { ...own.fields, state: 'ended' }
    this.#announce(own)
  }

  /** Announces a stream no more and says nothing of it: it goes on at another peer, whose record holds from now on. */
  yieldOwn(id: StreamId): void {
    const own = this.#own.get(id)
    if (own === undefined) return
    this.#own.delete(id)
    if (own.rival === undefined) this.#table.remove(id)
    else this.#keep(own.rival)
  }

  /** Every record known, live and ended. */
  list(): StreamRecord[] {
    return this.#table.entries().map(({ record }) => record)
  }

  /** The record of a stream id. */
  get(id: StreamId): StreamRecord | undefined {
    return this.#table.get(id)?.record
  }

  /** The other peer that publishes a stream as its owner, as far as the record says: live, and with the token of its region. */
  ownerElsewhere(id: StreamId): string | undefined {
    const record = this.get(id)
    if (record?.state !== 'live' || record.token === undefined) return undefined
    return record.originPeer === this.#components.transport.peerId ? undefined : record.originPeer
  }

  /**
   * The record a name means: a stream published here first, then an id, then an alias; of several with one alias a live
   * one before an ended one, then the one first heard of here: what a newcomer's record says of itself, such as when it
   * began, cannot take a name away from a stream that has it.
   */
  resolve(nameOrId: string): StreamRecord | undefined {
    const byId = this.get(nameOrId)
    if (byId !== undefined) return byId
    const [first] = this.#table.byAlias(nameOrId).sort((a, b) => this.#rank(a) - this.#rank(b))
    return first
  }

  /** The readable name under which {@link resolve} finds this record: its alias if that means it, else its id. */
  uniqueName(record: StreamRecord): string {
    return this.resolve(record.alias)?.id === record.id ? record.alias : record.id
  }

  /** Live streams are what a list that had to be cut is wanted for. */
  #liveFirst(): Uint8Array[] {
    const known = this.#table.entries()
    const live = known.filter(({ record }) => record.state === 'live')
    const ended = known.filter(({ record }) => record.state !== 'live')
    return [...live, ...ended].map(({ bytes }) => bytes)
  }

  #rank(record: StreamRecord): number {
    if (this.#own.has(record.id)) return 0
    return record.state === 'live' ? 1 : 2
  }

  #announce(own: OwnStream): StreamRecord {
    const now = Math.floor(this.#components.clock.now())
    const sequence = Math.max(now, own.sequence + 1)
    const bytes = encodeSignedRecord(own.key, {
      ...own.fields,
      id: own.key.id,
      originPeer: this.#components.transport.peerId,
      sequence,
      expiresAtMs: sequence + recordLimits.recordTtlMs,
    })
    own.sequence = sequence
    const { record } = decodeSignedRecord(bytes)
    this.#keep({ record, bytes })
    if (this.#status === 'started') this.#announcements.send(bytes)
    return record
  }

  #announceAll(): void {
    for (const own of this.#own.values()) this.#announce(own)
    const { clock } = this.#components
    this.#cancelAnnounce = clock.after(recordLimits.announceIntervalMs, () => this.#announceAll())
  }

  /** Judges a record that came from another peer and keeps it if it is news. */
  #hear(bytes: Uint8Array): GossipVerdict {
    let outcome: string
    try {
      outcome = this.#consider(bytes)
    } catch (error) {
      if (!isKairoError(error)) throw error
      this.#metrics.heard.inc({ outcome: error.code })
      this.#logger.debug({ err: error }, 'dropped a stream record')
      return 'reject'
    }
    this.#metrics.heard.inc({ outcome })
    return outcome === 'kept' ? 'accept' : 'ignore'
  }

  #consider(bytes: Uint8Array): 'kept' | 'old' | 'expired' | 'early' | 'full' | 'own' {
    const unchecked = decodeSignedRecord(bytes)
    const { record } = unchecked
    const known = this.#table.get(record.id)
    if (known !== undefined && !replaces(known.record, record)) return 'old'
    const now = this.#components.clock.now()
    if (record.expiresAtMs + recordLimits.clockSkewMsMax <= now) return 'expired'
    if (record.sequence > now + recordLimits.clockSkewMsMax) return 'early'
    if (known === undefined && this.#table.isFull) return 'full'
    unchecked.verify()
    const own = this.#own.get(record.id)
    if (own !== undefined) {
      // Our clock went back, or the key is in use elsewhere too: the next announcement here goes above.
      own.sequence = Math.max(own.sequence, record.sequence)
      if (compareTokens(record.token, own.fields.token) > 0) this.#heardRival(own, unchecked)
      return 'own'
    }
    this.#keep({ record, bytes: Uint8Array.from(bytes) })
    return 'kept'
  }

  #heardRival(own: OwnStream, { record, bytes }: KnownRecord): void {
    if (record.originPeer === this.#components.transport.peerId) return
    own.rival = { record, bytes: Uint8Array.from(bytes) }
    this.events.emit('record:rival', record)
  }

  #keep(known: KnownRecord): void {
    const before = this.#table.get(known.record.id)?.record
    this.#table.put(known)
    if (before === undefined || !saysTheSame(before, known.record)) {
      this.events.emit('record:changed', known.record)
    }
  }
}

function saysTheSame(a: StreamRecord, b: StreamRecord): boolean {
  const content = (record: StreamRecord) =>
    JSON.stringify({ ...record, sequence: 0, expiresAtMs: 0 })
  return content(a) === content(b)
}
