/** Scenarios of whole groups: members, the messages between them, and every directive that moves them. */
import { noLimit } from '../../src/raft/entry-size.ts'
import { emptyConfState } from '../../src/raft/memory-storage.ts'
import { RaftError } from '../../src/raft/raft-error.ts'
import {
  type ConfChangeTransition,
  createMessage,
  localAppendThread,
  localApplyThread,
  type Message,
  messageTypes,
  type Refusal,
  type Snapshot,
} from '../../src/raft/types.ts'
import { parseChanges } from './conf-change-scenario.ts'
import { describeEntries, describeMessage, describeReady } from './describe.ts'
import type { Argument, Directive } from './scenario-file.ts'
import { ScenarioMember } from './scenario-member.ts'
import { Reported, ScenarioOutput } from './scenario-output.ts'

type Arguments = readonly Argument[]

const refusals: Partial<Record<Refusal, string>> = {
  ERR_PROPOSAL_DROPPED: 'raft proposal dropped',
  ERR_LOCAL_MESSAGE: 'raft: cannot step raft local message',
  ERR_UNKNOWN_PEER: 'raft: cannot step as peer not found',
}

const transitions: Readonly<Record<string, ConfChangeTransition>> = {
  auto: 'ConfChangeTransitionAuto',
  implicit: 'ConfChangeTransitionJointImplicit',
  explicit: 'ConfChangeTransitionJointExplicit',
}

const storageErrors: ReadonlySet<string> = new Set([
  'ERR_RAFT_COMPACTED',
  'ERR_RAFT_SNAPSHOT_OUT_OF_DATE',
])

interface Recipient {
  readonly id: number
  readonly drop: boolean
}

/** The group that one file works on. */
export class InteractionScenario {
  readonly #output = new ScenarioOutput()
  readonly #members: ScenarioMember[] = []
  #messages: Message[] = []

