/**
 * Uploads by tus-js-client from Node and from Chromium, through broken lines and a restart; curl; a foreign page that must
 * not upload; and Chromium playing and seeking a download.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { connect, createServer as createTcpServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { Upload } from 'tus-js-client'
import { vodStreamRoutes } from '../../src/api/vod.ts'
import type { PlainHandler } from '../../src/http/prepared-response.ts'
import { silentLogger } from '../../src/logger.ts'
import { createRegistry } from '../../src/metrics/registry.ts'
import { Downloads } from '../../src/vod/download/downloads.ts'
import { launchBrowser } from '../support/browser.ts'
import { alone, fakeLibrary } from '../support/fake-library.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MemoryPresentations } from '../support/memory-presentations.ts'
import { needs } from '../support/needs.ts'
import { encodeFlv, libraryOf, packagePresentation } from '../support/packaged-presentation.ts'
import { startUploadPeer, type UploadPeer } from '../support/upload-peer.ts'

root.setTimeout(90_000)

const tusScript = readFileSync(
  createRequire(import.meta.url)
    .resolve('tus-js-client')
    .replace(/lib\.es5.*$/, 'dist/tus.min.js'),
)

/** A page with tus-js-client on it. */
const pages: PlainHandler = ({ path }) => {
  const answer = (type: string, body: Buffer) => ({
    status: 200,
    headers: { 'content-type': type },
    body: [body],
  })
  if (path === '/tus.js') return answer('text/javascript', tusScript)
  if (path !== '/page') return undefined
  return answer('text/html', Buffer.from('<!doctype html><script src="/tus.js"></script>'))
}

/** Lets `bytesMax` bytes of each connection through to a port, then cuts it; `heal()` lets all through. */
async function startBadLine(t: Test, port: () => number, bytesMax: number) {
  const sockets = new Set<Socket>()
  let isBad = true
  let cuts = 0
  const server = createTcpServer((client) => {
    const upstream = connect({ port: port(), host: '127.0.0.1' })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      // A cut is what this line is for.
      socket.on('error', () => {})
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
      })
    }
    let bytes = 0
    client.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength
      upstream.write(chunk)
      if (isBad && bytes > bytesMax) {
        cuts += 1
        client.destroy()
      }
    })
    upstream.pipe(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  const linePort = address === null || typeof address === 'string' ? 0 : address.port
  return {
    url: `http://127.0.0.1:${linePort}`,
    cuts: () => cuts,
    heal: () => {
      isBad = false
    },
  }
}

test('tus-js-client from Node, over a line that breaks and a peer that restarts', async (t) => {
  const directory = join(t.testdir({}), 'uploads')
  let peer: UploadPeer = await startUploadPeer({ directory })
  const { port } = peer
  const line = await startBadLine(t, () => port, 700_000)
  const film = randomBytes(4_000_000)
  let restarted = false
  const video = await new Promise<string>((resolve, reject) => {
    const upload = new Upload(film, {
      endpoint: `${line.url}/api/uploads`,
      chunkSize: 1_500_000,
      retryDelays: Array(30).fill(20),
      metadata: { filename: 'film.mp4' },
      onError: reject,
      onSuccess: ({ lastResponse }) => resolve(String(lastResponse.getHeader('Kairo-Video'))),
      onBeforeRequest: async () => {
        if (restarted || line.cuts() < 2) return
        restarted = true
        await peer.stop()
        peer = await startUploadPeer({ directory, port })
        line.heal()
      },
    })
    upload.start()
  })
  t.equal(video, 'video-1')
  t.ok(restarted && line.cuts() >= 2, `${line.cuts()} cuts and a restart`)
  t.ok(readFileSync(String(peer.taken[0]?.path)).equals(film), 'every byte, once')
  await peer.stop()
})

