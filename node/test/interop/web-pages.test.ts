// The built pages in headless Chromium, against a stand-in for the peer and a live HLS stream that ffmpeg makes.
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium, type Locator, type Page } from 'playwright-core'
import { t as root, type Test, test } from 'tap'
import { build } from 'vite'
import { untilTrue } from '../support/browser.ts'
import { fakeAnswers, fakeStream, fakeVideo } from '../support/fake-web-answers.ts'
import { type FakeWebPeer, startFakeWebPeer } from '../support/fake-web-peer.ts'
import { needs, partnerPath } from '../support/needs.ts'

const skip = needs('chromium', 'ffmpeg')
const web = fileURLToPath(new URL('../../web', import.meta.url))
const folder = root.testdir()
const browser = skip === false ? await launch() : undefined

async function launch(): Promise<Browser> {
  await build({
    root: web,
    configFile: `${web}/vite.config.ts`,
    logLevel: 'error',
    build: { outDir: folder, emptyOutDir: true },
  })
  return chromium.launch({
    executablePath: partnerPath('chromium') ?? '',
    args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required'],
  })
}
root.teardown(() => browser?.close())

/** A page at the stand-in, and what its console and its policy complained about. */
async function open(
  t: Test,
  peer: FakeWebPeer,
  path: string,
  viewport = { width: 1280, height: 800 },
) {
  assert(browser !== undefined)
  const context = await browser.newContext({ viewport })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (/policy|refused/i.test(message.text())) complaints.push(message.text())
  })
  t.teardown(() => context.close())
  await page.goto(peer.url + path)
  return { page, complaints }
}

async function fakePeer(t: Test, live = false): Promise<FakeWebPeer> {
  const peer = await startFakeWebPeer(folder, fakeAnswers(), { live })
  t.teardown(() => peer.close())
  return peer
}

/** True when nothing is wider than the window. */
const fits = (page: Page) =>
  page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth')

test('the wall shows the streams and follows them', { skip }, async (t) => {
  const peer = await fakePeer(t)
  peer.answers.streams = [fakeStream('evil', { title: '<img src=x onerror=alert(1)>' })]
  const { page, complaints } = await open(t, peer, '/')
  const card = page.getByRole('link', { name: /LIVE/ })
  await card.waitFor()
  t.equal(
    await page.locator('.card-title').textContent(),
    '<img src=x onerror=alert(1)>',
    'data stays text',
  )
  t.match(await page.locator('header').textContent(), /1 live · 3 peers.*12D3…LtJ4uE/)
  await card.evaluate((element) => element.setAttribute('data-kept', ''))
  peer.answers.streams = [fakeStream('another'), ...peer.answers.streams]
  await page.getByText('another', { exact: true }).waitFor()
  t.equal(await page.locator('[data-kept]').count(), 1, 'a card lives on while others come')
  peer.answers.streams = []
  await page.getByText('Nothing is live right now').waitFor()
  t.match(
    await page.locator('main').textContent(),
    /ffmpeg -re .*rtmp:\/\/127\.0\.0\.1:1936\/live/s,
  )
  peer.answers.reachable = false
  await page.getByText('peer unreachable').waitFor()
  peer.answers.reachable = true
  peer.answers.streams = [fakeStream('back')]
  await page.getByText('back', { exact: true }).waitFor()
  t.same(complaints, [])
})

test('says so when the peer does not answer from the start', { skip }, async (t) => {
  const peer = await fakePeer(t)
  peer.answers.reachable = false
  const { page } = await open(t, peer, '/')
  await page.getByRole('alert').getByText('No answer from this peer').waitFor()
  peer.answers.reachable = true
  await page.getByRole('button', { name: 'Try now' }).click()
  await page.getByText('Live now').waitFor()
})

