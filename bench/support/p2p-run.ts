/** One run of the `p2p` bench: some viewers of one side, in one scenario, each a page in a browser context of its own. */

import type { Browser, BrowserContext, Page } from 'playwright-core'
import { progress } from '../result.ts'
import type { P2pMedia } from './p2p-media.ts'
import { P2pOrigin } from './p2p-origin.ts'
import { type PageInit, type PageReading, pageOf, pageScript } from './p2p-page.ts'
import { median } from './statistics.ts'

/** Who plays: hls.js alone, with this library, with p2p-media-loader. */
export type P2pSide = 'plain' | 'ours' | 'p2pml'

/** What is played, by how many, for how long. */
export interface P2pScenario {
  readonly name: string
  readonly viewers: number
  readonly sides: readonly P2pSide[]
  /** From the last viewer's start to the reading. */
  readonly seconds: number
  /** Between two viewers' starts. */
  readonly staggerS?: number
  /** So often the oldest viewer leaves and a new one comes. */
  readonly churnS?: number
  /** Of the origin, for all together. */
  readonly limitBps?: number
  readonly isLive?: boolean
  /** The low-latency test stream of a Kairo peer is played, not the bench's own media. */
  readonly isLowLatency?: boolean
  readonly hls?: object
  readonly core?: object
}

/** Everything that a run needs besides. */
export interface P2pStage {
  readonly browser: Browser
  readonly media: P2pMedia
  /** Scripts of the pages by path. */
  readonly scripts: ReadonlyMap<string, string | Buffer>
  readonly edge: string
  readonly tracker: string
  /** Playlist of the low-latency stream. */
  readonly lowLatencyUrl: string
}

/** What a run shows. */
export interface P2pReading {
  /** Share of the bytes that came from other viewers, 0 to 1. */
  readonly offload: number
  readonly firstFrameMs: number
  /** Of the slowest viewer. */
  readonly firstFrameMaxMs: number
  /** For segments, at the origin. */
  readonly requests: number
  /** 0 for what is not live. */
  readonly latencyS: number
  /** Of a viewer, mean. */
  readonly stallMs: number
  readonly stalls: number
  readonly httpBytes: number
  readonly peerBytes: number
  /** Of media, that the origin sent. */
  readonly originBytes: number
  /** Segments that a player was handed with other bytes than they have. */
  readonly wrong: number
  readonly segments: number
  readonly peers: number
  readonly errors: readonly string[]
  readonly diagnoses: readonly string[]
}

interface Viewer {
  readonly context: BrowserContext
  readonly page: Page
}

/** Plays a scenario with one side. */
export async function playScenario(
  stage: P2pStage,
  scenario: P2pScenario,
  side: P2pSide,
): Promise<P2pReading> {
  const pages = new Map<string, string | Buffer>([
    ...stage.scripts,
    ['/watch.js', pageScript],
    ['/page.html', pageOf(side)],
    ['/favicon.ico', ''],
  ])
  const { media } = stage
  const origin = new P2pOrigin({
    ...{ media, pages, limitBps: scenario.limitBps, isLive: scenario.isLive ?? false },
  })
  await origin.start()
  const viewers = new Viewers(stage, scenario, origin.url)
  try {
    const readings = await viewers.play()
    // A rival's faults are its own; they are told, and its figures stand.
    const [error] = viewers.errors
    if (error !== undefined && side !== 'p2pml') throw new Error(`a page failed: ${error}`)
    if (error !== undefined)
      progress(`pages of ${side} failed ${viewers.errors.length} times: ${error}`)
    return summary(readings, origin, stage)
  } finally {
    await viewers.close()
    origin.stop()
  }
}

class Viewers {
  readonly #stage: P2pStage
  readonly #scenario: P2pScenario
  readonly #originUrl: string
  /** Of pages' scripts, the first ones. */
  readonly errors: string[] = []
  readonly #open: Viewer[] = []
  readonly #readings: PageReading[] = []

  constructor(stage: P2pStage, scenario: P2pScenario, originUrl: string) {
    this.#stage = stage
    this.#scenario = scenario
    this.#originUrl = originUrl
  }

