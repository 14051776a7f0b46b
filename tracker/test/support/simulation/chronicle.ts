/**
 * What a group agreed on, as seen from outside: the one sequence of commands that all members apply. Whoever applies a place first
 * writes it down; everybody after has to apply the same there. A state of its own follows the sequence and says what each change
 * and each snapshot has to be.
 */
import { Buffer } from 'node:buffer'
import type { WatchBatch } from '../../../src/coordination.ts'
import type { Committed } from '../../../src/driver/state-machine.ts'
import { type CommandResult, commandKinds } from '../../../src/state/commands.ts'
import { CommandDecoder } from '../../../src/state/decode-command.ts'
import { GroupState } from '../../../src/state/group-state.ts'
import { ManualClock } from '../manual-clock.ts'
import { promise } from './violation.ts'

/** The keyspace of all that the clients of a simulation do. */
export const keyspace = 'k'

interface Place extends Committed {
  readonly result: CommandResult
}

/** The sequence. */
export class Chronicle {
  /** Changes in the order of their revisions. */
  readonly changes: WatchBatch[] = []
  /** Told when the leader ended leases that ran out. */
  onExpired: (leaseId: string) => void = () => undefined
  readonly #places: Place[] = []
  /** By index in the log. */
  readonly #byIndex = new Map<number, number>()
  readonly #snapshots = new Map<number, Uint8Array>()
  readonly #decoder = new CommandDecoder()
  readonly #state = new GroupState({ clock: new ManualClock(), propose: () => undefined })

  constructor() {
    const listener = { onBatch: (batch: WatchBatch) => this.changes.push(batch) > 0, onEnd() {} }
    this.#state.watch(keyspace, '', 0, listener).resume()
  }

  /** How many commands were applied. */
  get length(): number {
    return this.#places.length
  }

  /** Index of the last command that was applied anywhere. */
  get lastIndex(): number {
    return this.#places.at(-1)?.index ?? 0
  }

  /** The term in which the command at an index was appended; undefined when no command is known there. */
  termAt(index: number): number | undefined {
    const place = this.#byIndex.get(index)
    return place === undefined ? undefined : this.#places[place]?.term
  }

  /** Somebody applies a command behind so many others. Returns what must come of it. */
  apply(position: number, committed: Committed, who: string): CommandResult {
    const known = this.#places[position]
    if (known === undefined) return this.#append(committed, who)
    const isSame = known.index === committed.index && known.term === committed.term
    promise(
      isSame && Buffer.compare(known.command, committed.command) === 0,
      () =>
        `state-machine safety: ${who} applies ${committed.term}/${committed.index} where ${known.term}/${known.index} was applied`,
    )
    return known.result
  }

  /** The state of a member behind so many commands must be everybody's. */
  checkState(position: number, bytes: Uint8Array, who: string): void {
    const known =
      this.#snapshots.get(position) ??
      (position === this.length ? this.#state.snapshot() : undefined)
    if (known === undefined) {
      this.#snapshots.set(position, bytes)
      return
    }
    promise(
      Buffer.compare(known, bytes) === 0,
      () => `equal states: that of ${who} differs behind ${position} commands`,
    )
  }

  #append(committed: Committed, who: string): CommandResult {
    const last = this.#places.at(-1)
    const { index, term } = committed
    promise(
      last === undefined || (index > last.index && term >= last.term),
      () =>
        `leader completeness: ${who} applies ${term}/${index} behind ${last?.term}/${last?.index}`,
    )
    const leaseIds = this.#expiring(committed.command)
    const result = this.#state.apply(committed)
    if (result.type === 'expired' && result.count > 0) leaseIds.forEach(this.onExpired)
    this.#byIndex.set(index, this.#places.length)
    this.#places.push({ ...committed, result })
    return result
  }

  #expiring(command: Uint8Array): readonly string[] {
    if (command[0] !== commandKinds.expireLeases) return []
    const decoded = this.#decoder.decode(command)
    return typeof decoded !== 'string' && decoded.kind === commandKinds.expireLeases
      ? decoded.leaseIds
      : []
  }
}