test('plays a live stream with its figures, and recovers by itself', { skip }, async (t) => {
  const peer = await fakePeer(t, true)
  const { page, complaints } = await open(t, peer, '/')
  await page.getByRole('link', { name: /Test picture/ }).click()
  await untilTrue(page, "(document.querySelector('.stage video')?.currentTime ?? 0) > 0.5")
  t.match(page.url(), /#\/watch\/test$/)
  t.equal(await page.title(), 'Test picture · Kairo')
  await untilTrue(
    page,
    "/\\d s.*\\d bit.*640×360/s.test(document.querySelector('.stats').textContent.replace('Mbit','1 bit'))",
  )
  t.match(
    await page.locator('.stats').textContent(),
    /Codecs\s*H\.264 \+ AAC.*Source peer\s*this peer/s,
  )

  const paused = () => page.evaluate("document.querySelector('.stage video').paused")
  await page.keyboard.press('k')
  t.equal(await paused(), true, 'k pauses')
  await page.locator('.go-live').click()
  t.equal(await paused(), false, 'the live button plays on')
  await page.keyboard.press('m')
  t.equal(await page.evaluate("document.querySelector('.stage video').muted"), true, 'm mutes')
  await page.keyboard.press('t')
  t.equal(await page.evaluate("document.body.classList.contains('theatre')"), true, 't is theatre')

  // The stream is gone for a while: the player says so, and plays again without being asked.
  await page.route('**/live/test/**', (route) => route.abort())
  peer.answers.streams = [fakeStream('test', { status: 'connecting', sourcePeer: null })]
  await page.locator('.stage').getByText('The source peer does not answer').waitFor()
  peer.answers.streams = [fakeStream('test', { status: 'lost' })]
  await page.locator('.stage').getByText('The source peer is gone').waitFor()
  await page.locator('.player-head').getByText('NO SOURCE', { exact: true }).waitFor()
  peer.answers.reachable = false
  await page.locator('.stage').getByText('No answer from this peer').waitFor()
  peer.answers.reachable = true
  // An end leaves no button to play what is not there.
  peer.answers.streams = [fakeStream('test', { state: 'ended' })]
  await page.locator('.stage').getByText('The stream has ended').waitFor()
  await page.locator('.resume').waitFor({ state: 'hidden' })
  await page.locator('.go-live').waitFor({ state: 'hidden' })
  await page.unroute('**/live/test/**')
  peer.answers.streams = [fakeStream('test')]
  await page.locator('.stage-message').waitFor({ state: 'hidden' })
  await untilTrue(
    page,
    "(() => { const v = document.querySelector('.stage video'); return !v.paused && v.readyState > 2 })()",
  )
  t.same(complaints, [])
})

test('an unknown stream is waited for', { skip }, async (t) => {
  const peer = await fakePeer(t, true)
  peer.answers.streams = []
  const { page } = await open(t, peer, '/?stream=test')
  await page.route('**/live/test/**', (route) => route.abort())
  await page.reload()
  await page.locator('.stage').getByText('This stream is not live').waitFor()
  await page.unroute('**/live/test/**')
  const [, sound] = fakeStream('test').renditions as unknown[]
  peer.answers.streams = [fakeStream('test', { renditions: sound === undefined ? [] : [sound] })]
  await page.locator('.stage').getByText('Sound only').waitFor()
  peer.answers.streams = [fakeStream('test')]
  await page.locator('.stage').getByText('Sound only').waitFor({ state: 'hidden' })
  await untilTrue(page, "document.querySelector('.stage video').currentTime > 0.2")
})

/** Opens a stream's options, changes them, and clears the record of changes. */
async function changeOptions(t: Test, page: Page, peer: FakeWebPeer): Promise<void> {
  const options = page.locator('.options').last()
  await options.locator('summary').click()
  await options.getByLabel('Rewind').waitFor()
  await untilTrue(
    page,
    "[...document.querySelectorAll('.options')].at(-1).textContent.includes('600')",
  )
  t.match(
    await options.textContent(),
    /elsewhere.*a\.example · waiting, tried 3 times · connection refused/s,
  )
  await options.getByLabel('Recording').selectOption('yes')
  await options.getByRole('button', { name: 'Save' }).click()
  await options.getByLabel('Name', { exact: true }).fill('second')
  await options.getByLabel('Address with its stream key').fill('rtmp://b.example/live/k')
  await options.getByRole('button', { name: 'Add target' }).click()
  await options.getByRole('button', { name: /^Turn off/ }).click()
  while (peer.changes.length < 3) await page.waitForTimeout(20)
  t.same(peer.changes.splice(0), [
    'PATCH /api/keys/live/options',
    'POST /api/keys/live/restream',
    'PATCH /api/keys/live/restream/elsewhere',
  ])
}

test('the admin page keeps the token out of the address and works with it', { skip }, async (t) => {
  const peer = await fakePeer(t)
  const { page, complaints } = await open(t, peer, '/admin?token=operator-secret')
  await page.getByRole('heading', { name: 'Stream keys' }).waitFor()
  t.equal(page.url(), `${peer.url}/admin`)
  await page.getByText('connected', { exact: true }).waitFor()
  const text = () => page.locator('main').textContent()
  await page.getByText('1 check of 4 needs a look.').waitFor()
  t.match(
    await text(),
    /2.6 of 4 cores free.*480p.*360p is not made: the machine has no room for it/s,
  )
  t.match(await text(), /ladder · test.*warm, waiting for work/s)
  t.match(await text(), /hooks\.example.*12 delivered.*status 500/s)
  t.match(
    await text(),
    /cannot write: ENOSPC.*3870 objects, 17 removed.*<b>photos<\/b>.*34 blocks/s,
  )
  t.match(await text(), /Joining http:\/\/10\.0\.0\.9:8080 failed/)
  t.notMatch(await text(), /sk_live_9a02/, 'keys are hidden at first')
  await page.getByRole('button', { name: 'Show: Stream key' }).last().click()
  t.match(await text(), /sk_live_9a02/)

  await changeOptions(t, page, peer)
  await page.getByRole('button', { name: /^Disconnect/ }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  t.same(peer.changes, [], 'a change needs a second yes')
  await page.getByRole('button', { name: /^Disconnect/ }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Disconnect' }).click()
  await page.getByRole('button', { name: 'Delete the key live' }).click()
  await page.getByRole('button', { name: 'Delete key' }).click()
  await page.getByRole('button', { name: 'Delete the key live' }).waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'New key' }).click()
  await page.getByLabel(/^Name, as in/).fill('stage-2')
  await page.keyboard.press('Enter')
  while (peer.changes.length < 3) await page.waitForTimeout(20)
  t.same(peer.changes, [
    'POST /api/keys/test/disconnect',
    'DELETE /api/keys/live',
    'POST /api/keys',
  ])

  await page.reload()
  await page.getByRole('heading', { name: 'Stream keys' }).waitFor()
  peer.answers.token = 'a new one'
  await page.getByText('does not accept the token of this tab').waitFor()
  t.same(complaints, [])
})

test('the region is told as it is, and left for another one after a second yes', {
  skip,
}, async (t) => {
  const peer = await fakePeer(t)
  const { page, complaints } = await open(t, peer, '/admin?token=operator-secret')
  const region = page.getByRole('region', { name: 'Region', exact: true })
  await soon(page, region.getByText('decides things'))
  const text = () => region.textContent()
  t.match(await text(), /1 of 17 groups have no quorum\..*Members, 2 of 3 there/s)
  t.match(await text(), /Member 1 \(here\).*there · leads 8.*Member 3.*away · leads 0/s)
  const groups = region.getByRole('table', { name: 'Groups of the region' })
  t.equal(await groups.getByRole('row').count(), 18, 'unfolded, for one of them has no leader')
  t.match(await groups.getByRole('row').nth(6).textContent(), /5none1 2 331205not known/)
  t.match(await text(), /this peer · since .* · term 3, entry 120 · 2\.4 s left/)

  await region.getByRole('link', { name: '12D3…LtJ4uE' }).click()
  await page.locator('.lines > li:target').getByText('This peer', { exact: true }).waitFor()
  const membership = page.locator('.lines > li:target').getByRole('link', { name: /Member of/ })
  await soon(page, membership)
  await membership.click()
  await region.locator('li:target').getByText('Member 1 (here)').waitFor()
  await page.getByRole('link', { name: 'owned by this peer, as the region says' }).click()
  await region.locator('li:target').getByRole('link', { name: 'test', exact: true }).click()
  await page.locator('.row:target').getByText('Test picture').waitFor()
  await page.locator('.row:target').getByText('3 watching here, 12 in the region').waitFor()

  const move = region.getByRole('button', { name: /^Move this peer to the region beef/ })
  await move.click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  t.same(peer.changes, [], 'a move needs a second yes')
  await move.click()
  await page.getByRole('dialog').getByRole('button', { name: 'Move this peer' }).click()
  while (peer.changes.length < 1) await page.waitForTimeout(20)
  t.same(peer.changes, ['POST /api/region/merge'])
  await regionGetsWorse(t, page, peer)
  t.same(complaints, [])
})

/** Waits for what an answer brings that has changed meanwhile, without waiting for the page to ask by itself. */
async function soon(page: Page, shown: Locator): Promise<void> {
  for (let attempt = 0; attempt < 100 && !(await shown.isVisible()); attempt += 1) {
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await page.waitForTimeout(100)
  }
  await shown.waitFor()
}

/** Without a quorum, without an answer, without a tracker, and with an etcd in its place. */
async function regionGetsWorse(t: Test, page: Page, peer: FakeWebPeer): Promise<void> {
  const region = page.getByRole('region', { name: 'Region', exact: true })
  const whole = peer.answers.region
  const { members } = whole as { members: Record<string, unknown>[] }
  const bad = { ...whole, hasQuorum: false, isDegraded: true }
  const parted = members.map((one) => ({ ...one, isConnected: one.memberId === 2 }))
  peer.answers.region = { ...bad, conflicts: [], members: parted }
  await soon(page, region.getByText('no quorum for long'))
  t.match(
    await region.textContent(),
    /Publishers are taken unconfirmed.*--lose-data here\..*2 of 3 here or connected.*not connected/s,
  )
  t.equal(await region.getByText('Other regions of this name').isHidden(), true)
  peer.answers.region = { ...bad, members: [], groups: [], error: 'no answer' }
  await soon(page, region.getByText('The members could not be asked: no answer.'))
  t.match(await region.textContent(), /as they were told at .*Member 1 \(here\).*0 \(region\)/s)
  const none = { regionId: null, founded: null, memberId: null, members: [], groups: [] }
  const failed = { ...none, conflicts: [], state: 'failed', error: 'no space left' }
  peer.answers.region = { ...whole, ...failed, phase: null, hasQuorum: false }
  await soon(page, region.getByText('works no longer: no space left.'))
  t.equal(await region.getByText('Member 1 (here)').isHidden(), true)
  peer.answers.reachable = false
  await soon(page, region.getByText('not known now'))
  peer.answers.reachable = true
  Object.assign(peer.answers, { region: undefined })
  const notice = page.locator('.dashboard > .notice-fail')
  await soon(page, notice.getByText('Not Found'))
  peer.answers.region = { ...whole, ...none, conflicts: [], engine: 'etcd', phase: null }
  await soon(page, region.getByText('etcd decides'))
  t.equal(await notice.isHidden(), true, 'what went wrong is over')
}

test('the admin page asks for the token and refuses a wrong one', { skip }, async (t) => {
  const peer = await fakePeer(t)
  const { page } = await open(t, peer, '/admin')
  await page.getByLabel('Operator token').fill('guess')
  await page.keyboard.press('Enter')
  await page.getByText('The peer does not accept this token.').waitFor()
  await page.getByLabel('Operator token').fill('operator-secret')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Streams' }).waitFor()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByText('Operator access').waitFor()
  t.equal(await page.evaluate("sessionStorage.getItem('kairo.token')"), null)
})

test('videos stand on the wall as they are, and those who may not upload are not asked to', {
  skip,
}, async (t) => {
  const peer = await fakePeer(t)
  peer.answers.library.videos = [
    fakeVideo('a', { title: '<b>Holiday</b>' }),
    fakeVideo('b', { state: 'transcoding', progress: 0.4, etaS: 75, urls: null }),
    fakeVideo('c', { state: 'failed', error: { code: 'ERR_X', message: 'no moov in it' } }),
  ]
  const { page, complaints } = await open(t, peer, '/')
  const library = page.locator('.library')
  await library.getByText('<b>Holiday</b>').waitFor()
  t.match(await library.textContent(), /12:34.*40 %.*1 min 15 s left.*FAILED.*no moov in it/s)
  await library.getByRole('button', { name: 'Upload' }).waitFor()
  await page.locator('input[type=file]').setInputFiles([
    { name: 'empty.mp4', mimeType: 'video/mp4', buffer: Buffer.alloc(0) },
    { name: 'large.mp4', mimeType: 'video/mp4', buffer: Buffer.alloc(1_000_001) },
  ])
  const panel = page.getByRole('region', { name: 'Uploads' })
  t.match(await panel.textContent(), /The file is empty.*larger than this peer takes/s)
  peer.answers.library.uploads = { access: 'operator', fileBytesMax: 1 }
  await library.getByRole('button', { name: 'Upload' }).waitFor({ state: 'hidden' })
  t.same(complaints, [])
})

test('the bar works by touch', { skip }, async (t) => {
  const peer = await fakePeer(t, true)
  assert(browser !== undefined)
  const context = await browser.newContext({
    ...{ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
  })
  t.teardown(() => context.close())
  const page = await context.newPage()
  await page.goto(`${peer.url}/#/watch/test`)
  await untilTrue(page, "(document.querySelector('.stage video')?.currentTime ?? 0) > 0.5")
  if (await page.evaluate("document.querySelector('.stage').classList.contains('idle')")) {
    await page.locator('.stage video').tap()
  }
  await page.getByRole('button', { name: 'Settings' }).tap()
  await page.getByRole('menuitem', { name: /^Speed/ }).tap()
  await page.getByRole('menuitemradio', { name: 'Normal' }).waitFor()
  t.equal(await page.evaluate("document.querySelector('.stage video').paused"), false)
})

test('both pages fit a phone', { skip }, async (t) => {
  const peer = await fakePeer(t)
  const phone = { width: 360, height: 740 }
  peer.answers.library.videos = [fakeVideo('a'), fakeVideo('b')]
  for (const path of ['/', '/#/watch/garage', '/#/video/a', '/admin?token=operator-secret']) {
    const { page } = await open(t, peer, path, phone)
    await page.locator('main h1, main h2').first().waitFor()
    if (path.startsWith('/admin')) await page.getByText('Member 3', { exact: true }).waitFor()
    t.equal(await fits(page), true, path)
  }
})
