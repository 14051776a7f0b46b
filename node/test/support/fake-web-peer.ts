/**
 * A stand-in for a peer's HTTP side, for tests of the web pages alone: serves the built pages under the peer's content
 * policy, API answers that the test sets, and one live HLS stream that ffmpeg makes in a temporary folder.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'

const mediaTypes: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.m3u8': 'application/vnd.apple.mpegurl',
  '.m4s': 'video/mp4',
  '.mp4': 'video/mp4',
  '.svg': 'image/svg+xml',
}

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob:; connect-src 'self'; form-action 'self'"

/** What the API answers; tests change the fields. */
export interface FakeAnswers {
  /** False ends every API connection without an answer. */
  reachable: boolean
  token: string
  streams: Record<string, unknown>[]
  peer: Record<string, unknown>
  status: Record<string, unknown>
  keys: Record<string, unknown>[]
  checks: Record<string, unknown>[]
  settings: Record<string, unknown>[]
  library: { videos: Record<string, unknown>[]; [name: string]: unknown }
  transcoding: Record<string, unknown>
  presets: Record<string, unknown>[]
  /** What was chosen for every stream. */
  options: Record<string, unknown>
  restreaming: Record<string, unknown>[]
  pulls: Record<string, unknown>[]
  recordings: Record<string, unknown>[]
  webhooks: Record<string, unknown>[]
  hostRules: { rules: Record<string, unknown>[]; entries: number }
  purges: { caughtUp: boolean; purges: Record<string, unknown>[] }
  knownPeers: Record<string, unknown>
  nearest: Record<string, unknown>
  fills: Record<string, unknown>
  store: Record<string, unknown>
  kept: Record<string, unknown>
  pins: Record<string, unknown>
  region: Record<string, unknown>
  streamOwners: Record<string, unknown>
  /** The text of `/metrics`. */
  metrics: string
}

/** A running stand-in. */
export interface FakeWebPeer {
  readonly url: string
  readonly answers: FakeAnswers
  /** `METHOD path` of each request that changes something, in order. */
  readonly changes: string[]
  close(): Promise<void>
}

/** Starts the stand-in for the pages built into `pagesFolder`; `live` adds the stream called `test`. */
export async function startFakeWebPeer(
  pagesFolder: string,
  answers: FakeAnswers,
  options: { readonly live: boolean },
): Promise<FakeWebPeer> {
  const media = await mkdtemp(join(tmpdir(), 'kairo-web-'))
  const ffmpeg = options.live ? await startHls(media) : undefined
  const changes: string[] = []
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error))
    })
  })
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', 'http://fake')
    if (url.pathname === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain' }).end(answers.metrics)
      return
    }
    if (url.pathname.startsWith('/api/')) {
      answerApi(request, response, url, answers, changes)
      return
    }
    const live = /^\/live\/test\/([\w.-]+)$/.exec(url.pathname)?.[1]
    const file =
      live === undefined
        ? join(pagesFolder, pageFile(url.pathname))
        : join(media, live === 'still.mp4' ? 'still.mp4' : live)
    let body: Buffer
    try {
      body = await readFile(file)
    } catch {
      response.writeHead(404).end()
      return
    }
    const type = mediaTypes[extname(file)] ?? 'application/octet-stream'
    response.writeHead(200, {
      'content-type': type,
      'cache-control': 'no-store',
      ...(type === 'text/html' ? { 'content-security-policy': policy } : {}),
    })
    response.end(body)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answers,
    changes,
    close: async () => {
      server.closeAllConnections()
      server.close()
      if (ffmpeg !== undefined) {
        ffmpeg.kill('SIGKILL')
        await once(ffmpeg, 'close')
      }
      await rm(media, { recursive: true, force: true })
    },
  }
}

function pageFile(path: string): string {
  if (path === '/') return 'index.html'
  if (path === '/admin') return 'admin.html'
  return path.replaceAll('..', '')
}

