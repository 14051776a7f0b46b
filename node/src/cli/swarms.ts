/** `kairo swarms`: who holds and who watches what in the region of the running peer. */
import type { z } from 'zod'
import { swarmSchema, swarmsSchema } from '../api/schemas-swarms.ts'
import { type Arguments, UsageError } from './arguments.ts'
import { PeerClient } from './client.ts'
import { bold, formatTable, print, printJson } from './output.ts'

type All = z.output<typeof swarmsSchema>
type One = z.output<typeof swarmSchema>

/** Runs the command; 0 when the region answered. */
export async function swarms({ words, json, load }: Arguments): Promise<number> {
  const [stream, ...more] = words
  if (more.length > 0) throw new UsageError('swarms needs nothing, or one stream')
  const client = new PeerClient(load().settings.home)
  return stream === undefined ? await showAll(client, json) : await showOne(client, stream, json)
}

/** Part by part: one look at too many would keep the leaders busy. */
async function showAll(client: PeerClient, json: boolean): Promise<number> {
  const streams: All['streams'][number][] = []
  for (;;) {
    const part = await client.call('GET', `/api/swarms?skip=${streams.length}`, swarmsSchema)
    streams.push(...part.streams)
    if (part.streams.length > 0 && streams.length < part.total) continue
    const answer: All = { ...part, streams }
    if (json) printJson(answer)
    else print(renderAll(answer))
    return answer.totals.answered === answer.totals.shards ? 0 : 1
  }
}

function renderAll({ totals, streams }: All): string {
  const { peers, subjects, viewers, shards, answered, complete } = totals
  const facts = formatTable([
    ['peers', String(peers)],
    ['viewers', String(viewers)],
    ['streams and renditions', String(subjects)],
    ['shards', `${answered} of ${shards} answered, ${complete} have heard of everybody`],
  ])
  if (streams.length === 0) return `${facts}\n\nNo stream is live.`
  const rows = streams.map(({ name, viewers, holders, problem }) =>
    problem === null
      ? [name, String(viewers), String(holders), '']
      : [name, '', '', `not known: ${problem}`],
  )
  return `${facts}\n\n${formatTable([['stream', 'viewers', 'peers', ''], ...rows])}`
}

async function showOne(client: PeerClient, stream: string, json: boolean): Promise<number> {
  const path = `/api/swarms/${encodeURIComponent(stream)}`
  const answer = await client.call('GET', path, swarmSchema)
  if (json) printJson(answer)
  else print(renderOne(answer))
  return answer.problem === null ? 0 : 1
}

function renderOne({ name, viewers, holders, problem, renditions }: One): string {
  if (problem !== null) return `${name}: not known: ${problem}`
  const head = `${bold(name)}: ${viewers} watching, ${holders} peers`
  const rows = renditions.flatMap((rendition) =>
    rendition.holders.map((holder) => [
      rendition.name,
      holder.peerId,
      `${(holder.uploadFreeKbps / 1_000).toFixed(0)} Mbit/s`,
      `${Math.round(holder.load * 100)} %`,
    ]),
  )
  if (rows.length === 0) return head
  return `${head}\n${formatTable([['rendition', 'other peer', 'free upload', 'load'], ...rows])}`
}
