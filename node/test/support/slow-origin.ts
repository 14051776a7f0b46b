/** An HTTP origin of files that counts what it is asked for, and sends no faster than it is told, all answers together. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'

const CHUNK_BYTES = 8_192

/** The origin. */
export class SlowOrigin {
  /** Requests by path. */
  readonly asked = new Map<string, number>()
  /** Of segments. */
  bytesSent = 0
  readonly #server: Server
  readonly #files: ReadonlyMap<string, Buffer>
  readonly #bps: number
  /** When the line is free again. */
  #freeAtMs = 0

  private constructor(files: ReadonlyMap<string, Buffer>, bps: number) {
    this.#files = files
    this.#bps = bps
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    })
  }

  /** Starts one on loopback that ends with the test; `bps` 0: as fast as it can. */
  static async start(
    t: Test,
    files: ReadonlyMap<string, Buffer>,
    { bps = 0 } = {},
  ): Promise<SlowOrigin> {
    const origin = new SlowOrigin(files, bps)
    await new Promise<void>((resolve) => origin.#server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => {
      origin.#server.closeAllConnections()
      origin.#server.close()
    })
    return origin
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Requests of media segments. */
  get segmentRequests(): number {
    return [...this.asked].reduce((sum, [path, count]) => sum + (isSegment(path) ? count : 0), 0)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0] as string
    const file = this.#files.get(path)
    this.asked.set(path, (this.asked.get(path) ?? 0) + 1)
    if (file === undefined) {
      response.writeHead(404).end()
      return
    }
    const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
    const end = to === '' ? file.length : Number(to) + 1
    const body = file.subarray(Number(from), end)
    response.writeHead(request.headers.range ? 206 : 200, {
      'content-type': mediaTypeOf(path),
      'content-length': body.length,
      'cache-control': 'no-store',
      ...(request.headers.range && { 'content-range': `bytes ${from}-${end - 1}/${file.length}` }),
    })
    if (!isSegment(path)) {
      response.end(body)
      return
    }
    for (let at = 0; at < body.length && !response.destroyed; at += CHUNK_BYTES) {
      const chunk = body.subarray(at, at + CHUNK_BYTES)
      await this.#turn(chunk.length)
      this.bytesSent += chunk.length
      response.write(chunk)
    }
    response.end()
  }

  /** Waits until so many bytes may go, behind those of all others. */
  async #turn(bytes: number): Promise<void> {
    if (this.#bps === 0) return
    const nowMs = performance.now()
    this.#freeAtMs = Math.max(nowMs, this.#freeAtMs) + (bytes * 8_000) / this.#bps
    if (this.#freeAtMs > nowMs) await delay(this.#freeAtMs - nowMs)
  }
}

function isSegment(path: string): boolean {
  return path.endsWith('.m4s')
}

function mediaTypeOf(path: string): string {
  if (path.endsWith('.js')) return 'text/javascript'
  return path === '/' ? 'text/html' : 'application/octet-stream'
}