  async play(): Promise<readonly PageReading[]> {
    const { viewers, staggerS, seconds, churnS } = this.#scenario
    if (staggerS === undefined) {
      // All are there before anybody begins.
      for (let index = 0; index < viewers; index++) await this.#come()
      await Promise.all(this.#open.map((viewer) => this.#begin(viewer)))
    } else {
      for (let index = 0; index < viewers; index++) {
        if (index > 0) await sleep(staggerS * 1_000)
        await this.#begin(await this.#come())
      }
    }
    const endMs = performance.now() + seconds * 1_000
    while (churnS !== undefined && performance.now() + churnS * 1_000 < endMs) {
      await sleep(churnS * 1_000)
      await this.#leave()
      await this.#begin(await this.#come())
    }
    await sleep(Math.max(0, endMs - performance.now()))
    while (this.#open.length > 0) await this.#read(this.#open.shift() as Viewer)
    return this.#readings
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map(({ context }) => context.close()))
  }

  async #come(): Promise<Viewer> {
    const context = await this.#stage.browser.newContext()
    const page = await context.newPage()
    page.on('pageerror', ({ message }) => this.errors.push(message))
    const viewer = { context, page }
    this.#open.push(viewer)
    await page.goto(`${this.#originUrl}/page.html`)
    return viewer
  }

  async #begin({ page }: Viewer): Promise<void> {
    const { hls = {}, core = {}, isLowLatency } = this.#scenario
    const { edge, tracker, lowLatencyUrl } = this.#stage
    const url = isLowLatency === true ? lowLatencyUrl : `${this.#originUrl}/v/master.m3u8`
    const init: PageInit = { url, hls, edge, tracker, core }
    await page.evaluate(`begin(${JSON.stringify(init)})`)
  }

  async #leave(): Promise<void> {
    const viewer = this.#open.shift()
    if (viewer !== undefined) await this.#read(viewer)
  }

  async #read({ page, context }: Viewer): Promise<void> {
    this.#readings.push(await page.evaluate('reading()'))
    await context.close()
  }
}

function summary(
  readings: readonly PageReading[],
  origin: P2pOrigin,
  { media }: P2pStage,
): P2pReading {
  const sum = (of: (reading: PageReading) => number): number =>
    readings.reduce((total, reading) => total + of(reading), 0)
  const [httpBytes, peerBytes] = [sum((of) => of.httpBytes), sum((of) => of.peerBytes)]
  // A page without a picture counts as one that got it a minute later.
  const frames = readings.map(({ firstFrameMs }) => firstFrameMs ?? 60_000)
  const latencies = readings.flatMap(({ latencyS }) => latencyS ?? [])
  return {
    ...{ httpBytes, peerBytes, offload: peerBytes / Math.max(1, httpBytes + peerBytes) },
    firstFrameMs: median(frames),
    firstFrameMaxMs: Math.max(...frames),
    requests: origin.requests,
    originBytes: origin.sentBytes,
    latencyS: latencies.length === 0 ? 0 : median(latencies),
    stallMs: sum(({ stallMs }) => stallMs) / readings.length,
    stalls: sum(({ stalls }) => stalls),
    wrong: wrongSegments(readings, media),
    segments: sum(({ segments }) => segments),
    peers: sum(({ peers }) => peers),
    errors: readings.flatMap(({ errors }) => errors),
    diagnoses: readings.map(({ diagnosis }) => diagnosis),
  }
}

/** Segments of the bench's media are known; those of a live peer must be the same for all who got them. */
function wrongSegments(readings: readonly PageReading[], media: P2pMedia): number {
  const known = new Map<string, string>()
  let wrong = 0
  for (const { digests } of readings) {
    for (const [name, digest] of Object.entries(digests)) {
      const file = name.split('/').at(-1) ?? ''
      const right = media.digests.get(file) ?? known.get(name) ?? digest
      known.set(name, right)
      if (digest !== right) wrong += 1
    }
  }
  return wrong
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
