/** The mesh as it is, in pages of Chromium with real connections: parts pulled and pushed, an ask taken back, a liar, eight pages. */
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { t as root, type Test, test } from 'tap'
import { build } from 'vite'
import { launchBrowser, peerConnectionArgs } from '../../../node/test/support/browser.ts'
import { needs } from '../../../node/test/support/needs.ts'
import type { MeshPage } from '../support/mesh-page.ts'

const skip = needs('chromium')
const url = 'http://127.0.0.1/'
const megabyte = 1_000_000
const ids = [...'abcdefgh']
/** Opened once, since that takes longer than the tests. */
const pages = skip === false ? await openPages() : []

test('a part is pulled while it comes in', { skip }, async (t) => {
  const [first, second] = await twoPages(t)
  const key = 'r/1'
  await first.evaluate(() => here.fill('r/1', 0, 400_000))
  await first.evaluate(() => here.mesh.tellHave([{ key: 'r/1', isWhole: false }]))
  t.strictSame(await told(second, 'onHave', 'a', key), ['a', key, undefined, false])
  t.ok(await second.evaluate(() => here.mesh.ask('a', 'r/1', 0)))
  await second.evaluate(() => here.available('r/1', 400_000))
  t.equal(await second.evaluate(() => here.count('onEnd')), 0, 'the rest is still to come')
  await first.evaluate((bytes) => {
    here.setBytes('r/1', bytes)
    here.fill('r/1', 400_000, bytes)
  }, megabyte)
  t.strictSame(await told(second, 'onEnd', 'a', key), ['a', key, false])
  t.ok(await second.evaluate(() => here.isRight('r/1')), 'each byte is right')
  const [figures] = await second.evaluate(() => here.figures())
  t.equal(figures?.gotBytes, megabyte)
  t.ok((figures?.downBps ?? 0) > 0)
})

test('a range is pulled, and nothing else', { skip }, async (t) => {
  const [first, second] = await twoPages(t)
  await first.evaluate(() => {
    here.setBytes('r/1', 300_000)
    here.fill('r/1', 0, 300_000)
  })
  await second.evaluate(() => here.mesh.ask('a', 'r/1', 100_000, 150_001))
  t.strictSame(await told(second, 'onEnd', 'a', 'r/1'), ['a', 'r/1', false])
  const [figures] = await second.evaluate(() => here.figures())
  t.equal(figures?.gotBytes, 50_001)
})

test('a part is pushed as it comes in', { skip }, async (t) => {
  const [first, second] = await twoPages(t)
  await first.evaluate(() => {
    here.fill('r/7.2', 0, 100_000)
    here.mesh.push('b', 'r/7.2')
  })
  await told(second, 'onPush', 'a', 'r/7.2')
  await second.evaluate(() => here.available('r/7.2', 100_000))
  await first.evaluate((bytes) => {
    here.fill('r/7.2', 100_000, bytes)
    here.setBytes('r/7.2', bytes)
  }, megabyte)
  t.strictSame(await told(second, 'onEnd', 'a', 'r/7.2'), ['a', 'r/7.2', false])
  t.ok(await second.evaluate(() => here.isRight('r/7.2')), 'each byte is right')
})

test('what is cancelled, or not there, is not sent', { skip }, async (t) => {
  const [first, second] = await twoPages(t, 4_000_000)
  await first.evaluate((bytes) => {
    here.setBytes('r/1', bytes)
    here.fill('r/1', 0, bytes)
  }, 5 * megabyte)
  await second.evaluate(() => here.mesh.ask('a', 'r/1', 0))
  await second.evaluate(() => here.available('r/1', 1))
  t.equal((await first.evaluate(() => here.figures()))[0]?.sends, 1)
  await second.evaluate(() => here.mesh.cancel('a', 'r/1'))
  // What comes after the cancel on the same channel tells that it was heard.
  await second.evaluate(() => here.mesh.ask('a', 'r/2', 0))
  t.strictSame(await told(second, 'onEnd', 'a', 'r/2'), ['a', 'r/2', true])
  const [figures] = await first.evaluate(() => here.figures())
  t.equal(figures?.sends, 0)
  t.ok((figures?.sentBytes ?? 0) < 5 * megabyte, 'not all of it was sent')
  t.equal(await second.evaluate(() => here.counters().faults), 0, 'bytes on their way are no fault')
})

