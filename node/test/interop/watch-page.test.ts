// The watch page of a real peer in headless Chromium: a dropped file becomes a video that plays; a live stream is gone back in.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Locator, Page } from 'playwright-core'
import { type Test, test } from 'tap'
import { launchBrowser, untilTrue } from '../support/browser.ts'
import { ffmpegPush } from '../support/ffmpeg-push.ts'
import { h264Args, makeClip } from '../support/make-clip.ts'
import { needs } from '../support/needs.ts'
import { type PeerProcess, startPeer } from '../support/peer-process.ts'

const skip = needs('chromium', 'ffmpeg')

/** Waits until an expression is true in the page; the page's policy forbids what the driver would run inside. */
const video = (name: string) => `(document.querySelector('.stage video') ?? {}).${name}`

/** A page at the peer that complains about what its policy forbids. */
async function openPage(t: Test, peer: PeerProcess, path = '/') {
  const browser = await launchBrowser(t)
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (/policy|refused/i.test(message.text())) complaints.push(message.text())
  })
  await page.goto(peer.ready.http + path)
  return { page, complaints }
}

/** Chooses a line of a page of the player's menu. */
async function choose(page: Page, setting: RegExp, choice: RegExp): Promise<void> {
  await page.keyboard.press('Shift')
  await page.locator('.stage').hover()
  await page.getByRole('button', { name: 'Settings' }).click()
  await page.getByRole('menuitem', { name: setting }).click()
  await page.getByRole('menuitemradio', { name: choice }).click()
}

/** Presses the bar of time at a share of it. */
async function seekTo(page: Page, bar: Locator, share: number): Promise<void> {
  await page.locator('.stage').hover()
  const box = await bar.boundingBox()
  if (box === null) throw new Error('there is no bar of time')
  await page.mouse.click(box.x + box.width * share, box.y + box.height / 2)
}

/** Drops a file onto the page as a person would, from the page's side. */
async function drop(page: Page, name: string, bytes: Buffer): Promise<void> {
  const transfer = await page.evaluateHandle(
    ([base64, fileName]) => {
      const data = Uint8Array.from(atob(base64 as string), (each) => each.charCodeAt(0))
      const transfer = new DataTransfer()
      transfer.items.add(new File([data], fileName as string, { type: 'video/mp4' }))
      return transfer
    },
    [bytes.toString('base64'), name],
  )
  for (const event of ['dragenter', 'dragover', 'drop']) {
    await page.dispatchEvent('body', event, { dataTransfer: transfer })
  }
}

