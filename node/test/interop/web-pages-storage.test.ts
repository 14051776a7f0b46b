// The admin page of a real peer in headless Chromium: URLs are read into its cache, an object is kept and released, IPFS trees are let go.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { type Test, test } from 'tap'
import { cidOf, digestOf } from '../../src/content/digest.ts'
import { launchBrowser } from '../support/browser.ts'
import { httpRequest } from '../support/http-get.ts'
import { needs } from '../support/needs.ts'
import { operatorOf } from '../support/operator-client.ts'
import { type PeerProcess, startPeer } from '../support/peer-process.ts'

const skip = needs('chromium')
const digestOfText = (text: string) => digestOf(Buffer.from(text))

/** A web server that counts its requests and knows no path but `/big`. */
async function startOrigin(t: Test) {
  const seen = { requests: 0 }
  const server = createServer((request, response) => {
    seen.requests += 1
    const isThere = request.url === '/big'
    response.writeHead(isThere ? 200 : 404, { 'cache-control': 'max-age=600' })
    response.end(isThere ? 'all of it' : 'nothing')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** The admin page of a new peer, and what its console and its policy complained about. */
async function openAdmin(t: Test, width: number) {
  const peer = await startPeer(t, join(t.testdir(), 'home'))
  const browser = await launchBrowser(t)
  const page = await browser.newPage({ viewport: { width, height: 844 } })
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('dialog', (dialog) => complaints.push(dialog.message()))
  page.on('console', (message) => {
    if (/policy|refused/i.test(message.text())) complaints.push(message.text())
  })
  await page.goto(peer.ready.admin)
  return { page, peer, complaints }
}

/** Makes the peer a cache of shop.example. */
async function putRule(peer: PeerProcess, url: string): Promise<void> {
  const { status } = await httpRequest(`${peer.ready.http}/api/cdn/rules/shop`, {
    method: 'PUT',
    headers: { ...operatorOf(peer).headers, 'content-type': 'application/json' },
    body: JSON.stringify({ hosts: ['shop.example'], origin: { type: 'http', url } }),
  })
  if (status !== 200) throw new Error(`the rule was answered with ${status}`)
}

/** Adds a file to IPFS at the peer; resolves with its CID. */
async function addFile(peer: PeerProcess, name: string, text: string): Promise<string> {
  const answer = await httpRequest(
    `${peer.ready.http}/api/ipfs/add?name=${encodeURIComponent(name)}`,
    {
      method: 'POST',
      headers: { ...operatorOf(peer).headers, 'content-type': 'application/octet-stream' },
      body: text,
    },
  )
  return (JSON.parse(answer.text) as { cid: string }).cid
}

/** A button that asks first: a no changes nothing, a yes does it. */
async function clickTwice(page: Page, name: string, agree: string): Promise<void> {
  await page.getByRole('button', { name }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('button', { name }).click()
  await page.getByRole('dialog').getByRole('button', { name: agree, exact: true }).click()
}

test('URLs are read into the cache from the page, now and at a quiet time', { skip }, async (t) => {
  const origin = await startOrigin(t)
  const { page, peer, complaints } = await openAdmin(t, 1_440)
  await putRule(peer, origin.url)
  const cache = page.getByRole('region', { name: 'Cache' })
  await cache.getByText('No URL was ordered yet.').waitFor()
  const order = () => cache.getByRole('button', { name: 'Read into the cache', exact: true })

  await cache.getByLabel('URLs', { exact: true }).fill('http://shop.example/big\nnonsense')
  await order().press('Enter')
  const problem = cache.getByText('“nonsense” is no address')
  await problem.waitFor()
  t.equal(await problem.getAttribute('role'), 'alert')
  await cache.getByLabel('URLs', { exact: true }).fill('http://shop.example/big')
  await order().press('Enter')
  await cache.getByText('read, 9 B').waitFor()
  t.equal(await problem.isHidden(), true)
  t.equal(await cache.getByLabel('URLs', { exact: true }).inputValue(), '')
  const through = await httpRequest(`${peer.ready.http}/big`, { headers: { host: 'shop.example' } })
  t.equal(through.text, 'all of it')
  t.match(through.headers['cache-status'], /hit/)
  t.equal(origin.seen.requests, 1, 'the first visitor finds it in the cache')

  const hour = (new Date().getUTCHours() + 6) % 24
  const [from, until] = [hour, (hour + 1) % 24].map((each) => `${String(each).padStart(2, '0')}:00`)
  await cache.getByLabel('URLs', { exact: true }).fill('http://shop.example/<b>later</b>')
  t.equal(await cache.getByLabel('From', { exact: true }).isHidden(), true)
  await cache.getByLabel('When').selectOption('quiet')
  await cache.getByLabel('From', { exact: true }).fill(from ?? '')
  await cache.getByLabel('Until', { exact: true }).fill(until ?? '')
  await order().click()
  await cache.getByText(`waits for ${from}–${until} UTC`).waitFor()
  await cache.getByText('1 waiting · 1 read · 0 failed').waitFor()
  t.equal(await cache.getByText('<b>later</b>').count(), 1, 'what was typed is text')
  await cache.getByLabel('Show', { exact: true }).selectOption('done')
  await cache.getByText('waits for').waitFor({ state: 'detached' })
  await cache.getByLabel('Show', { exact: true }).selectOption('failed')
  await cache.getByText('No URL of the list is in this state.').waitFor()
  t.equal(origin.seen.requests, 1, 'its time has not come')

  await clickTwice(page, 'Clear the list', 'Clear the list')
  await cache.getByText('No URL was ordered yet.').waitFor()
  t.same(await operatorOf(peer).get('/api/cdn/fills'), {
    ...{ fills: [], waiting: 0, done: 0, failed: 0 },
  })
  t.same(complaints, [])
})

test('an object is kept by its hash and released on the page', { skip }, async (t) => {
  const { page, peer, complaints } = await openAdmin(t, 1_440)
  const region = page.getByRole('region', { name: 'Region', exact: true })
  await region.getByText('decides things').waitFor()
  await region.getByText('Member 1 (here)').waitFor()
  await region.getByText('All 17 groups have a quorum').waitFor()
  const storage = page.getByRole('region', { name: 'Storage' })
  await storage.getByText('You keep no object yet.').waitFor()
  await storage.getByText('No IPFS tree is kept.').waitFor()
  await storage.getByText(/^0 B of 512 MiB, 0 %$/).waitFor()
  const tree = await addFile(peer, '<img src=x onerror=alert(1)>', 'kept twice')
  const digest = digestOfText('kept twice')
  const cid = cidOf(digest)
  t.equal(tree, cid)
  await storage.getByText('<img src=x onerror=alert(1)>').waitFor()
  t.equal(await page.locator('main img').count(), 0)

  const keep = async (name: string) => {
    await storage.getByLabel('Object to keep').fill(name)
    await page.keyboard.press('Enter')
  }
  await keep('nonsense')
  await storage.getByText('That is no object’s name').waitFor()
  await keep(digestOfText('nobody has this'))
  const alert = storage.getByRole('alert')
  await storage.getByText('That is no object’s name').waitFor({ state: 'detached' })
  await alert.waitFor()
  t.match(await alert.textContent(), /\w/)
  t.equal(await page.locator('.dashboard > .notice-fail').isHidden(), true, 'told beside the field')
  const above = await storage.getByLabel('Object to keep').boundingBox()
  const below = await alert.boundingBox()
  t.equal(Math.abs((below?.y ?? 0) - (above?.y ?? 9_999)) < 150, true, 'just below it')

  await keep(digest.toUpperCase())
  await storage.getByText(/is kept, 10 B\.$/).waitFor()
  await storage.getByText('10 B · kept by you and a pinned IPFS tree').waitFor()
  t.equal(await alert.isHidden(), true)
  t.match(await operatorOf(peer).get('/api/store/kept'), {
    total: 1,
    objects: [{ cid, by: ['operator', 'ipfs'] }],
  })
  await storage.getByRole('row', { name: /^Kept/ }).getByText('1 object').first().waitFor()

  await clickTwice(page, `Release the tree ${cid}`, 'Release tree')
  await storage.getByText('No IPFS tree is kept.').waitFor()
  await storage.getByText('10 B · kept by you', { exact: true }).waitFor()
  await staysInPlace(t, page)
  await clickTwice(page, `Release ${cid}`, 'Release')
  await storage.getByText('You keep no object yet.').waitFor()
  t.match(await operatorOf(peer).get('/api/store/kept'), { total: 0 })
  t.same(complaints, [])
})

/** What is asked again and again moves nothing and takes no focus. */
async function staysInPlace(t: Test, page: Page): Promise<void> {
  const storage = page.getByRole('region', { name: 'Storage' })
  const field = storage.getByLabel('Object to keep')
  await field.focus()
  const before = await storage.boundingBox()
  for (let answers = 0; answers < 2; answers += 1) await page.waitForResponse(/\/api\/store\/kept/)
  await page.waitForTimeout(50)
  t.same(await storage.boundingBox(), before)
  t.equal(await field.and(page.locator(':focus')).count(), 1)
}

test('long lists are turned by page on a phone', { skip }, async (t) => {
  const { page, peer, complaints } = await openAdmin(t, 390)
  const storage = page.getByRole('region', { name: 'Storage' })
  for (let index = 0; index < 12; index += 1) await addFile(peer, `file ${index}`, `text ${index}`)
  const trees = storage.getByRole('button', { name: /^Release the tree/ })
  const pages = storage.getByRole('group', { name: 'Pages of IPFS trees' })
  await pages.getByText('1–10 of 12').waitFor()
  t.equal(await trees.count(), 10)
  const next = pages.getByRole('button', { name: 'Next' })
  await next.press('Enter')
  await pages.getByText('11–12 of 12').waitFor()
  t.equal(await trees.count(), 2)
  t.equal(await next.getAttribute('aria-disabled'), 'true')
  t.equal(await next.and(page.locator(':focus')).count(), 1, 'the focus stays')
  await page.waitForResponse(/\/api\/ipfs\/pins/)
  t.equal(await pages.getByText('11–12 of 12').count(), 1, 'a refresh turns nothing back')

  await storage.getByLabel('Show').selectOption('')
  const objects = storage.getByRole('group', { name: 'Pages of kept objects' })
  await objects.getByText('1–10 of 12').waitFor()
  await objects.getByRole('button', { name: 'Next' }).click()
  await objects.getByText('11–12 of 12').waitFor()
  t.equal(await storage.getByText('kept by a pinned IPFS tree').count(), 2)
  t.equal(
    await storage.getByRole('button', { name: /^Release b/ }).count(),
    0,
    'not the operator’s',
  )
  for (let left = 2; left > 0; left -= 1) {
    await trees.first().click()
    await page.getByRole('dialog').getByRole('button', { name: 'Release tree' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    if (left > 1) await pages.getByText('11–11 of 11').waitFor()
  }
  await storage
    .getByRole('button', { name: /^Release the tree/ })
    .nth(9)
    .waitFor()
  t.equal(await pages.isHidden(), true, 'the page that has none left is turned back')
  t.equal(
    await page.evaluate(
      'document.documentElement.scrollWidth <= document.documentElement.clientWidth',
    ),
    true,
  )
  t.same(complaints, [])
})
