/** Three members of a region as processes that can be killed, stopped and cut off, and a client of the region in the test's own process. */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { CallLane } from '../../../src/client/call-lane.ts'
import { regionNumber } from '../../../src/client/coordination-codec.ts'
import { RegionCoordination } from '../../../src/client/region-coordination.ts'
import { systemClock } from '../../../src/clock.ts'
import type { Keyspace } from '../../../src/coordination.ts'
import type { GroupView, RegionView } from '../../../src/region/region-view.ts'
import type { MemberOrder, MemberReport } from './member-messages.ts'
import { TcpLines } from './tcp-lines.ts'

const MEMBER = fileURLToPath(new URL('member.ts', import.meta.url))
/** The region's group and its shards. */
const GROUPS = 17
const WHOLE_MS = 60_000
const VIEW_MS = 3_000
const LOOK_MS = 50
const CLIENT = 'client'

interface Member {
  readonly peerId: string
  readonly founds: boolean
  child: ChildProcess | undefined
  isPaused: boolean
  /** It was sent what kills it. */
  isEnding: boolean
  port: number
}

/** Who does not reach whom. */
export type CutPair = readonly [from: string, to: string]

/** The region. */
export class RegionProcesses {
  readonly #folder: string
  readonly #members: readonly Member[]
  readonly #lines = new TcpLines(CLIENT)
  readonly #lane: CallLane
  readonly #cuts = new Set<readonly CutPair[]>()
  readonly #views = new Map<number, (view: RegionView | undefined) => void>()
  #client: RegionCoordination | undefined
  #clientPort = 0
  #nextView = 1

