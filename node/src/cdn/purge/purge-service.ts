/**
 * Purges over the whole network: carries one out here, sends it to every peer at once and tells who has done it; carries out those of
 * others; and says whether any can have been missed, in which case cached responses are not to be served unasked.
 */
import { strict as assert } from 'node:assert'
import type { Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import type { RegionLog } from '../../coordination/region-log.ts'
import { deadline, unlessAborted } from '../../deadline.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import type { PeerWatch } from '../../host/network.ts'
import type { PeerSigner } from '../../host/peer-signature.ts'
import { PURGE_PROTOCOL } from '../../host/protocols.ts'
import type { Transport } from '../../host/transport.ts'
import { purgeLimits } from '../../limits/purge.ts'
import type { Logger } from '../../logger.ts'
import { TokenBuckets } from '../../token-buckets.ts'
import type { Purgeable, PurgeMode, PurgeSelector } from '../purge-selector.ts'
import { normaliseSelector } from './normalise-selector.ts'
import { PurgeAnswers } from './purge-answers.ts'
import { PurgeChannels } from './purge-channels.ts'
import { PurgeJournal, type PurgesSince } from './purge-journal.ts'
import { PurgeLedger } from './purge-ledger.ts'
import { PurgeMembers } from './purge-members.ts'
import { type Purge, type SignedPurge, signPurge } from './purge-message.ts'
import { PurgeMetrics } from './purge-metrics.ts'
import { PurgePresence } from './purge-presence.ts'
import { PurgeRegion, type PurgeRegionComponents } from './purge-region.ts'
import { type FollowedPurge, loggedReport, type PurgeReport, PurgeReports } from './purge-report.ts'
import { PurgeStamps } from './purge-stamp.ts'
import type { PurgeStorage } from './purge-storage.ts'
import { PurgeSync } from './purge-sync.ts'
import { PurgeTrust } from './purge-trust.ts'

/** What the service works with. */
export interface PurgeServiceComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly transport: Transport
  readonly peers: PeerWatch
  readonly signer: PeerSigner
  /** The cache. */
  readonly purgeable: Purgeable
  /** Ids of the peers that are known alive and carry out purges: connected, or told of lately. */
  readonly members: () => readonly string[]
  /** True for a peer that has said goodbye. */
  readonly hasLeft: (peerId: string) => boolean
  /** A number in [0, 1). */
  readonly random: () => number
  /** The log of purges that the region keeps; undefined for a peer that is in none. */
  readonly regionLog?: RegionLog
}

/** What an operator has chosen. */
export interface PurgeServiceInit {
  /** Peer ids whose purges are carried out; `network` for everybody's. */
  readonly purgePeers: readonly string[]
  /** Where the log is kept. */
  readonly storage: PurgeStorage
  /** False for a peer that joins nobody and remembers nobody: it serves from its cache at once. */
  readonly expectsPeers: () => boolean | Promise<boolean>
}

/** The purges of one peer. */
export class PurgeService {
  readonly #components: PurgeServiceComponents
  readonly #init: PurgeServiceInit
  readonly #logger: Logger
  readonly #metrics: PurgeMetrics
  readonly #ledger = new PurgeLedger()
  readonly #journal: PurgeJournal
  readonly #presence: PurgePresence
  readonly #members: PurgeMembers
  readonly #reports: PurgeReports
  readonly #answers: PurgeAnswers
  readonly #sync: PurgeSync
  readonly #stamps = new PurgeStamps({ ledger: this.#ledger })
  readonly #ownRate: TokenBuckets
  readonly #channels: PurgeChannels
  readonly #region: PurgeRegion | undefined
  readonly #waiting = new Set<() => void>()
  /** Sends under way. */
  readonly #work = new Set<Promise<void>>()
  #status: 'stopped' | 'starting' | 'started' = 'stopped'
  #stopping = new AbortController()
  #unwatch: (() => void) | undefined
  /** Own purges get their numbers one after the other, so that one that fails leaves no gap. */
  #lastOwn: Promise<unknown> = Promise.resolve()
  #notedMs = Number.NEGATIVE_INFINITY

