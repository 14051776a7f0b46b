/** `kairo region`: who makes up the region of the running peer and who leads; leaves it, gives it up, or moves to another. */
import type { z } from 'zod'
import { doneSchema } from '../api/schemas.ts'
import { regionSchema } from '../api/schemas-region.ts'
import { type Arguments, UsageError } from './arguments.ts'
import { PeerClient } from './client.ts'
import { bold, dim, formatTable, print, printJson } from './output.ts'

type Region = z.output<typeof regionSchema>

type Order =
  | { readonly type: 'show' }
  | { readonly type: 'leave' }
  | { readonly type: 'forget' | 'merge'; readonly regionId: string }

/** Runs the command; 0 when the region decides things, or what was asked for is done. */
export async function region(input: Arguments): Promise<number> {
  const order = readOrder(input)
  const client = new PeerClient(input.load().settings.home)
  if (order.type === 'show') return await show(client, input.json)
  const body = order.type === 'leave' ? undefined : { regionId: order.regionId }
  await client.call('POST', `/api/region/${order.type}`, doneSchema, body)
  if (input.json) printJson({ done: true })
  else print(doneWords[order.type])
  return 0
}

const doneWords = {
  leave: 'This peer has left the region. It joins one again at its next start.',
  forget: 'What this peer held of the region is given up; it founds a new one.',
  merge: 'This peer moves over.',
} as const

/** Before a peer is looked for, so that wrong usage is told as such whether or not one runs. */
function readOrder({ words, flags }: Arguments): Order {
  const [word, regionId, ...more] = words
  if (word === undefined) return { type: 'show' }
  if (word === 'leave' && regionId === undefined) return { type: 'leave' }
  if ((word === 'forget' || word === 'merge') && regionId !== undefined && more.length === 0) {
    if (word === 'forget' && flags['lose-data'] !== true) {
      throw new UsageError(
        'region forget gives up what only this peer holds of the region, and the other members go on without it. If its quorum will not come back, say so with --lose-data',
      )
    }
    return { type: word, regionId }
  }
  throw new UsageError(
    'region needs nothing, or one of: leave, forget <region id> --lose-data, merge <region id>',
  )
}

async function show(client: PeerClient, json: boolean): Promise<number> {
  const answer = await client.call('GET', '/api/region', regionSchema)
  if (json) printJson(answer)
  else print(render(answer))
  const isWell = answer.engine === 'etcd' ? answer.state === 'running' : answer.hasQuorum
  return isWell ? 0 : 1
}

function render(answer: Region): string {
  const parts = [formatTable(facts(answer))]
  if (answer.members.length > 0) parts.push(section('Members', memberRows(answer)))
  if (answer.groups.length > 0) parts.push(section('Groups', groupRows(answer)))
  if (answer.conflicts.length > 0)
    parts.push(section('Other regions of this name', conflicts(answer)))
  return parts.join('\n\n')
}

function facts(answer: Region): string[][] {
  const { name, engine, state, error, phase, regionId, founded, waitsFor } = answer
  const quorum = answer.hasQuorum ? 'yes' : answer.isDegraded ? 'no, for long' : 'no'
  return [
    ['region', name],
    ['engine', `${engine}, ${state}${error === null ? '' : ` (${error})`}`],
    ...(engine === 'etcd' || phase === null ? [] : [['this peer', phase]]),
    ...(regionId === null ? [] : [['id', regionId]]),
    ...(founded === null ? [] : [['founded', founded]]),
    ...(engine === 'etcd' ? [] : [['quorum', quorum]]),
    ...(waitsFor === null ? [] : [['waits for', `${waitsFor}, which has no quorum`]]),
  ]
}

function memberRows({ members }: Region): string[][] {
  return [
    ['member', 'peer', 'state', 'leads', 'votes', 'load', 'starts', 'since', 'roles'],
    ...members.map((member) => [
      `${member.memberId}${member.isSelf ? ' (here)' : ''}`,
      member.peerId,
      stateOf(member),
      String(member.leads),
      String(member.votes),
      member.isAlive ? `${Math.round(member.load * 100)} %` : '',
      String(member.incarnation),
      member.since ?? '',
      member.roles.join(','),
    ]),
  ]
}

function stateOf({ isAlive, isLeaving, isReachable }: Region['members'][number]): string {
  if (!isAlive) return 'away'
  if (isLeaving) return 'leaving'
  return isReachable ? 'there' : 'there, not reachable'
}

function groupRows({ groups }: Region): string[][] {
  return [
    ['group', 'leader', 'term', 'commit', 'voters', 'learners', 'lag', ''],
    ...groups.map((group) => [
      group.group === 0 ? '0 (region)' : String(group.group),
      group.leader === null ? 'none' : String(group.leader),
      ...[String(group.term), String(group.commit)],
      ...[group.voters.join(' '), group.learners.join(' ')],
      lagOf(group),
      [group.hasQuorum ? '' : 'no quorum', group.isChanging ? 'changing' : '']
        .filter((word) => word !== '')
        .join(', '),
    ]),
  ]
}

/** Those that lack something or do not answer: `2:15`, `3:silent`. */
function lagOf({ lag }: Region['groups'][number]): string {
  const behind = lag.filter(({ entries, isActive }) => entries > 0 || !isActive)
  if (behind.length === 0) return '0'
  return behind
    .map(({ memberId, entries, isActive }) => `${memberId}:${isActive ? entries : 'silent'}`)
    .join(' ')
}

function conflicts(answer: Region): string[][] {
  return [
    ['id', 'members', 'founded', 'told by', ''],
    ...answer.conflicts.map((one) => [
      ...[one.regionId, String(one.memberCount), one.founded, one.speakers[0] ?? ''],
      one.isRefused
        ? dim('lets this peer not in')
        : `kairo region merge ${one.regionId} moves this peer there`,
    ]),
  ]
}

function section(title: string, rows: readonly (readonly string[])[]): string {
  return `${bold(title)}\n${formatTable(rows)}`
}
