/**
 * Streams are pulled from other servers, with nothing faked: HLS from nginx, transport streams from an SRT listener, RTSP from
 * MediaMTX where it is installed; real children read, the packager cuts.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { homedir } from 'node:os'
import { extname, join } from 'node:path'
import { Registry } from 'prom-client'
import { t as root, type Test, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { PullService } from '../../src/ingest/pull/service.ts'
import type { PullState, PullStatus } from '../../src/ingest/pull/stream-pull.ts'
import type { OwnedStream } from '../../src/ingest/stream-keys.ts'
import type { StreamOptions } from '../../src/ingest/stream-options.ts'
import { silentLogger } from '../../src/logger.ts'
import { MediaPool } from '../../src/media/child/pool.ts'
import { needs } from '../support/needs.ts'
import { PublishedStream } from '../support/published-stream.ts'
import { freePort, rawServer } from '../support/restream-partners.ts'
import { forkUncounted } from '../support/uncounted.ts'
import { until } from '../support/until.ts'

forkUncounted()

const skip = needs('ffmpeg', 'ffprobe')
const mediamtx = join(homedir(), '.cache/kairo-bench/mediamtx-v1.14.0')
const skipRtsp = skip || (existsSync(mediamtx) ? false : 'needs MediaMTX, not installed here')
const timeout = 120_000
root.setTimeout(300_000)

/** A peer's pulls and packager in this process, its children outside. */
class Pulling {
  readonly registry = new Registry()
  readonly media: MediaPool
  readonly service: PullService
  readonly stream = new PublishedStream({ realClock: systemClock })
  #options: StreamOptions = {}
  #listener: (name: string) => void = () => {}

  constructor() {
    const base = { clock: systemClock, logger: silentLogger, registry: this.registry }
    const owned = { name: 'main', streamKey: 'secret' } as OwnedStream
    this.media = new MediaPool(base, { warm: 1, childrenMax: 4 })
    this.service = new PullService({
      ...base,
      random: () => 1,
      media: this.media,
      publishing: this.stream.service,
      keys: { get: () => owned, list: () => [owned] },
      streamOptions: {
        get: () => this.#options,
        onChange: (listener) => {
          this.#listener = (name) => listener(name, this.#options)
          return () => {}
        },
      },
    })
  }

  start(t: Test, pullUrl: string): void {
    this.media.start()
    this.service.start()
    t.teardown(async () => {
      this.service.stop()
      this.stream.service.stop()
      await this.media.stop()
    })
    this.set({ pullUrl })
  }

  set(options: StreamOptions): void {
    this.#options = options
    this.#listener('main')
  }

  get status(): PullStatus | undefined {
    return this.service.status()[0]
  }

  async reaches(...states: PullState[]): Promise<PullStatus> {
    await until(() => this.status !== undefined && states.includes(this.status.state))
    return this.status as PullStatus
  }

  /** Waits for whole segments of a rendition; the codecs of the stream then. */
  async segments(count: number, rendition = 'source'): Promise<string[]> {
    const { publication } = this.stream
    await until(async () => {
      if (!publication.record.renditions.some(({ name }) => name === rendition)) return false
      const { entries } = await publication.rendition(rendition)
      return entries.filter(({ endOfSegment }) => endOfSegment).length >= count
    })
    return publication.record.renditions.map(({ codecs }) => codecs)
  }
}

