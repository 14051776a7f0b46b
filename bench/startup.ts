/**
 * The first impression: from `npm start` in an installed checkout to the first decoded picture of the built-in test
 * stream in a browser, opened beforehand, that goes to the stream's watch page as soon as the peer names it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { type BenchResult, formatTable } from './result.ts'
import { findChromium, launchChromium } from './support/browser.ts'
import { startProgram } from './support/child-program.ts'
import { kairoVersion, readyLine } from './support/kairo-process.ts'
import { median, round } from './support/statistics.ts'

const RUNS = 3
const FIRST_FRAME_TARGET_MS = 5_000
/** Longest wait for a picture; a run that takes longer has failed. */
const FIRST_FRAME_MAX_MS = 60_000

const root = join(import.meta.dirname, '..')

/** Measures; under a minute. */
export async function run(): Promise<BenchResult> {
  const chromium = findChromium()
  if (chromium === undefined) {
    const table = 'nothing measured: no Chromium'
    return { ok: false, ratios: {}, values: {}, peers: {}, missing: ['chromium'], table }
  }
  const browser = await launchChromium(chromium)
  try {
    const firstFrames: number[] = []
    const readies: number[] = []
    for (let turn = 0; turn < RUNS; turn += 1) {
      // The page's policy forbids the eval by which the question below is asked.
      const page = await browser.newPage({ bypassCSP: true })
      const times = await startAndWatch(page)
      firstFrames.push(times.firstFrameMs)
      readies.push(times.readyMs)
      await page.close()
    }
    const values = {
      firstFrameMs: round(median(firstFrames), 0),
      firstFrameMaxMs: round(Math.max(...firstFrames), 0),
      readyMs: round(median(readies), 0),
    }
    return {
      ok: values.firstFrameMs < FIRST_FRAME_TARGET_MS,
      ratios: {},
      values,
      peers: { kairo: kairoVersion(), chromium: browser.version() },
      table: formatTable([
        ['figure', 'value', 'target'],
        ['firstFrameMs', String(values.firstFrameMs), `below ${FIRST_FRAME_TARGET_MS}`],
        ['firstFrameMaxMs', String(values.firstFrameMaxMs), ''],
        ['readyMs', String(values.readyMs), ''],
      ]),
    }
  } finally {
    await browser.close()
  }
}

/** One start with an empty home folder, so that keys and identity are made too. */
async function startAndWatch(page: Page): Promise<{ firstFrameMs: number; readyMs: number }> {
  const home = await mkdtemp(join(tmpdir(), 'kairo-startup-'))
  const startedAtMs = performance.now()
  const program = startProgram(
    'npm',
    [
      ...['start', '--', '--json', '--home', home, '--http', '127.0.0.1:0'],
      ...['--rtmp', '127.0.0.1:0', '--listen', '/ip4/127.0.0.1/tcp/0'],
    ],
    { cwd: root },
  )
  try {
    const ready = await readyLine(program)
    const readyMs = performance.now() - startedAtMs
    await page.goto(`${ready.http}/#/watch/${ready.testStream}`)
    await page
      .waitForFunction(hasDecodedPicture, undefined, { timeout: FIRST_FRAME_MAX_MS, polling: 20 })
      .catch((cause) => {
        throw new Error(`no picture: ${program.log()}`, { cause })
      })
    return { firstFrameMs: performance.now() - startedAtMs, readyMs }
  } finally {
    await program.stop('SIGINT')
    await rm(home, { recursive: true, force: true })
  }
}

/** Runs in the page: a decoder has given a picture, not merely metadata. */
const hasDecodedPicture =
  '[...document.querySelectorAll("video")].some((video) => video.getVideoPlaybackQuality().totalVideoFrames > 0 && video.videoWidth > 0)'
