/** `kairo region`: who makes up the region of the running peer and who leads, and who owns which stream; leaves it, gives it up, or moves to another. */
import type { z } from 'zod'
import {
  conflictAdvice,
  groupLag,
  groupLeader,
  groupName,
  groupState,
  leaseLeft,
  memberLoad,
  memberState,
  ownerWords,
  regionFacts,
  regionNotices,
  regionState,
  tokenWords,
} from '../api/region-words.ts'
import { doneSchema } from '../api/schemas.ts'
import { ownersSchema, regionSchema } from '../api/schemas-region.ts'
import { type Arguments, UsageError } from './arguments.ts'
import { PeerClient } from './client.ts'
import { bold, dim, formatTable, print, printJson } from './output.ts'

type Region = z.output<typeof regionSchema>
type Owners = z.output<typeof ownersSchema>

type Order =
  | { readonly type: 'show' }
  | { readonly type: 'streams' }
  | { readonly type: 'leave' }
  | { readonly type: 'forget' | 'merge'; readonly regionId: string }

/** Runs the command; 0 when the region decides things, or what was asked for is done. */
export async function region(input: Arguments): Promise<number> {
  const order = readOrder(input)
  const client = new PeerClient(input.load().settings.home)
  if (order.type === 'show') return await show(client, input.json)
  if (order.type === 'streams') return await showStreams(client, input.json)
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
  if ((word === 'leave' || word === 'streams') && regionId === undefined) return { type: word }
  if ((word === 'forget' || word === 'merge') && regionId !== undefined && more.length === 0) {
    if (word === 'forget' && flags['lose-data'] !== true) {
      throw new UsageError(
        'region forget gives up what only this peer holds of the region, and the other members go on without it. If its quorum will not come back, say so with --lose-data',
      )
    }
    return { type: word, regionId }
  }
  throw new UsageError(
    'region needs nothing, or one of: streams, leave, forget <region id> --lose-data, merge <region id>',
  )
}

async function show(client: PeerClient, json: boolean): Promise<number> {
  const answer = await client.call('GET', '/api/region', regionSchema)
  if (json) printJson(answer)
  else print(render(answer))
  return regionState(answer).status === 'ok' ? 0 : 1
}

function render(answer: Region): string {
  const notices = noticeLines(answer)
  const parts = [formatTable(facts(answer)), ...(notices === '' ? [] : [notices])]
  if (answer.members.length > 0) parts.push(section('Members', memberRows(answer)))
  if (answer.groups.length > 0) parts.push(section('Groups', groupRows(answer)))
  if (answer.conflicts.length > 0) parts.push(conflicts(answer))
  return parts.join('\n\n')
}

function facts(answer: Region): string[][] {
  return regionFacts(answer).map((pair) => [...pair])
}

function noticeLines(answer: Region): string {
  return regionNotices(answer)
    .map(({ text, hint }) => (hint === '' ? text : `${text}\n${hint}`))
    .join('\n')
}

function memberRows(region: Region): string[][] {
  return [
    ['member', 'peer', 'state', 'leads', 'votes', 'load', 'starts', 'since', 'roles'],
    ...region.members.map((member) => [
      `${member.memberId}${member.isSelf ? ' (here)' : ''}`,
      member.peerId,
      memberState(member, region).word,
      String(member.leads),
      String(member.votes),
      memberLoad(member),
      String(member.incarnation),
      member.since ?? '',
      member.roles.join(', '),
    ]),
  ]
}

function groupRows({ groups }: Region): string[][] {
  return [
    ['group', 'leader', 'term', 'commit', 'voters', 'learners', 'lag', ''],
    ...groups.map((group) => [
      ...[groupName(group), groupLeader(group)],
      ...[String(group.term), String(group.commit)],
      ...[group.voters.join(' '), group.learners.join(' ')],
      ...[groupLag(group), groupState(group)],
    ]),
  ]
}

function conflicts(answer: Region): string {
  const rows = answer.conflicts.map((one) => [
    ...[one.regionId, String(one.memberCount), one.founded, one.speakers[0] ?? ''],
  ])
  const table = section('Other regions of this name', [
    ['id', 'members', 'founded', 'told by'],
    ...rows,
  ])
  const advice = answer.conflicts.flatMap((one) => [
    `${one.regionId}: ${conflictAdvice(one)}`,
    ...(one.isRefused ? [] : [dim(`kairo region merge ${one.regionId} moves this peer there`)]),
  ])
  return [table, ...advice].join('\n')
}

/** Asks part by part: a look at too many would keep the region busy. */
async function showStreams(client: PeerClient, json: boolean): Promise<number> {
  const streams: Owners['streams'][number][] = []
  for (;;) {
    const path = `/api/region/streams?skip=${streams.length}`
    const part = await client.call('GET', path, ownersSchema)
    streams.push(...part.streams)
    if (part.streams.length > 0 && streams.length < part.total) continue
    const answer: Owners = { ...part, streams }
    if (json) printJson(answer)
    else print(renderStreams(answer))
    return streams.some(({ state }) => state === 'unknown') ? 1 : 0
  }
}

function renderStreams({ streams, leaseMs }: Owners): string {
  if (streams.length === 0) return 'No stream is live.'
  return formatTable([
    ['stream', 'owner', 'since', 'token', 'lease'],
    ...streams.map((stream) => [
      ...[stream.name, ownerWords(stream), stream.since ?? ''],
      ...[tokenWords(stream), leaseLeft(stream, leaseMs)],
    ]),
  ])
}

function section(title: string, rows: readonly (readonly string[])[]): string {
  return `${bold(title)}\n${formatTable(rows)}`
}
