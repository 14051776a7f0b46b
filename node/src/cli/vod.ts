/** `kairo vod`: the videos of the running peer, and those of others that play there. */
import { readFile } from 'node:fs/promises'
import { doneSchema } from '../api/schemas.ts'
import { type VodView, vodSchema, vodsSchema } from '../api/schemas-vod.ts'
import { KairoError } from '../errors.ts'
import { parseJson } from '../json.ts'
import { type Arguments, UsageError } from './arguments.ts'
import { PeerClient } from './client.ts'
import { uploadFile } from './file-upload.ts'
import { formatBytes, formatSeconds, formatTable, print, printJson } from './output.ts'

/** Runs the command; 0 when the peer did what was asked. */
export async function vod(input: Arguments): Promise<number> {
  const words = readWords(input.words)
  const { home } = input.load().settings
  const client = new PeerClient(home)
  switch (words.action) {
    case 'list':
      return await list(client, input.json)
    case 'add':
      return await add(client, input.json, { home, path: words.path, title: words.title })
    case 'remove': {
      const path = `/api/vods/${encodeURIComponent(words.id)}`
      await client.call('DELETE', path, doneSchema)
      if (input.json) printJson({ done: true })
      else print(`Removed ${words.id}.`)
      return 0
    }
    case 'captions': {
      const video = await addCaptions(client, words)
      if (input.json) printJson(video)
      else
        print(
          `${video.title} has ${video.captions.length} caption file${video.captions.length === 1 ? '' : 's'} now.`,
        )
      return 0
    }
  }
}

async function list(client: PeerClient, json: boolean): Promise<number> {
  const answer = await client.call('GET', '/api/vods', vodsSchema)
  if (json) {
    printJson(answer)
    return 0
  }
  if (answer.videos.length === 0) {
    print('No videos yet.')
    return 0
  }
  const rows = answer.videos.map((video) => [
    ...[video.id, stateOf(video), formatSeconds(video.durationS), formatBytes(video.bytes)],
    ...[placeOf(video), video.title, video.error?.message ?? ''],
  ])
  print(formatTable([['id', 'state', 'length', 'size', 'where', 'title', 'error'], ...rows]))
  const more =
    answer.networkVideos - answer.videos.filter(({ status }) => status !== 'origin').length
  if (more > 0) print(`${more} more videos of other peers are not listed.`)
  return 0
}

function stateOf({ state, progress }: VodView): string {
  return state === 'transcoding' ? `${state} ${Math.floor(progress * 100)} %` : state
}

function placeOf({ status, originPeer }: VodView): string {
  const words = { origin: 'here', copied: 'copied', known: 'there', away: 'away' }
  return status === 'origin' ? words.origin : `${words[status]} ${originPeer.slice(-8)}`
}

async function add(
  client: PeerClient,
  json: boolean,
  file: { readonly home: string; readonly path: string; readonly title: string | undefined },
): Promise<number> {
  const { isTTY } = process.stderr
  let shown = -1
  const id = await uploadFile(client, {
    ...file,
    onProgress: (sent, total) => {
      const percent = total === 0 ? 100 : Math.floor((sent / total) * 100)
      if (!isTTY || percent === shown) return
      shown = percent
      process.stderr.write(`\r${percent} % of ${formatBytes(total)} `)
    },
  })
  if (isTTY && shown >= 0) process.stderr.write('\n')
  if (json) printJson({ id })
  else print(`Added ${id}; \`kairo vod\` shows how far it is.`)
  return 0
}

async function addCaptions(
  client: PeerClient,
  words: Extract<Words, { readonly action: 'captions' }>,
): Promise<VodView> {
  let text: Buffer
  try {
    text = await readFile(words.path)
  } catch (cause) {
    throw new KairoError('ERR_NOT_FOUND', `cannot read ${words.path}`, { cause })
  }
  const url = new URL(`/api/vods/${encodeURIComponent(words.id)}/captions`, client.url)
  url.searchParams.set('language', words.language)
  url.searchParams.set('label', words.label)
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...client.authorization, 'content-type': 'text/vtt' },
    body: new Uint8Array(text),
  })
  const value = parseJson(await response.text())
  if (response.ok) return vodSchema.parse(value)
  const { code, detail } = (value ?? {}) as { code?: string; detail?: string }
  throw new KairoError(
    (code ?? 'ERR_PROTOCOL') as 'ERR_PROTOCOL',
    detail ?? `the peer answered ${response.status}`,
  )
}

type Words =
  | { readonly action: 'list' }
  | { readonly action: 'add'; readonly path: string; readonly title: string | undefined }
  | { readonly action: 'remove'; readonly id: string }
  | {
      readonly action: 'captions'
      readonly id: string
      readonly path: string
      readonly language: string
      readonly label: string
    }

/** Before a peer is looked for, so that wrong usage is told as such whether or not one runs. */
function readWords([
  action = 'list',
  first,
  second,
  third,
  fourth,
  ...rest
]: readonly string[]): Words {
  const tooMany = (given: string | undefined): void => {
    if (given !== undefined || rest.length > 0) {
      throw new UsageError(`too many words after vod ${action}`)
    }
  }
  switch (action) {
    case 'list':
      tooMany(first)
      return { action }
    case 'add':
      tooMany(third)
      if (first === undefined) throw new UsageError('vod add needs a file')
      return { action, path: first, title: second }
    case 'remove':
      tooMany(second)
      if (first === undefined) throw new UsageError('vod remove needs the id of a video')
      return { action, id: first }
    case 'captions':
      tooMany(undefined)
      if (first === undefined || second === undefined) {
        throw new UsageError('vod captions needs the id of a video and a WebVTT file')
      }
      return { action, id: first, path: second, language: third ?? 'und', label: fourth ?? '' }
    default:
      throw new UsageError(`vod knows list, add, remove and captions, not ${action}`)
  }
}