  private constructor(folder: string) {
    this.#folder = folder
    this.#members = ['one', 'two', 'three'].map((peerId, index) => ({
      ...{
        peerId,
        founds: index === 0,
        child: undefined,
        isPaused: false,
        isEnding: false,
        port: 0,
      },
    }))
    const common = { clock: systemClock, random: Math.random }
    this.#lane = new CallLane({ transport: this.#lines, ...common })
    this.#lines.start({
      onFrame: (peerId, lane, frame) => {
        if (lane === 'call') this.#lane.onFrame(peerId, frame)
      },
      onLink: (peerId, isUp) => this.#lane.onLink(peerId, isUp),
    })
  }

  /** Starts three members on a folder, and waits until all vote in every group. */
  static async start(folder: string): Promise<RegionProcesses> {
    const region = new RegionProcesses(folder)
    try {
      region.#clientPort = await region.#lines.listen()
      for (const { peerId } of region.#members) await region.begin(peerId)
      const { facts } = await region.untilWhole()
      assert(facts !== undefined, 'a whole region has an id')
      const members = {
        candidates: () => region.peerIds,
        region: regionNumber(facts.regionId),
      }
      region.#client = new RegionCoordination({ lane: region.#lane, clock: systemClock, members })
      return region
    } catch (error) {
      await region.stop()
      throw error
    }
  }

  get peerIds(): readonly string[] {
    return this.#members.map(({ peerId }) => peerId)
  }

  /** A keyspace as the client sees it. */
  keyspace(name: string): Keyspace {
    assert(this.#client !== undefined, 'the region was started')
    return this.#client.keyspace(name)
  }

  /** Starts a member's process; it may be killed before it is there. */
  async begin(peerId: string): Promise<void> {
    const member = this.#member(peerId)
    assert(member.child === undefined, `${peerId} runs`)
    const args = [peerId, join(this.#folder, peerId), member.founds ? 'founds' : 'joins']
    const child = fork(MEMBER, args, {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    member.child = child
    const listening = Promise.withResolvers<number | undefined>()
    child.once('exit', (code) => {
      if (code === null) listening.resolve(undefined)
      else listening.reject(new Error(`${peerId} ended with ${code}`))
    })
    child.on('message', (report: MemberReport) => {
      if (report.type === 'listening') listening.resolve(report.port)
      else this.#views.get(report.id)?.(report.view)
    })
    const port = await listening.promise
    if (port === undefined) return
    member.port = port
    this.#tellCuts(member)
    const ports = Object.fromEntries(
      this.#members.filter(({ port }) => port !== 0).map((each) => [each.peerId, each.port]),
    )
    this.#lines.know(ports)
    for (const other of this.#members) {
      this.#order(other, { type: 'know', ports: { ...ports, [CLIENT]: this.#clientPort } })
    }
  }

  /** Kills a member: it says nothing any more, and what it had not yet given to the disk is gone. False when somebody else does already. */
  async kill(peerId: string): Promise<boolean> {
    const member = this.#member(peerId)
    const { child } = member
    if (child === undefined || member.isEnding) return false
    member.isEnding = true
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    member.child = undefined
    member.isEnding = false
    member.isPaused = false
    return true
  }

  pause(peerId: string): void {
    const member = this.#member(peerId)
    member.isPaused = member.child?.kill('SIGSTOP') ?? false
  }

  resume(peerId: string): void {
    const member = this.#member(peerId)
    member.child?.kill('SIGCONT')
    member.isPaused = false
  }

  /** Whether a member has a process that is not stopped. */
  runs(peerId: string): boolean {
    const { child, isPaused } = this.#member(peerId)
    return child !== undefined && !isPaused
  }

  /** Nothing that the first says reaches the second, for each pair, until what is returned is called. */
  cut(pairs: readonly CutPair[]): () => void {
    this.#cuts.add(pairs)
    for (const member of this.#members) this.#tellCuts(member)
    return () => {
      this.#cuts.delete(pairs)
      for (const member of this.#members) this.#tellCuts(member)
    }
  }

  /** The region as the first member sees it that answers; undefined when none does now. */
  async view(): Promise<RegionView | undefined> {
    for (const member of this.#members) {
      const view = await this.#ask(member)
      if (view !== undefined) return view
    }
    return undefined
  }

  /** Waits until every group has three voters that answer their leader. */
  async untilWhole(): Promise<RegionView> {
    const endMs = performance.now() + WHOLE_MS
    for (;;) {
      const view = await this.view()
      if (view?.groups.length === GROUPS && view.groups.every(isWhole)) return view
      if (performance.now() > endMs) {
        throw new Error(`the region is not whole: ${JSON.stringify(view?.groups)}`)
      }
      await delay(LOOK_MS)
    }
  }

  async stop(): Promise<void> {
    await this.#client?.stop()
    for (const { peerId } of this.#members) await this.kill(peerId)
    this.#lane.stop()
    this.#lines.close()
  }

  #member(peerId: string): Member {
    const member = this.#members.find((each) => each.peerId === peerId)
    assert(member !== undefined, `there is no ${peerId}`)
    return member
  }

  #tellCuts(member: Member): void {
    const pairs = [...this.#cuts].flat().filter(([from]) => from === member.peerId)
    this.#order(member, { type: 'cut', peerIds: pairs.map(([, to]) => to) })
  }

  #order({ child }: Member, order: MemberOrder): void {
    if (child?.connected) child.send(order)
  }

  async #ask(member: Member): Promise<RegionView | undefined> {
    if (member.child === undefined || member.isPaused) return undefined
    const id = this.#nextView++
    const asked = Promise.withResolvers<RegionView | undefined>()
    this.#views.set(id, asked.resolve)
    const timer = setTimeout(() => asked.resolve(undefined), VIEW_MS)
    this.#order(member, { type: 'view', id })
    const view = await asked.promise
    clearTimeout(timer)
    this.#views.delete(id)
    return view
  }
}

function isWhole({ leader, hasQuorum, isChanging, voters, lag }: GroupView): boolean {
  const isReady = leader !== undefined && hasQuorum && !isChanging && voters.length === 3
  return isReady && lag.every(({ isActive }) => isActive)
}