  constructor(components: PurgeServiceComponents, init: PurgeServiceInit) {
    this.#components = components
    this.#init = init
    const { clock } = components
    const logger = components.logger.child({ name: 'kairo:purge' })
    this.#logger = logger
    const ledger = this.#ledger
    const metrics = new PurgeMetrics(components.registry, {
      logPurges: () => ledger.size,
      isCaughtUp: () => this.ready(),
    })
    this.#metrics = metrics
    const trust = new PurgeTrust(init.purgePeers, components.transport.peerId)
    const journal = new PurgeJournal({ ...components, logger, metrics, ledger }, init)
    this.#journal = journal
    const presence = new PurgePresence({
      clock,
      onChange: (lost) => this.#onPresence(lost),
      askRegion: () => this.#region?.askAnew() ?? false,
      onRegionSilent: () => metrics.limits.inc({ limit: 'regionWaitMs' }),
    })
    this.#presence = presence
    const members = new PurgeMembers({
      ...components,
      onLimit: () => metrics.limits.inc({ limit: 'membersMax' }),
    })
    this.#members = members
    const onLate = (): void => metrics.acknowledgements.inc({ status: 'late' })
    const isLogged = (purge: Purge): boolean => this.#region?.has(purge) ?? false
    const reports = new PurgeReports({ clock, onLate, isLogged })
    this.#reports = reports
    const channels = new PurgeChannels(components)
    this.#channels = channels
    const shared = { ...components, channels, logger, metrics, ledger, journal, trust, presence }
    this.#region = this.#regionOf(shared)
    const onState: PurgeReports['note'] = (peerId, state) => {
      reports.note(peerId, state)
      this.#region?.note(peerId, state)
    }
    this.#sync = new PurgeSync({
      ...{ ...shared, onState, wanted: () => reports.unsettled() },
      onRound: () => {
        members.alive()
        this.#noteInTouch()
      },
    })
    const onAhead = (peerId: string): void => this.#sync.ask(peerId)
    this.#answers = new PurgeAnswers({ ...shared, onState, onAhead })
    const { ownBurst: burst, ownPerSecond: perSecond } = purgeLimits
    this.#ownRate = new TokenBuckets({ clock }, { burst, perSecond, bucketsMax: 1 })
  }

  /**
   * Reads the log, answers others and begins to catch up. The host must be running, and the cache must be there to be purged.
   * @throws KairoError `ERR_STORAGE` when there is a log that cannot be read.
   */
  async start(): Promise<void> {
    assert.equal(this.#status, 'stopped', 'purges are started once')
    this.#status = 'starting'
    this.#stopping = new AbortController()
    await this.#journal.start()
    const { transport, peers } = this.#components
    const hasReadRegion = this.#region !== undefined && this.#journal.regionMark !== undefined
    this.#presence.start(await this.#init.expectsPeers(), hasReadRegion)
    await transport.handle(PURGE_PROTOCOL, (stream) => this.#answers.answer(stream))
    this.#unwatch = peers.watch(PURGE_PROTOCOL, (peerId) => {
      this.#members.see(peerId)
      this.#presence.meet()
      this.#hearOut(peerId)
    })
    this.#sync.start()
    this.#region?.start()
    this.#status = 'started'
    if (this.ready()) this.#onPresence(undefined)
  }

  /** Stops catching up, gives up purges under way and closes the log. Must come before the host's stop. */
  async stop(): Promise<void> {
    if (this.#status === 'stopped') return
    if (this.ready()) this.#journal.note()
    this.#status = 'stopped'
    this.#unwatch?.()
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
    await this.#sync.stop()
    await this.#region?.stop()
    await Promise.all([this.#lastOwn, ...this.#work])
    this.#channels.stop()
    await this.#journal.stop()
  }

  /**
   * Purges here and at every peer that is alive, and waits until each has answered, at most `purgeLimits.deadlineMs`, and until the log of
   * the region has it, a shorter while. Peers that could not be reached, or were lost a while before, carry it out before they serve from
   * their caches again; {@link PurgeService.reports} shows when.
   * @throws KairoError `ERR_INVALID_INPUT` for a selector that can take nothing, `ERR_LIMIT` above the rate, `ERR_STORAGE` when this
   * peer's disk does not keep it, in which case nothing was purged.
   */
  async purge(selector: PurgeSelector, mode: PurgeMode): Promise<PurgeReport> {
    const { clock } = this.#components
    if (this.#status !== 'started') throw new KairoError('ERR_STOPPED', 'purges are not running')
    const normal = normaliseSelector(selector)
    if (!this.#ownRate.take('own')) {
      this.#metrics.limits.inc({ limit: 'ownPerSecond' })
      const { ownPerSecond } = purgeLimits
      throw new KairoError('ERR_LIMIT', `this peer makes at most ${ownPerSecond} purges a second`)
    }
    const startedMs = clock.monotonicMs()
    const first = await this.#purgeAll(normal, mode, startedMs)
    if (!first.isNumberTaken()) return first.report()
    await this.#startOver(first.purge)
    return (await this.#purgeAll(normal, mode, startedMs)).report()
  }

  /**
   * The newest purges, oldest first, with what has become of each by now: those of this peer, and all in the log of its region, which
   * outlive a restart.
   */
  reports(): PurgeReport[] {
    const own = this.#reports.list()
    const followed = new Set(own.map(({ id }) => id))
    const logged = this.#loggedReports().filter(({ id }) => !followed.has(id))
    return [...logged, ...own]
      .sort((a, b) => a.issuedAtMs - b.issuedAtMs)
      .slice(-purgeLimits.reportsMax)
  }

  /** Asks peers of the region of which it is not known whether they have done all; waits for their answers, `purgeLimits.refreshMs` at most. */
  async refresh(): Promise<void> {
    const alive = new Set(this.#members.alive())
    const behind = this.#region?.behind().filter((peerId) => alive.has(peerId)) ?? []
    if (this.#status !== 'started' || behind.length === 0) return
    const { clock } = this.#components
    const limit = deadline(clock, purgeLimits.refreshMs, this.#stopping.signal)
    await this.#sync.askAll(behind, limit.signal)
    limit.clear()
  }

  /**
   * True when no purge can have been missed. While it is false a cached response must be revalidated with its origin before it is served,
   * which includes stale ones. Cheap; to be asked for each request.
   */
  ready(): boolean {
    return this.#status === 'started' && this.#presence.isCaughtUp()
  }

  /** Resolves when {@link PurgeService.ready} is true. @throws what the signal says. */
  async whenCaughtUp(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    while (!this.ready()) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.add(resolve)
      try {
        await unlessAborted(promise, options.signal)
      } finally {
        this.#waiting.delete(resolve)
      }
    }
  }

  /** Counts purges that were carried out here, over restarts too; to be kept with a response as it was when its request was sent. */
  generation(): number {
    return this.#journal.generation
  }

  /** What was purged since a response was asked for: what a cache that was on disk applies when it is opened, before it serves. */
  since(generation: number): PurgesSince {
    return this.#journal.since(generation)
  }

  /** The purges that were carried out here, as a header field's value, to be sent when another peer is asked for a cached response. */
  stamp(): string {
    return this.#stamps.stamp()
  }

  /** True when all purges behind another peer's stamp were carried out here; else it must not be answered from the cache. */
  covers(stamp: string): boolean {
    return this.#stamps.covers(stamp)
  }

  async #purgeAll(
    selector: PurgeSelector,
    mode: PurgeMode,
    startedMs: number,
  ): Promise<FollowedPurge> {
    const { clock, transport } = this.#components
    const { signed, purged } = await this.#issue(selector, mode)
    const isOther = (peerId: string): boolean => peerId !== transport.peerId
    const others = new Set(this.#members.alive().filter(isOther))
    const away = this.#away().filter((peerId) => isOther(peerId) && !others.has(peerId))
    const audience = { told: [transport.peerId, ...others], away }
    const followed = this.#reports.follow(signed.purge, audience, startedMs)
    if (away.length > 0) this.#metrics.acknowledgements.inc({ status: 'away' }, away.length)
    followed.settle(transport.peerId, { status: 'done', purged, code: undefined })
    // At the same time: what one peer has carried out is not taken back, whether or not the region takes it.
    const writing = this.#region?.write(signed.purge)
    await this.#sendAll(signed, [...others], followed)
    this.#metrics.lastAcknowledgement.observe((clock.monotonicMs() - startedMs) / 1_000)
    if ((await writing) === 'taken') followed.noteNumberTaken()
    return followed
  }

  /** Peers that may come back with what they have cached: those that this one has met, and those that the region remembers. */
  #away(): string[] {
    const { hasLeft } = this.#components
    const remembered = this.#region?.members().filter((peerId) => !hasLeft(peerId)) ?? []
    return [...new Set([...this.#members.away(), ...remembered])]
  }

  #loggedReports(): PurgeReport[] {
    const region = this.#region
    if (region === undefined) return []
    const self = this.#components.transport.peerId
    const alive = new Set(this.#members.alive())
    const others = region.members().filter((peerId) => peerId !== self)
    return region.newest(purgeLimits.reportsMax).map((purge) => {
      const peers = [self, ...others].map((peerId) => {
        if (region.hasDone(peerId, purge)) return { peerId, status: 'done' } as const
        return {
          peerId,
          status: alive.has(peerId) || peerId === self ? 'waiting' : 'away',
        } as const
      })
      return loggedReport(purge, peers)
    })
  }

  /** The number of a purge belongs to another one: it is to be made again, under a new epoch. */
  async #startOver(purge: Purge): Promise<void> {
    this.#reports.forget(purge)
    if (purge.epoch !== this.#journal.epoch) return
    this.#logger.warn({}, 'the log of purges is an older copy: purging again under another epoch')
    await this.#journal.startOver()
  }

  /** Makes a purge again whose caller was answered before the region could say that its number is taken. */
  #purgeAgain(purge: Purge): void {
    const again = this.#startOver(purge).then(async () => {
      await this.#purgeAll(purge.selector, purge.mode, this.#components.clock.monotonicMs())
    })
    this.#track(
      again.catch((error: unknown) => {
        this.#logger.error({ err: error }, 'a purge that has to be made again was not')
      }),
    )
  }

  #regionOf(
    shared: Omit<PurgeRegionComponents, 'log' | 'peerId' | 'onProgress' | 'onTaken'>,
  ): PurgeRegion | undefined {
    const { regionLog: log, transport } = this.#components
    if (log === undefined) return undefined
    const region: PurgeRegion = new PurgeRegion({
      ...{ ...shared, log, peerId: transport.peerId },
      onProgress: (peerId) =>
        this.#reports.noteDone(peerId, (purge) => region.hasDone(peerId, purge)),
      onTaken: (purge) => this.#purgeAgain(purge),
    })
    return region
  }

  async #issue(
    selector: PurgeSelector,
    mode: PurgeMode,
  ): Promise<{ signed: SignedPurge; purged: number }> {
    const issued = this.#lastOwn.then(async () => {
      const { clock, signer } = this.#components
      const origin = { issuer: signer.peerId, epoch: this.#journal.epoch }
      const sequence = this.#ledger.through(origin) + 1
      const purge = { ...origin, sequence, issuedAtMs: clock.now(), selector, mode }
      const signed = signPurge(signer, purge)
      const purged = await this.#journal.carryOut(signed, { own: true })
      return { signed, purged }
    })
    // The caller hears of a failure; the next purge only waits for it.
    this.#lastOwn = issued.catch(() => {})
    const result = await issued
    this.#metrics.carriedOut.inc({ source: 'own', outcome: 'done' })
    return result
  }

  async #sendAll(
    signed: SignedPurge,
    peerIds: readonly string[],
    followed: FollowedPurge,
  ): Promise<void> {
    const { clock } = this.#components
    const limit = deadline(clock, purgeLimits.deadlineMs, this.#stopping.signal)
    const next = peerIds[Symbol.iterator]()
    const sendInTurn = async (): Promise<void> => {
      for (const peerId of next) await this.#send(peerId, signed, followed, limit.signal)
    }
    const lanes = Math.min(peerIds.length, purgeLimits.sendsMax)
    const sending = Promise.all(Array.from({ length: lanes }, sendInTurn)).then(() => limit.clear())
    this.#track(sending)
    await sending
  }

  async #send(
    peerId: string,
    { wire }: SignedPurge,
    followed: FollowedPurge,
    signal: AbortSignal,
  ): Promise<void> {
    let isOpen = false
    const onOpen = (): void => {
      isOpen = true
    }
    try {
      const answer = await this.#channels.call(peerId, { purge: wire }, signal, onOpen)
      followed.settle(peerId, { status: 'done', purged: Number(answer.purged), code: undefined })
      this.#metrics.acknowledgements.inc({ status: 'done' })
    } catch (error) {
      const status = isOpen ? 'failed' : 'unreachable'
      const code = signal.aborted || !isKairoError(error) ? 'ERR_TIMEOUT' : error.code
      followed.settle(peerId, { status, purged: 0, code })
      this.#metrics.acknowledgements.inc({ status })
      this.#logger.warn({ err: error, peer: peerId }, 'a peer has not acknowledged a purge')
    }
  }

  #onPresence(lost: 'start' | 'pause' | 'silence' | 'alone' | undefined): void {
    if (lost !== undefined) {
      this.#metrics.lost.inc({ reason: lost })
      if (lost !== 'start') this.#logger.info({ reason: lost }, 'purges may have been missed')
      if (lost === 'pause') for (const peerId of this.#members.alive()) this.#hearOut(peerId)
      return
    }
    for (const resolve of this.#waiting) resolve()
  }

  /** Asks a peer, and does not trust the cache until it has answered. */
  #hearOut(peerId: string): void {
    if (!this.#presence.hearOut(peerId)) this.#metrics.limits.inc({ limit: 'hearOutsMax' })
    this.#sync.ask(peerId)
  }

  #noteInTouch(): void {
    const nowMs = this.#components.clock.monotonicMs()
    if (!this.ready() || nowMs - this.#notedMs < purgeLimits.inTouchNoteMs) return
    this.#notedMs = nowMs
    this.#journal.note()
  }

  #track(work: Promise<void>): void {
    this.#work.add(work)
    void work.finally(() => this.#work.delete(work))
  }
}
