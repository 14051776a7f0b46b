/**
 * The `p2p` bench: viewers of one stream, each a page of Chromium with hls.js, that help one another by this library, by p2p-media-loader, or not at all;
 * the same scenarios for all, in turns. What is read is what the pages' players did and what the origin was asked for.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Browser } from 'playwright-core'
import { buildBundle, bundles } from '../client-lib/vite.config.ts'
import { bittorrentTrackerVersion } from './peers/bittorrent-tracker.ts'
import {
  p2pMediaLoaderScripts,
  p2pMediaLoaderVersion,
  startWebtorrentTracker,
} from './peers/p2p-media-loader.ts'
import { type BenchOptions, type BenchResult, formatTable, progress } from './result.ts'
import { findChromium, launchChromium } from './support/browser.ts'
import { kairoVersion, startKairo } from './support/kairo-process.ts'
import { makeP2pMedia } from './support/p2p-media.ts'
import {
  type P2pReading,
  type P2pScenario,
  type P2pSide,
  type P2pStage,
  playScenario,
} from './support/p2p-run.ts'
import { p2pScenarios } from './support/p2p-scenarios.ts'
import { type P2pFigures, p2pFigures, p2pTargets } from './support/p2p-targets.ts'

/** Most of it is media that plays in its own time. */
export const deadlineMs = 100 * 60_000

const repetitions = 3

/** For pages on one machine that connect to one another. */
const peerConnectionArgs = [
  '--allow-loopback-in-peer-connection',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--disable-backgrounding-occluded-windows',
  '--mute-audio',
]

/** Runs the bench; its figures are named in bench/README.md. `KAIRO_BENCH_P2P` names scenarios, by commas, where not all are wanted. */
export async function run({ isQuick }: BenchOptions): Promise<BenchResult> {
  const chromium = findChromium()
  if (chromium === undefined) {
    const table = 'nothing measured: no Chromium'
    return { ok: false, ratios: {}, values: {}, peers: {}, missing: ['chromium'], table }
  }
  progress('making the stream and the bundle')
  const media = await makeP2pMedia()
  const bundle = await buildBundle(bundles[2], false)
  const tracker = await startWebtorrentTracker()
  const kairo = await startKairo(['--test-stream'])
  const browser = await launchChromium(chromium, peerConnectionArgs)
  try {
    const { http, testStream } = kairo.ready
    const stage: P2pStage = {
      ...{ browser, media, tracker: tracker.url },
      scripts: new Map<string, string | Buffer>([
        ['/hls.js', readFileSync(hlsScript)],
        ['/kairo.js', bundle],
        ...p2pMediaLoaderScripts(),
      ]),
      edge: `${http.replace(/^http/, 'ws')}/swarm`,
      lowLatencyUrl: `${http}/live/${testStream}/master.m3u8`,
    }
    await streamBegins(stage.lowLatencyUrl)
    const figures = await measure(stage, isQuick)
    return result(figures, gzipSync(bundle, { level: 9 }).byteLength, browser)
  } finally {
    await browser.close()
    await kairo.stop()
    tracker.stop()
  }
}

const hlsFolder = join(import.meta.dirname, '../node_modules/hls.js')
const hlsScript = join(hlsFolder, 'dist/hls.min.js')

/** Until the low-latency stream can be played. */
async function streamBegins(url: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const answer = await fetch(url)
    if (answer.ok && (await answer.text()).includes('media.m3u8')) return
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  throw new Error('the test stream does not begin')
}

/** Plays every scenario with every side in turns. */
async function measure(stage: P2pStage, isQuick: boolean): Promise<P2pFigures> {
  const wanted = process.env.KAIRO_BENCH_P2P?.split(',')
  const scenarios = p2pScenarios(isQuick).filter(({ name }) => wanted?.includes(name) ?? true)
  const readings = new Map<string, P2pReading[]>()
  for (let round = 1; round <= (isQuick ? 1 : repetitions); round++) {
    for (const scenario of scenarios) {
      for (const side of scenario.sides) {
        const reading = await playScenario(stage, scenario, side)
        progress(`${scenario.name} ${side}, round ${round}: ${inShort(reading)}`)
        const name = `${scenario.name}.${side}`
        readings.set(name, [...(readings.get(name) ?? []), reading])
      }
    }
  }
  return p2pFigures(
    scenarios,
    (scenario: P2pScenario, side: P2pSide) => readings.get(`${scenario.name}.${side}`) ?? [],
  )
}

function inShort(reading: P2pReading): string {
  const { offload, firstFrameMs, firstFrameMaxMs, requests, latencyS, stallMs, wrong } = reading
  const frames = `${Math.round(firstFrameMs)}/${Math.round(firstFrameMaxMs)} ms`
  const told = [
    ...[`${Math.round(offload * 100)} %`, frames, `${requests} requests`],
    ...[`${latencyS.toFixed(2)} s behind`, `${Math.round(stallMs)} ms stalled`],
    ...[`${reading.segments} segments`, `${wrong} wrong`, ...new Set(reading.errors)],
    ...(reading.offload === 0 ? new Set(reading.diagnoses) : []),
  ]
  return told.filter((text) => text !== '').join(', ')
}

function result(figures: P2pFigures, bundleBytes: number, browser: Browser): BenchResult {
  const targets = p2pTargets(figures, bundleBytes)
  const hls = JSON.parse(readFileSync(join(hlsFolder, 'package.json'), 'utf8'))
  const rows = Object.entries(figures).flatMap(([scenario, sides]) =>
    Object.entries(sides).map(([side, of]) => [
      ...[scenario, side, `${Math.round(of.offload * 100)} %`, `${of.firstFrameMs}`],
      ...[`${of.firstFrameMaxMs}`, `${of.requests}`, `${of.latencyS}`, `${of.stallMs}`],
    ]),
  )
  const heading = ['scenario', 'side', 'offload', 'first frame ms', 'slowest', 'requests']
  return {
    ok: targets.every(({ isMet }) => isMet),
    ratios: {},
    values: { ...figures, bundleGzipBytes: bundleBytes },
    peers: {
      ...{ kairo: kairoVersion(), 'hls.js': hls.version, chromium: browser.version() },
      ...{ 'p2p-media-loader': p2pMediaLoaderVersion() },
      ...{ 'bittorrent-tracker': bittorrentTrackerVersion() },
    },
    table: [
      formatTable([[...heading, 'latency s', 'stalled ms'], ...rows]),
      '',
      formatTable([
        ['target', 'read', 'met'],
        ...targets.map(({ name, read, isMet }) => [name, read, isMet ? 'yes' : 'no']),
      ]),
    ].join('\n'),
  }
}
