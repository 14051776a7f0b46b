/** The settings of one member of a Raft group. */
import { noLimit } from './entry-size.ts'
import { raftLimits } from './limits.ts'
import { RaftError } from './raft-error.ts'
import { localApplyThread, type RaftLogger, type Storage } from './types.ts'

/**
 * How reads become linearizable. `safe`: by a round of heartbeats. `lease`: at once while the leader's lease lasts,
 * else like `safe`; needs `checkQuorum` and clocks that run at nearly the same speed.
 */
export type ReadMode = 'safe' | 'lease'

/** The settings of one member. Sizes are encoded bytes of entries unless said otherwise; 0 as a size means no limit. */
export interface RaftConfig {
  /** This member's id, 1 or more. */
  readonly id: number
  readonly storage: Storage
  /** A number in [0, 1): spreads the election timeouts. */
  readonly random: () => number
  /** Ticks without a leader until an election is due; the real timeout is random in [this, 2 x this). */
  readonly electionTicks: number
  /** Ticks between heartbeats; fewer than `electionTicks`. */
  readonly heartbeatTicks: number
  /** Last index that the state machine holds already, not below the first entry in storage. Default: the one before it. */
  readonly applied?: number
  /** Storage is written and entries are applied by messages, while the core goes on. Default: false. */
  readonly asyncStorageWrites?: boolean
  /** One append. Default: {@link raftLimits}.messageBytesMax. */
  readonly messageBytesMax?: number
  /** Handed out for applying at once. Default: {@link raftLimits}.committedBytesMax. */
  readonly committedBytesMax?: number
  /** Command bytes proposed and not committed; beyond it proposals are dropped. Default: {@link raftLimits}.uncommittedBytesMax. */
  readonly uncommittedBytesMax?: number
  /** Appends on their way to one follower, 1 or more. Default: {@link raftLimits}.inflightMessagesMax. */
  readonly inflightMessagesMax?: number
  /** Command bytes on their way to one follower, `messageBytesMax` at least. Default: {@link raftLimits}.inflightBytesMax. */
  readonly inflightBytesMax?: number
  /** Ask before an election whether it could be won (thesis 9.6), so that nobody disturbs a working group. Default: true. */
  readonly preVote?: boolean
  /** A leader that does not hear a quorum steps down; nobody votes while it hears a leader. Default: true. */
  readonly checkQuorum?: boolean
  /** Default: `safe`. */
  readonly readMode?: ReadMode
  /** Followers pass proposals on to the leader. Default: true. */
  readonly forwardProposals?: boolean
  /**
   * Membership changes that do not fit the present configuration are dropped when proposed. Default: true; false only
   * where something above Raft orders changes, for a wrong one then stops the group.
   */
  readonly validateConfChanges?: boolean
  /** A leader that is removed or becomes a learner steps down. Default: true. */
  readonly stepDownOnRemoval?: boolean
  /** Default: silent. */
  readonly logger?: RaftLogger
}

/** Settings with every default filled in. */
export type ResolvedConfig = Required<RaftConfig>

/**
 * Fills in defaults and checks what must fit together.
 * @throws RaftError ERR_RAFT_CONFIG
 */
export function resolveConfig(given: RaftConfig): ResolvedConfig {
  const size = (value: number | undefined, otherwise: number): number =>
    value === 0 ? noLimit : (value ?? otherwise)
  const messageBytesMax = size(given.messageBytesMax, raftLimits.messageBytesMax)
  const config: ResolvedConfig = {
    ...given,
    applied: given.applied ?? 0,
    asyncStorageWrites: given.asyncStorageWrites ?? false,
    messageBytesMax,
    committedBytesMax: size(given.committedBytesMax, raftLimits.committedBytesMax),
    uncommittedBytesMax: size(given.uncommittedBytesMax, raftLimits.uncommittedBytesMax),
    inflightMessagesMax: given.inflightMessagesMax ?? raftLimits.inflightMessagesMax,
    inflightBytesMax: size(
      given.inflightBytesMax,
      Math.max(raftLimits.inflightBytesMax, messageBytesMax),
    ),
    preVote: given.preVote ?? true,
    checkQuorum: given.checkQuorum ?? true,
    readMode: given.readMode ?? 'safe',
    forwardProposals: given.forwardProposals ?? true,
    validateConfChanges: given.validateConfChanges ?? true,
    stepDownOnRemoval: given.stepDownOnRemoval ?? true,
    logger: given.logger ?? {},
  }
  const isCount = (value: number): boolean => Number.isSafeInteger(value) && value > 0
  demand(isCount(config.id) && config.id < localApplyThread, 'id must be 1 or more')
  demand(isCount(config.heartbeatTicks), 'heartbeatTicks must be 1 or more')
  demand(
    Number.isSafeInteger(config.electionTicks) && config.electionTicks > config.heartbeatTicks,
    'electionTicks must be more than heartbeatTicks',
  )
  demand(isCount(config.inflightMessagesMax), 'inflightMessagesMax must be 1 or more')
  for (const name of ['messageBytesMax', 'committedBytesMax', 'uncommittedBytesMax'] as const) {
    demand(isCount(config[name]), `${name} must be 0 or more`)
  }
  demand(
    config.inflightBytesMax >= config.messageBytesMax,
    'inflightBytesMax must be at least messageBytesMax',
  )
  demand(Number.isSafeInteger(config.applied) && config.applied >= 0, 'applied must be an index')
  demand(config.readMode === 'safe' || config.checkQuorum, 'readMode lease needs checkQuorum')
  return config
}

function demand(holds: boolean, message: string): void {
  if (!holds) throw new RaftError('ERR_RAFT_CONFIG', message)
}