test('curl', async (t) => {
  const folder = t.testdir({})
  const peer = await startUploadPeer({ directory: join(folder, 'uploads') })
  t.teardown(() => peer.stop())
  const film = join(folder, 'film.mp4')
  writeFileSync(film, randomBytes(200_000))
  // Not waited for by blocking: the server runs in this very process.
  const curl = spawn('curl', [
    ...['-s', '-i', '-X', 'POST', `${peer.url}/api/uploads`, '-H', 'Tus-Resumable: 1.0.0'],
    ...['-H', 'Upload-Length: 200000', '-H', 'Content-Type: application/offset+octet-stream'],
    ...['-H', 'Expect:', '--data-binary', `@${film}`],
  ])
  let text = ''
  for await (const chunk of curl.stdout) text += chunk
  t.match(text, /^HTTP\/1\.1 201 .*kairo-video: video-1/is)
  t.ok(readFileSync(String(peer.taken[0]?.path)).equals(readFileSync(film)))
})

test('Chromium', { skip: needs('chromium', 'ffmpeg') }, async (t) => {
  const folder = t.testdir({})
  const made = packagePresentation(encodeFlv(folder, { seconds: 8 }))
  const downloads = new Downloads(
    {
      ...{ clock: new ManualClock(Date.now()), logger: silentLogger, registry: createRegistry() },
      ...{ library: libraryOf(made), others: new MemoryPresentations() },
    },
    { directory: join(folder, 'downloads') },
  )
  await downloads.start()
  const { library } = fakeLibrary(made)
  const start = (name: string) =>
    startUploadPeer({
      directory: join(folder, name),
      plainHandlers: [pages],
      streamRoutes: vodStreamRoutes({ library, downloads, ...alone }, { access: 'local' }),
    })
  const peer = await start('uploads')
  const foreign = await start('foreign')
  t.teardown(async () => {
    await peer.stop()
    await foreign.stop()
  })
  const browser = await launchBrowser(t)
  const page = await browser.newPage()
  const upload = (endpoint: string) =>
    page.evaluate<string>(`new Promise((resolve) => {
      const file = new File([new Uint8Array(3000000).fill(5)], 'from page.mp4')
      new tus.Upload(file, {
        endpoint: ${JSON.stringify(endpoint)},
        retryDelays: [],
        metadata: { filename: file.name },
        onSuccess: ({ lastResponse }) => resolve(lastResponse.getHeader('Kairo-Video')),
        onError: (error) => resolve('failed: ' + error.message),
      }).start()
    })`)

  await t.test('uploads from the page of this peer', async (t) => {
    await page.goto(`${peer.url}/page`)
    t.equal(await upload('/api/uploads'), 'video-1')
    t.equal(peer.taken[0]?.title, 'from page')
    t.equal(readFileSync(String(peer.taken[0]?.path)).byteLength, 3_000_000)
  })

  await t.test('and none from the page of another server on the same machine', async (t) => {
    await page.goto(`${foreign.url}/page`)
    t.match(await upload(`${peer.url}/api/uploads`), /^failed/)
    const form = await page.evaluate<string>(
      `fetch(${JSON.stringify(`${peer.url}/api/uploads`)}, { method: 'POST', mode: 'no-cors', body: 'x' }).then(() => 'sent', String)`,
    )
    t.equal(form, 'sent')
    t.equal(peer.taken.length, 1)
    t.equal(peer.uploads.usage(), 0)
  })

  await t.test('plays a download and seeks in it', async (t) => {
    await page.goto(`${peer.url}/page`)
    const result = await page.evaluate<{
      duration: number
      at: number
      size: number
      error: string
    }>(
      `new Promise((resolve) => {
        const video = document.createElement('video')
        video.muted = true
        video.src = '/vod/clip/download.mp4'
        const end = (error) =>
          resolve({ duration: video.duration, at: video.currentTime, size: video.videoWidth, error })
        video.onerror = () => end(video.error.message)
        video.onloadeddata = () => {
          video.onseeked = () => video.play()
          video.currentTime = 6
        }
        video.ontimeupdate = () => { if (video.currentTime > 6.5) end('') }
        document.body.append(video)
      })`,
    )
    t.match(result, { error: '', size: 320 })
    t.ok(Math.abs(result.duration - 8) < 0.15 && result.at > 6.5, JSON.stringify(result))
  })
})
