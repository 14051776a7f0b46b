/** Headless Chromium as a viewer. */
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const candidates = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** The browser's binary: `CHROMIUM`, else where distributions put it; undefined when there is none. */
export function findChromium(): string | undefined {
  return process.env.CHROMIUM ?? candidates.find((path) => existsSync(path))
}

/** Starts it: muted pages may play without a click, and pages out of sight are not slowed down. */
export function launchChromium(
  executablePath: string,
  more: readonly string[] = [],
): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--autoplay-policy=no-user-gesture-required',
      '--disable-background-timer-throttling',
      '--disable-renderer-backgrounding',
      ...more,
    ],
  })
}
