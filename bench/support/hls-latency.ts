/** hls.js's own latency figure, read in a page that holds nothing but a player. */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { median } from './statistics.ts'

/** Time for the player to fill its buffer and catch up with the live edge. */
const SETTLE_MS = 8_000
const SAMPLES = 40
const SAMPLE_MS = 250

const library = join(import.meta.dirname, '../../node_modules/hls.js/dist/hls.min.js')

const page = `<!doctype html><video muted autoplay playsinline></video><script src="/hls.js"></script><script>
window.watch = (url) => {
  const player = new Hls({ lowLatencyMode: true })
  const errors = []
  player.on(Hls.Events.ERROR, (_, data) => errors.push(data.details + (data.fatal ? ' (fatal)' : '')))
  player.loadSource(url)
  player.attachMedia(document.querySelector('video'))
  window.figures = () => ({ latencyS: player.latency, timeS: document.querySelector('video').currentTime, errors })
}
</script>`

/** What the player reported. */
export interface HlsFigures {
  /** Median of `hls.latency`, in seconds, once settled. */
  readonly latencyS: number
  /** Seconds of media played while it was read; close to the time that passed unless it stalled. */
  readonly playedS: number
  /** Details of hls.js's error events. */
  readonly errors: readonly string[]
}

/** Plays a live stream with `lowLatencyMode` and reads the figures after it has settled. */
export async function readHlsLatency(browser: Browser, playlistUrl: string): Promise<HlsFigures> {
  const server = createServer((request, response) => {
    const script = request.url === '/hls.js'
    response.setHeader('content-type', script ? 'text/javascript' : 'text/html')
    if (!script) response.end(page)
    else
      readFile(library).then(
        (body) => response.end(body),
        (error) => response.destroy(error),
      )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const tab = await browser.newPage()
  try {
    await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await tab.evaluate(`watch(${JSON.stringify(playlistUrl)})`)
    await tab.waitForFunction('figures().timeS > 0', undefined, { timeout: 30_000 })
    await tab.waitForTimeout(SETTLE_MS)
    const samples: HlsSample[] = []
    for (let index = 0; index < SAMPLES; index += 1) {
      samples.push(await tab.evaluate('figures()'))
      await tab.waitForTimeout(SAMPLE_MS)
    }
    const [first, last] = [samples[0] as HlsSample, samples.at(-1) as HlsSample]
    return {
      latencyS: median(samples.map((sample) => sample.latencyS)),
      playedS: last.timeS - first.timeS,
      errors: last.errors,
    }
  } finally {
    await tab.close()
    server.close()
    server.closeAllConnections()
  }
}

interface HlsSample {
  readonly latencyS: number
  readonly timeS: number
  readonly errors: readonly string[]
}
