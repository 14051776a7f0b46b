/** `kairo status`: the running peer at a glance. */
import type { z } from 'zod'
import { statusSchema } from '../api/schemas.ts'
import type { Arguments } from './arguments.ts'
import { PeerClient } from './client.ts'
import { bold, formatBytes, formatSeconds, formatTable, print, printJson } from './output.ts'

/** Runs the command; 0 when a peer answered. */
export async function status(input: Arguments): Promise<number> {
  const client = new PeerClient(input.load().settings.home)
  const answer = await client.call('GET', '/api/status', statusSchema)
  if (input.json) printJson(answer)
  else print(render(answer))
  return 0
}

type Status = z.output<typeof statusSchema>

function render(answer: Status): string {
  return [formatTable(facts(answer)), ...sections(answer)].join('\n\n')
}

function facts(answer: Status): string[][] {
  const { addresses, store } = answer
  return [
    ['peer', answer.peerId],
    ['version', `${answer.version}, up ${formatSeconds(answer.uptimeS)}`],
    ['home', answer.home],
    ['http', [addresses.http, ...addresses.network.http].join('  ')],
    ['rtmp', [addresses.rtmp ?? 'off', ...addresses.network.rtmp].join('  ')],
    ['srt', [addresses.srt ?? 'off', ...addresses.network.srt].join('  ')],
    ...addresses.multiaddrs.map((address, index) => [index === 0 ? 'network' : '', address]),
    [
      'cache',
      `${formatBytes(store.memoryBytes)} of ${formatBytes(store.memoryBytesMax)} RAM, ${formatBytes(store.diskBytes)} of ${formatBytes(store.diskBytesMax)} disk${store.degraded ? ' (disk failing: RAM only)' : ''}`,
    ],
    ['region', regionWords(answer.region)],
    ...answer.join.map(({ target, state, error }) => [
      'join',
      `${target}: ${state}${error === null ? '' : ` (${error})`}`,
    ]),
    ...(answer.watchFolder === null
      ? []
      : [
          [
            'watched folder',
            `${answer.watchFolder.directory}: ${answer.watchFolder.taken} taken, ${answer.watchFolder.pending} waiting, ${answer.watchFolder.failures.length} refused`,
          ],
        ]),
    ...(answer.testStream === null
      ? []
      : [
          [
            'test stream',
            `${answer.testStream.state}${answer.testStream.error === null ? '' : ` (${answer.testStream.error})`}`,
          ],
        ]),
  ]
}

function regionWords({ name, engine, state, error, ...region }: Status['region']): string {
  const { phase, memberCount, hasQuorum, isDegraded, conflicts } = region
  if (state !== 'running')
    return `${name}: ${engine} ${state}${error === null ? '' : ` (${error})`}`
  if (engine === 'etcd') return `${name}, by etcd`
  if (phase !== 'member') return `${name}: in no region yet (${phase})`
  const members = `${name}, ${memberCount} member${memberCount === 1 ? '' : 's'}`
  const others = conflicts === 0 ? '' : ', another region has the same name'
  const quorum = hasQuorum ? '' : isDegraded ? ', no quorum for long' : ', no quorum'
  return `${members}${quorum}${others}`
}

function sections(answer: Status): string[] {
  return [
    section(
      'Peers',
      ['peer', 'address', 'direction'],
      answer.peers.map((peer) => [peer.peerId, peer.address, peer.direction]),
    ),
    section(
      'Publishers',
      ['stream', 'protocol', 'from', 'since', 'kbit/s'],
      answer.publishers.map((publisher) => [
        publisher.stream,
        publisher.protocol,
        publisher.remote,
        publisher.since,
        String(Math.round(publisher.bitrateBps / 1000)),
      ]),
    ),
    section(
      'Media children',
      ['pid', 'job', 'about', 'processor s', 'memory'],
      answer.mediaChildren.map((child) => [
        String(child.pid ?? ''),
        child.job ?? child.state,
        child.label,
        child.cpuS.toFixed(1),
        formatBytes(child.rssBytes),
      ]),
    ),
    section(
      'Streams',
      ['stream', 'state', 'here', 'viewers'],
      answer.streams.map((stream) => [
        stream.name,
        stream.state,
        stream.status,
        String(stream.viewers),
      ]),
    ),
  ]
}

function section(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  if (rows.length === 0) return `${bold(title)}\nnone`
  return `${bold(title)}\n${formatTable([head, ...rows])}`
}
