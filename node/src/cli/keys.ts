/** `kairo keys`: the stream keys of the running peer. */
import { readFileSync } from 'node:fs'
import type { z } from 'zod'
import { doneSchema, keySchema, keysSchema } from '../api/schemas.ts'
import { streamOptionsAnswerSchema } from '../api/schemas-stream-options.ts'
import { KairoError } from '../errors.ts'
import { createFile } from '../files.ts'
import { exportedStreamSchema } from '../ingest/stream-keys.ts'
import type { StreamOptions } from '../ingest/stream-options.ts'
import { parseJson } from '../json.ts'
import { type Arguments, UsageError } from './arguments.ts'
import { PeerClient } from './client.ts'
import { formatTable, print, printJson } from './output.ts'

/** Runs the command; 0 when the peer did what was asked. */
export async function keys(input: Arguments): Promise<number> {
  const words = readWords(input.words)
  const { action, name } = words
  const client = new PeerClient(input.load().settings.home)
  switch (action) {
    case 'list': {
      const answer = await client.call('GET', '/api/keys', keysSchema)
      if (input.json) printJson(answer)
      else
        print(
          formatTable([
            ['stream', 'push to', 'id'],
            ...answer.keys.map((key) => [key.name, key.pushUrl ?? key.streamKey, key.id]),
          ]),
        )
      return 0
    }
    case 'add': {
      const key = await client.call(
        'POST',
        '/api/keys',
        keySchema,
        name === undefined ? {} : { name },
      )
      if (input.json) printJson(key)
      else print(keyTable(key))
      return 0
    }
    case 'options': {
      const path = `/api/keys/${encodeURIComponent(words.name)}/options`
      const { changes } = words
      const answer =
        changes === undefined
          ? await client.call('GET', path, streamOptionsAnswerSchema)
          : await client.call('PATCH', path, streamOptionsAnswerSchema, changes)
      if (input.json) printJson(answer)
      else print(optionsTable(answer.options))
      return 0
    }
    case 'export': {
      const path = `/api/keys/${encodeURIComponent(name)}/export`
      const exported = await client.call('GET', path, exportedStreamSchema)
      // Never on the screen: whoever reads it may publish the stream.
      if (!(await createFile(words.file, `${JSON.stringify(exported, null, 2)}\n`))) {
        throw new KairoError('ERR_NAME_TAKEN', `${words.file} is there already`)
      }
      if (input.json) printJson({ done: true })
      else
        print(`${words.file} holds the keys of ${name}. Whoever reads it may publish the stream.`)
      return 0
    }
    case 'import': {
      const exported = exportedStreamSchema.safeParse(parseJson(readKeyFile(words.file)))
      if (!exported.success) {
        throw new KairoError('ERR_INVALID_INPUT', `${words.file} is no exported stream`)
      }
      const key = await client.call('POST', '/api/keys/import', keySchema, exported.data)
      if (input.json) printJson(key)
      else print(keyTable(key))
      return 0
    }
    case 'remove':
    case 'disconnect': {
      const path = `/api/keys/${encodeURIComponent(name)}`
      if (action === 'remove') await client.call('DELETE', path, doneSchema)
      else await client.call('POST', `${path}/disconnect`, doneSchema)
      if (input.json) printJson({ done: true })
      else print(action === 'remove' ? `Removed ${name}.` : `Ended the publisher of ${name}.`)
      return 0
    }
  }
}

function keyTable(key: z.output<typeof keySchema>): string {
  return formatTable([
    ['stream', key.name],
    ['push to', key.pushUrl ?? key.streamKey],
    ...(key.srtUrl === null ? [] : [['or by SRT', key.srtUrl]]),
    ['id', key.id],
  ])
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new KairoError('ERR_NOT_FOUND', `${path} cannot be read`, { cause })
  }
}

type Words =
  | { readonly action: 'list' | 'add'; readonly name: string | undefined }
  | { readonly action: 'remove' | 'disconnect'; readonly name: string }
  | { readonly action: 'export'; readonly name: string; readonly file: string }
  | { readonly action: 'import'; readonly name: undefined; readonly file: string }
  | {
      readonly action: 'options'
      readonly name: string
      /** A merge patch; undefined only shows them. */
      readonly changes: Readonly<Record<string, unknown>> | undefined
    }

/** Before a peer is looked for, so that wrong usage is told as such whether or not one runs. */
function readWords([action = 'list', name, ...rest]: readonly string[]): Words {
  if (action === 'options') {
    if (name === undefined) throw new UsageError('keys options needs the name of a stream')
    return { action, name, changes: rest.length === 0 ? undefined : readChanges(rest) }
  }
  if (action === 'export') {
    const [file, ...more] = rest
    if (name === undefined || file === undefined || more.length > 0) {
      throw new UsageError('keys export needs the name of a stream and a file to make')
    }
    return { action, name, file }
  }
  if (action === 'import') {
    if (name === undefined || rest.length > 0) throw new UsageError('keys import needs one file')
    return { action, name: undefined, file: name }
  }
  if (rest.length > 0 || (action === 'list' && name !== undefined)) {
    throw new UsageError(`too many words after keys ${action}`)
  }
  switch (action) {
    case 'list':
    case 'add':
      return { action, name }
    case 'remove':
    case 'disconnect':
      if (name === undefined) throw new UsageError(`keys ${action} needs the name of a stream`)
      return { action, name }
    default:
      throw new UsageError(
        `keys knows list, add, remove, disconnect, export, import and options, not ${action}`,
      )
  }
}

/** How each option is written on the command line; nothing behind the equals sign takes the choice back. */
const optionReaders: Readonly<Record<string, (text: string) => unknown>> = {
  quality: (text) => text,
  record: readSwitch,
  dvrWindowS: (text) => {
    if (!/^\d{1,5}$/.test(text)) throw new UsageError('dvrWindowS is a number of seconds')
    return Number(text)
  },
  srtPassphrase: (text) => text,
  pullUrl: (text) => text,
}

function readChanges(words: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    words.map((word) => {
      const equals = word.indexOf('=')
      const key = word.slice(0, Math.max(0, equals))
      const read = Object.hasOwn(optionReaders, key) ? optionReaders[key] : undefined
      if (read === undefined) {
        const known = Object.keys(optionReaders).join('=, ')
        throw new UsageError(`an option is written name=value, with one of ${known}=; not ${word}`)
      }
      const text = word.slice(equals + 1)
      return [key, text === '' ? null : read(text)]
    }),
  )
}

function readSwitch(text: string): boolean {
  if (text === 'on' || text === 'true') return true
  if (text === 'off' || text === 'false') return false
  throw new UsageError(`record is on or off, not ${text}`)
}

function optionsTable(options: StreamOptions): string {
  const { restream = [], ...rest } = options
  const rows = Object.entries(rest).map(([key, value]) => [key, String(value)])
  const targets = restream.map(({ name, url, enabled }) => [
    `restream ${name}`,
    enabled ? withoutSecrets(url) : `${withoutSecrets(url)} (off)`,
  ])
  if (rows.length + targets.length === 0)
    return 'Nothing is chosen: the settings of the peer apply.'
  return formatTable([...rows, ...targets])
}

/** A target's address without the key at its end. */
function withoutSecrets(url: string): string {
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}/…`
}
