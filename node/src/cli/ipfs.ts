/** `kairo ipfs`: files and folders go into the running peer and come out of it by their CIDs. */
import { createReadStream } from 'node:fs'
import { mkdir, open, opendir, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { z } from 'zod'
import { doneSchema } from '../api/schemas.ts'
import { ipfsPeerSchema, pinSchema, pinsSchema } from '../api/schemas-ipfs.ts'
import { KairoError } from '../errors.ts'
import { readTar } from '../ipfs/tar/tar-reader.ts'
import { type TarInput, writeTar } from '../ipfs/tar/tar-writer.ts'
import { parseJson } from '../json.ts'
import { type Arguments, UsageError } from './arguments.ts'
import { PeerClient } from './client.ts'
import { formatBytes, formatTable, print, printJson } from './output.ts'

type Pin = z.output<typeof pinSchema>

/** Runs the command; 0 when the peer did what was asked. */
export async function ipfs(input: Arguments): Promise<number> {
  const words = readWords(input)
  const client = new PeerClient(input.load().settings.home)
  const { action, first, peer } = words
  if (action === 'pins') return await list(client, input.json)
  if (action === 'add') return tell(input.json, await add(client, first))
  if (action === 'get') return await get(client, input.json, words)
  if (action === 'pin') {
    const body = { cid: first, ...(peer === undefined ? {} : { peer }) }
    return tell(input.json, await client.call('POST', '/api/ipfs/pins', pinSchema, body))
  }
  await client.call('DELETE', `/api/ipfs/pins/${encodeURIComponent(first)}`, doneSchema)
  if (input.json) printJson({ done: true })
  else print(`${first} is kept no longer.`)
  return 0
}

function tell(json: boolean, pin: Pin): number {
  if (json) printJson(pin)
  else print(`${pin.cid} (${formatBytes(pin.bytes)} in ${pin.blocks} blocks)`)
  return 0
}

async function list(client: PeerClient, json: boolean): Promise<number> {
  const answer = await client.call('GET', '/api/ipfs/pins', pinsSchema)
  if (json) printJson(answer)
  else if (answer.pins.length === 0) print('No trees are kept yet.')
  else {
    const rows = answer.pins.map(({ cid, bytes, blocks, created, name }) => [
      ...[cid, formatBytes(bytes), String(blocks), created, name],
    ])
    print(formatTable([['cid', 'size', 'blocks', 'added', 'name'], ...rows]))
  }
  return 0
}

/** Sends a file as it is, a `.car` as blocks, and a folder as tar. */
async function add(client: PeerClient, path: string): Promise<Pin> {
  const from = resolve(path)
  const facts = await factsOf(from)
  const name = basename(from)
  const isCar = facts === 'file' && name.endsWith('.car')
  const body =
    facts === 'folder' ? Readable.from(writeTar(entriesOf(from))) : createReadStream(from)
  const url = new URL('/api/ipfs/add', client.url)
  url.searchParams.set('name', name)
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      ...client.authorization,
      'content-type': isCar
        ? 'application/vnd.ipld.car'
        : facts === 'folder'
          ? 'application/x-tar'
          : 'application/octet-stream',
    },
    body: Readable.toWeb(body) as ReadableStream<Uint8Array>,
    duplex: 'half',
  } as RequestInit)
  const text = await response.text()
  if (!response.ok) throw problem(response.status, text)
  return pinSchema.parse(parseJson(text))
}

async function factsOf(path: string): Promise<'file' | 'folder'> {
  try {
    const facts = await stat(path)
    if (facts.isFile()) return 'file'
    if (facts.isDirectory()) return 'folder'
  } catch (cause) {
    throw new KairoError('ERR_NOT_FOUND', `cannot read ${path}`, { cause })
  }
  throw new KairoError('ERR_INVALID_INPUT', `${path} is neither a file nor a folder`)
}

