/**
 * A live stream is sent on, with nothing faked: ffmpeg pushes over RTMP, real children send to an ffmpeg that listens, to another
 * peer's ingest, over SRT, and to servers that refuse, hang up or never read.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { t as root, type Test, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { RtmpServer } from '../../src/ingest/rtmp/server.ts'
import { silentLogger } from '../../src/logger.ts'
import { MediaPool } from '../../src/media/child/pool.ts'
import { RestreamService } from '../../src/restream/service.ts'
import type { RestreamTarget } from '../../src/restream/target.ts'
import type { RestreamFailure } from '../../src/restream/target-sender.ts'
import type { TargetState, TargetStatus } from '../../src/restream/target-status.ts'
import { type AvPushOptions, avPush } from '../support/av-push.ts'
import { ffmpegPush } from '../support/ffmpeg-push.ts'
import { needs } from '../support/needs.ts'
import { PublishedStream } from '../support/published-stream.ts'
import { ffmpegListener, freePort, rawServer } from '../support/restream-partners.ts'
import { forkUncounted } from '../support/uncounted.ts'
import { until } from '../support/until.ts'

forkUncounted()

const skip = needs('ffmpeg', 'ffprobe')
const timeout = 120_000
root.setTimeout(400_000)

/** A peer's ingest and restreaming in this process, its children outside. */
class Restreaming {
  readonly registry = new Registry()
  readonly media: MediaPool
  readonly service: RestreamService
  readonly stream: PublishedStream
  readonly rtmp: RtmpServer
  readonly failures: RestreamFailure[] = []
  targets: readonly RestreamTarget[]

  constructor(targets: readonly RestreamTarget[]) {
    this.targets = targets
    const base = { clock: systemClock, logger: silentLogger, registry: this.registry }
    this.media = new MediaPool(base, { warm: 1, childrenMax: 8 })
    this.service = new RestreamService({
      ...base,
      random: () => 1,
      media: this.media,
      streamNames: () => ['main'],
      targetsOf: () => this.targets,
      streamKeyOf: () => 'own-secret-key',
      onFailed: (failure) => this.failures.push(failure),
    })
    this.stream = new PublishedStream({ realClock: systemClock, observers: [this.service] })
    this.rtmp = new RtmpServer(
      { ...base, publishing: this.stream.service },
      { host: '127.0.0.1', port: 0 },
    )
  }

  async start(t: Test): Promise<string> {
    this.media.start()
    this.service.start()
    await this.rtmp.start()
    t.teardown(async () => {
      await this.rtmp.stop()
      this.stream.service.stop()
      this.service.stop()
      await this.media.stop()
    })
    const { host, port } = this.rtmp.address()
    return `rtmp://${host}:${port}/live/secret`
  }

  set(targets: readonly RestreamTarget[]): void {
    this.targets = targets
    this.service.optionsChanged('main')
  }

  target(name: string): TargetStatus {
    const target = this.service.status()[0]?.targets.find((each) => each.name === name)
    if (target === undefined) throw new Error(`no target ${name}`)
    return target
  }

  async reaches(name: string, ...states: TargetState[]): Promise<TargetStatus> {
    await until(() => states.includes(this.target(name).state))
    return this.target(name)
  }

  /** Waits until a target has taken something more. */
  async takes(name: string): Promise<void> {
    const before = this.target(name).bytes
    await until(() => this.target(name).bytes > before)
  }
}

/** Another peer, as far as a publisher sees it. */
async function otherPeer(t: Test) {
  const stream = new PublishedStream({ realClock: systemClock })
  const rtmp = new RtmpServer(
    {
      clock: systemClock,
      logger: silentLogger,
      registry: new Registry(),
      publishing: stream.service,
    },
    { host: '127.0.0.1', port: 0 },
  )
  await rtmp.start()
  t.teardown(async () => {
    await rtmp.stop()
    stream.service.stop()
  })
  const { host, port } = rtmp.address()
  const segments = async (): Promise<number> => {
    const known = stream.publication.record.renditions.some(({ name }) => name === 'source')
    if (!known) return 0
    const { entries } = await stream.publication.rendition('source')
    return entries.filter(({ endOfSegment }) => endOfSegment).length
  }
  return { stream, url: `rtmp://${host}:${port}/live/key-of-the-other`, segments }
}

