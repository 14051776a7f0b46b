/**
 * One peer's part in its region: runs the agent that decides where it belongs, does what the agent asks for, and answers
 * the region's requests of other peers.
 */
import type { CancelTimer } from '../clock.ts'
import type { Coordination } from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import type { RaftLogger } from '../raft/types.ts'
import { founderId } from './member-record.ts'
import { newPlacementCounters } from './placement-controller.ts'
import type { PlacementSettings } from './placement-types.ts'
import { type AgentAction, type AgentEvent, type AgentStatus, RegionAgent } from './region-agent.ts'
import { RegionAsker } from './region-asker.ts'
import {
  drawRegionId,
  type RegionFacts,
  readFacts,
  removeFacts,
  writeFacts,
} from './region-facts.ts'
import type { RegionComponents, RegionCounters, RegionInit } from './region-init.ts'
import { placementLimits, regionLimits, regionTimes } from './region-limits.ts'
import {
  decodeChangeRequest,
  decodeDismissal,
  decodeHello,
  decodeInvitation,
  decodeJoinRequest,
  decodeOffer,
  decodeRegionId,
  decodeTransferRequest,
  encodeHello,
  encodeJoinAnswer,
  encodeReport,
  encodeSeat,
  type Hello,
  type JoinAnswer,
  type JoinRefusal,
  type RegionRequestKind,
} from './region-messages.ts'
import { type RegionView, regionView } from './region-view.ts'
import { Residence } from './residence.ts'

const nothing = new Uint8Array(0)

/** The region of one peer. */
export class Region {
  readonly counters: RegionCounters
  readonly #components: RegionComponents
  readonly #logger: RaftLogger
  readonly #init: RegionInit
  readonly #name: string
  readonly #settings: PlacementSettings
  readonly #agent: RegionAgent
  readonly #asker: RegionAsker
  #residence: Residence | undefined
  #cancelTick: CancelTimer | undefined
  /** Actions that change where this peer belongs, one after the other. */
  #acting: Promise<void> = Promise.resolve()
  #isStopped = false
  #lastStatus = ''
  #writtenContacts = ''
  #contactsAtMs = 0

