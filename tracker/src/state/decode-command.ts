/** Commands from bytes, strictly: every command has one form, and what is not of it is none. docs/protocol/tracker-state.md draws it. */
import { TrackerError } from '../errors.ts'
import { ByteReader } from './byte-reader.ts'
import {
  branchFault,
  keyFault,
  leaseIdFault,
  nameFault,
  prefixFault,
  sizeFault,
  ttlFault,
  valueFault,
} from './command-rules.ts'
import {
  type ComparisonStep,
  commandKinds,
  comparisonKinds,
  type DecodedCommand,
  type OperationStep,
  operationKinds,
  type TransactionSteps,
} from './commands.ts'
import type { ByteText } from './key-text.ts'
import { commandBytesMax, leaseLimits } from './state-limits.ts'

const noValue: Uint8Array = new Uint8Array(0)
const noComparisons: readonly ComparisonStep[] = []
const noOperations: readonly OperationStep[] = []

/** Reads commands; one of them serves a whole group, so that nothing is made for each. */
export class CommandDecoder {
  readonly #reader = new ByteReader()
  /** Keys and values of the transaction that is being read. */
  #bytes = 0

  /** @returns the command, or why the bytes are none */
  decode(bytes: Uint8Array): DecodedCommand | string {
    if (bytes.length > commandBytesMax) return 'longer than any command'
    const reader = this.#reader
    reader.start(bytes)
    const command = this.#command()
    if (reader.left > 0) reader.fail('more than a command')
    const failure = reader.failure
    reader.finish()
    if (failure !== undefined) return failure
    return command ?? 'no kind of command'
  }

  #command(): DecodedCommand | undefined {
    const reader = this.#reader
    const kind = reader.u8()
    switch (kind) {
      case commandKinds.transact:
        return this.#transaction()
      case commandKinds.grantLease: {
        const ttlMs = reader.u32()
        this.#demand(ttlFault(ttlMs))
        return { kind, ttlMs }
      }
      case commandKinds.revokeLease:
        return { kind, leaseId: this.#leaseId(reader.u8()) }
      case commandKinds.expireLeases: {
        const term = reader.integer()
        return { kind, term, leaseIds: this.#leaseIds() }
      }
      case commandKinds.compact:
        return { kind, revision: reader.integer() }
      default:
        reader.fail('no kind of command')
        return undefined
    }
  }

  #transaction(): TransactionSteps {
    const reader = this.#reader
    this.#bytes = 0
    const keyspace = reader.text(reader.u16())
    this.#demand(nameFault(keyspace.length))
    const comparisons = reader.u8()
    const first = reader.u8()
    const second = reader.u8()
    this.#demand(sizeFault(comparisons + first + second, 0))
    const when = comparisons === 0 ? noComparisons : this.#comparisons(comparisons)
    const then = this.#operations(first)
    const otherwise = this.#operations(second)
    this.#demand(sizeFault(0, this.#bytes))
    return { kind: commandKinds.transact, keyspace, when, then, otherwise }
  }

  #comparisons(count: number): ComparisonStep[] {
    const reader = this.#reader
    const steps: ComparisonStep[] = []
    for (let i = 0; i < count && reader.failure === undefined; i++) {
      const kind = reader.u8()
      const order = this.#key()
      let revision = 0
      let value = noValue
      let leaseId = ''
      if (kind === comparisonKinds.modRevision || kind === comparisonKinds.createRevision)
        revision = reader.integer()
      else if (kind === comparisonKinds.value) value = this.#value()
      else if (kind === comparisonKinds.leaseId) leaseId = this.#leaseId(reader.u8())
      else if (kind !== comparisonKinds.missing && kind !== comparisonKinds.exists)
        reader.fail('no kind of comparison')
      steps.push({ kind, order, revision, value, leaseId })
    }
    return steps
  }

  #operations(count: number): readonly OperationStep[] {
    if (count === 0) return noOperations
    // Most have one, and a list that is made to grow would take more than the step itself.
    if (count === 1) return [this.#operation()]
    const steps: OperationStep[] = []
    for (let i = 0; i < count && this.#reader.failure === undefined; i++)
      steps.push(this.#operation())
    this.#demand(branchFault(steps))
    return steps
  }

  #operation(): OperationStep {
    const reader = this.#reader
    const kind = reader.u8()
    if (kind < operationKinds.put || kind > operationKinds.get) reader.fail('no kind of operation')
    const order = kind === operationKinds.deletePrefix ? this.#prefix() : this.#key()
    let value = noValue
    let leaseId = ''
    if (kind === operationKinds.put) {
      value = this.#value()
      const length = reader.u8()
      if (length > 0) leaseId = this.#leaseId(length)
    }
    return { kind, order, value, leaseId }
  }

  #key(): ByteText {
    const length = this.#reader.u16()
    this.#demand(keyFault(length))
    this.#bytes += length
    return this.#reader.text(length)
  }

  #prefix(): ByteText {
    const length = this.#reader.u16()
    this.#demand(prefixFault(length))
    this.#bytes += length
    return this.#reader.text(length)
  }

  #value(): Uint8Array {
    const length = this.#reader.u32()
    this.#demand(valueFault(length))
    this.#bytes += length
    return this.#reader.copy(length)
  }

  #leaseId(length: number): string {
    const leaseId = this.#reader.text(length)
    this.#demand(leaseIdFault(leaseId))
    return leaseId
  }

  #leaseIds(): string[] {
    const reader = this.#reader
    const count = reader.u16()
    const leaseIds: string[] = []
    if (count > leaseLimits.expireLeasesMax) reader.fail('more leases than one command ends')
    for (let i = 0; i < count && reader.failure === undefined; i++)
      leaseIds.push(this.#leaseId(reader.u8()))
    return leaseIds
  }

  #demand(fault: string | undefined): void {
    if (fault !== undefined) this.#reader.fail(fault)
  }
}

const checking = new CommandDecoder()

/**
 * Checks a command that came from another peer before it is proposed: what clients may ask for, and in its one form.
 * @throws TrackerError ERR_MALFORMED
 */
export function checkClientCommand(bytes: Uint8Array): void {
  const kind = bytes[0]
  if (kind === commandKinds.expireLeases || kind === commandKinds.compact)
    throw new TrackerError('ERR_MALFORMED', 'only a leader proposes such a command')
  const command = checking.decode(bytes)
  if (typeof command === 'string') throw new TrackerError('ERR_MALFORMED', command)
}