/** What lies in a folder, its name first; links and devices are left out, as `ipfs add` leaves out what it cannot take. */
async function* entriesOf(folder: string): AsyncGenerator<TarInput> {
  const stack = [{ from: folder, path: basename(folder) }]
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { from, path } = next
    yield { type: 'folder', path, bytes: 0, content: () => Readable.from([]) }
    for await (const entry of await opendir(from)) {
      const [inner, innerPath] = [join(from, entry.name), `${path}/${entry.name}`]
      // Left out, as `ipfs add` does without its own flag for them.
      if (entry.name.startsWith('.')) continue
      if (entry.isDirectory()) stack.push({ from: inner, path: innerPath })
      else if (entry.isFile()) {
        const { size } = await stat(inner)
        const content = () => createReadStream(inner)
        yield { type: 'file', path: innerPath, bytes: size, content }
      }
    }
  }
}

async function get(client: PeerClient, json: boolean, words: Words): Promise<number> {
  const [cid = '', ...names] = words.first
    .replace(/^\/ipfs\//, '')
    .split('/')
    .filter((name) => name !== '')
  if (words.peer !== undefined) {
    await client.call('POST', '/api/ipfs/peers', ipfsPeerSchema, { address: words.peer })
  }
  const url = new URL(`/api/ipfs/export/${encodeURIComponent(cid)}`, client.url)
  if (names.length > 0) url.searchParams.set('path', names.join('/'))
  const response = await fetch(url, { headers: client.authorization })
  if (!response.ok || response.body === null) throw problem(response.status, await response.text())
  const target = resolve(words.second ?? names.at(-1) ?? cid)
  const files = await unpack(Readable.fromWeb(response.body as never), target)
  if (json) printJson({ path: target, files })
  else print(`${target} (${files} file${files === 1 ? '' : 's'})`)
  return 0
}

/** Writes an archive's only tree to a place where nothing is yet. */
async function unpack(archive: AsyncIterable<Uint8Array>, target: string): Promise<number> {
  let files = 0
  for await (const { type, names, content } of readTar(archive)) {
    // The first name is that of the tree itself, which the target stands for.
    const path = join(target, ...names.slice(1))
    try {
      if (type === 'folder') {
        await mkdir(path)
        continue
      }
      const file = await open(path, 'wx')
      await pipeline(content, file.createWriteStream())
      files += 1
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
      throw new KairoError('ERR_NAME_TAKEN', `${path} is there already`, { cause })
    }
  }
  return files
}

function problem(status: number, text: string): KairoError {
  const { code, detail } = (parseJson(text) ?? {}) as { code?: string; detail?: string }
  return new KairoError(
    (code ?? 'ERR_PROTOCOL') as 'ERR_PROTOCOL',
    detail ?? `the peer answered ${status}`,
  )
}

interface Words {
  readonly action: 'add' | 'get' | 'pin' | 'pins' | 'unpin'
  readonly first: string
  readonly second: string | undefined
  readonly peer: string | undefined
}

/** Before a peer is looked for, so that wrong usage is told as such whether or not one runs. */
function readWords({ words: [action = 'pins', ...more], flags }: Arguments): Words {
  const peer = typeof flags.peer === 'string' ? flags.peer : undefined
  const [first, second] = more
  const wordsMax = { add: 1, get: 2, pin: 1, pins: 0, unpin: 1 }[action]
  if (wordsMax === undefined) {
    throw new UsageError(`ipfs knows add, get, pin, pins and unpin, not ${action}`)
  }
  if (more.length > wordsMax) throw new UsageError(`too many words after ipfs ${action}`)
  if (first === undefined && wordsMax > 0) {
    throw new UsageError(`ipfs ${action} needs a ${action === 'add' ? 'file or folder' : 'CID'}`)
  }
  if (peer !== undefined && action !== 'get' && action !== 'pin') {
    throw new UsageError(`ipfs ${action} takes no --peer`)
  }
  return { action: action as Words['action'], first: first ?? '', second, peer }
}