test('who sends what was not asked for is dropped', { skip }, async (t) => {
  const [first, second] = await twoPages(t)
  await first.evaluate(() => {
    here.lieAboutOffsets(200_000)
    here.setBytes('r/1', 300_000)
    here.fill('r/1', 0, 300_000)
  })
  await second.evaluate(() => here.mesh.ask('a', 'r/1', 0, 200_000))
  t.strictSame(await told(second, 'onDown', 'a'), ['a', 'bytes'])
  t.strictSame(await told(first, 'onDown', 'b'), ['b', 'closed'], 'the other side notices')
  t.strictSame(await second.evaluate(() => here.counters().faults), 1)
})

test('two pages that are both told to offer have one connection', { skip }, async (t) => {
  const [first, second] = (await begin(t, 2)) as [Page, Page]
  await Promise.all([
    first.evaluate(() => here.mesh.connect(['b'])),
    second.evaluate(() => here.mesh.connect(['a'])),
  ])
  await Promise.all([told(first, 'onUp', 'b'), told(second, 'onUp', 'a')])
  t.equal(await first.evaluate(() => here.count('onDown')), 0)
  t.equal(await second.evaluate(() => here.count('onDown')), 0)
})

test('eight pages mesh, and a part goes to all of them', { skip }, async (t) => {
  await begin(t, 8)
  const startMs = performance.now()
  // Each page is told of those before it, all at once.
  await Promise.all(
    pages.map((page, index) =>
      page.evaluate((peers) => here.mesh.connect(peers), ids.slice(0, index)),
    ),
  )
  await Promise.all(
    pages.map((page, index) =>
      page.evaluate(
        (peers) => Promise.all(peers.map((peer) => here.told('onUp', peer))),
        ids.filter((_, other) => other !== index),
      ),
    ),
  )
  t.comment(`28 connections in ${Math.round(performance.now() - startMs)} ms`)
  const [first, ...others] = pages as [Page, ...Page[]]
  await first.evaluate(() => {
    here.setBytes('r/1', 200_000)
    for (const { peer } of here.figures()) here.mesh.push(peer, 'r/1')
    here.fill('r/1', 0, 200_000)
  })
  for (const page of others) {
    await told(page, 'onEnd', 'a', 'r/1')
    t.ok(await page.evaluate(() => here.isRight('r/1')))
  }
})

/** The page's script, as one text. */
async function bundle(): Promise<string> {
  const entry = fileURLToPath(new URL('../support/mesh-page.ts', import.meta.url))
  const built = await build({
    configFile: false,
    logLevel: 'error',
    build: { write: false, minify: false, lib: { entry, formats: ['iife'], name: 'page' } },
  })
  const [output] = Array.isArray(built) ? built : [built]
  if (output === undefined || !('output' in output)) throw new Error('vite built nothing')
  return output.output[0].code
}

/** Pages of one origin. */
async function openPages(): Promise<Page[]> {
  const [script, browser] = await Promise.all([bundle(), launchBrowser(root, peerConnectionArgs)])
  const context = await browser.newContext()
  const body = `<!doctype html><script>${script}</script>`
  await context.route(url, (route) => route.fulfill({ contentType: 'text/html', body }))
  return await Promise.all(
    ids.map(async () => {
      const page = await context.newPage()
      await page.goto(url)
      return page
    }),
  )
}

/** The first of the pages, with new meshes. */
async function begin(t: Test, count: number, uploadBps = 100_000_000): Promise<Page[]> {
  const begun = pages.slice(0, count)
  await Promise.all(
    begun.map(async (page, index) => {
      const fail = (error: Error): unknown => t.error(error, 'a page threw')
      page.on('pageerror', fail)
      t.teardown(() => page.off('pageerror', fail))
      await page.evaluate(([id, bps]) => beginMesh(id as string, bps), [
        ids[index],
        uploadBps,
      ] as const)
    }),
  )
  return begun
}

/** `a`, and `b` which connects to it. */
async function twoPages(t: Test, uploadBps?: number): Promise<[Page, Page]> {
  const [first, second] = (await begin(t, 2, uploadBps)) as [Page, Page]
  await second.evaluate(() => here.mesh.connect(['a']))
  await Promise.all([told(first, 'onUp', 'b'), told(second, 'onUp', 'a')])
  return [first, second]
}

/** What a page's mesh told of this name with these first values; waits for it. */
async function told(
  page: Page,
  name: Parameters<MeshPage['told']>[0],
  ...values: readonly string[]
): Promise<readonly unknown[]> {
  return await page.evaluate(([kind, first]) => here.told(kind, ...first), [name, values] as const)
}
