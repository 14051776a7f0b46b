/**
 * The Raft core alone in a simulated world: no bytes, no files, no promises, so that a run takes some hundredths of a second. Members
 * have disks that are behind, clocks that run fast or slow, and lines that lose, double, delay and reorder.
 */
import { membersOf } from '../../../src/driver/directory.ts'
import { type ConfChangeSingle, type Message, noBytes } from '../../../src/raft/types.ts'
import { drawFrom } from '../log-stage.ts'
import { bytes, type GroupMember, RaftGroup, text } from '../raft-group.ts'
import type { Draw } from '../simulated-folder.ts'
import { promise } from './violation.ts'

const ELECTION_TICKS = 10
const HEARTBEAT_TICKS = 2
/** Ticks in which a healed group comes together: members may be hundreds of entries behind, which come one or two a round trip where a run has drawn the smallest limits. */
const CONVERGE_TICKS = 4_000
const MEMBERS = [1, 2, 3, 4, 5] as const

/** What a run came to. */
export interface CoreReport {
  readonly elections: number
  readonly applied: number
  readonly reads: number
  readonly crashes: number
  readonly changes: number
  readonly messages: number
}

/** What one member suffers now. */
interface Trouble {
  pausedUntil: number
  /** It was removed, and told so. */
  isOff: boolean
  /** Ticks of it for each hundred of the others. */
  readonly rate: number
  owed: number
  /** Jobs of the disk for each tick; below one it is slow. */
  diskRate: number
  diskOwed: number
}

/** One run of the core. @throws Violation */
export function simulateCore(seed: number, ticks: number): CoreReport {
  const simulation = new CoreSimulation(seed)
  for (let tick = 0; tick < ticks; tick++) simulation.tick()
  simulation.converge()
  return simulation.report
}

class CoreSimulation {
  readonly #draw: Draw
  readonly #group: RaftGroup
  readonly #troubles = new Map<number, Trouble>()
  /** Messages by the tick at which they arrive. */
  readonly #arriving = new Map<number, Message[]>()
  readonly #cut = new Set<number>()
  #healAt = 0
  #now = 0
  #losePercent = 0
  #doublePercent = 0
  #delayMax = 1
  readonly #leaders = new Map<number, number>()
  readonly #applied: string[] = []
  /** What was applied anywhere when a read was asked for. */
  readonly #owed = new Map<string, number>()
  #commands = 0
  readonly #counts = { reads: 0, crashes: 0, changes: 0, messages: 0 }

