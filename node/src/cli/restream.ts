/** `kairo restream`: the places that streams of the running peer are also sent to. */
import { doneSchema } from '../api/schemas.ts'
import { restreamingSchema } from '../api/schemas-restream.ts'
import { type Arguments, UsageError } from './arguments.ts'
import { PeerClient } from './client.ts'
import { formatBytes, formatTable, print, printJson } from './output.ts'

type Words =
  | { readonly action: 'list' }
  | { readonly action: 'add'; readonly stream: string; readonly name: string; readonly url: string }
  | {
      readonly action: 'remove' | 'on' | 'off' | 'retry'
      readonly stream: string
      readonly name: string
    }

/** Runs the command; 0 when the peer did what was asked. */
export async function restream(input: Arguments): Promise<number> {
  const words = readWords(input.words)
  const client = new PeerClient(input.load().settings.home)
  if (words.action === 'list') {
    const answer = await client.call('GET', '/api/restream', restreamingSchema)
    if (input.json) printJson(answer)
    else print(table(answer.streams))
    return 0
  }
  const { action, stream, name } = words
  const targets = `/api/keys/${encodeURIComponent(stream)}/restream`
  const target = `${targets}/${encodeURIComponent(name)}`
  if (action === 'add') await client.call('POST', targets, doneSchema, { name, url: words.url })
  else if (action === 'remove') await client.call('DELETE', target, doneSchema)
  else if (action === 'retry') await client.call('POST', `${target}/retry`, doneSchema)
  else await client.call('PATCH', target, doneSchema, { enabled: action === 'on' })
  if (input.json) printJson({ done: true })
  else print(done[action](stream, name))
  return 0
}

const done = {
  add: (stream: string, name: string) => `${stream} is also sent to ${name} now.`,
  remove: (stream: string, name: string) => `${stream} is not sent to ${name} any more.`,
  on: (stream: string, name: string) => `${name} of ${stream} is on.`,
  off: (stream: string, name: string) => `${name} of ${stream} is off.`,
  retry: (stream: string, name: string) => `${name} of ${stream} is tried again.`,
}

/** Before a peer is looked for, so that wrong usage is told as such whether or not one runs. */
function readWords([action = 'list', stream, name, ...rest]: readonly string[]): Words {
  if (action === 'list') {
    if (stream !== undefined) throw new UsageError('too many words after restream list')
    return { action }
  }
  if (action === 'add') {
    const [url, ...more] = rest
    if (stream === undefined || name === undefined || url === undefined || more.length > 0) {
      throw new UsageError('restream add needs a stream, a name for the target and its address')
    }
    return { action, stream, name, url }
  }
  if (action !== 'remove' && action !== 'on' && action !== 'off' && action !== 'retry') {
    throw new UsageError(`restream knows list, add, remove, on, off and retry, not ${action}`)
  }
  if (stream === undefined || name === undefined || rest.length > 0) {
    throw new UsageError(`restream ${action} needs a stream and the name of a target`)
  }
  return { action, stream, name }
}

type Streams = ReturnType<(typeof restreamingSchema)['parse']>['streams']

function table(streams: Streams): string {
  if (streams.length === 0) return 'No stream is sent anywhere else.'
  const rows = streams.flatMap(({ stream, targets }) =>
    targets.map((target) => [
      stream,
      target.name,
      target.state,
      target.host,
      formatBytes(target.bytes),
      `${Math.round(target.bitrateBps / 1000)} kbit/s`,
      String(target.retries),
      target.error ?? '',
    ]),
  )
  const head = ['stream', 'target', 'state', 'to', 'sent', 'rate', 'retries', 'error']
  return formatTable([head, ...rows])
}
