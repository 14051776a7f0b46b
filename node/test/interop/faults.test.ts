/**
 * Faults with real processes: the origin is killed and comes back, the network flips bytes, the disk is full, a port is
 * taken, a peer is stopped in the middle of a stream.
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { framesAfter, launchBrowser } from '../support/browser.ts'
import { ffmpegPush } from '../support/ffmpeg-push.ts'
import { httpRequest, httpUntil } from '../support/http-get.ts'
import { metricValue } from '../support/metric-value.ts'
import { needs } from '../support/needs.ts'
import { loopbackArguments, runCliProcess, startPeer } from '../support/peer-process.ts'

const LIVE = /"state":"live"/

/** Waits until a playlist lists a segment with at least this number. */
async function segmentAtLeast(url: string, msn: number): Promise<string> {
  const { text } = await httpUntil(
    url,
    ({ status, text }) => status === 200 && lastSegment(text) >= msn,
    { attempts: 300, everyMs: 200 },
  )
  return text
}

function lastSegment(playlist: string): number {
  return Math.max(-1, ...[...playlist.matchAll(/^(\d+)\.m4s$/gm)].map(([, msn]) => Number(msn)))
}

test('the origin is killed, comes back under the same identity, and viewers of the second peer resume', {
  skip: needs('ffmpeg', 'chromium'),
  timeout: 240_000,
}, async (t) => {
  const homes = t.testdir({ a: {}, b: {} })
  const first = await startPeer(t, join(homes, 'a'))
  const b = await startPeer(t, join(homes, 'b'), ['--join', first.ready.http])
  const { stream, streamKey } = first.ready
  const push = ffmpegPush(t, `${first.ready.rtmp}/${streamKey}`)
  const playlist = `${b.ready.http}/live/${stream}/source/media.m3u8`
  await httpUntil(`${b.ready.http}/api/streams`, ({ text }) => LIVE.test(text))
  const page = await (await launchBrowser(t)).newPage()
  await page.goto(`${b.ready.http}/#/watch/${stream}`)
  const before = await framesAfter(page, 0, 60)
  const lastBefore = lastSegment(await segmentAtLeast(playlist, 2))

  t.equal(await first.end('SIGKILL'), 'SIGKILL')
  push.child.kill('SIGKILL')
  const second = await startPeer(t, join(homes, 'a'))
  t.equal(second.ready.peerId, first.ready.peerId)
  t.equal(second.ready.streamKey, streamKey)
  t.equal(second.ready.http, first.ready.http, 'it takes the ports it had')
  ffmpegPush(t, `${second.ready.rtmp}/${streamKey}`)

  const text = await segmentAtLeast(playlist, lastBefore + 2)
  t.match(text, /#EXT-X-DISCONTINUITY\n/)
  t.equal(
    new Set([...text.matchAll(/^\d+\.m4s$/gm)].map(([uri]) => uri)).size,
    [...text.matchAll(/^\d+\.m4s$/gm)].length,
  )
  const after = await framesAfter(page, before.frames, 150)
  t.ok(after.currentTime > before.currentTime)
  t.equal(after.errorCode, undefined)
})

test('bytes flipped on the way never reach a player, and the stream goes on', {
  skip: needs('ffmpeg'),
  timeout: 180_000,
}, async (t) => {
  const homes = t.testdir({ a: {}, b: {} })
  const a = await startPeer(t, join(homes, 'a'))
  const proxy = await flippingProxy(t, tcpPort(a.ready.multiaddrs[0] ?? ''))
  const b = await startPeer(t, join(homes, 'b'), [
    '--join',
    `/ip4/127.0.0.1/tcp/${proxy.port}/p2p/${a.ready.peerId}`,
  ])
  ffmpegPush(t, `${a.ready.rtmp}/${a.ready.streamKey}`)
  await httpUntil(`${b.ready.http}/api/streams`, ({ text }) => LIVE.test(text))
  const path = `/live/${a.ready.stream}/source`
  await segmentAtLeast(`${b.ready.http}${path}/media.m3u8`, 1)
  proxy.flip()
  const text = await segmentAtLeast(`${b.ready.http}${path}/media.m3u8`, 5)
  t.ok(proxy.flipped() > 0, 'a byte was flipped')
  const uris = [...text.matchAll(/^(\d+\.m4s)$/gm)].map(([, uri]) => uri)
  for (const uri of uris.slice(-4)) {
    const [fromA, fromB] = await Promise.all([
      httpRequest(`${a.ready.http}${path}/${uri}`),
      httpRequest(`${b.ready.http}${path}/${uri}`),
    ])
    t.equal(fromB.status, 200)
    t.ok(fromA.body.equals(fromB.body), `${uri} is whole`)
  }
})

test('a full disk degrades the cache and nothing else', {
  skip: needs('ffmpeg') || (process.getuid?.() === 0 ? false : 'needs root to mount a small disk'),
  timeout: 120_000,
}, async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'kairo-small-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'kairo-test', home])
  t.teardown(() => {
    execFileSync('umount', ['-l', home])
    rmdirSync(home)
  })
  const peer = await startPeer(t, home)
  ffmpegPush(t, `${peer.ready.rtmp}/${peer.ready.streamKey}`, { bitrate: '3000k' })
  const ready = await httpUntil(`${peer.ready.http}/health/ready`, ({ status }) => status === 503, {
    attempts: 300,
    everyMs: 200,
  })
  t.match(ready.text, /"store":"ERR_STORAGE"/)
  const last = lastSegment(
    await segmentAtLeast(`${peer.ready.http}/live/${peer.ready.stream}/source/media.m3u8`, 1),
  )
  await segmentAtLeast(`${peer.ready.http}/live/${peer.ready.stream}/source/media.m3u8`, last + 2)
  t.equal((await httpRequest(`${peer.ready.http}/health/live`)).status, 200)
  t.match(peer.log(), /disk/)
  t.equal(await peer.end('SIGTERM'), 0)
})

