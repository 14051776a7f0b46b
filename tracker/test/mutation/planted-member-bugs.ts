/** Bugs to plant in what runs the core: the driver, the log and the state. Most of them are caught by the simulation of a whole group. */
import type { PlantedBug } from './planted-bugs.ts'

const simulation = 'simulation/whole-members-first-half'

/** In the driver, the log and the state. */
export const memberBugs: readonly PlantedBug[] = [
  {
    name: 'what was promised leaves before the sync',
    file: 'driver/log-writer.ts',
    from: '    else void this.#sync(batch)\n',
    to: '    else {\n      void this.#sync([])\n      this.#init.onDurable(batch)\n    }\n',
    caughtBy: simulation,
  },
  {
    name: 'a read without a barrier',
    file: 'driver/group.ts',
    from: '    return this.#barriers.add()\n',
    to: '    return Promise.resolve()\n',
    caughtBy: 'driver/faults',
  },
  {
    name: 'a renewal without a quorum',
    file: 'state/lease-keeper.ts',
    from: '    await confirm()\n',
    to: '    confirm().catch(() => undefined)\n',
    caughtBy: 'state/leases',
  },
  {
    name: "a new leader ends leases by the old one's time",
    file: 'state/lease-keeper.ts',
    from: '    lease.deadlineMs = nowMs + wholeTimeMs(lease)\n    lease.wakeMs',
    to: '    lease.deadlineMs ||= nowMs + wholeTimeMs(lease)\n    lease.wakeMs',
    caughtBy: 'state/leases',
  },
  {
    name: 'an expiry of an earlier term ends leases',
    file: 'state/group-state.ts',
    from: 'this.#expire(command.leaseIds, command.term === term)',
    to: 'this.#expire(command.leaseIds, command.term <= term)',
    caughtBy: 'state/leases',
  },
  {
    name: "another's entry answers a proposal",
    file: 'driver/placed-proposals.ts',
    from: 'if (first.term === term) {',
    to: 'if (first.index === index) {',
    caughtBy: 'driver/proposals',
  },
  {
    name: 'what a snapshot may hold is said not to be done',
    file: 'driver/proposals.ts',
    from: 'this.#giveUp((proposal) => proposal.index <= index, why)',
    to: 'this.#giveUp((proposal) => proposal.index < 0, why)',
    caughtBy: 'driver/proposals',
  },
  {
    name: 'a snapshot without the directory',
    file: 'driver/group.ts',
    from: 'encodeState(this.peers.addresses(), this.stateMachine.snapshot())',
    to: 'encodeState([], this.stateMachine.snapshot())',
    caughtBy: simulation,
  },
  {
    name: 'what a snapshot holds is applied again after a restart',
    file: 'driver/group.ts',
    from: '    const { appliedIndex: index, confState } = this\n',
    to: '    const { confState } = this\n    const index = Math.max(this.appliedIndex - 1, this.store.snapshotIndex + 1)\n',
    caughtBy: simulation,
  },
  {
    name: "a leader's snapshot is not restored",
    file: 'driver/group-store.ts',
    from: '    this.#group.restore(snapshot)\n',
    to: '    this.#group.appliedIndex = snapshot.index\n',
    caughtBy: simulation,
  },
  {
    name: 'a watch is told again what it had from the history',
    file: 'state/watches.ts',
    from: ' || all.revision <= this.#told) return',
    to: ') return',
    caughtBy: 'state/watches',
  },
]
