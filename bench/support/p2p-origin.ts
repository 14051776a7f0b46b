/** The origin of the `p2p` bench: serves the stream at a rate that all viewers share, the pages and their scripts as fast as it can, and counts. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { masterPlaylist, mediaPlaylist, type P2pMedia } from './p2p-media.ts'

/** What is sent at once of a body that is held back. */
const CHUNK_BYTES = 16_384
const PUMP_MS = 5
/** What may be sent at once after a pause, in seconds of the rate. */
const BURST_S = 0.25
/** What is published of a live stream when it begins. */
const LIVE_LEAD_S = 60

/** How it serves. */
export interface P2pOriginInit {
  readonly media: P2pMedia
  /** By path; the pages and their scripts. */
  readonly pages: ReadonlyMap<string, string | Buffer>
  /** For all viewers together; undefined: as fast as it can. */
  readonly limitBps?: number | undefined
  readonly isLive: boolean
}

/** An origin on a free port of loopback. */
export class P2pOrigin {
  readonly #init: P2pOriginInit
  readonly #server: Server
  readonly #startedMs = performance.now()
  /** Bodies that wait for their turn. */
  readonly #waiting: (() => void)[] = []
  #tokens = 0
  #filledMs = performance.now()
  #pump: NodeJS.Timeout | undefined
  /** Requests for segments, whole or in parts, and bytes of them that were sent. */
  requests = 0
  sentBytes = 0

  constructor(init: P2pOriginInit) {
    this.#init = init
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    })
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    if (this.#init.limitBps !== undefined) this.#pump = setInterval(() => this.#fill(), PUMP_MS)
  }

  stop(): void {
    clearInterval(this.#pump)
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', this.url)
    const name = pathname.replace(/^\/v\//, '')
    response.setHeader('access-control-allow-origin', '*')
    response.setHeader('cache-control', 'no-store')
    const page = this.#init.pages.get(pathname)
    if (page !== undefined) {
      response.setHeader('content-type', pathname.endsWith('.js') ? 'text/javascript' : 'text/html')
      response.end(page)
    } else if (name === 'master.m3u8') {
      response.end(masterPlaylist)
    } else if (name === 'media.m3u8') {
      const liveS = LIVE_LEAD_S + (performance.now() - this.#startedMs) / 1_000
      response.end(mediaPlaylist(this.#init.isLive ? liveS : undefined))
    } else {
      await this.#serve(name, request.headers.range, response)
    }
  }

  async #serve(name: string, range: string | undefined, response: ServerResponse): Promise<void> {
    const body = this.#init.media.files.get(name)
    if (body === undefined) {
      response.writeHead(404).end()
      return
    }
    const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? []
    const start = Number(from)
    const end = to === '' ? body.length : Math.min(body.length, Number(to) + 1)
    response.setHeader('content-length', end - start)
    if (range !== undefined) {
      response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${body.length}` })
    }
    if (!name.endsWith('.m4s')) {
      response.end(body.subarray(start, end))
      return
    }
    this.requests += 1
    for (let at = start; at < end && !response.destroyed; at += CHUNK_BYTES) {
      if (this.#pump !== undefined) await new Promise<void>((turn) => this.#waiting.push(turn))
      const chunk = body.subarray(at, Math.min(end, at + CHUNK_BYTES))
      this.sentBytes += chunk.length
      if (!response.write(chunk) && !response.destroyed) await drained(response)
    }
    response.end()
  }

  #fill(): void {
    const nowMs = performance.now()
    const bytesPerS = (this.#init.limitBps ?? 0) / 8
    const more = ((nowMs - this.#filledMs) / 1_000) * bytesPerS
    this.#tokens = Math.min(this.#tokens + more, bytesPerS * BURST_S)
    this.#filledMs = nowMs
    while (this.#waiting.length > 0 && this.#tokens >= CHUNK_BYTES) {
      this.#tokens -= CHUNK_BYTES
      this.#waiting.shift()?.()
    }
  }
}

/** Until there is room again, or nobody reads any more. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      response.off('drain', over)
      response.off('close', over)
      resolve()
    }
    response.once('drain', over)
    response.once('close', over)
  })
}