test('a port that the operator chose and another program has is an error with its name', {
  timeout: 60_000,
}, async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo
  for (const [flag, value] of [
    ['--http', `127.0.0.1:${port}`],
    ['--rtmp', `127.0.0.1:${port}`],
    ['--listen', `/ip4/127.0.0.1/tcp/${port}`],
  ] as const) {
    const args = loopbackArguments(t.testdir({}))
    const at = args.indexOf(flag)
    args.splice(at, 2, flag, value)
    const { code, stderr } = await runCliProcess(args.filter((arg) => arg !== '--json'))
    t.equal(code, 1, flag)
    t.match(stderr, new RegExp(String(port)))
    t.match(stderr, /ERR_ADDRESS_IN_USE/)
  }
})

test('two peers on one home folder are refused; wrong settings exit with 2', {
  timeout: 60_000,
}, async (t) => {
  const home = t.testdir({})
  await startPeer(t, home)
  const second = await runCliProcess(loopbackArguments(home).filter((arg) => arg !== '--json'))
  t.equal(second.code, 1)
  t.match(second.stderr, /home|state/)
  const wrong = await runCliProcess(['up', '--http', 'nowhere'])
  t.equal(wrong.code, 2)
  t.match(wrong.stderr, /http \(flag --http\)/)
})

test('SIGTERM in the middle of a stream leaves a store that opens again, warm', {
  skip: needs('ffmpeg'),
  timeout: 120_000,
}, async (t) => {
  const home = t.testdir({})
  const first = await startPeer(t, home)
  ffmpegPush(t, `${first.ready.rtmp}/${first.ready.streamKey}`)
  const path = `/live/${first.ready.stream}/source/media.m3u8`
  const last = lastSegment(await segmentAtLeast(`${first.ready.http}${path}`, 2))
  t.equal(await first.end('SIGTERM'), 0)
  t.notOk(existsSync(join(home, 'running.json')))
  const objects = readdirSync(join(home, 'content'), { recursive: true }).length
  t.ok(objects > 10, 'parts are on disk')

  const second = await startPeer(t, home)
  t.ok((await metricValue(second.ready.http, 'kairo_content_stored_bytes')) > 0, 'found again')
  ffmpegPush(t, `${second.ready.rtmp}/${second.ready.streamKey}`)
  const text = await segmentAtLeast(`${second.ready.http}${path}`, last + 1)
  const [before = '', after = ''] = text.split('#EXT-X-DISCONTINUITY\n')
  t.match(before, '#EXT-X-MEDIA-SEQUENCE:0\n', 'viewers may still go back to before the stop')
  t.ok(lastSegment(before) >= last, 'what was whole is listed')
  t.match(after, new RegExp(`\\b${lastSegment(before) + 1}\\.(?:0\\.)?m4s`), 'numbers go on')
  t.equal(await second.end('SIGTERM'), 0)
})

function tcpPort(multiaddr: string): number {
  return Number(/\/tcp\/(\d+)/.exec(multiaddr)?.[1])
}

interface FlippingProxy {
  readonly port: number
  /** From now on one byte of a later piece of each connection is flipped, once. */
  flip(): void
  flipped(): number
}

/** A TCP proxy in front of a peer that can damage what the peer sends. */
async function flippingProxy(t: Test, target: number): Promise<FlippingProxy> {
  let armed = false
  let flips = 0
  const sockets = new Set<Socket>()
  const server: Server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    sockets.add(client).add(upstream)
    client.pipe(upstream)
    upstream.on('data', (chunk: Buffer) => {
      if (armed && chunk.byteLength > 500) {
        armed = false
        flips += 1
        chunk[chunk.byteLength >> 1] = (chunk[chunk.byteLength >> 1] ?? 0) ^ 0x10
      }
      client.write(chunk)
    })
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    flip: () => {
      armed = true
    },
    flipped: () => flips,
  }
}
