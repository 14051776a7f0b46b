/** Makes what goes wrong in a run, one thing after another and several at a time. */
import type { Draw } from '../simulated-folder.ts'
import type { FaultKind } from './plan.ts'
import { groupId, type SimulatedMember } from './simulated-member.ts'
import type { World } from './world.ts'

/** Lengths of a fault, some of them longer than an election takes, some than a lease lasts. */
const lengthsMs = [20, 80, 300, 1_000, 2_500] as const

/** Makes faults. */
export class FaultMaker {
  readonly #world: World
  readonly #draw: Draw
  readonly #kinds: readonly FaultKind[]
  /** Undoes what is going on. */
  readonly #undo = new Set<() => void>()

  constructor(world: World) {
    this.#world = world
    this.#draw = world.fork(500)
    this.#kinds = [...world.plan.faults].filter((kind) => kind !== 'churn')
  }

  /** Goes on until the run ends. */
  async run(): Promise<void> {
    const { plan } = this.#world
    while (!this.#world.isEnding && this.#kinds.length > 0) {
      await this.#world.sleep(1 + this.#draw(2 * plan.faultGapMs))
      const kind = this.#pick(this.#kinds)
      if (this.#world.isEnding || kind === undefined) return
      this.#world.counts.faults += 1
      this.#make(kind)
    }
  }

  /** Everything works again. */
  heal(): void {
    for (const undo of [...this.#undo]) undo()
    this.#world.network.heal()
    for (const member of this.#world.members) {
      member.isDiskFailing = false
      void member.start()
    }
  }

  #make(kind: FaultKind): void {
    const member = this.#pick(this.#world.present)
    if (member === undefined) return
    const { settings } = this.#world.network
    switch (kind) {
      case 'lossy-network':
        this.#lose(1 + this.#draw(30))
        return
      case 'slow-network':
        this.#slow([5, 20, 80][this.#draw(3)] as number)
        return
      case 'reordering':
        settings.reorders = true
        this.#later(() => {
          settings.reorders = false
        })
        return
      case 'doubling':
        settings.doubles = () => this.#world.drawNetwork(5) === 0
        this.#later(() => {
          settings.doubles = () => false
        })
        return
      case 'transfers':
        this.#transfer(member)
        return
      case 'wall-jumps':
        member.jump((this.#draw(2) === 0 ? 1 : -1) * this.#draw(100_000))
        return
      case 'partitions':
      case 'one-way-cuts':
      case 'broken-links':
        this.#cut(kind, member)
        return
      default:
        this.#trouble(kind, member)
    }
  }

  #trouble(kind: FaultKind, member: SimulatedMember): void {
    switch (kind) {
      case 'pauses':
        member.pause()
        this.#later(() => member.resume())
        return
      case 'kills':
        member.kill({ silently: this.#draw(3) === 0 })
        this.#later(() => void member.start())
        return
      case 'power-cuts':
        this.#powerCut(member)
        return
      case 'blackouts':
        for (const each of this.#world.present) this.#powerCut(each)
        return
      case 'full-disks':
        member.isDiskFull = true
        this.#later(() => {
          member.isDiskFull = false
        })
        return
      case 'failing-disks':
        member.isDiskFailing = member.running !== undefined
        return
      case 'slow-disks':
        this.#slowDisk(member)
        return
      case 'damaged-disks':
        this.#damage(member)
    }
  }

  #powerCut(member: SimulatedMember): void {
    member.losePower({ silently: this.#draw(3) > 0, flipBits: this.#draw(2) === 0 })
    this.#later(() => void member.start())
  }

  #lose(percent: number): void {
    const { settings } = this.#world.network
    settings.loses = () => this.#world.drawNetwork(100) < percent
    this.#later(() => {
      settings.loses = () => false
    })
  }

  #slow(delayMs: number): void {
    const { settings } = this.#world.network
    settings.delayMs = () => 1 + this.#world.drawNetwork(2 * delayMs)
    this.#later(() => {
      settings.delayMs = () => 1
    })
  }

  #slowDisk(member: SimulatedMember): void {
    const most = [2, 10, 60][this.#draw(3)] as number
    const draw = this.#world.fork(600 + member.id)
    member.syncMs = () => draw(2 * most)
    this.#later(() => {
      member.syncMs = () => this.#world.plan.syncMs
    })
  }

  #cut(kind: FaultKind, member: SimulatedMember): void {
    const { network, members } = this.#world
    const others = members.filter((other) => other !== member)
    if (kind === 'broken-links') {
      const other = this.#pick(others)
      if (other === undefined) return
      network.disconnect(member.peerId, other.peerId)
      this.#later(() => network.connect(member.peerId, other.peerId))
      return
    }
    // A member with or without some of the others on its side.
    const side = [member, ...others.filter(() => this.#draw(3) === 0)]
    for (const a of side) {
      for (const b of others) {
        if (side.includes(b)) continue
        if (kind === 'partitions' || this.#draw(2) === 0) network.cut(a.peerId, b.peerId)
        if (kind === 'partitions') network.cut(b.peerId, a.peerId)
      }
    }
    this.#later(() => network.heal())
  }

  #transfer(to: SimulatedMember): void {
    const leader = this.#world.present.find(({ isLeader }) => isLeader)
    try {
      leader?.running?.driver.transferLeadership(groupId, to.id)
    } catch {
      // It led a moment ago.
    }
  }

  /** At most one disk at a time, and only while the group can do without. */
  #damage(member: SimulatedMember): void {
    const { members, present } = this.#world
    const known = members.find(({ isLeader }) => isLeader)?.running
    if (members.some(({ isDamaged, status }) => isDamaged && status !== 'left')) return
    if (known === undefined || present.length < 3) return
    const { confState } = known.driver.status(groupId)
    const { voters, votersOutgoing, learners } = confState
    if (voters.length < 3 || votersOutgoing.length > 0 || learners.length > 0) return
    member.kill()
    member.damage()
    void member.start()
  }

  #later(undo: () => void): void {
    const once = () => {
      if (this.#undo.delete(once)) undo()
    }
    this.#undo.add(once)
    this.#world.later(1 + this.#draw(2 * (this.#pick(lengthsMs) ?? 1)), once)
  }

  #pick<Item>(from: readonly Item[]): Item | undefined {
    return from[this.#draw(from.length)]
  }
}
