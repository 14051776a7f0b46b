/** `kairo purge`: cached responses are forgotten at every peer of the network; prints what each peer has done. */
import type { z } from 'zod'
import { purgeReportSchema, purgesSchema } from '../api/schemas-purge.ts'
import type { PurgeMode, PurgeSelector } from '../cdn/purge-selector.ts'
import { type Arguments, UsageError } from './arguments.ts'
import { PeerClient } from './client.ts'
import { formatTable, print, printJson } from './output.ts'

type Report = z.output<typeof purgeReportSchema>

/** Runs the command; 0 when every peer has done it. */
export async function purge(input: Arguments): Promise<number> {
  const words = readWords(input)
  const client = new PeerClient(input.load().settings.home)
  if (words === 'list') return await list(client, input.json)
  const report = await client.call('POST', '/api/cdn/purge', purgeReportSchema, words)
  if (input.json) printJson(report)
  else print(describe(report))
  return report.complete ? 0 : 1
}

async function list(client: PeerClient, json: boolean): Promise<number> {
  const answer = await client.call('GET', '/api/cdn/purges', purgesSchema)
  if (json) printJson(answer)
  else if (answer.purges.length === 0) print('No purges are known in this region.')
  else {
    const rows = answer.purges.map(({ issued, mode, selector, degraded, peers }) => {
      const done = peers.filter(({ status }) => status === 'done').length
      const isLogged = degraded ? 'not yet' : 'yes'
      return [issued, mode, nameOf(selector), `${done} of ${peers.length}`, isLogged]
    })
    print(formatTable([['issued', 'mode', 'what', 'peers done', "in the region's log"], ...rows]))
  }
  return 0
}

/** Before a peer is looked for, so that wrong usage is told as such whether or not one runs. */
function readWords({
  words,
  flags,
}: Arguments): 'list' | { selector: PurgeSelector; mode: PurgeMode } {
  const mode = flags.soft === true ? 'soft' : 'hard'
  const [word, ...more] = words
  const selectors = selectorsOf(flags)
  if (word === 'list' && more.length === 0 && selectors.length === 0) return 'list'
  if (word !== undefined) selectors.push({ by: 'url', url: word })
  const [selector] = selectors
  if (selector === undefined || selectors.length > 1 || more.length > 0) {
    throw new UsageError(
      'purge needs one of: a URL, --tag <tag> (with --host <host> for one site), --prefix <url>, --host <host>, --everything',
    )
  }
  return { selector, mode }
}

function selectorsOf({ tag, prefix, host, everything }: Arguments['flags']): PurgeSelector[] {
  const selectors: PurgeSelector[] = []
  if (typeof tag === 'string') {
    selectors.push({ by: 'tag', tag, ...(typeof host === 'string' && { host }) })
  } else if (typeof host === 'string') selectors.push({ by: 'host', host })
  if (typeof prefix === 'string') selectors.push({ by: 'prefix', prefix })
  if (everything === true) selectors.push({ by: 'everything' })
  return selectors
}

function describe({ complete, degraded, peers, selector, mode }: Report): string {
  const rows = peers.map(({ peerId, status, purged, ms, code }) => [
    ...[peerId, status, status === 'done' ? String(purged) : '', `${ms} ms`, code ?? ''],
  ])
  const end = complete
    ? `Every peer has done it (${mode}, ${nameOf(selector)}).`
    : 'Peers that are not done carry it out before they answer from their caches again.'
  const lines = [formatTable([['peer', 'status', 'purged', 'after', 'error'], ...rows]), end]
  if (degraded) lines.push('The log of the region does not have it yet: see `kairo region`.')
  return lines.join('\n')
}

function nameOf(selector: PurgeSelector): string {
  switch (selector.by) {
    case 'url':
      return selector.url
    case 'tag':
      return `tag ${selector.tag}${selector.host === undefined ? '' : ` of ${selector.host}`}`
    case 'prefix':
      return `${selector.prefix}*`
    case 'host':
      return `host ${selector.host}`
    case 'everything':
      return 'everything'
  }
}
