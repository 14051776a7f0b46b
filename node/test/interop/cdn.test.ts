/** Real clients of the cache: FFmpeg that seeks in a file behind it, and Chromium that fetches through it. */
import { execFile } from 'node:child_process'
import { copyFileSync, readFileSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'tap'
import { launchBrowser } from '../support/browser.ts'
import { startCdn } from '../support/cdn-stage.ts'
import { makeClip } from '../support/make-clip.ts'
import { needs, partnerPath } from '../support/needs.ts'
import { metricOf } from '../support/registry-value.ts'

const run = promisify(execFile)

/** A cache in front of a folder with one video, in small slices. */
async function startWithClip(t: Parameters<typeof launchBrowser>[0]) {
  const folder = t.testdir({ 'index.html': '<!doctype html><title>site</title><p>hello' })
  const clip = await makeClip(join(folder, 'made.mp4'), { seconds: 6 })
  const path = join(folder, 'clip.mp4')
  copyFileSync(clip, path)
  // What was changed this very moment has no strong validator yet.
  utimesSync(path, 1_700_000_000, 1_700_000_000)
  const cdn = await startCdn({
    origin: 'folder',
    rule: { origin: { type: 'folder', path: folder }, sliceBytes: 65_536, defaultTtlS: 600 },
  })
  t.teardown(() => cdn.stop())
  return { cdn, path }
}

test('FFmpeg reads and seeks through the cache as on the disk', {
  skip: needs('ffmpeg'),
}, async (t) => {
  const { cdn, path } = await startWithClip(t)
  const frames = async (input: string, seek: readonly string[]): Promise<string> => {
    const { stdout } = await run(partnerPath('ffmpeg') as string, [
      ...['-v', 'error', ...seek, '-i', input, '-map', '0:v', '-f', 'framemd5', '-'],
    ])
    return stdout
  }
  for (const seek of [[], ['-ss', '3'], ['-sseof', '-1']]) {
    const through = await frames(`${cdn.url}/clip.mp4`, seek)
    t.equal(through, await frames(path, seek), seek.join(' ') || 'the whole')
  }
  t.ok((await metricOf(cdn.registry, 'kairo_cdn_requests_total', { result: 'hit' })) > 0)
})

test('Chromium fetches whole and in parts', { skip: needs('chromium', 'ffmpeg') }, async (t) => {
  const { cdn, path } = await startWithClip(t)
  const bytes = readFileSync(path)
  const browser = await launchBrowser(t)
  const page = await browser.newPage()
  await page.goto(`${cdn.url}/index.html`)
  const ask = (
    headers: Record<string, string>,
  ): Promise<{ status: number; length: number; sums: number; cache: string }> =>
    page.evaluate(`(async () => {
      const answer = await fetch('/clip.mp4', { headers: ${JSON.stringify(headers)}, cache: 'no-store' })
      const bytes = new Uint8Array(await answer.arrayBuffer())
      let sums = 0
      for (const byte of bytes) sums = (sums * 31 + byte) % 4294967291
      return { status: answer.status, length: bytes.length, sums, cache: answer.headers.get('cache-status') }
    })()`)
  const sumOf = (part: Buffer): number => {
    let sums = 0
    for (const byte of part) sums = (sums * 31 + byte) % 4_294_967_291
    return sums
  }
  const part = await ask({ range: 'bytes=70000-140000' })
  t.match(part, { status: 206, length: 70_001, sums: sumOf(bytes.subarray(70_000, 140_001)) })
  const whole = await ask({})
  t.match(whole, { status: 200, length: bytes.byteLength, sums: sumOf(bytes) })
})