const target = (name: string, url: string, enabled = true): RestreamTarget => ({
  name,
  url,
  enabled,
})

/** Codecs of what a listener received; each picture and piece of sound is decoded. */
function codecsOf(t: Test, received: Buffer): string[] {
  const path = join(t.testdir({}), 'received.ts')
  writeFileSync(path, received)
  const show = ['-show_entries', 'stream=codec_name', '-of', 'csv=p=0', path]
  const text = execFileSync('ffprobe', ['-v', 'error', ...show]).toString()
  const names = text.split('\n').map((line) => line.replaceAll(',', ''))
  return [...new Set(names.filter((line) => line !== ''))].sort()
}

const push = (t: Test, url: string, options: AvPushOptions) => avPush(t, url, options)

test('ffmpeg and another peer both get the stream', { skip, timeout }, async (t) => {
  const port = await freePort()
  const other = await otherPeer(t)
  const listener = ffmpegListener(t, `rtmp://127.0.0.1:${port}/live/platform-key`)
  const restreaming = new Restreaming([
    target('platform', `rtmp://127.0.0.1:${port}/live/platform-key`),
    target('other', other.url),
  ])
  const url = await restreaming.start(t)
  const publisher = ffmpegPush(t, url, { gopFrames: 30, bFrames: 2, size: '320x180' })
  await restreaming.reaches('platform', 'sending')
  await restreaming.reaches('other', 'sending')
  await until(async () => (await other.segments()) >= 3)
  await until(() => listener.received().byteLength > 100_000)
  t.same(codecsOf(t, listener.received()), ['aac', 'h264'])
  t.ok(restreaming.target('platform').bitrateBps > 10_000)
  t.equal(restreaming.target('platform').host, `rtmp://127.0.0.1:${port}`)
  t.notMatch(JSON.stringify(restreaming.service.status()), /platform-key|key-of-the-other/)

  // One target goes and comes back; the other notices nothing.
  await listener.kill()
  const failed = await restreaming.reaches('platform', 'waiting')
  t.ok(failed.error)
  const before = await other.segments()
  const again = ffmpegListener(t, `rtmp://127.0.0.1:${port}/live/platform-key`)
  await restreaming.reaches('platform', 'sending')
  await until(() => again.received().byteLength > 50_000)
  await until(async () => (await other.segments()) > before)
  t.ok(restreaming.target('platform').retries > 0)
  t.equal(restreaming.target('other').retries, 0)

  // The publisher goes and comes back: so do the targets.
  await publisher.stop()
  await until(() => restreaming.service.status()[0]?.live === false)
  t.equal(restreaming.target('other').state, 'off')
  const third = ffmpegListener(t, `rtmp://127.0.0.1:${port}/live/platform-key`)
  ffmpegPush(t, url, { gopFrames: 30, size: '320x180' })
  await restreaming.reaches('platform', 'sending')
  await restreaming.reaches('other', 'sending')
  await until(() => third.received().byteLength > 50_000)
})

test('SRT gets a transport stream', { skip, timeout }, async (t) => {
  const port = await freePort()
  const listener = ffmpegListener(t, `srt://127.0.0.1:${port}?mode=listener`)
  const restreaming = new Restreaming([target('srt', `srt://127.0.0.1:${port}?streamid=x`)])
  ffmpegPush(t, await restreaming.start(t), { gopFrames: 30, size: '320x180' })
  await restreaming.reaches('srt', 'sending')
  await until(() => listener.received().byteLength > 100_000)
  t.same(codecsOf(t, listener.received()), ['aac', 'h264'])
})