test('a dropped file becomes a video that plays', { skip }, async (t) => {
  const folder = t.testdir()
  const clip = join(folder, 'My holiday.mp4')
  await makeClip(clip, {
    ...{ seconds: 24, frameRate: 15, inputs: ['-f', 'lavfi', '-i', 'sine=880:d=24'] },
    output: [
      ...['-map', '0:v', '-map', '1:a', '-map', '2:a', '-s', '640x360', ...h264Args, '-c:a', 'aac'],
      ...['-metadata:s:a:0', 'language=eng', '-metadata:s:a:1', 'language=deu'],
    ],
  })
  const peer = await startPeer(t, join(folder, 'home'), ['--default-quality', 'auto'])
  const { page, complaints } = await openPage(t, peer)
  await page.getByText('Drop a video here').waitFor()
  await drop(page, 'My holiday.mp4', await readFile(clip))
  const panel = page.getByRole('region', { name: /upload|making/i })
  await panel.getByText('My holiday.mp4').waitFor()
  await panel.getByRole('link', { name: 'Watch' }).click({ timeout: 120_000 })
  t.match(page.url(), /#\/video\//)
  await untilTrue(page, `${video('currentTime')} > 1`)
  t.equal(await page.locator('.player-title h1').textContent(), 'My holiday')

  // A picture of the moment under the pointer, and a seek to it.
  const bar = page.getByRole('slider', { name: 'Seek' })
  await seekTo(page, bar, 0.5)
  await untilTrue(page, `${video('currentTime')} > 11`)
  await untilTrue(page, "document.querySelector('.seek-picture')?.hidden === false")
  await page.keyboard.press('ArrowLeft')
  await page.keyboard.press('j')
  await untilTrue(page, `${video('currentTime')} < 4`)
  await page.keyboard.press('>')
  t.equal(await page.evaluate(video('playbackRate')), 1.25)
  await page.keyboard.press('m')
  t.equal(await page.evaluate(video('muted')), true)

  await choose(page, /^Quality/, /^240p/)
  await untilTrue(page, `${video('videoHeight')} === 240`)
  await choose(page, /^Quality/, /^Auto/)
  await choose(page, /^Sound/, /German|deu/)
  await page.locator('.stage').hover()
  await page.getByRole('button', { name: 'Settings' }).click()
  t.match(await page.getByRole('menuitem', { name: /^Sound/ }).textContent(), /German|deu/)
  await page.keyboard.press('Escape')

  // Where it was left is where it goes on.
  await seekTo(page, bar, 0.52)
  await untilTrue(page, `${video('currentTime')} > 12`)
  await page.reload()
  await untilTrue(page, `${video('currentTime')} > 11`)
  await page.getByText('Download').click()
  const href = await page.getByRole('link', { name: /^360p/ }).getAttribute('href')
  const file = await fetch(`${peer.ready.http}${href}`)
  t.equal(file.headers.get('content-type'), 'video/mp4')
  await file.body?.cancel()
  t.same(complaints, [])
  await peer.end('SIGTERM')
})

test('a live stream is gone back in, with captions as one likes', { skip }, async (t) => {
  const peer = await startPeer(t, t.testdir(), [
    ...['--default-quality', 'auto', '--dvr-window-s', '300'],
  ])
  const push = { size: '640x360', frameRate: '15', gopFrames: 30 }
  ffmpegPush(t, `${peer.ready.rtmp}/${peer.ready.streamKey}`, push)
  const { streamKey, stream, http } = peer.ready
  // Captions belong to a stream that is live.
  while ((await fetch(`${http}/live/${stream}/audio/media.m3u8`)).status !== 200)
    await setTimeout(200)
  const captions = await fetch(`${http}/api/streams/${stream}/captions?language=en`, {
    method: 'POST',
    headers: { authorization: `Bearer ${streamKey}`, 'content-type': 'text/vtt' },
    body: 'WEBVTT\n\n00:00.000 --> 10:00.000\nSaid <b>live</b>\n',
  })
  t.equal(captions.status, 204)
  while (
    !(await (await fetch(`${http}/live/${stream}/master.m3u8`)).text()).includes('captions-en')
  )
    await setTimeout(200)
  const { page, complaints } = await openPage(t, peer, `/#/watch/${stream}`)
  await untilTrue(page, `${video('currentTime')} > 1`)
  await untilTrue(page, "document.querySelector('.go-live')?.textContent === 'LIVE'")
  await page.keyboard.press('c')
  await page.locator('.captions').getByText('Said live').waitFor()
  t.equal(await page.locator('.captions b').textContent(), 'live', 'markup is drawn')
  await page.keyboard.press('c')
  await page.locator('.captions').getByText('Said live').waitFor({ state: 'hidden' })

  const bar = page.getByRole('slider', { name: 'Seek' })
  await page.locator('.stage').hover()
  await bar.waitFor()
  await seekTo(page, bar, 0.2)
  await page.getByText('Go live').waitFor()
  t.match(await page.locator('.clock').textContent(), /^−0:\d\d$/)
  t.match(await bar.getAttribute('aria-valuetext'), /behind live/)
  await page.keyboard.press('End')
  await untilTrue(page, "document.querySelector('.go-live')?.textContent === 'LIVE'")
  t.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true)
  t.same(complaints, [])
  await peer.end('SIGTERM')
})
