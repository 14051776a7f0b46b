/** `kairo cdn`: a peer that is a shared cache in front of an origin, and the host rules of the one that runs. */
import type { z } from 'zod'
import { doneSchema } from '../api/schemas.ts'
import { hostRulesSchema, hostRuleViewSchema } from '../api/schemas-cdn.ts'
import { fillsSchema } from '../api/schemas-fills.ts'
import { type Arguments, UsageError } from './arguments.ts'
import { PeerClient } from './client.ts'
import { formatTable, print, printJson } from './output.ts'
import { up } from './up.ts'

type RuleView = z.output<typeof hostRuleViewSchema>

/** Runs the command; 0 after an orderly stop of the peer, or when the running one did what was asked. */
export async function cdn(input: Arguments): Promise<number> {
  const [action, ...words] = input.words
  if (action === undefined) return await serve(input)
  const run = actions[action]
  if (run === undefined) {
    throw new UsageError(`cdn knows ${Object.keys(actions).join(', ')}, not ${action}`)
  }
  return await run(input, words)
}

type Action = (input: Arguments, words: readonly string[]) => Promise<number>

const actions: Readonly<Record<string, Action>> = {
  rules: async (input, words) => {
    if (words.length > 0) throw new UsageError('too many words after cdn rules')
    const answer = await clientOf(input).call('GET', '/api/cdn/rules', hostRulesSchema)
    if (input.json) printJson(answer)
    else if (answer.rules.length === 0) print('No host rules yet.')
    else print(table(answer.rules))
    return 0
  },
  add: async (input, words) => {
    const { name, body } = ruleOf(words)
    const rule = await clientOf(input).call(
      'PUT',
      `/api/cdn/rules/${name}`,
      hostRuleViewSchema,
      body,
    )
    if (input.json) printJson(rule)
    else print(`${name}: ${rule.hosts.join(', ')}${rule.pathPrefix} from ${originOf(rule)}.`)
    return 0
  },
  fill: async (input, words) => {
    const window = words.find((word) => word.startsWith('between='))
    const urls = words.filter((word) => word !== window)
    if (urls.length === 0) throw new UsageError('cdn fill needs one or more URLs')
    const body = { urls, ...(window !== undefined && { between: window.slice('between='.length) }) }
    const answer = await clientOf(input).call('POST', '/api/cdn/fills', fillsSchema, body)
    if (input.json) printJson(answer)
    else print(fillTable(answer.fills))
    return 0
  },
  fills: async (input, words) => {
    if (words.length > 0) throw new UsageError('too many words after cdn fills')
    const answer = await clientOf(input).call('GET', '/api/cdn/fills', fillsSchema)
    if (input.json) printJson(answer)
    else if (answer.fills.length === 0) print('Nothing was ordered.')
    else print(fillTable(answer.fills))
    return 0
  },
  remove: async (input, [name, ...more]) => {
    if (name === undefined || more.length > 0) {
      throw new UsageError('cdn remove needs the name of a rule')
    }
    const path = `/api/cdn/rules/${encodeURIComponent(name)}`
    await clientOf(input).call('DELETE', path, doneSchema)
    if (input.json) printJson({ done: true })
    else print(`Removed ${name}, with what was cached under it.`)
    return 0
  },
}

/** As `kairo up`, with pages and API on a port of their own, since every path of the main one is the origin's. */
async function serve(input: Arguments): Promise<number> {
  const { settings } = input.load()
  if (settings.origin === '') {
    throw new UsageError('cdn needs --origin <url>, or one of the words rules, add and remove')
  }
  return await up(input)
}

function clientOf(input: Arguments): PeerClient {
  return new PeerClient(input.load().settings.home)
}

/** `add <name> <hosts> <origin> [key=value…]`: hosts parted by commas, the origin a URL, an absolute path, or `s3://bucket/prefix`. */
function ruleOf([name, hosts, origin, ...options]: readonly string[]): {
  name: string
  body: Record<string, unknown>
} {
  if (name === undefined || hosts === undefined || origin === undefined) {
    throw new UsageError('cdn add needs a name, hosts and an origin')
  }
  const values = new Map(options.map(optionOf))
  const source = sourceOf(origin, values)
  const body: Record<string, unknown> = { hosts: hosts.toLowerCase().split(','), origin: source }
  for (const [key, value] of values) body[key] = typedValue(value)
  return { name: encodeURIComponent(name), body }
}

function optionOf(text: string): [key: string, value: string] {
  const equals = text.indexOf('=')
  if (equals < 1) throw new UsageError(`expected key=value, not ${text}`)
  return [text.slice(0, equals), text.slice(equals + 1)]
}

/** Options of an S3 bucket are part of its origin; the secret may come from the environment, where no process list shows it. */
function sourceOf(text: string, values: Map<string, string>): Record<string, unknown> {
  if (text.startsWith('/')) return { type: 'folder', path: text }
  const s3 = /^s3:\/\/([^/]+)\/?(.*)$/.exec(text)
  const taken: Record<string, unknown> = {}
  const keys = s3 === null ? ['host'] : ['endpoint', 'region', 'accessKeyId', 'secretAccessKey']
  for (const key of keys) {
    const value = values.get(key)
    if (value !== undefined) taken[key] = value
    values.delete(key)
  }
  if (s3 === null) return { type: 'http', url: text, ...taken }
  const secret = process.env.AWS_SECRET_ACCESS_KEY
  return {
    type: 's3',
    bucket: s3[1],
    prefix: s3[2],
    ...(taken.accessKeyId !== undefined && secret !== undefined && { secretAccessKey: secret }),
    ...taken,
  }
}

function typedValue(value: string): unknown {
  if (value === 'true' || value === 'false') return value === 'true'
  return /^\d+$/.test(value) ? Number(value) : value
}

function table(rules: readonly RuleView[]): string {
  const rows = rules.map((rule) => [
    rule.name,
    `${rule.hosts.join(',')}${rule.pathPrefix}`,
    originOf(rule),
  ])
  return formatTable([['name', 'hosts and path', 'origin'], ...rows])
}

function fillTable(fills: z.output<typeof fillsSchema>['fills']): string {
  const rows = fills.map(({ url, between, state, bytes, problem }) => [
    url,
    between === '' ? 'at once' : between,
    state,
    problem === '' ? `${bytes} bytes` : problem,
  ])
  return formatTable([['url', 'when (UTC)', 'state', ''], ...rows])
}

function originOf({ origin }: RuleView): string {
  switch (origin.type) {
    case 'http':
      return origin.url
    case 'folder':
      return origin.path
    case 's3':
      return `s3://${origin.bucket}/${origin.prefix}`
  }
}
