/** The state machine of one life of a member, held against the {@link Chronicle} at every step. */
import type { Clock } from '../../../src/clock.ts'
import type { Committed, StateMachine } from '../../../src/driver/state-machine.ts'
import type { CommandResult } from '../../../src/state/commands.ts'
import { GroupState } from '../../../src/state/group-state.ts'
import type { Chronicle } from './chronicle.ts'
import { promise } from './violation.ts'

/** What stands before the state in a snapshot: how many commands it is behind. */
const HEAD_BYTES = 8
/** Changes kept for watches: few, so that watches find them forgotten, too. */
const HISTORY_CHANGES = 60

/** What a state works with. */
export interface CheckedStateInit {
  readonly chronicle: Chronicle
  readonly clock: Clock
  readonly propose: (command: Uint8Array) => void
  /** For messages. */
  readonly who: string
  /** Told of what must never happen: whoever throws in a state machine only stops its group. */
  readonly attempt: <Result>(check: () => Result) => Result
}

/** A {@link GroupState} that is looked at. */
export class CheckedState implements StateMachine {
  readonly state: GroupState
  /** How many commands were applied. */
  position = 0
  /** The term in which this member leads. */
  term: number | undefined
  readonly #init: CheckedStateInit

  constructor(init: CheckedStateInit) {
    this.#init = init
    const { clock, propose } = init
    this.state = new GroupState({ clock, propose }, { historyChangesMax: HISTORY_CHANGES })
  }

  apply(committed: Committed): CommandResult {
    const { chronicle, who, attempt } = this.#init
    const expected = attempt(() => chronicle.apply(this.position, committed, who))
    this.position += 1
    const result = this.state.apply(committed)
    attempt(() =>
      promise(
        result.type === expected.type && summary(result) === summary(expected),
        () => `equal results: ${who} answers ${summary(result)}, not ${summary(expected)}`,
      ),
    )
    return result
  }

  snapshot(): Uint8Array {
    const { chronicle, who, attempt } = this.#init
    const bytes = this.state.snapshot()
    attempt(() => chronicle.checkState(this.position, bytes, who))
    const whole = new Uint8Array(HEAD_BYTES + bytes.length)
    new DataView(whole.buffer).setFloat64(0, this.position)
    whole.set(bytes, HEAD_BYTES)
    return whole
  }

  restore(snapshot: Uint8Array): void {
    const { chronicle, who, attempt } = this.#init
    const position = new DataView(snapshot.buffer, snapshot.byteOffset).getFloat64(0)
    const bytes = snapshot.subarray(HEAD_BYTES)
    attempt(() => {
      promise(position >= this.position, () => `${who} goes back to ${position}`)
      promise(position <= chronicle.length, () => `${who} has commands that nobody applied`)
      chronicle.checkState(position, bytes, who)
    })
    this.state.restore(bytes)
    this.position = position
  }

  lead(term: number | undefined): void {
    this.term = term
    this.state.lead(term)
  }

  /** Holds the state against what it must be now. */
  check(): void {
    const { chronicle, who, attempt } = this.#init
    attempt(() => chronicle.checkState(this.position, this.state.snapshot(), who))
  }
}

function summary(result: CommandResult): string {
  switch (result.type) {
    case 'transacted':
      return `${result.succeeded} ${result.revision}`
    case 'granted':
      return result.leaseId
    case 'expired':
      return `${result.count} ${result.revision}`
    case 'refused':
      return result.code
    default:
      return String(result.revision)
  }
}
