/**
 * Changes who belongs to the group, as the placement of a region would: newcomers come as learners, are made voters alone or in the place
 * of another (through a joint configuration), members go. Who was removed is told so, and never comes back as the same member.
 */
import type { GroupStatus, MemberChange } from '../../../src/driver/driver.ts'
import type { Draw } from '../simulated-folder.ts'
import { groupId } from './simulated-member.ts'
import type { World } from './world.ts'

const TIMEOUT_MS = 1_000
const VOTERS_MAX = 5
/** All that ever were members, so that a run stays small. */
const MEMBERS_MAX = 9

/** Who decides about the members. */
export class Membership {
  readonly #world: World
  readonly #draw: Draw

  constructor(world: World) {
    this.#world = world
    this.#draw = world.fork(700)
  }

  /** Changes members until the run ends. */
  async run(): Promise<void> {
    while (!this.#world.isEnding) {
      await this.#world.sleep(50 + this.#draw(800))
      if (!this.#world.isEnding) await this.step()
    }
  }

  /** One change, if there is a leader who can be asked. */
  async step(): Promise<void> {
    const leader = this.#world.present.find(({ isLeader }) => isLeader)
    const life = leader?.running
    if (leader === undefined || life === undefined) return
    const status = life.driver.status(groupId)
    this.dismiss()
    const changes = this.#choose(status)
    if (changes.length === 0) return
    const answer = await this.#world.ask(leader, TIMEOUT_MS, ({ driver }) =>
      driver.changeMembers(groupId, changes),
    )
    if (answer.type === 'ok') this.#world.counts.changes += 1
  }

  /** Who is in no configuration that a leader knows to be committed, and was, is told to go. */
  dismiss(): void {
    const leader = this.#world.present.find(({ isLeader }) => isLeader)?.running
    if (leader === undefined) return
    const { confState, applied } = leader.driver.status(groupId)
    const { voters, votersOutgoing, learners, learnersNext } = confState
    const inside = new Set([...voters, ...votersOutgoing, ...learners, ...learnersNext])
    for (const member of this.#world.members) {
      if (member.status === 'left' || inside.has(member.id)) continue
      // A newcomer is not in yet; and a leader of before knows nothing of those who came since.
      if (member.insideAt < applied) member.leave()
    }
  }

  #choose(status: GroupStatus): MemberChange[] {
    const { voters, votersOutgoing, learners } = status.confState
    if (votersOutgoing.length > 0) return []
    for (const id of [...voters, ...learners]) this.#noteInside(id, status.applied)
    const lost = voters.find((id) => this.#world.member(id)?.status === 'lost')
    const ready = status.progress.find(
      ({ memberId, match, isLearner }) =>
        isLearner && match + 20 >= status.commit && learners.includes(memberId),
    )
    const newVoter = ready === undefined ? [] : [this.#add('add-voter', ready.memberId)]
    if (lost !== undefined) {
      const remove: MemberChange = { type: 'remove', memberId: lost }
      if (newVoter.length > 0) return [...newVoter, remove]
      return learners.length > 0 ? [] : this.#newcomer()
    }
    if (!this.#world.plan.faults.has('churn')) return []
    return this.#churn(status, newVoter)
  }

  #churn({ confState }: GroupStatus, newVoter: MemberChange[]): MemberChange[] {
    const { voters, learners } = confState
    const victim = voters[this.#draw(voters.length)] as number
    const remove: MemberChange = { type: 'remove', memberId: victim }
    const kind = this.#draw(4)
    if (newVoter.length > 0 && kind < 2) {
      if (voters.length < VOTERS_MAX && kind === 0) return newVoter
      return [...newVoter, remove]
    }
    if (kind === 2 && learners.length > 0)
      return [{ type: 'remove', memberId: learners[0] as number }]
    if (kind === 3 && voters.length > 3) return [remove]
    return learners.length === 0 ? this.#newcomer() : []
  }

  /** A machine of its own that waits to become a member, or one that waits already. */
  #newcomer(): MemberChange[] {
    const waiting = this.#world.present.find(
      ({ insideAt }) => insideAt === Number.POSITIVE_INFINITY,
    )
    if (waiting !== undefined) return [this.#add('add-learner', waiting.id)]
    if (this.#world.members.length >= MEMBERS_MAX) return []
    const contacts = this.#world.present.map(({ peerId }) => peerId)
    const member = this.#world.addMember()
    member.joins(contacts)
    void member.start()
    return [this.#add('add-learner', member.id)]
  }

  #noteInside(id: number, applied: number): void {
    const member = this.#world.member(id)
    if (member !== undefined) member.insideAt = Math.min(member.insideAt, applied)
  }

  #add(type: 'add-voter' | 'add-learner', memberId: number): MemberChange {
    return { type, memberId, peerId: `peer-${memberId}` }
  }
}
