/**
 * A low-latency HLS client that only watches: it holds a request for the hinted part and one for the playlist that will
 * follow it (RFC 8216bis 6.2.5.2, 6.2.6), and notes when each part's last byte came. The same for every server.
 */
import { Agent, get, type IncomingMessage } from 'node:http'
import { fragmentRuns, videoTimescale } from './fragment.ts'

const RETRY_MS = 100
const REDIRECTS_MAX = 5
/** Longest wait for one answer; servers end a blocked request long before. */
const ANSWER_MS = 20_000

/** One part as it came. */
export interface SeenPart {
  /** What its pictures are known by, over all tracks in it. */
  readonly tails: readonly string[]
  /** By track: pictures of one run and how long they last. */
  readonly runs: readonly { readonly tails: readonly string[]; readonly durationMs: number }[]
  readonly bytes: number
  /** `performance.now()` when its last byte was there. */
  readonly arrivedAtMs: number
}

interface Answer {
  readonly status: number
  readonly body: Buffer
  readonly url: string
  readonly arrivedAtMs: number
}

interface Playlist {
  readonly initUri: string | undefined
  readonly hintUri: string | undefined
  readonly next: { readonly msn: number; readonly part: number }
  readonly ended: boolean
}

/** One watcher of one stream. */
export class LlHlsWatcher {
  readonly parts: SeenPart[] = []
  /** What went wrong along the way, in words; a good run has none. */
  readonly troubles: string[] = []
  #stopped = false
  #timescale = 90_000
  readonly #cookies = new Map<string, string>()
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 })

  /** Follows the first variant of a master playlist until {@link stop}; waits for it to appear. */
  async run(masterUrl: string): Promise<void> {
    const master = await this.#wait(masterUrl)
    const variant = firstVariant(master.body.toString())
    let url = new URL(variant, master.url)
    let playlist = parsePlaylist((await this.#wait(url.href)).body.toString())
    if (playlist.initUri !== undefined) {
      this.#timescale = videoTimescale((await this.#wait(new URL(playlist.initUri, url).href)).body)
    }
    while (!this.#stopped && !playlist.ended) {
      const blocked = new URL(url)
      blocked.searchParams.set('_HLS_msn', String(playlist.next.msn))
      blocked.searchParams.set('_HLS_part', String(playlist.next.part))
      const [answer] = await Promise.all([
        this.#get(blocked.href),
        playlist.hintUri === undefined ? undefined : this.#part(new URL(playlist.hintUri, url)),
      ])
      if (this.#stopped) break
      if (answer.status === 200) playlist = parsePlaylist(answer.body.toString())
      else {
        this.troubles.push(`playlist: status ${answer.status}`)
        await pause(RETRY_MS)
        url = new URL(url)
        playlist = parsePlaylist((await this.#wait(url.href)).body.toString())
      }
    }
  }

  /** Ends {@link run}; requests that are held are let go. */
  stop(): void {
    this.#stopped = true
    this.#agent.destroy()
  }

  async #part(url: URL): Promise<void> {
    const answer = await this.#get(url.href)
    if (this.#stopped) return
    if (answer.status !== 200) {
      this.troubles.push(`part ${url.pathname}: status ${answer.status}`)
      return
    }
    const runs = fragmentRuns(answer.body).map(({ tails, durationTicks }) => ({
      tails,
      durationMs: (durationTicks / this.#timescale) * 1000,
    }))
    this.parts.push({
      runs,
      tails: runs.flatMap((run) => run.tails),
      bytes: answer.body.byteLength,
      arrivedAtMs: answer.arrivedAtMs,
    })
  }

  /** Asks until the answer is 200. */
  async #wait(url: string): Promise<Answer> {
    const endMs = performance.now() + ANSWER_MS
    for (;;) {
      const answer = await this.#get(url)
      if (answer.status === 200) return answer
      if (this.#stopped || performance.now() > endMs) {
        throw new Error(`${url} answers ${answer.status}, not 200`)
      }
      await pause(RETRY_MS)
    }
  }

  async #get(url: string, redirects = 0): Promise<Answer> {
    const answer = await new Promise<Answer & { location?: string }>((resolve) => {
      const failed = (): void =>
        resolve({ status: 0, body: Buffer.alloc(0), url, arrivedAtMs: performance.now() })
      const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const headers = cookie === '' ? {} : { cookie }
      const request = get(url, { agent: this.#agent, headers, timeout: ANSWER_MS }, (response) => {
        this.#keepCookies(response)
        const chunks: Buffer[] = []
        response.on('data', (chunk) => chunks.push(chunk))
        response.once('error', failed)
        response.once('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body: Buffer.concat(chunks),
            url,
            arrivedAtMs: performance.now(),
            ...(response.headers.location && { location: response.headers.location }),
          }),
        )
      })
      request.once('timeout', () => request.destroy())
      request.once('error', failed)
    })
    if (answer.location === undefined || redirects >= REDIRECTS_MAX) return answer
    return this.#get(new URL(answer.location, url).href, redirects + 1)
  }

  #keepCookies(response: IncomingMessage): void {
    for (const line of response.headers['set-cookie'] ?? []) {
      const [name = '', value = ''] = (line.split(';')[0] as string).split('=')
      this.#cookies.set(name.trim(), value.trim())
    }
  }
}

function firstVariant(master: string): string {
  const lines = master.split('\n').map((line) => line.trim())
  const at = lines.findIndex((line) => line.startsWith('#EXT-X-STREAM-INF'))
  const uri = lines.slice(at + 1).find((line) => line !== '' && !line.startsWith('#'))
  if (at === -1 || uri === undefined) throw new Error(`no variant in: ${master}`)
  return uri
}

function parsePlaylist(text: string): Playlist {
  let msn = 0
  let part = 0
  for (const line of text.split('\n')) {
    if (line.startsWith('#EXT-X-MEDIA-SEQUENCE:')) msn = Number(line.slice(22))
    if (line.startsWith('#EXT-X-PART:')) part += 1
    const skipped = /^#EXT-X-SKIP:.*SKIPPED-SEGMENTS=(\d+)/.exec(line)?.[1]
    if (skipped !== undefined) msn += Number(skipped)
    if (line.startsWith('#EXTINF:')) {
      msn += 1
      part = 0
    }
  }
  return {
    initUri: /^#EXT-X-MAP:.*URI="([^"]+)"/m.exec(text)?.[1],
    hintUri: /^#EXT-X-PRELOAD-HINT:.*TYPE=PART.*URI="([^"]+)"/m.exec(text)?.[1],
    next: { msn, part },
    ended: text.includes('#EXT-X-ENDLIST'),
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