const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=30']
const tone = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000']
const h264 = ['-pix_fmt', 'yuv420p', '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '30']

/** ffmpeg with arguments, until the test's end. */
function ffmpeg(t: Test, args: readonly string[]): ChildProcess {
  const child = spawn('ffmpeg', ['-hide_banner', '-loglevel', 'error', ...args], {
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

/** Serves a folder over HTTP. */
async function serve(t: Test, folder: string): Promise<string> {
  const types: Record<string, string> = {
    '.m3u8': 'application/vnd.apple.mpegurl',
    '.ts': 'video/mp2t',
  }
  const server = createServer((request, response) => {
    const path = join(folder, new URL(request.url ?? '/', 'http://x').pathname)
    if (!existsSync(path)) {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, { 'content-type': types[extname(path)] ?? 'application/octet-stream' })
    response.end(readFileSync(path))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A finished HLS playlist of ten seconds. */
function makeHls(t: Test): string {
  const folder = t.testdir({})
  execFileSync('ffmpeg', [
    ...['-hide_banner', '-loglevel', 'error', ...picture, ...tone, '-t', '10', ...h264],
    ...['-c:a', 'aac', '-hls_time', '2', '-hls_list_size', '0', join(folder, 'main.m3u8')],
  ])
  return folder
}

test('an HLS playlist is pulled in real time, and again after its end', {
  skip,
  timeout,
}, async (t) => {
  const url = await serve(t, makeHls(t))
  const pulling = new Pulling()
  const beganMs = performance.now()
  pulling.start(t, `${url}/main.m3u8?token=very-secret`)
  t.match(await pulling.segments(3), [/^avc1/, /^mp4a/])
  t.equal(pulling.status?.state, 'pulling')
  t.notMatch(JSON.stringify(pulling.service.status()), /very-secret/)
  const { error } = await pulling.reaches('waiting')
  // The pace lets a publisher be some seconds ahead of real time, not ten.
  t.ok(performance.now() - beganMs > 4_000, 'it took its time')
  t.match(error, /ended/)
  await pulling.reaches('pulling')
  t.ok((pulling.status?.retries ?? 0) > 0)
  pulling.set({})
  t.same(pulling.service.status(), [])
  await until(() => pulling.stream.service.publishers().length === 0)
})

test('a playlist cannot open files of this machine', { skip, timeout }, async (t) => {
  const folder = makeHls(t)
  const stolen = join(folder, 'main0.ts')
  t.ok(existsSync(stolen))
  const evil = t.testdir({ web: {} })
  const head = '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n'
  const line = (uri: string): string => `${head}#EXTINF:2,\n${uri}\n#EXT-X-ENDLIST\n`
  mkdirSync(join(evil, 'web'), { recursive: true })
  const cases = {
    file: line(`file://${stolen}`),
    path: line(stolen),
    concat: line(`concat:${stolen}|${stolen}`),
    subfile: line(`subfile,,start,0,end,0,,:${stolen}`),
    list: `ffconcat version 1.0\nfile '${stolen}'\n`,
  }
  for (const [name, text] of Object.entries(cases)) {
    writeFileSync(join(evil, 'web', `${name}.m3u8`), text)
  }
  const url = await serve(t, join(evil, 'web'))
  for (const name of Object.keys(cases)) {
    const pulling = new Pulling()
    pulling.start(t, `${url}/${name}.m3u8`)
    const { error } = await pulling.reaches('waiting')
    t.ok(error, `${name}: ${error}`)
    t.equal(pulling.stream.sessions.length, 0, name)
    pulling.service.stop()
  }
})

test('an SRT source with sound that browsers do not play', { skip, timeout }, async (t) => {
  const port = await freePort()
  const pulling = new Pulling()
  const out = ['-c:a', 'mp2', '-f', 'mpegts', `srt://127.0.0.1:${port}?mode=listener`]
  ffmpeg(t, ['-re', ...picture, '-re', ...tone, '-t', '60', ...h264, ...out])
  pulling.start(t, `srt://127.0.0.1:${port}`)
  t.match(await pulling.segments(2), [/^avc1/, /^mp4a.40.2/])
})

test('a camera over RTSP', { skip: skipRtsp, timeout }, async (t) => {
  const port = await freePort()
  const config = join(t.testdir({}), 'mediamtx.yml')
  const off = ['rtmp', 'hls', 'webrtc', 'srt', 'api', 'metrics'].map((name) => `${name}: no\n`)
  const only = `rtspAddress: 127.0.0.1:${port}\nrtspTransports: [tcp]\npaths:\n  all_others:\n`
  writeFileSync(config, `${off.join('')}${only}`)
  const server = spawn(mediamtx, [config], { stdio: 'ignore' })
  t.teardown(() => server.kill('SIGKILL'))
  const url = `rtsp://127.0.0.1:${port}/cam`
  const pulling = new Pulling()
  pulling.start(t, url)
  // There is nothing yet: it tries again until there is.
  t.ok((await pulling.reaches('waiting')).error)
  const camera = ffmpeg(t, [
    ...['-re', ...picture, '-re', ...tone, '-t', '60', ...h264, '-c:a', 'pcm_alaw', '-ar', '8000'],
    ...['-f', 'rtsp', '-rtsp_transport', 'tcp', url],
  ])
  t.match(await pulling.segments(2), [/^avc1/, /^mp4a.40.2/])
  camera.kill('SIGKILL')
  await pulling.reaches('waiting')
  const before = pulling.stream.sessions.length
  ffmpeg(t, [
    ...['-re', ...picture, '-t', '60', ...h264, '-f', 'rtsp'],
    '-rtsp_transport',
    'tcp',
    url,
  ])
  await until(() => pulling.stream.sessions.length > before)
})

test('sources that do not answer, or hang up', { skip, timeout }, async (t) => {
  const rude = await rawServer(t, (socket) => socket.destroy())
  for (const scheme of ['rtsp', 'rtmp', 'http']) {
    const pulling = new Pulling()
    pulling.start(t, `${scheme}://user:pass-word@127.0.0.1:${rude.port}/live/secret-path`)
    const { error } = await pulling.reaches('waiting')
    t.ok(error)
    t.notMatch(error, /pass-word|secret-path/, `${scheme}: ${error}`)
    pulling.service.stop()
  }
})