test('sound that FLV has no place for becomes AAC', { skip, timeout }, async (t) => {
  const port = await freePort()
  const listener = ffmpegListener(t, `rtmp://127.0.0.1:${port}/live/x`)
  const restreaming = new Restreaming([target('rtmp', `rtmp://127.0.0.1:${port}/live/x`)])
  const source = { video: { codec: 'h264' }, audio: [{ codec: 'opus' }], seconds: 60, live: true }
  push(t, await restreaming.start(t), source as AvPushOptions)
  await restreaming.reaches('rtmp', 'sending')
  await until(() => listener.received().byteLength > 50_000)
  t.same(codecsOf(t, listener.received()), ['aac', 'h264'])
})

test('HEVC and Opus go over SRT as they are', { skip, timeout }, async (t) => {
  const port = await freePort()
  const listener = ffmpegListener(t, `srt://127.0.0.1:${port}?mode=listener`)
  const restreaming = new Restreaming([target('srt', `srt://127.0.0.1:${port}`)])
  const source = { video: { codec: 'hevc' }, audio: [{ codec: 'opus' }], seconds: 60, live: true }
  push(t, await restreaming.start(t), source as AvPushOptions)
  await restreaming.reaches('srt', 'sending')
  await until(() => listener.received().byteLength > 50_000)
  t.same(codecsOf(t, listener.received()), ['hevc', 'opus'])
})

test('a codec that a target does not take is named', { skip, timeout }, async (t) => {
  const restreaming = new Restreaming([target('rtmp', 'rtmp://127.0.0.1:9/live/x')])
  const source = { video: { codec: 'hevc' }, audio: [{ codec: 'aac' }], seconds: 60, live: true }
  push(t, await restreaming.start(t), source as AvPushOptions)
  const { error, retries } = await restreaming.reaches('rtmp', 'failed')
  t.match(error, /do not take HEVC/)
  t.equal(retries, 0)
  t.match(restreaming.failures, [{ target: 'rtmp', final: true }])
})

test('targets that misbehave cost only themselves', { skip, timeout }, async (t) => {
  const other = await otherPeer(t)
  const mute = await rawServer(t, (socket) => socket.pause())
  const rude = await rawServer(t, (socket) => socket.destroy())
  const closed = await freePort()
  const restreaming = new Restreaming([
    target('mute', `rtmp://127.0.0.1:${mute.port}/live/mute-key`),
    target('rude', `rtmp://127.0.0.1:${rude.port}/live/rude-key`),
    target('closed', `rtmp://127.0.0.1:${closed}/live/closed-key`),
    target('own', 'rtmp://192.0.2.1/live/own-secret-key'),
    target('other', other.url),
  ])
  ffmpegPush(t, await restreaming.start(t), { gopFrames: 30, size: '320x180' })
  t.equal((await restreaming.reaches('own', 'failed')).state, 'failed')
  await restreaming.reaches('other', 'sending')
  for (const name of ['rude', 'closed']) {
    await until(() => restreaming.target(name).retries >= 2)
    t.ok(restreaming.target(name).error, name)
  }
  await until(() => restreaming.target('mute').error !== undefined)
  t.match(restreaming.target('mute').error, /within 10000 ms/)
  await restreaming.takes('other')
  t.equal(restreaming.target('other').dropped, 0)
  t.same(restreaming.failures.map((failure) => failure.target).sort(), [
    ...['closed', 'mute', 'own', 'rude'],
  ])
  t.notMatch(JSON.stringify([restreaming.service.status(), restreaming.failures]), /-key/)

  // The owner changes the list: the one that stays goes on.
  const bytes = restreaming.target('other').bytes
  restreaming.set([target('other', other.url)])
  t.equal(restreaming.service.status()[0]?.targets.length, 1)
  await restreaming.takes('other')
  t.ok(restreaming.target('other').bytes > bytes)
  restreaming.set([target('other', other.url, false)])
  t.equal(restreaming.target('other').state, 'off')
  await until(() => other.stream.service.publishers().length === 0)
})
