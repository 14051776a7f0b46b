/** Scenarios of membership changes: `simple`, `enter-joint` and `leave-joint` on one configuration. */
import {
  changeSimply,
  enterJoint,
  leaveJoint,
  type Membership,
} from '../../src/raft/conf-change.ts'
import { describeConfiguration, emptyConfiguration } from '../../src/raft/configuration.ts'
import { noLimit } from '../../src/raft/entry-size.ts'
import { RaftError } from '../../src/raft/raft-error.ts'
import type { ConfChangeSingle, ConfChangeType } from '../../src/raft/types.ts'
import type { Directive } from './scenario-file.ts'

const types: Readonly<Record<string, ConfChangeType>> = {
  v: 'ConfChangeAddNode',
  l: 'ConfChangeAddLearnerNode',
  r: 'ConfChangeRemoveNode',
  u: 'ConfChangeUpdateNode',
}

/** Changes such as `v1 l2 r3 u4`, or a sentence about what is wrong with them. */
export function parseChanges(text: string): ConfChangeSingle[] | string {
  const changes: ConfChangeSingle[] = []
  for (const word of text.split(/\s+/).filter((word) => word !== '')) {
    if (word.length < 2) return `unknown token ${word}`
    const type = types[word.charAt(0)]
    if (type === undefined) return `unknown input: ${word}`
    const number = word.slice(1)
    if (!/^\d+$/.test(number)) return `strconv.ParseUint: parsing "${number}": invalid syntax`
    changes.push({ type, nodeId: Number(number) })
  }
  return changes
}

/** The configuration that one file works on. */
export class ConfChangeScenario {
  #membership: Membership = { configuration: emptyConfiguration, progress: new Map() }
  /** Grows by one with every directive, which shows in where newcomers are probed. */
  #lastIndex = 0

  /** Runs one directive and returns its output. */
  run(directive: Directive): string {
    const changes = parseChanges(directive.input)
    try {
      if (typeof changes === 'string') return changes
      const limits = { messagesMax: 10, bytesMax: noLimit }
      this.#membership = this.#change(directive, changes, limits)
      return this.#describe()
    } catch (error) {
      if (error instanceof RaftError) return `${error.message}\n`
      throw error
    } finally {
      this.#lastIndex += 1
    }
  }

  #change(
    { command, arguments: given }: Directive,
    changes: ConfChangeSingle[],
    limits: { messagesMax: number; bytesMax: number },
  ): Membership {
    const newcomer = { lastIndex: this.#lastIndex, limits }
    if (command === 'simple') return changeSimply(this.#membership, changes, newcomer)
    if (command === 'enter-joint') {
      const autoLeave = given.some(({ key, values }) => key === 'autoleave' && values[0] === 'true')
      return enterJoint(this.#membership, autoLeave, changes, newcomer)
    }
    if (command !== 'leave-joint') throw new RaftError('ERR_RAFT_CONF_CHANGE', 'unknown command')
    if (changes.length > 0) {
      throw new RaftError('ERR_RAFT_CONF_CHANGE', 'this command takes no input')
    }
    return leaveJoint(this.#membership, newcomer)
  }

  #describe(): string {
    const { configuration, progress } = this.#membership
    const lines = [...progress]
      .sort(([a], [b]) => a - b)
      .map(([id, entry]) => `${id}: ${entry.describe(configuration.learners.has(id))}\n`)
    return `${describeConfiguration(configuration)}\n${lines.join('')}`
  }
}