  constructor(components: RegionComponents, init: RegionInit) {
    const name = init.name ?? 'default'
    const bytes = new TextEncoder().encode(name).length
    if (bytes === 0 || bytes > regionLimits.nameBytesMax)
      throw new TrackerError('ERR_INVALID_INPUT', `a region's name of ${bytes} bytes`)
    this.#components = components
    this.#logger = components.logger ?? {}
    this.#init = init
    this.#name = name
    this.#settings = { ...placementLimits, ...init.placement }
    this.#agent = new RegionAgent(init.peerId, name)
    this.#asker = new RegionAsker((peerId, kind, body, options) =>
      peerId === init.peerId
        ? this.handle(peerId, kind, body)
        : components.ask(peerId, kind, body, options),
    )
    this.counters = {
      ...newPlacementCounters(),
      ...{ joined: 0, founded: 0, admitted: 0, refused: 0, strangersRefused: 0 },
    }
  }

  /**
   * Goes on in the region of before, or looks for one, or founds one. Resolves when the first of it is under way; what this
   * peer belongs to is told by `onStatus`.
   * @throws TrackerError ERR_MALFORMED for a damaged file, the folder's errors; what the engine's `open` throws
   */
  async start(): Promise<void> {
    const found = await readFacts(this.#components.folder)
    // Another name is another region: whoever changes the setting leaves the old one behind.
    const facts = found?.name === this.#name ? found : undefined
    const { expectsPeers } = this.#init
    this.#step({ type: 'start', facts, expectsPeers: expectsPeers || facts !== undefined })
    this.#tick()
    await this.#acting
  }

  /** Ends everything; what is on the disk stays, and the next start goes on with it. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancelTick?.()
    const residence = this.#residence
    residence?.handOver()
    await residence?.close()
    await this.#acting
    // What was being entered meanwhile.
    if (this.#residence !== residence) await this.#residence?.close()
    this.#residence = undefined
  }

  /** The connection to a peer was made or broke. */
  onLink(peerId: string, isUp: boolean): void {
    this.#step({ type: 'link', peerId, isUp })
  }

  /** The keyspaces of the region that this peer is in; undefined while it is in none. */
  get coordination(): Coordination | undefined {
    return this.#agent.status.phase === 'member' ? this.#residence?.coordination : undefined
  }

  get status(): AgentStatus {
    return this.#agent.status
  }

  /** Everything for an operator. Asks all members that are alive. */
  async view(): Promise<RegionView> {
    const residence = this.#residence
    const { status } = this.#agent
    if (residence === undefined || status.phase !== 'member')
      return regionView(this.#name, status, [], [])
    // Without a quorum each of the two takes all of its time.
    const [reports] = await Promise.all([residence.reports(), residence.refresh()])
    return regionView(this.#name, this.status, residence.members, reports)
  }

  /** Leaves the region for good: others take over this peer's seats. Until the next start it belongs to none. */
  async leave(): Promise<void> {
    await this.#act(async () => {
      const residence = this.#residence
      if (residence === undefined) throw new TrackerError('ERR_INVALID_INPUT', 'in no region')
      await residence.leave()
      await this.#end(residence)
      this.#step({ type: 'left' })
    })
  }

  /**
   * Gives up what this peer holds of its region and founds a new one. Dangerous: whatever the other members decide
   * afterwards is not known here, and what only this peer held is lost. For a region whose quorum will not come back.
   */
  async forget(): Promise<void> {
    this.#step({ type: 'forget' })
    await this.#acting
  }

  /**
   * Moves this member to another region of the name, one that it met. Its own region goes on without it; the last member
   * takes the configuration along.
   * @throws TrackerError ERR_INVALID_INPUT when no such region was met
   */
  merge(regionId: string): void {
    if (!this.status.conflicts.some((conflict) => conflict.regionId === regionId))
      throw new TrackerError('ERR_INVALID_INPUT', 'no such region was met')
    this.#step({ type: 'merge', regionId })
  }

  /** What this peer tells of itself changed: a public address, roles. */
  touch(): void {
    this.#residence?.touch()
  }

  /**
   * Answers a request of another peer.
   * @param peerId who asks, as the transport knows it
   * @throws TrackerError ERR_MALFORMED, ERR_NOT_A_MEMBER, ERR_NOT_LEADER, ERR_UNAVAILABLE and what the groups' calls throw
   */
  async handle(peerId: string, kind: RegionRequestKind, body: Uint8Array): Promise<Uint8Array> {
    switch (kind) {
      case 'hello':
        this.#step({ type: 'hello', peerId, hello: decodeHello(body) })
        return encodeHello(this.#hello)
      case 'join':
        return encodeJoinAnswer(await this.#join(peerId, decodeJoinRequest(body).regionId))
      case 'report': {
        const residence = await this.#memberOf(decodeRegionId(body), peerId)
        return encodeReport(await residence.report())
      }
      case 'offer': {
        const { regionId, keys } = decodeOffer(body)
        const residence = await this.#memberOf(regionId, undefined)
        if (!(await this.#components.mayJoin(peerId))) throw notAMember()
        await residence.take(keys)
        return nothing
      }
      default:
        return this.#handleGroup(peerId, kind, body)
    }
  }

  /** Requests of whoever leads the region group. */
  async #handleGroup(
    peerId: string,
    kind: Exclude<RegionRequestKind, 'hello' | 'join' | 'report' | 'offer'>,
    body: Uint8Array,
  ): Promise<Uint8Array> {
    switch (kind) {
      case 'invite': {
        const { regionId, group, addresses } = decodeInvitation(body)
        const residence = await this.#memberOf(regionId, peerId)
        return encodeSeat(residence.invite(group, addresses))
      }
      case 'dismiss': {
        const { regionId, group, seat } = decodeDismissal(body)
        await (await this.#memberOf(regionId, peerId)).dismiss(group, seat)
        return nothing
      }
      case 'change': {
        const { regionId, group, changes, addresses } = decodeChangeRequest(body)
        await (await this.#memberOf(regionId, peerId)).change(group, changes, addresses)
        return nothing
      }
      case 'transfer': {
        const { regionId, group, to } = decodeTransferRequest(body)
        const residence = await this.#memberOf(regionId, peerId)
        residence.transfer(group, to)
        return nothing
      }
    }
  }

  /** The stay in a region that a request is about. @throws TrackerError ERR_NOT_A_MEMBER */
  async #memberOf(regionId: string, peerId: string | undefined): Promise<Residence> {
    const residence = this.#residence
    if (residence?.facts.regionId !== regionId) throw notAMember()
    try {
      if (peerId !== undefined) await residence.check(peerId)
    } catch (error) {
      this.counters.strangersRefused += 1
      throw error
    }
    return residence
  }

  async #join(peerId: string, regionId: string): Promise<JoinAnswer> {
    const refuse = (reason: JoinRefusal): JoinAnswer => {
      this.counters.refused += 1
      return { admitted: false, reason }
    }
    const residence = this.#residence
    if (residence?.facts.regionId !== regionId) return refuse('not-here')
    if (!this.#agent.mayAdmit) return refuse('busy')
    this.#step({ type: 'admitting', isDone: false })
    try {
      if (!(await this.#components.mayJoin(peerId))) return refuse('not-allowed')
      const facts = await residence.admit(peerId)
      this.counters.admitted += 1
      this.#stand()
      return { admitted: true, facts }
    } catch (error) {
      this.#logger.info?.(`${peerId} could not be let in: ${error}`)
      return refuse('no-quorum')
    } finally {
      this.#step({ type: 'admitting', isDone: true })
    }
  }

  get #hello(): Hello {
    const { hello } = this.#agent
    const contacts = hello.region === undefined ? [] : (this.#residence?.contacts() ?? [])
    return { ...hello, contacts }
  }

  #step(event: AgentEvent): void {
    if (this.#isStopped) return
    for (const action of this.#agent.step(event, this.#components.clock.monotonicMs()))
      this.#take(action)
    this.#tellStatus()
  }

  #take(action: AgentAction): void {
    switch (action.type) {
      case 'greet':
        void this.#greet(action.peerId)
        break
      case 'ask':
        void this.#askToJoin(action.peerId, action.regionId)
        break
      case 'found':
        this.#do(() => this.#found())
        break
      case 'enter':
        // The first entering is waited for by `start`, which tells why it failed.
        this.#acting = this.#acting.then(() => this.#enter(action.facts))
        break
      case 'move':
        this.#do(() => this.#move(action.from, action.to, action.via))
        break
      case 'drop':
        this.#do(async () => {
          if (this.#residence !== undefined) await this.#end(this.#residence)
          this.#step({ type: 'dropped' })
        })
        break
    }
  }

  /** An action that leaves everything as before when it fails. */
  #do(action: () => Promise<void>): void {
    this.#act(action).catch((error: unknown) => {
      this.#logger.warn?.(`the region is not entered: ${error}`)
      this.#step({ type: 'failed' })
    })
  }

  #act(action: () => Promise<void>): Promise<void> {
    const acted = this.#acting.then(() => (this.#isStopped ? undefined : action()))
    this.#acting = acted.catch(() => undefined)
    return acted
  }

  async #greet(peerId: string): Promise<void> {
    try {
      const hello = await this.#asker.hello(peerId, this.#hello)
      this.#step({ type: 'hello', peerId, hello })
    } catch (error) {
      this.#logger.debug?.(`${peerId} says no hello: ${error}`)
    }
  }

  async #askToJoin(peerId: string, regionId: string): Promise<void> {
    try {
      const answer = await this.#asker.join(peerId, regionId, this.#hello)
      this.#step(
        answer.admitted
          ? { type: 'admitted', facts: answer.facts }
          : { type: 'refused', reason: answer.reason },
      )
    } catch (error) {
      this.#logger.debug?.(`${peerId} does not answer a request to join: ${error}`)
      this.#step({ type: 'refused', reason: 'unreachable' })
    }
  }

  async #found(): Promise<void> {
    const { clock, random } = this.#components
    const facts: RegionFacts = {
      regionId: drawRegionId(random),
      name: this.#name,
      foundedAtMs: Math.max(0, Math.floor(clock.now())),
      memberId: founderId,
      incarnation: 1,
      contacts: [],
    }
    const residence = await this.#reopen(facts, true)
    this.counters.founded += 1
    this.#logger.info?.(`founded region ${this.#name} (${facts.regionId})`)
    this.#settle(residence)
  }

  async #enter(before: RegionFacts): Promise<void> {
    const facts = { ...before, incarnation: before.incarnation + 1 }
    await writeFacts(this.#components.folder, facts)
    const residence = this.#makeResidence(facts)
    await residence.enter()
    this.#settle(residence)
  }

  async #move(from: RegionFacts | undefined, to: RegionFacts, via: string): Promise<void> {
    const residence = this.#residence
    if (from !== undefined && residence !== undefined) {
      if (residence.memberCount > 1) await residence.leave()
      else {
        const keys = await residence.config()
        if (keys.length > 0) await this.#asker.offer(via, to.regionId, keys)
      }
    }
    const facts = { ...to, incarnation: 1 }
    const next = await this.#reopen(facts, false)
    this.counters.joined += 1
    this.#logger.info?.(`joined region ${this.#name} (${facts.regionId}) as ${facts.memberId}`)
    this.#settle(next)
  }

  /** Leaves what there is and opens another region, in an order in which a crash never leaves facts without their log. */
  async #reopen(facts: RegionFacts, isFounding: boolean): Promise<Residence> {
    const { engine, folder } = this.#components
    if (this.#residence !== undefined) await this.#end(this.#residence)
    else {
      await removeFacts(folder)
      await engine.erase()
    }
    const residence = this.#makeResidence(facts)
    await residence.enter()
    if (isFounding) await residence.found()
    await writeFacts(folder, facts)
    return residence
  }

  async #end(residence: Residence): Promise<void> {
    this.#residence = undefined
    await residence.close()
    await removeFacts(this.#components.folder)
    await this.#components.engine.erase()
  }

  #makeResidence(facts: RegionFacts): Residence {
    const { clock, engine, peerFacts, random } = this.#components
    const residence: Residence = new Residence(
      {
        ...{ clock, engine, peerFacts, random, asker: this.#asker, logger: this.#logger },
        counters: this.counters,
        onExpelled: () => {
          if (this.#residence === residence) this.#step({ type: 'expelled' })
        },
        onStanding: () => {
          if (this.#residence === residence) this.#stand()
        },
      },
      facts,
      { peerId: this.#init.peerId, settings: this.#settings },
    )
    return residence
  }

  #settle(residence: Residence): void {
    this.#residence = residence
    residence.start()
    this.#step({ type: 'entered', facts: residence.facts })
  }

  #tick(): void {
    if (this.#isStopped) return
    this.#stand()
    this.#step({ type: 'tick' })
    this.#cancelTick = this.#components.clock.after(regionTimes.askAgainMs, () => this.#tick())
  }

  /** Tells the agent how the region stands. */
  #stand(): void {
    const residence = this.#residence
    if (residence === undefined || this.#isStopped) return
    const { memberCount, hasQuorum, isCounted } = residence
    // Nobody is taken to be alone before the region said so.
    if (isCounted) this.#step({ type: 'standing', memberCount, hasQuorum })
    this.#keepContacts(residence)
  }

  /** The file names members that are there now, so that the next start finds one. */
  #keepContacts(residence: Residence): void {
    if (!residence.isCounted || this.#agent.status.phase !== 'member') return
    const contacts = residence.contacts()
    const text = contacts.toSorted().join()
    const atMs = this.#components.clock.monotonicMs()
    if (text === this.#writtenContacts || atMs - this.#contactsAtMs < regionTimes.refreshMs) return
    this.#writtenContacts = text
    this.#contactsAtMs = atMs
    this.#act(async () => {
      if (this.#residence !== residence) return
      await writeFacts(this.#components.folder, { ...residence.facts, contacts })
    }).catch((error: unknown) => {
      this.#logger.warn?.(`members are not written down: ${error}`)
    })
  }

  #tellStatus(): void {
    const { onStatus } = this.#components
    if (onStatus === undefined) return
    const { status } = this.#agent
    const text = JSON.stringify(status)
    if (text === this.#lastStatus) return
    this.#lastStatus = text
    onStatus(status)
  }
}

function notAMember(): TrackerError {
  return new TrackerError('ERR_NOT_A_MEMBER', 'this peer is not in that region')
}
