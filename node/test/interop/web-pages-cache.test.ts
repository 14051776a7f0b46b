// The admin page of a real peer in headless Chromium: a site is put behind the cache, fetched through it, and purged.
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { type Test, test } from 'tap'
import { launchBrowser } from '../support/browser.ts'
import { needs } from '../support/needs.ts'
import { startPeer } from '../support/peer-process.ts'

const skip = needs('chromium')

/** A web server that counts its requests. */
async function startOrigin(t: Test) {
  const seen = { requests: 0 }
  const server = createServer((_, response) => {
    seen.requests += 1
    const headers = { 'cache-control': 'max-age=600', 'cache-tag': 'sale', etag: '"1"' }
    response.writeHead(200, headers).end(`answer ${seen.requests}`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** Fetches a path of shop.example through the peer. */
async function fetchThrough(peer: string, path: string): Promise<{ status: number; body: string }> {
  const asked = request(peer + path, { headers: { host: 'shop.example' } }).end()
  const [answer] = await once(asked, 'response')
  let body = ''
  for await (const chunk of answer) body += chunk
  return { status: answer.statusCode, body }
}

/** The admin page of a new peer, and what its console and its policy complained about. */
async function openAdmin(t: Test, folder: string, width: number) {
  const peer = await startPeer(t, join(folder, 'home'), ['--region', 'test-region'])
  const browser = await launchBrowser(t)
  const page = await browser.newPage({ viewport: { width, height: 844 } })
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (/policy|refused/i.test(message.text())) complaints.push(message.text())
  })
  await page.goto(peer.ready.admin)
  return { page, peer, complaints }
}

/** Adds the rule by keyboard and labels, as a person without a mouse would. */
async function addRule(page: Page, origin: string): Promise<void> {
  await page.getByRole('button', { name: 'New rule' }).press('Enter')
  await page.keyboard.type('shop')
  await page.keyboard.press('Tab')
  await page.keyboard.type('shop.example')
  await page.getByLabel('Address of the origin').fill(origin)
  await page.getByRole('button', { name: 'Add rule' }).press('Enter')
  await page.getByRole('button', { name: 'Remove the rule shop' }).waitFor()
}

test('a site is put behind the cache on the page, fetched, and purged there', {
  skip,
}, async (t) => {
  const origin = await startOrigin(t)
  const { page, peer, complaints } = await openAdmin(t, t.testdir(), 1_440)
  const { http } = peer.ready
  const cache = page.getByRole('region', { name: 'Cache' })
  await cache.getByText('This peer is no cache of any site yet').waitFor()
  await page
    .getByRole('region', { name: 'Peers' })
    .getByText(/^serving · region test-region/)
    .waitFor()

  await addRule(page, origin.url)
  t.match(await fetchThrough(http, '/a'), { status: 200, body: 'answer 1' })
  t.match(await fetchThrough(http, '/a'), { status: 200, body: 'answer 1' })
  await cache.getByText('2 requests, 50 % from the cache').first().waitFor()

  await cache.getByLabel('What').selectOption('tag')
  await cache.getByLabel('Tag', { exact: true }).fill('sale')
  await cache.getByRole('button', { name: 'Purge', exact: true }).press('Enter')
  const row = cache.locator('details[open] tbody tr')
  await row.waitFor()
  t.match(await row.textContent(), /^12D3….{6}done1\d+ ms$/)
  t.match(await cache.locator('summary').first().textContent(), /tag sale.*1 response forgotten/)
  t.match(await fetchThrough(http, '/a'), { body: 'answer 2' }, 'the origin is asked again')

  await refusesWhatIsWrong(t, page)
  await page.getByRole('button', { name: 'Remove the rule shop' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  t.match(await fetchThrough(http, '/a'), { body: 'answer 2' }, 'a removal needs a second yes')
  await page.getByRole('button', { name: 'Remove the rule shop' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Remove rule' }).click()
  await cache.getByText('This peer is no cache of any site yet').waitFor()
  t.equal((await fetchThrough(http, '/a')).status, 404)
  t.equal(origin.seen.requests, 2)
  t.same(complaints, [])
})

/** The peer's own sentence stands in sight, and what was typed stays; a rule for the page's own address is asked about. */
async function refusesWhatIsWrong(t: Test, page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Change the rule shop' }).click()
  t.equal(await page.getByLabel('Hosts').inputValue(), 'shop.example')
  await page.getByLabel('Hosts').fill('not_a_host')
  await page.getByRole('button', { name: 'Save rule' }).click()
  const alert = page.getByRole('alert')
  await alert.waitFor()
  t.match(await alert.textContent(), /hosts/)
  const box = await alert.boundingBox()
  t.equal(box !== null && box.y >= 0 && box.y < 200, true, 'in sight, far above the form')
  await page.getByLabel('Hosts').fill('127.0.0.1')
  await page.getByRole('button', { name: 'Save rule' }).click()
  await page.getByRole('dialog').getByText('neither this page nor').waitFor()
  await page.keyboard.press('Escape')
  t.equal(await page.getByLabel('Hosts').inputValue(), '127.0.0.1', 'what was typed stays')
  await page.getByRole('button', { name: 'Cancel' }).click()
}

test('a bucket and a folder are put behind the cache on a phone; the secret is never shown', {
  skip,
}, async (t) => {
  const folder = t.testdir({ files: { 'index.html': 'from the folder' } })
  const { page, peer, complaints } = await openAdmin(t, folder, 390)
  const cache = page.getByRole('region', { name: 'Cache' })
  const fits = () =>
    page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth')
  await cache.getByRole('button', { name: 'New rule' }).click()
  await cache.getByLabel('Name', { exact: true }).fill('media')
  await cache.getByLabel('Hosts').fill('media.example *.media.example')
  await cache.getByLabel('Origin', { exact: true }).selectOption('s3')
  t.equal(await cache.getByLabel('Address of the origin').isHidden(), true)
  await cache.getByLabel('Endpoint').fill('http://127.0.0.1:9')
  await cache.getByLabel('Bucket').fill('media')
  await cache.getByLabel('Access key id').fill('AKIAEXAMPLE')
  await cache.getByLabel('Secret access key').fill('very-secret-key')
  t.equal(await fits(), true, 'with the longest form')
  await cache.getByRole('button', { name: 'Add rule' }).click()
  await cache.getByText('signed as AKIAEXAMPLE').waitFor()
  await cache.getByRole('button', { name: 'Change the rule media' }).click()
  t.equal(await cache.getByLabel('Secret access key').inputValue(), '')
  t.notMatch(await page.content(), /very-secret-key/)
  await cache.getByLabel('Fresh for').fill('60')
  await cache.getByRole('button', { name: 'Save rule' }).click()
  await cache.getByText('signed as AKIAEXAMPLE').waitFor()
  await cache.getByText('fresh for 1 min by default').waitFor()

  await cache.getByRole('button', { name: 'New rule' }).click()
  await cache.getByLabel('Name', { exact: true }).fill('files')
  await cache.getByLabel('Hosts').fill('shop.example')
  await cache.getByLabel('Origin', { exact: true }).selectOption('folder')
  await cache.getByLabel('Folder', { exact: true }).fill(join(folder, 'files'))
  await cache.getByRole('button', { name: 'Add rule' }).click()
  await cache.getByText(/^from folder /).waitFor()
  t.match(await fetchThrough(peer.ready.http, '/index.html'), { body: 'from the folder' })
  await cache.getByLabel('What').selectOption('everything')
  t.equal(await cache.getByLabel('URL', { exact: true }).isHidden(), true)
  await cache.getByRole('button', { name: 'Purge', exact: true }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Purge everything' }).click()
  await cache.locator('details[open]').waitFor()
  t.match(await cache.locator('summary').first().textContent(), /everything.*done at 1 peer/)
  t.equal(await fits(), true, 'with the table of a purge')
  t.same(complaints, [])
})
