/** The routes in front of the library: who may call them, what they tell, and the files that they give out. */
import { join } from 'node:path'
import { test } from 'tap'
import { vodSchema, vodsSchema } from '../../src/api/schemas-vod.ts'
import { type VodRouteComponents, vodRoutes, vodStreamRoutes } from '../../src/api/vod.ts'
import { attachment } from '../../src/http/content-disposition.ts'
import { captionUploadLimits } from '../../src/limits/upload.ts'
import { silentLogger } from '../../src/logger.ts'
import { createRegistry } from '../../src/metrics/registry.ts'
import { Downloads } from '../../src/vod/download/downloads.ts'
import { alone, fakeLibrary } from '../support/fake-library.ts'
import { startTestServer, stopTestServer } from '../support/http-exchange.ts'
import { httpRequest } from '../support/http-get.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MemoryPresentations } from '../support/memory-presentations.ts'
import { needs } from '../support/needs.ts'
import { encodeFlv, libraryOf, packagePresentation } from '../support/packaged-presentation.ts'
import { makeVideo } from '../support/videos.ts'

test('the library by HTTP', { skip: needs('ffmpeg') }, async (t) => {
  const folder = t.testdir({})
  const made = packagePresentation(encodeFlv(folder, { seconds: 3 }), 'Über/alles "1"')
  const downloads = new Downloads(
    {
      ...{ clock: new ManualClock(Date.now()), logger: silentLogger, registry: createRegistry() },
      ...{ library: libraryOf(made), others: new MemoryPresentations() },
    },
    { directory: join(folder, 'downloads') },
  )
  await downloads.start()
  const { library, calls } = fakeLibrary(made)
  const { record } = makeVideo('another peer', 'Theirs', { createdAtMs: 1_800_000_000_000 })
  const theirs = { owner: 'another peer', video: record }
  const networkVideos: VodRouteComponents['networkVideos'] = {
    count: 7,
    known: (id) => (id === record.id ? theirs : undefined),
    newest: () => [theirs],
    status: () => 'known',
  }
  const components = { library, downloads, ...alone, networkVideos }
  const started = await startTestServer({
    routes: vodRoutes(components, { access: 'local' }),
    streamRoutes: vodStreamRoutes(components, { access: 'local' }),
  })
  t.teardown(() => stopTestServer(started))
  const url = `http://127.0.0.1:${started.port}`
  const json = { 'content-type': 'application/json' }
  const evil = { origin: 'http://evil.example' }

  t.test('videos', async (t) => {
    const list = vodsSchema.parse(JSON.parse((await httpRequest(`${url}/api/vods`)).text))
    t.same(
      list.videos.map(({ id, state, progress, etaS }) => [id, state, progress, etaS]),
      [
        [record.id, 'ready', 1, null],
        ['clip', 'ready', 1, null],
        ['making', 'transcoding', 0.5, 1.5],
      ],
    )
    t.equal(list.usage.bytesFree, 8_000)
    const one = vodSchema.parse(JSON.parse((await httpRequest(`${url}/api/vods/clip`)).text))
    t.match(one.urls, { hls: '/vod/clip/master.m3u8', sound: '/vod/clip/audio.m4a' })
    t.same(
      one.renditions.map(({ name, kind }) => [name, kind]),
      [
        ['source', 'video'],
        ['audio', 'audio'],
      ],
    )
    t.equal(list.videos[2]?.urls, null)
    t.equal((await httpRequest(`${url}/api/vods/none`)).status, 404)
    t.equal((await httpRequest(`${url}/api/vods/..%2fx`)).status, 400)
  })

  t.test('videos of other peers', async (t) => {
    const list = vodsSchema.parse(JSON.parse((await httpRequest(`${url}/api/vods`)).text))
    t.equal(list.networkVideos, 7)
    t.same(
      list.videos.map(({ status, originPeer }) => [status, originPeer]),
      [
        ['known', 'another peer'],
        ['origin', 'this peer'],
        ['origin', 'this peer'],
      ],
    )
    const path = `${url}/api/vods/${record.id}`
    const one = vodSchema.parse(JSON.parse((await httpRequest(path)).text))
    t.match(one, { title: 'Theirs', urls: { hls: `/vod/${record.id}/master.m3u8` } })
    t.match(one, { storyboard: { count: 6 }, captions: [{ language: 'en' }], bytes: 3_000 })
    const body = { headers: json, body: '{"title":"Mine"}' }
    const before = calls.length
    t.equal((await httpRequest(path, { method: 'PATCH', ...body })).status, 403)
    const removed = await httpRequest(path, { method: 'DELETE' })
    t.match(JSON.parse(removed.text), { status: 403, detail: /another peer/ })
    t.equal((await httpRequest(`${path}/retry`, { method: 'POST' })).status, 403)
    const vtt = { headers: { 'content-type': 'text/vtt' }, body: 'WEBVTT\n' }
    t.equal((await httpRequest(`${path}/captions`, { method: 'POST', ...vtt })).status, 403)
    t.equal(calls.length, before)
  })

  t.test('changes, by this machine and the pages of this peer only', async (t) => {
    const change = (method: string, path: string, body?: string, headers = {}) =>
      httpRequest(`${url}/api/vods/${path}`, {
        method,
        headers: { ...(body === undefined ? {} : json), ...headers },
        ...(body === undefined ? {} : { body }),
      })
    const renamed = await change('PATCH', 'clip', '{"title":"New"}')
    t.equal(JSON.parse(renamed.text).title, 'New')
    t.equal((await change('PATCH', 'clip', '{"title":""}')).status, 400)
    t.equal((await change('DELETE', 'making')).status, 200)
    t.equal((await change('POST', 'making/retry')).status, 200)
    t.equal((await change('DELETE', 'none')).status, 404)
    const before = calls.length
    t.equal((await change('PATCH', 'clip', '{"title":"Evil"}', evil)).status, 401)
    t.equal((await change('DELETE', 'clip', undefined, evil)).status, 401)
    t.equal((await change('POST', 'clip/captions', 'WEBVTT', evil)).status, 401)
    t.equal(calls.length, before)
    const path = 'clip/captions?language=de&label=Deutsch'
    const captions = await change('POST', path, 'WEBVTT\n', { 'content-type': 'text/vtt' })
    t.equal(vodSchema.parse(JSON.parse(captions.text)).id, 'clip')
    t.equal(calls.at(-1), 'captions de Deutsch 7 clip')
    const huge = 'x'.repeat(captionUploadLimits.bytesMax + 1)
    t.equal((await change('POST', path, huge)).status, 413)
  })

  t.test('downloads', async (t) => {
    const whole = await httpRequest(`${url}/vod/clip/download.mp4`)
    t.equal(whole.status, 200)
    t.equal(whole.headers['content-length'], String(whole.body.byteLength))
    t.match(whole.headers, { 'content-type': 'video/mp4', 'accept-ranges': 'bytes' })
    t.equal(
      whole.headers['content-disposition'],
      `attachment; filename="_ber_alles _1_.mp4"; filename*=UTF-8''%C3%9Cber_alles%20_1_.mp4`,
    )
    const head = await httpRequest(`${url}/vod/clip/download.mp4`, { method: 'HEAD' })
    t.equal(head.headers['content-length'], whole.headers['content-length'])
    const part = await httpRequest(`${url}/vod/clip/download.mp4`, {
      headers: { range: 'bytes=5000-20000', 'if-range': String(whole.headers.etag) },
    })
    t.equal(part.status, 206)
    t.ok(part.body.equals(whole.body.subarray(5_000, 20_001)))
    const sound = await httpRequest(`${url}/vod/clip/audio.m4a`)
    t.match(sound.headers, { 'content-type': 'audio/mp4' })
    t.ok(sound.body.byteLength < whole.body.byteLength)
    t.equal((await httpRequest(`${url}/vod/clip/download.mp4?rendition=480p`)).status, 404)
    t.equal((await httpRequest(`${url}/vod/none/download.mp4`)).status, 404)
    t.equal((await httpRequest(`${url}/vod/clip/download.mp4?rendition=../x`)).status, 400)
  })
})

test('file names', async (t) => {
  t.equal(attachment('a.mp4'), `attachment; filename="a.mp4"; filename*=UTF-8''a.mp4`)
  t.notMatch(attachment('..\r\nset-cookie: x"\\/'), /\r|\n|\.\.|\\|x"/)
  t.match(attachment("it's (1)*.mp4"), /it%27s%20%281%29_\.mp4$/)
  t.match(attachment('100%.mp4'), /filename="100_\.mp4"/)
})
