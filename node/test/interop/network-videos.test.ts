/**
 * A video made at one peer, played at others: every form of it byte for byte the same, in Chromium, from copies after its peer was
 * killed, and nowhere any more once that peer has removed it.
 */
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { framesAfter, launchBrowser } from '../support/browser.ts'
import { type Answer, httpRequest } from '../support/http-get.ts'
import { h264Args, makeClip } from '../support/make-clip.ts'
import { needs } from '../support/needs.ts'
import { operatorOf } from '../support/operator-client.ts'
import { type PeerProcess, runCliProcess, startPeer } from '../support/peer-process.ts'
import { until } from '../support/until.ts'

interface Listed {
  readonly videos: readonly {
    readonly id: string
    readonly title: string
    readonly state: string
    readonly status: string
    readonly originPeer: string
  }[]
}

async function listed({ ready }: PeerProcess): Promise<Listed['videos']> {
  return (JSON.parse((await httpRequest(`${ready.http}/api/vods`)).text) as Listed).videos
}

function get({ ready }: PeerProcess, path: string): Promise<Answer> {
  return httpRequest(`${ready.http}${path}`)
}

/** Every playlist, manifest, segment, sprite and caption file of a video, by path. */
async function everythingOf(peer: PeerProcess, id: string): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>()
  const waiting = ['master.m3u8', 'manifest.mpd', 'storyboard.vtt'].map(
    (name) => `/vod/${id}/${name}`,
  )
  for (const path of waiting) {
    if (found.has(path)) continue
    const { status, text, body } = await get(peer, path)
    if (status !== 200) throw new Error(`${path}: ${status} ${text}`)
    found.set(path, body)
    if (!/\.(m3u8|vtt)$/.test(path) || path.endsWith('captions.vtt')) continue
    const quoted = [...text.matchAll(/URI="([^"]+)"/g)].map(([, uri]) => uri ?? '')
    const lines = text.split('\n').filter((line) => /^[\w./-]+\.(m3u8|m4s|vtt|jpg)(#|$)/.test(line))
    for (const uri of [...quoted, ...lines]) {
      waiting.push(new URL(uri, `http://peer${path}`).pathname)
    }
  }
  return found
}

async function addFilm(t: Test, peer: PeerProcess, folder: string): Promise<string> {
  const film = await makeClip(join(folder, 'film.mp4'), {
    ...{ seconds: 12, output: [...h264Args, '-c:a', 'aac'] },
  })
  const home = ['--home', peer.ready.home]
  const added = await runCliProcess(['vod', 'add', film, 'A film', '--json', ...home])
  t.equal(added.code, 0, added.stderr)
  const { id } = JSON.parse(added.stdout) as { id: string }
  const isReady = async () => (await listed(peer)).some(({ state }) => state === 'ready')
  await until(isReady, 'the film', 120_000)
  return id
}

test('videos of the network', {
  skip: needs('ffmpeg', 'chromium'),
  timeout: 300_000,
}, async (t) => {
  const folder = t.testdir({
    a: {},
    b: {},
    c: {},
    'en.vtt': 'WEBVTT\n\n00:01.000 --> 00:02.000\nHi\n',
  })
  const home = (name: string): string => join(folder, name)
  let a = await startPeer(t, home('a'))
  const b = await startPeer(t, home('b'), ['--join', a.ready.http])
  const c = await startPeer(t, home('c'), ['--join', a.ready.http, '--join', b.ready.http])
  const id = await addFilm(t, a, folder)
  const captions = ['vod', 'captions', id, join(folder, 'en.vtt'), 'en', 'English']
  t.equal((await runCliProcess([...captions, '--home', home('a')])).code, 0)
  const before = await everythingOf(a, id)
  t.ok([...before.keys()].some((path) => path.endsWith('captions.vtt')))

  await t.test('it is listed at others, where it is only to be watched', async (t) => {
    const isListed = async () =>
      (await get(b, `/vod/${id}/captions-en/captions.vtt`)).status === 200
    await until(isListed, 'the captions at another peer')
    const [video] = await listed(b)
    t.match(video, { id, title: 'A film', state: 'ready', originPeer: a.ready.peerId })
    const { stdout } = await runCliProcess(['vod', 'list', '--home', home('b')])
    t.match(stdout, new RegExp(`${id} .* (copied|known) ${a.ready.peerId.slice(-8)} +A film`))
    const removed = await runCliProcess(['vod', 'remove', id, '--home', home('b')])
    t.not(removed.code, 0)
    t.match(removed.stderr, /can be changed there/)
  })

  await t.test('it is the same at others, in every form', async (t) => {
    t.same(await everythingOf(b, id), before)
    const path = `/vod/${id}/download.mp4`
    t.ok((await get(b, path)).body.equals((await get(a, path)).body), 'as one file')
    const part = { headers: { range: 'bytes=1000-1999' } }
    const [there, here] = [a, b].map(({ ready }) => httpRequest(`${ready.http}${path}`, part))
    t.same((await here)?.body, (await there)?.body)
    const other = `${id.slice(0, 31)}${id.endsWith('a') ? 'b' : 'a'}`
    t.equal((await get(b, `/vod/${other}/master.m3u8`)).status, 404)
  })

  await t.test('Chromium plays it at another peer', async (t) => {
    const page = await (await launchBrowser(t)).newPage()
    await page.goto(`${b.ready.http}/#/video/${id}`)
    await framesAfter(page, 0, 40)
    t.pass('pictures')
  })

  await t.test('it plays from copies when its peer is killed', async (t) => {
    await a.end('SIGKILL')
    t.same(await everythingOf(c, id), before)
    t.match(await listed(c), [{ id, status: 'copied' }])
  })

  await t.test('what its peer removes is gone everywhere', async (t) => {
    a = await startPeer(t, home('a'), ['--join', b.ready.http])
    t.same(await everythingOf(a, id), before)
    const removed = await fetch(`${a.ready.http}/api/vods/${id}`, {
      ...{ method: 'DELETE', headers: operatorOf(a).headers },
    })
    t.equal(removed.status, 200)
    for (const peer of [a, b, c]) {
      await until(async () => (await listed(peer)).length === 0, 'the end of the film')
      t.equal((await get(peer, `/vod/${id}/master.m3u8`)).status, 404)
    }
  })
})

test('a peer that shares no videos, and one whose videos nobody has', {
  skip: needs('ffmpeg'),
  timeout: 180_000,
}, async (t) => {
  const folder = t.testdir({ a: {}, b: {} })
  const a = await startPeer(t, join(folder, 'a'), ['--no-share-videos'])
  const b = await startPeer(t, join(folder, 'b'), ['--join', a.ready.http])
  const id = await addFilm(t, a, folder)
  await until(async () => (await get(b, '/health/ready')).status === 200)
  t.same(await listed(b), [], 'it is told to nobody')

  await a.end('SIGTERM')
  const open = await startPeer(t, join(folder, 'a'), ['--join', b.ready.http])
  await until(async () => (await listed(b)).length === 1, 'now it is told')
  await open.end('SIGKILL')
  await until(async () => (await listed(b))[0]?.status === 'away', 'the end of its peer')
  const answer = await get(b, `/vod/${id}/master.m3u8`)
  t.match(answer, { status: 503, headers: { 'retry-after': String } })
})