function answerApi(
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  answers: FakeAnswers,
  changes: string[],
): void {
  if (!answers.reachable) {
    request.socket.destroy()
    return
  }
  const { status, body } = apiAnswer(request, url, answers, changes)
  const type = status < 400 ? 'application/json' : 'application/problem+json'
  response.writeHead(status, { 'content-type': type }).end(JSON.stringify(body))
}

function apiAnswer(
  { method, headers }: IncomingMessage,
  { pathname }: URL,
  answers: FakeAnswers,
  changes: string[],
): { readonly status: number; readonly body: unknown } {
  const isPublic = ['/api/streams', '/api/peer', '/api/vods', '/api/presets'].includes(pathname)
  if (!isPublic && headers.authorization !== `Bearer ${answers.token}`) {
    const detail = 'The operator token is missing.'
    return { status: 401, body: { title: 'Unauthorized', status: 401, detail } }
  }
  if (method !== 'GET') {
    changes.push(`${method} ${pathname}`)
    if (method === 'PATCH') return { status: 200, body: { options: answers.options } }
    if (method === 'DELETE') {
      const name = decodeURIComponent(pathname.split('/').at(-1) ?? '')
      answers.keys = answers.keys.filter((key) => key.name !== name)
    }
    return { status: 200, body: { done: true } }
  }
  const bodies: Readonly<Record<string, unknown>> = {
    '/api/streams': { streams: answers.streams },
    '/api/peer': answers.peer,
    '/api/status': { ...answers.status, streams: answers.streams },
    '/api/keys': { keys: answers.keys },
    '/api/doctor': { checks: answers.checks },
    '/api/config': { settings: answers.settings },
    '/api/vods': answers.library,
    '/api/transcoding': answers.transcoding,
    '/api/presets': { presets: answers.presets },
    '/api/restream': { streams: answers.restreaming },
    '/api/pulls': { pulls: answers.pulls },
    '/api/recordings': { recordings: answers.recordings },
    '/api/webhooks': { endpoints: answers.webhooks },
    '/api/cdn/rules': answers.hostRules,
    '/api/cdn/purges': answers.purges,
    '/api/cdn/fills': answers.fills,
    '/api/store': answers.store,
    '/api/store/kept': answers.kept,
    '/api/ipfs/pins': answers.pins,
    '/api/region': answers.region,
    '/api/region/streams': answers.streamOwners,
    '/api/nearest': answers.nearest,
    '/api/nearest/peers': answers.knownPeers,
    '/api/keys/live/options': { options: answers.options },
  }
  const body = bodies[pathname]
  return body === undefined
    ? { status: 404, body: { title: 'Not Found', status: 404 } }
    : { status: 200, body }
}

/** Makes a live HLS stream, and a still of one frame, in `folder`; resolves when the first segment is listed. */
async function startHls(folder: string): Promise<ChildProcess> {
  const input = ['-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30']
  const encoder = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '30']
  const still = spawn(
    'ffmpeg',
    [
      '-v',
      'error',
      ...input,
      '-frames:v',
      '1',
      ...encoder,
      '-pix_fmt',
      'yuv420p',
      join(folder, 'still.mp4'),
    ],
    { stdio: 'ignore' },
  )
  await once(still, 'close')
  const ffmpeg = spawn(
    'ffmpeg',
    [
      ...['-v', 'error', '-re', ...input],
      ...['-f', 'lavfi', '-i', 'sine=frequency=440'],
      ...[...encoder, '-pix_fmt', 'yuv420p', '-c:a', 'aac'],
      ...['-f', 'hls', '-hls_time', '1', '-hls_list_size', '6', '-hls_segment_type', 'fmp4'],
      ...['-hls_flags', 'delete_segments+independent_segments+program_date_time'],
      ...['-master_pl_name', 'master.m3u8', join(folder, 'media.m3u8')],
    ],
    { stdio: 'ignore' },
  )
  while (ffmpeg.exitCode === null) {
    try {
      await access(join(folder, 'master.m3u8'))
      return ffmpeg
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  throw new Error('ffmpeg ended before it made a stream')
}
