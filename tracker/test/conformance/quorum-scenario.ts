/** Scenarios of commit and vote computation: `committed` and `vote` over one or two majorities. */
import { noLimit } from '../../src/raft/entry-size.ts'
import {
  ascending,
  jointCommitted,
  jointIds,
  jointVote,
  majorityCommitted,
  majorityVote,
} from '../../src/raft/quorum.ts'
import type { Argument, Directive } from './scenario-file.ts'

type Lookup = ReadonlyMap<number, number>

const voteValues: Readonly<Record<string, number>> = { y: 2, n: 1, _: 0 }

/** Runs one directive and returns its output. */
export function runQuorumDirective({ command, arguments: given }: Directive): string {
  if (command !== 'committed' && command !== 'vote') throw new Error(`unknown command: ${command}`)
  const values = (key: string): string[] | undefined => {
    const found = given.filter((argument: Argument) => argument.key === key)
    return found.length === 0 ? undefined : found.flatMap((argument) => argument.values)
  }
  const ids = (values('cfg') ?? []).map(Number)
  const joint = values('cfgj')
  const idsJoint = (joint ?? []).filter((value) => value !== 'zero').map(Number)
  const input =
    command === 'vote'
      ? (values('votes') ?? []).map((value) => voteValues[value] as number)
      : (values('idx') ?? []).map((value) => (value === '_' ? 0 : Number(value)))
  const [incoming, outgoing] = [new Set(ids), new Set(idsJoint)]
  const voters = jointIds({ incoming, outgoing })
  if (voters.length !== input.length) {
    const shown = voters.map((id) => `${id}:{}`).join(' ')
    return `error: mismatched input (explicit or _) for voters map[${shown}]: [${input.join(' ')}]\n`
  }
  const lookup = makeLookup(input, [...ids, ...idsJoint])
  if (command === 'vote') return runVote(incoming, outgoing, joint !== undefined, lookup)
  return joint === undefined ? runMajority(incoming, lookup) : runJoint(incoming, outgoing, lookup)
}

/** Values go to the voters in the order of their first mention; 0 means that nothing is known. */
function makeLookup(input: number[], ids: number[]): Lookup {
  const pairs = [...new Set(ids)].map((id, at): [number, number] => [id, input[at] ?? 0])
  return new Map(pairs.filter(([, value]) => value !== 0))
}

function runVote(
  incoming: Set<number>,
  outgoing: Set<number>,
  joint: boolean,
  lookup: Lookup,
): string {
  const votes = new Map([...lookup].map(([id, value]) => [id, value !== 1]))
  if (!joint) return `${majorityVote(incoming, votes)}\n`
  const result = jointVote({ incoming, outgoing }, votes)
  const swapped = jointVote({ incoming: outgoing, outgoing: incoming }, votes)
  return `${swapped === result ? '' : `${swapped} <-- via symmetry\n`}${result}\n`
}

function runMajority(voters: Set<number>, lookup: Lookup): string {
  const of = (known: Lookup) => (id: number) => known.get(id)
  const index = majorityCommitted(voters, of(lookup))
  const output = [describe(voters, lookup)]
  const expect = (other: number, how: string): void => {
    if (other !== index) output.push(`${show(other)} <-- ${how}\n`)
  }
  expect(committedByCounting(voters, lookup), 'via alternative computation')
  const none = new Set<number>()
  const halves = (outgoing: Set<number>) => ({ incoming: voters, outgoing })
  expect(jointCommitted(halves(none), of(lookup)), 'via zero-joint quorum')
  expect(jointCommitted(halves(voters), of(lookup)), 'via self-joint quorum')
  for (const [id, own] of lookup) {
    if (own >= index) continue
    // Whoever is behind what is committed may be further behind without changing it.
    for (const lower of [own - 1, 0]) {
      const overlay = new Map(lookup).set(id, lower)
      expect(majorityCommitted(voters, of(overlay)), `overlaying ${id}->${lower}`)
    }
  }
  return `${output.join('')}${show(index)}\n`
}

function runJoint(incoming: Set<number>, outgoing: Set<number>, lookup: Lookup): string {
  const of = (id: number) => lookup.get(id)
  const index = jointCommitted({ incoming, outgoing }, of)
  const swapped = jointCommitted({ incoming: outgoing, outgoing: incoming }, of)
  const output = [describe(new Set([...incoming, ...outgoing]), lookup)]
  if (swapped !== index) output.push(`${show(swapped)} <-- via symmetry\n`)
  return `${output.join('')}${show(index)}\n`
}

/** The same by definition: the highest index for which more than half have at least as much. */
function committedByCounting(voters: Set<number>, lookup: Lookup): number {
  if (voters.size === 0) return noLimit
  const known = [0, ...[...voters].map((id) => lookup.get(id) ?? 0)]
  const isHeld = (index: number): boolean =>
    [...voters].filter((id) => (lookup.get(id) ?? 0) >= index).length > voters.size / 2
  return Math.max(...known.filter((index) => index === 0 || isHeld(index)))
}

function show(index: number): string {
  return index === noLimit ? '∞' : String(index)
}

/** A bar for each voter: the more of the others are behind it, the longer. */
function describe(voters: Set<number>, lookup: Lookup): string {
  if (voters.size === 0) return '<empty majority quorum>'
  const ids = ascending(voters)
  const lines = ids.map((id) => {
    const index = lookup.get(id)
    const behind = ids.filter((other) => (lookup.get(other) ?? 0) < (index ?? 0)).length
    const bar =
      index === undefined
        ? `?${' '.repeat(ids.length)}`
        : `${'x'.repeat(behind)}>${' '.repeat(ids.length - behind)}`
    return `${bar} ${String(index ?? 0).padStart(5)}    (id=${id})\n`
  })
  return `${' '.repeat(ids.length)}    idx\n${lines.join('')}`
}