  constructor(seed: number) {
    this.#draw = drawFrom(Math.imul(seed, 0x85ebca6b))
    const draw = this.#draw
    const settings = {
      ...{ electionTicks: ELECTION_TICKS, heartbeatTicks: HEARTBEAT_TICKS },
      random: () => draw(2 ** 20) / 2 ** 20,
      ...{ preVote: draw(4) > 0, checkQuorum: true, asyncStorageWrites: draw(4) > 0 },
      readMode: draw(2) === 0 ? ('lease' as const) : ('safe' as const),
      messageBytesMax: [1, 60, 0][draw(3)] as number,
      inflightMessagesMax: [1, 4, 256][draw(3)] as number,
    }
    this.#group = RaftGroup.start(3, settings)
    for (const id of MEMBERS) if (!this.#group.members.has(id)) this.#group.add(id, settings)
    for (const id of MEMBERS) {
      const rate = 90 + draw(21)
      this.#troubles.set(id, {
        pausedUntil: 0,
        isOff: false,
        rate,
        owed: 0,
        diskRate: 4,
        diskOwed: 0,
      })
    }
  }

  get report(): CoreReport {
    return { elections: this.#leaders.size, applied: this.#applied.length, ...this.#counts }
  }

  tick(): void {
    this.#now += 1
    this.#disturb()
    this.#step()
    this.#ask()
    this.#check()
  }

  /** All faults end: somebody leads, everyone who belongs catches up, and a command is applied everywhere. */
  converge(): void {
    this.#heal()
    for (const trouble of this.#troubles.values())
      Object.assign(trouble, { pausedUntil: 0, diskRate: 8 })
    this.#commands += 1
    const last = `command ${this.#commands}`
    for (let tick = 0; tick < CONVERGE_TICKS; tick++) {
      this.#now += 1
      const leader = this.#leader
      const { confState } = leader?.node.status() ?? {}
      this.#switchOff()
      if (leader !== undefined && tick % 20 === 0) leader.node.propose(bytes(last))
      if (leader !== undefined && confState?.votersOutgoing.length) this.#leaveJoint(leader)
      this.#step()
      this.#check()
      const inside = confState === undefined ? [] : [...confState.voters, ...confState.learners]
      const isWhole = inside.every((id) => this.#group.member(id).applied.includes(last))
      if (inside.length > 0 && isWhole) return
    }
    const states = [...this.#group.members.values()].map(({ node }) =>
      JSON.stringify(node.status()),
    )
    promise(false, () => `liveness: not whole in ${CONVERGE_TICKS} ticks\n${states.join('\n')}`)
  }

  /**
   * Whoever removed a member switches it off, once nobody who stays counts on it any more: the algorithm itself is open to its
   * campaigns.
   */
  #switchOff(): void {
    const members = [...this.#group.members.values()]
    const [newest] = members.sort((a, b) => b.appliedIndex - a.appliedIndex)
    const inside = new Set<number>()
    for (const id of newest === undefined ? [] : membersOf(newest.node.status().confState))
      for (const other of [id, ...membersOf(this.#group.member(id).node.status().confState)])
        inside.add(other)
    for (const [id, trouble] of this.#troubles) trouble.isOff = !inside.has(id)
  }

  get #leader(): GroupMember | undefined {
    let found: GroupMember | undefined
    for (const member of this.#group.members.values()) {
      if (member.state === 'StateLeader' && member.term > (found?.term ?? 0)) found = member
    }
    return found
  }

  #leaveJoint(leader: GroupMember): void {
    const transition = 'ConfChangeTransitionAuto' as const
    leader.node.proposeConfChange({ transition, changes: [], context: noBytes })
  }

  /** Time passes, then messages arrive: who was stopped must not take them for younger than they are. Disks write, members speak. */
  #step(): void {
    for (const member of this.#group.members.values()) this.#passTime(member)
    const arriving = this.#arriving.get(this.#now) ?? []
    this.#arriving.delete(this.#now)
    for (const message of arriving) {
      const trouble = this.#troubles.get(message.to) as Trouble
      if (this.#cut.has(message.from * 8 + message.to)) {
        this.#reportSnapshot(message, false)
        continue
      }
      // What comes for somebody who is stopped waits.
      if (trouble.pausedUntil > this.#now) this.#arrive(message, trouble.pausedUntil)
      else {
        this.#group.member(message.to).node.step(message)
        this.#reportSnapshot(message, true)
      }
    }
    for (const member of this.#group.members.values()) this.#live(member)
  }

  #passTime(member: GroupMember): void {
    const trouble = this.#troubles.get(member.id) as Trouble
    trouble.owed += trouble.rate
    if (trouble.pausedUntil > this.#now || trouble.isOff) return
    // Of a long stop as much as ends any lease.
    const due = Math.min(Math.floor(trouble.owed / 100), ELECTION_TICKS)
    trouble.owed %= 100
    for (let tick = 0; tick < due; tick++) member.node.tick()
  }

  #live(member: GroupMember): void {
    const trouble = this.#troubles.get(member.id) as Trouble
    if (trouble.pausedUntil > this.#now || trouble.isOff) return
    trouble.diskOwed = Math.min(trouble.diskOwed + trouble.diskRate, 8)
    do {
      if (member.node.hasReady()) this.#send(member.process())
      this.#send(member.workApply())
      if (trouble.diskOwed >= 1) {
        trouble.diskOwed -= 1
        this.#send(member.workAppend())
      } else if (!member.node.hasReady()) return
    } while (member.busy)
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      this.#counts.messages += 1
      if (this.#draw(100) < this.#losePercent) {
        this.#reportSnapshot(message, false)
        continue
      }
      this.#arrive(message, this.#now + 1 + this.#draw(this.#delayMax))
      if (this.#draw(100) < this.#doublePercent)
        this.#arrive(message, this.#now + 1 + this.#draw(3 * this.#delayMax))
    }
  }

  /** Whoever carries snapshots says what became of them: the core sends nothing else to a member while it waits for that. */
  #reportSnapshot({ type, from, to }: Message, arrived: boolean): void {
    if (type === 'MsgSnap') this.#group.member(from).node.reportSnapshot(to, arrived)
  }

  #arrive(message: Message, tick: number): void {
    const waiting = this.#arriving.get(tick)
    if (waiting === undefined) this.#arriving.set(tick, [message])
    else waiting.push(message)
  }

  #ask(): void {
    const member = this.#group.member(1 + this.#draw(MEMBERS.length))
    const kind = this.#draw(6)
    if ((this.#troubles.get(member.id) as Trouble).pausedUntil > this.#now) return
    if (kind < 2) {
      this.#commands += 1
      member.node.propose(bytes(`command ${this.#commands}`))
    } else if (kind === 2) {
      this.#counts.reads += 1
      this.#owed.set(`read ${this.#counts.reads}`, this.#applied.length)
      member.node.readIndex(bytes(`read ${this.#counts.reads}`))
    }
  }

  #disturb(): void {
    if (this.#now === this.#healAt) this.#heal()
    if (this.#draw(40) > 0) return
    const id = 1 + this.#draw(MEMBERS.length)
    const trouble = this.#troubles.get(id) as Trouble
    const member = this.#group.member(id)
    switch (this.#draw(9)) {
      case 0:
        this.#losePercent = this.#draw(30)
        this.#doublePercent = this.#draw(20)
        break
      case 1:
        this.#delayMax = 1 + this.#draw(8)
        break
      case 2:
        this.#isolate(id)
        break
      case 3:
        trouble.pausedUntil = this.#now + this.#draw(60)
        break
      case 4:
        this.#counts.crashes += 1
        member.restart()
        trouble.pausedUntil = this.#now + this.#draw(60)
        break
      case 5:
        trouble.diskRate = [0.1, 0.5, 4][this.#draw(3)] as number
        break
      case 6:
        this.#leader?.node.transferLeader(id)
        break
      case 7:
        if (member.appliedIndex > member.storage.firstIndex() + 4) member.compact(this.#draw(4))
        break
      default:
        this.#change(id)
    }
    this.#healAt ||= this.#now + 1 + this.#draw(150)
  }

  #change(nodeId: number): void {
    const leader = this.#leader
    if (leader === undefined) return
    this.#counts.changes += 1
    const { confState } = leader.node.status()
    if (confState.votersOutgoing.length > 0) {
      this.#leaveJoint(leader)
      return
    }
    // A leader that goes takes care of what it knows to be committed only while others can be elected without it.
    const mayGo = confState.voters.length > 2 || !confState.voters.includes(leader.id)
    if (!mayGo && nodeId === leader.id) return
    const types = ['ConfChangeAddNode', 'ConfChangeAddLearnerNode', 'ConfChangeRemoveNode'] as const
    const changes: ConfChangeSingle[] = [
      { type: types[this.#draw(3)] as 'ConfChangeAddNode', nodeId },
    ]
    if (this.#draw(2) === 0)
      changes.push({ type: 'ConfChangeAddNode', nodeId: 1 + (nodeId % MEMBERS.length) })
    leader.node.proposeConfChange({
      ...{ transition: 'ConfChangeTransitionAuto', context: noBytes },
      changes,
    })
  }

  #isolate(id: number): void {
    const kind = this.#draw(3)
    for (const other of MEMBERS) {
      if (other === id) continue
      if (kind !== 1) this.#cut.add(id * 8 + other)
      if (kind !== 2) this.#cut.add(other * 8 + id)
    }
  }

  #heal(): void {
    this.#cut.clear()
    this.#healAt = 0
    this.#losePercent = 0
    this.#doublePercent = 0
    this.#delayMax = 1
  }

  #check(): void {
    for (const member of this.#group.members.values()) {
      if (member.node.hasReady() || member.history.length > 0 || member.reads.length > 0)
        this.#checkMember(member)
      if (member.state !== 'StateLeader') continue
      const { term } = member
      const known = this.#leaders.get(term) ?? member.id
      promise(
        known === member.id,
        () => `election safety: ${known} and ${member.id} lead in term ${term}`,
      )
      this.#leaders.set(term, member.id)
    }
  }

  #checkMember(member: GroupMember): void {
    for (const [index, what] of member.history.splice(0)) {
      this.#applied[index] ??= what
      promise(
        what === this.#applied[index],
        () => `state-machine safety: ${member.id} applies ${what} at ${index}`,
      )
    }
    for (const { index, requestContext } of member.reads.splice(0)) {
      const owed = this.#owed.get(text(requestContext)) ?? 0
      promise(index >= owed - 1, () => `reads: one at ${index} does not see ${owed - 1}`)
    }
  }
}
