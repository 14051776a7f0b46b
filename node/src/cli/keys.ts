/** `kairo keys`: the stream keys of the running peer. */
import { doneSchema, keySchema, keysSchema } from '../api/schemas.ts'
import { type Arguments, UsageError } from './arguments.ts'
import { PeerClient } from './client.ts'
import { formatTable, print, printJson } from './output.ts'

/** Runs the command; 0 when the peer did what was asked. */
export async function keys(input: Arguments): Promise<number> {
  const { action, name } = readWords(input.words)
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
      else
        print(
          formatTable([
            ['stream', key.name],
            ['push to', key.pushUrl ?? key.streamKey],
            ['id', key.id],
          ]),
        )
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

type Words =
  | { readonly action: 'list' | 'add'; readonly name: string | undefined }
  | { readonly action: 'remove' | 'disconnect'; readonly name: string }

/** Before a peer is looked for, so that wrong usage is told as such whether or not one runs. */
function readWords([action = 'list', name, ...rest]: readonly string[]): Words {
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
      throw new UsageError(`keys knows list, add, remove and disconnect, not ${action}`)
  }
}
