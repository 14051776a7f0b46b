/** Three members of one region as processes on loopback, which can be killed, stopped and brought back. */
import { setTimeout as delay } from 'node:timers/promises'
import { loadIdentity } from '../../node/src/host/identity.ts'
import { silentLogger } from '../../node/src/logger.ts'
import type { GroupView, RegionView } from '../../tracker/src/region/region-view.ts'
import { freePort } from './ports.ts'
import { type ServedProcess, startNodeServer } from './served-process.ts'

const MEMBERS = 3
/** The region group and its shards. */
const GROUPS = 17
const VIEW_MS = 10_000
const WHOLE_MS = 90_000
const LOOK_MS = 150
/** Entries that a member may lack and still count as there. */
const LAG_MAX = 256

interface Member {
  readonly home: string
  readonly address: string
  readonly peerId: string
  process: ServedProcess | undefined
  isStopped: boolean
}

/** The region. */
export class RaftMembers {
  readonly #members: readonly Member[]

  private constructor(members: readonly Member[]) {
    this.#members = members
  }

  /** Starts them, the first one founding the region. */
  static async start(folder: string): Promise<RaftMembers> {
    const members: Member[] = []
    for (let index = 0; index < MEMBERS; index++) {
      const home = `${folder}/member-${index}`
      const { peerId } = await loadIdentity(home, silentLogger)
      const address = `/ip4/127.0.0.1/tcp/${await freePort()}/p2p/${peerId}`
      members.push({ home, address, peerId, process: undefined, isStopped: false })
    }
    const region = new RaftMembers(members)
    try {
      for (const member of members) await region.#begin(member)
      await region.untilWhole()
      return region
    } catch (error) {
      await region.stop()
      throw error
    }
  }

  /** Addresses with peer ids. */
  get addresses(): readonly string[] {
    return this.#members.map(({ address }) => address)
  }

  get peerIds(): readonly string[] {
    return this.#members.map(({ peerId }) => peerId)
  }

  /** Process ids of those that run. */
  get pids(): readonly number[] {
    return this.#members.flatMap(({ process }) => process?.pid ?? [])
  }

  /** The whole region, as one that answers sees it. */
  async view(): Promise<RegionView> {
    const member = this.#members.find(({ process, isStopped }) => process && !isStopped)
    const url = `http://127.0.0.1:${member?.process?.port}/view`
    const answer = await fetch(url, { signal: AbortSignal.timeout(VIEW_MS) })
    if (!answer.ok) throw new Error(`a member tells nothing: ${await answer.text()}`)
    return (await answer.json()) as RegionView
  }

  /** Waits until every group has three voters that keep up with their leader. */
  async untilWhole(): Promise<RegionView> {
    const endMs = performance.now() + WHOLE_MS
    for (;;) {
      const view = await this.view().catch(() => undefined)
      if (view?.groups.length === GROUPS && view.groups.every(isWhole)) return view
      if (performance.now() > endMs)
        throw new Error(`the region is not whole: ${JSON.stringify(view)}`)
      await delay(LOOK_MS)
    }
  }

  /** Waits until the region is whole and no leader has changed for so long. */
  async untilSteady(ms: number): Promise<RegionView> {
    let sinceMs = performance.now()
    let seen = ''
    for (const endMs = sinceMs + WHOLE_MS + ms * 3; ; ) {
      const view = await this.untilWhole()
      const terms = view.groups.map(({ term }) => term).join()
      if (terms !== seen) [seen, sinceMs] = [terms, performance.now()]
      if (performance.now() - sinceMs >= ms) return view
      if (performance.now() > endMs) throw new Error(`leaders change all the time: ${terms}`)
      await delay(LOOK_MS)
    }
  }

  /** Takes the leader of a group away. Returns when the signal was sent (`performance.now()`), and what brings it back. */
  fell(
    view: RegionView,
    group: number,
    signal: 'SIGKILL' | 'SIGSTOP',
  ): { readonly atMs: number; readonly restore: () => Promise<void> } {
    const leader = view.groups.find((each) => each.group === group)?.leader
    const peerId = view.members.find(({ memberId }) => memberId === leader)?.peerId
    const member = this.#members.find((each) => each.peerId === peerId)
    const pid = member?.process?.pid
    if (member === undefined || pid === undefined) throw new Error(`no leader of group ${group}`)
    const atMs = performance.now()
    process.kill(pid, signal)
    if (signal === 'SIGSTOP') {
      member.isStopped = true
      const restore = async () => {
        process.kill(pid, 'SIGCONT')
        member.isStopped = false
      }
      return { atMs, restore }
    }
    const ended = member.process?.stop()
    member.process = undefined
    const restore = async () => {
      await ended
      await this.#begin(member)
    }
    return { atMs, restore }
  }

  async stop(): Promise<void> {
    for (const { process: child, isStopped } of this.#members) {
      if (child !== undefined && isStopped) process.kill(child.pid, 'SIGCONT')
    }
    await Promise.all(this.#members.map(({ process: child }) => child?.stop()))
  }

  async #begin(member: Member): Promise<void> {
    const others = this.addresses.filter((address) => address !== member.address)
    const listen = member.address.slice(0, member.address.indexOf('/p2p/'))
    const founds = member === this.#members[0] ? 'founds' : 'joins'
    const args = [member.home, listen, founds, ...others]
    member.process = await startNodeServer('a member', './raft-member.ts', { args })
  }
}

function isWhole({ leader, hasQuorum, isChanging, voters, lag }: GroupView): boolean {
  const isReady = leader !== undefined && hasQuorum && !isChanging && voters.length === MEMBERS
  return isReady && lag.every(({ isActive, entries }) => isActive && entries <= LAG_MAX)
}
