// Headless Chromium as the tests start it.
import { type Browser, chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'
import { partnerPath } from './needs.ts'
import { until } from './until.ts'

/** For pages on one machine that connect to one another: they are told the address of the loopback, and give it to others. */
export const peerConnectionArgs: readonly string[] = [
  '--allow-loopback-in-peer-connection',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
]

/** A browser that ends with the test. */
export async function launchBrowser(t: Test, more: readonly string[] = []): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: partnerPath('chromium') ?? 'chromium',
    headless: true,
    args: [
      '--no-sandbox',
      '--mute-audio',
      '--autoplay-policy=no-user-gesture-required',
      '--disable-background-timer-throttling',
      '--disable-renderer-backgrounding',
      '--disable-backgrounding-occluded-windows',
      '--disable-background-networking',
      ...more,
    ],
  })
  t.teardown(() => browser.close())
  return browser
}

/** What a page's player has done so far. */
export interface PlayerState {
  readonly frames: number
  readonly currentTime: number
  readonly errorCode: number | undefined
}

/** In the page: the largest video is the player, the others are stills. */
const LARGEST_VIDEO =
  "[...document.querySelectorAll('video')].sort((a, b) => b.clientWidth - a.clientWidth)[0]"
const FRAMES = `(${LARGEST_VIDEO}?.getVideoPlaybackQuality().totalVideoFrames ?? 0)`

/** What the page's player has done so far. */
export async function playerState(page: Page): Promise<PlayerState> {
  return await page.evaluate<PlayerState>(`({
    frames: ${FRAMES},
    currentTime: ${LARGEST_VIDEO}?.currentTime ?? 0,
    errorCode: ${LARGEST_VIDEO}?.error?.code,
  })`)
}

/**
 * Waits until the player has shown this many frames more than `from`. It asks from outside, since the page's content
 * security policy forbids what the driver would run inside.
 */
export async function framesAfter(page: Page, from: number, more: number): Promise<PlayerState> {
  let state = await playerState(page)
  for (let attempt = 0; attempt < 300 && state.frames < from + more; attempt += 1) {
    await page.waitForTimeout(200)
    state = await playerState(page)
  }
  if (state.frames >= from + more) return state
  throw new Error(`the player stopped at ${state.frames} frames, ${from + more} were awaited`)
}

/** Waits until an expression is true in the page. Playwright's own `waitForFunction` needs `eval`, which the pages' policy forbids. */
export async function untilTrue(page: Page, expression: string): Promise<void> {
  await until(async () => (await page.evaluate(expression)) === true, expression)
}
