/** Who belongs to the group, as sets: the form in which the core works with a {@link ConfState}. */
import { ascending, type JointVoters } from './quorum.ts'
import type { ConfState } from './types.ts'

/** The members of a group by role. */
export interface Configuration extends JointVoters {
  readonly incoming: ReadonlySet<number>
  readonly outgoing: ReadonlySet<number>
  readonly learners: ReadonlySet<number>
  /** Voters of the outgoing half that become learners with the end of the joint configuration. */
  readonly learnersNext: ReadonlySet<number>
  readonly autoLeave: boolean
}

/** The configuration of a group without members. */
export const emptyConfiguration: Configuration = {
  incoming: new Set(),
  outgoing: new Set(),
  learners: new Set(),
  learnersNext: new Set(),
  autoLeave: false,
}

/** Whether two halves decide. */
export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.size > 0
}

/** The form that snapshots carry. */
export function toConfState(configuration: Configuration): ConfState {
  return {
    voters: ascending(configuration.incoming),
    votersOutgoing: ascending(configuration.outgoing),
    learners: ascending(configuration.learners),
    learnersNext: ascending(configuration.learnersNext),
    autoLeave: configuration.autoLeave,
  }
}

/** A configuration as logs and status pages show it, such as `voters=(1 2 3)&&(1) learners=(4)`. */
export function describeConfiguration(configuration: Configuration): string {
  const list = (ids: ReadonlySet<number>): string => `(${ascending(ids).join(' ')})`
  const { incoming, outgoing, learners, learnersNext, autoLeave } = configuration
  return [
    `voters=${list(incoming)}`,
    outgoing.size > 0 ? `&&${list(outgoing)}` : '',
    learners.size > 0 ? ` learners=${list(learners)}` : '',
    learnersNext.size > 0 ? ` learners_next=${list(learnersNext)}` : '',
    autoLeave ? ' autoleave' : '',
  ].join('')
}