  readonly #commands: Readonly<Record<string, (given: Arguments, input: string) => void>> = {
    _breakpoint: () => {},
    'add-nodes': (given) => this.#addNodes(given),
    campaign: (given) => this.#first(given).node.campaign(),
    compact: (given) => {
      this.#first(given).storage.compact(number(given[1]?.key))
      this.#writeLog(this.#first(given))
    },
    'deliver-msgs': (given) => this.#deliverDirective(given),
    'process-ready': (given) =>
      this.#each(given, 'handling Ready', (member) => this.#processReady(member)),
    'process-append-thread': (given) =>
      this.#each(given, 'processing append thread', (member) => this.#processAppend(member)),
    'process-apply-thread': (given) =>
      this.#each(given, 'processing apply thread', (member) => this.#processApply(member)),
    'log-level': (given) => this.#output.setLevel(given[0]?.key ?? ''),
    'raft-log': (given) => this.#writeLog(this.#first(given)),
    'raft-state': () => this.#writeStates(),
    'set-randomized-election-timeout': (given) =>
      this.#first(given).node.setElectionTimeout(number(value(given, 'timeout'))),
    stabilize: (given) => this.#stabilizeDirective(given),
    status: (given) => {
      for (const { id, description } of this.#first(given).node.status().progress) {
        this.#output.writeLine(`${id}: ${description}`)
      }
    },
    'tick-election': (given) => tick(this.#first(given), 'electionTicks'),
    'tick-heartbeat': (given) => tick(this.#first(given), 'heartbeatTicks'),
    'transfer-leadership': (given) => {
      const to = this.#member(number(value(given, 'to')))
      this.#member(number(value(given, 'from'))).node.transferLeader(to.id)
    },
    'forget-leader': (given) => this.#first(given).node.forgetLeader(),
    'send-snapshot': (given) => this.#sendSnapshot(given),
    propose: (given) => {
      const data = new TextEncoder().encode(given[1]?.key ?? '')
      refuse(this.#first(given).node.propose(data))
    },
    'propose-conf-change': (given, input) => this.#proposeConfChange(given, input),
    'report-unreachable': (given) => {
      const [on, of] = this.#named(given)
      if (on === undefined || of === undefined) {
        throw new Reported(
          'must specify exactly two node indexes: node on which to report, and reported node',
        )
      }
      on.node.reportUnreachable(of.id)
    },
    'report-snapshot': (given) => {
      const [on, of] = this.#named(given)
      if (on === undefined || of === undefined) throw new Reported('must specify two nodes')
      on.node.reportSnapshot(of.id, value(given, 'failed') !== 'true')
    },
    'read-index': (given) => {
      const context = new TextEncoder().encode(given[1]?.key ?? '')
      refuse(this.#first(given).node.readIndex(context))
    },
  }

  /** Runs one directive and returns its output. */
  run({ command, arguments: given, input }: Directive): string {
    this.#output.take()
    try {
      const execute = this.#commands[command]
      if (execute === undefined) throw new Reported('unknown command')
      execute(given, input)
    } catch (error) {
      if (!(error instanceof Reported) && !isStorageError(error)) throw error
      if (this.#output.quiet) return error.message
      this.#output.write(error.message)
    }
    return this.#output.take() || 'ok'
  }

  #addNodes(given: Arguments): void {
    const list = (key: string): number[] =>
      given.filter((argument) => argument.key === key).flatMap(({ values }) => values.map(Number))
    const flag = (key: string): boolean => value(given, key) === 'true'
    const [voters, learners] = [list('voters'), list('learners')]
    const index = Number(value(given, 'index') ?? 0)
    const data = new TextEncoder().encode(value(given, 'content') ?? '')
    const isBootstrap = voters.length > 0 || learners.length > 0 || index > 0 || data.length > 0
    if (isBootstrap && index <= 1) {
      throw new Reported('index must be specified as > 1 due to bootstrap')
    }
    const readOnly = value(given, 'read-only') ?? 'safe'
    if (readOnly !== 'safe' && readOnly !== 'lease-based') {
      throw new Reported(`invalid read-only option "${readOnly}"`)
    }
    const confState = { ...emptyConfState, voters, learners }
    const start: Snapshot = { index, term: isBootstrap ? 1 : 0, confState, data }
    for (let count = number(given[0]?.key); count > 0; count -= 1) {
      const member = new ScenarioMember(
        {
          id: this.#members.length + 1,
          ...{ random: () => 0.5, electionTicks: 3, heartbeatTicks: 1, applied: index },
          asyncStorageWrites: flag('async-storage-writes'),
          ...{ messageBytesMax: noLimit, uncommittedBytesMax: 0, inflightBytesMax: 0 },
          committedBytesMax: Number(value(given, 'max-committed-size-per-ready') ?? 0),
          inflightMessagesMax: Number(value(given, 'inflight') ?? 0x7fffffff),
          ...{ preVote: flag('prevote'), checkQuorum: flag('checkquorum') },
          readMode: readOnly === 'safe' ? 'safe' : 'lease',
          validateConfChanges: !flag('disable-conf-change-validation'),
          stepDownOnRemoval: flag('step-down-on-removal'),
          logger: this.#output,
        },
        start,
      )
      this.#members.push(member)
    }
  }

  #proposeConfChange(given: Arguments, input: string): void {
    const isV1 = ['true', '1', 't'].includes(value(given, 'v1')?.toLowerCase() ?? 'false')
    const name = value(given, 'transition') ?? 'auto'
    const transition = transitions[name]
    if (transition === undefined) throw new Reported(`unknown transition ${name}`)
    const changes = parseChanges(input)
    if (typeof changes === 'string') throw new Reported(changes)
    if (isV1 && (changes.length > 1 || name !== 'auto')) {
      throw new Reported('v1 conf change can only have one operation and no transition')
    }
    const change = { transition, changes, context: new Uint8Array(0) }
    const type = isV1 ? 'EntryConfChange' : 'EntryConfChangeV2'
    refuse(this.#first(given).node.proposeConfChange(change, type))
  }

  #sendSnapshot(given: Arguments): void {
    const [from, to] = this.#named(given)
    if (from === undefined || to === undefined) throw new Error('send-snapshot needs two nodes')
    const { term } = from.node.status()
    const snapshot = from.storage.snapshot()
    const message = createMessage({
      ...{ type: 'MsgSnap' as const, term, from: from.id, to: to.id, snapshot },
    })
    this.#messages.push(message)
    this.#output.write(describeMessage(message))
  }

  #processReady(member: ScenarioMember): void {
    const ready = member.node.ready()
    this.#output.write(describeReady(ready))
    if (!member.isAsync) {
      member.append(ready.hardState, ready.entries, ready.snapshot)
      member.apply(ready.committedEntries)
    }
    for (const message of ready.messages) {
      if (message.to === localAppendThread) member.appendWork.push(message)
      else if (message.to === localApplyThread) member.applyWork.push(message)
      else this.#messages.push(message)
    }
    if (!member.isAsync) member.node.advance()
  }

  #processAppend(member: ScenarioMember): void {
    const message = member.appendWork.shift()
    if (message === undefined) {
      this.#output.write('no append work to perform')
      return
    }
    this.#processStorage(message, () => {
      const { term, vote, commit, entries, snapshot } = message
      const isSet = term !== 0 || vote !== 0 || commit !== 0
      member.append(isSet ? { term, vote, commit } : undefined, entries, snapshot)
    })
  }

  #processApply(member: ScenarioMember): void {
    const message = member.applyWork.shift()
    if (message === undefined) this.#output.write('no apply work to perform')
    else this.#processStorage(message, () => member.apply(message.entries))
  }

  #processStorage(message: Message, work: () => void): void {
    const { responses } = message
    this.#output.writeLine('Processing:')
    this.#output.writeLine(describeMessage({ ...message, responses: [] }))
    work()
    this.#output.writeLine('Responses:')
    for (const response of responses) this.#output.writeLine(describeMessage(response))
    this.#messages.push(...responses)
  }

  #deliverDirective(given: Arguments): void {
    const type = value(given, 'type')
    if (type !== undefined && !(messageTypes as readonly string[]).includes(type)) {
      throw new Error(`unknown message type ${type}`)
    }
    const recipients = given.flatMap(({ key, values }): Recipient[] => {
      if (values.length === 0) return [{ id: number(key), drop: false }]
      return key === 'drop' ? values.map((id) => ({ id: number(id), drop: true })) : []
    })
    if (this.#deliver(recipients, type) === 0) this.#output.writeLine('no messages')
  }

  #deliver(recipients: readonly Recipient[], type?: string): number {
    let count = 0
    for (const { id, drop } of recipients) {
      const messages = this.#split(id, drop, type)
      this.#messages = this.#messages.filter((message) => !messages.includes(message))
      count += messages.length
      for (const message of messages) {
        this.#output.writeLine(`${drop ? 'dropped: ' : ''}${describeMessage(message)}`)
        if (drop) continue
        const refusal = this.#member(message.to).step(message)
        if (refusal !== undefined) this.#output.writeLine(refusals[refusal] ?? refusal)
      }
    }
    return count
  }

  /** The messages to a member. What it says to itself is never lost. */
  #split(id: number, drop: boolean, type?: string): Message[] {
    const isLocal = ({ from, to }: Message): boolean =>
      from === to || [localAppendThread, localApplyThread].some((thread) => thread === from)
    return this.#messages.filter(
      (message) =>
        message.to === id &&
        !(drop && isLocal(message)) &&
        (type === undefined || message.type === type),
    )
  }

  #stabilizeDirective(given: Arguments): void {
    const named = this.#named(given)
    const run = (): void => this.#stabilize(named.length > 0 ? named : this.#members)
    const level = value(given, 'log-level')
    if (level === undefined) run()
    else this.#output.atLevel(level, run)
  }

  #stabilize(members: readonly ScenarioMember[]): void {
    const title = (member: ScenarioMember, doing: string, work: () => void): void => {
      this.#output.writeLine(`> ${member.id} ${doing}`)
      work()
    }
    const drain = (member: ScenarioMember, queue: 'appendWork' | 'applyWork'): void => {
      while (member[queue].length > 0) {
        this.#output.indented(() =>
          queue === 'appendWork' ? this.#processAppend(member) : this.#processApply(member),
        )
      }
    }
    for (let isDone = false; !isDone; ) {
      isDone = true
      for (const member of members.filter(({ node }) => node.hasReady())) {
        isDone = false
        const work = (): void => this.#output.indented(() => this.#processReady(member))
        title(member, 'handling Ready', work)
      }
      for (const member of members) {
        if (this.#split(member.id, false).length === 0) continue
        isDone = false
        const recipient = { id: member.id, drop: false }
        const work = (): void => this.#output.indented(() => void this.#deliver([recipient]))
        title(member, 'receiving messages', work)
      }
      for (const member of members.filter(({ appendWork }) => appendWork.length > 0)) {
        isDone = false
        title(member, 'processing append thread', () => drain(member, 'appendWork'))
      }
      for (const member of members.filter(({ applyWork }) => applyWork.length > 0)) {
        isDone = false
        title(member, 'processing apply thread', () => drain(member, 'applyWork'))
      }
    }
  }

  #each(given: Arguments, doing: string, work: (member: ScenarioMember) => void): void {
    const members = this.#named(given)
    for (const member of members) {
      if (members.length > 1) {
        this.#output.writeLine(`> ${member.id} ${doing}`)
        this.#output.indented(() => work(member))
      } else {
        work(member)
      }
    }
  }

  #writeLog({ storage }: ScenarioMember): void {
    const [first, last] = [storage.firstIndex(), storage.lastIndex()]
    if (last < first) {
      this.#output.write(`log is empty: first index=${first}, last index=${last}`)
      return
    }
    this.#output.write(describeEntries(storage.entries(first, last + 1, noLimit) ?? []))
  }

  #writeStates(): void {
    for (const { id, node } of this.#members) {
      const { state, term, lead, confState } = node.status()
      const isVoter = [...confState.voters, ...confState.votersOutgoing].includes(id)
      this.#output.writeLine(
        `${id}: ${state} ${isVoter ? '(Voter)' : '(Non-Voter)'} Term:${term} Lead:${lead}`,
      )
    }
  }

  /** The members that a directive names; `key=value` arguments name nobody. */
  #named(given: Arguments): ScenarioMember[] {
    return given
      .filter(({ values }) => values.length === 0)
      .map(({ key }) => this.#member(number(key)))
  }

  #first(given: Arguments): ScenarioMember {
    return this.#member(number(given[0]?.key))
  }

  #member(id: number): ScenarioMember {
    const member = this.#members[id - 1]
    if (member === undefined) throw new Error(`there is no node ${id}`)
    return member
  }
}

function tick(member: ScenarioMember, length: 'electionTicks' | 'heartbeatTicks'): void {
  for (let left = member[length]; left > 0; left -= 1) member.node.tick()
}

function value(given: Arguments, key: string): string | undefined {
  return given.find((argument) => argument.key === key)?.values[0]
}

function number(text: string | undefined): number {
  if (text === undefined || !/^\d+$/.test(text)) throw new Error(`not a number: ${text}`)
  return Number(text)
}

function refuse(refusal: Refusal | undefined): void {
  if (refusal !== undefined) throw new Reported(refusals[refusal] ?? refusal)
}

/** What a storage refuses is part of the output; a broken rule of Raft ends the run. */
function isStorageError(error: unknown): error is RaftError {
  return error instanceof RaftError && storageErrors.has(error.code)
}
