/**
 * A live stream gets its ladder, with nothing faked: ffmpeg pushes over RTMP, real children transcode, the packager cuts; children
 * are killed and stopped while it plays. Every part of every rendition is checked.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Registry } from 'prom-client'
import { t as root, type Test, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { RtmpServer } from '../../src/ingest/rtmp/server.ts'
import { silentLogger } from '../../src/logger.ts'
import { MediaPool } from '../../src/media/child/pool.ts'
import { type EncoderProbe, probeEncoders } from '../../src/media/encoders.ts'
import { PresetStore } from '../../src/media/ladder/preset-store.ts'
import { TranscodeService } from '../../src/transcode/service.ts'
import type { StreamTranscoding } from '../../src/transcode/status.ts'
import type { CheckedRendition } from '../support/cmaf-checker.ts'
import { type FfmpegPushOptions, ffmpegPush } from '../support/ffmpeg-push.ts'
import { needs } from '../support/needs.ts'
import { PublishedStream } from '../support/published-stream.ts'
import { forkUncounted } from '../support/uncounted.ts'
import { until } from '../support/until.ts'

forkUncounted()

const skip = needs('ffmpeg', 'ffprobe')
const timeout = 120_000
root.setTimeout(360_000)

/** A peer's ingest, packager and transcoder in this process, its children outside. */
class LiveLadder {
  readonly registry = new Registry()
  readonly media: MediaPool
  readonly transcoding: TranscodeService
  readonly stream: PublishedStream
  readonly rtmp: RtmpServer
  quality = 'auto'
  encoders: readonly EncoderProbe[] | undefined

  constructor() {
    const base = { clock: systemClock, logger: silentLogger, registry: this.registry }
    this.media = new MediaPool(base, { warm: 1, childrenMax: 4 })
    this.transcoding = new TranscodeService(
      {
        ...base,
        media: this.media,
        presets: new PresetStore({ directory: '/nonexistent' }),
        encoders: () => this.encoders,
        qualityOf: () => this.quality,
        // A machine that other tests keep busy says nothing about this one.
        machine: { eventLoopDelayMs: () => 0, idleCores: () => 8 },
      },
      { transcodeCores: 8 },
    )
    this.stream = new PublishedStream({
      realClock: systemClock,
      observers: [this.transcoding],
    })
    this.rtmp = new RtmpServer(
      { ...base, publishing: this.stream.service },
      { host: '127.0.0.1', port: 0 },
    )
  }

  async push(t: Test, options: FfmpegPushOptions): Promise<void> {
    this.media.start()
    this.transcoding.start()
    await this.rtmp.start()
    t.teardown(async () => {
      await this.rtmp.stop()
      this.stream.service.stop()
      this.transcoding.stop()
      await this.media.stop()
    })
    const { host, port } = this.rtmp.address()
    ffmpegPush(t, `rtmp://${host}:${port}/live/secret`, options)
    this.encoders = await probeEncoders()
  }

  status(): StreamTranscoding | undefined {
    return this.transcoding.status().streams[0]
  }

  /** Waits until the rungs have so many whole segments more, and are live. */
  async segments(names: readonly string[], more: number): Promise<void> {
    const whole = await Promise.all(names.map((name) => this.#wholeSegments(name)))
    await until(async () => {
      const now = await Promise.all(names.map((name) => this.#wholeSegments(name)))
      return now.every((count, index) => count >= (whole[index] ?? 0) + more)
    })
  }

  async #wholeSegments(name: string): Promise<number> {
    const known = this.stream.publication.record.renditions.some((info) => info.name === name)
    if (!known) return 0
    const { entries } = await this.stream.publication.rendition(name)
    return entries.filter(({ endOfSegment }) => endOfSegment).length
  }
}

/** Media time that is missing inside a rendition, milliseconds. */
function missingMs({ parts }: CheckedRendition): number {
  const first = parts.find(({ part }) => part === 0)
  const last = parts.findLast(({ part }) => part === 0)
  if (first?.programDateTimeMs === undefined || last?.programDateTimeMs === undefined) return NaN
  const between = parts.slice(parts.indexOf(first), parts.indexOf(last))
  const playedMs = between.reduce((sum, { durationUs }) => sum + durationUs, 0) / 1000
  return last.programDateTimeMs - first.programDateTimeMs - playedMs
}

const startsOf = (rendition: CheckedRendition): Map<number, number> =>
  new Map(
    rendition.parts
      .filter(({ part }) => part === 0)
      .map(({ msn, programDateTimeMs }) => [msn, programDateTimeMs ?? NaN]),
  )

async function checkAgainstSource(t: Test, live: LiveLadder, names: readonly string[]) {
  const violations = await live.stream.violations(['source', 'audio', ...names])
  // Another encoder setting is another init segment. Discontinuities stay the source's, for players count them across renditions.
  t.same(
    violations.filter(({ rule, where }) => rule !== 'init-change' || where.startsWith('source')),
    [],
  )
  const source = await live.stream.checked('source')
  for (const name of names) {
    const rung = await live.stream.checked(name)
    const starts = startsOf(rung)
    const wrong = [...startsOf(source)].filter(([msn, time]) => {
      const own = starts.get(msn)
      return own !== undefined && Math.abs(own - time) > 40
    })
    t.same(wrong, [], `${name}: segments begin with the source's`)
    t.ok(Math.abs(missingMs(rung)) < 50, `${name} lacks ${missingMs(rung)} ms`)
  }
}

test('a ladder, and children that are killed and stopped while it plays', {
  skip,
  timeout,
}, async (t) => {
  const live = new LiveLadder()
  const names = ['360p', '240p']
  await live.push(t, { size: '854x480', gopFrames: 60, bFrames: 2, bitrate: '1200k' })
  await live.segments(names, 2)
  const first = live.status()
  t.match(first, { phase: 'running', restarts: 0 })
  t.same(
    first?.rungs.map(({ name, state, encoder }) => [name, state, encoder]),
    names.map((name) => [name, 'live', 'libx264']),
  )

  process.kill(first?.pid ?? 0, 'SIGKILL')
  await until(() => live.status()?.restarts === 1 && live.status()?.phase === 'running')
  await live.segments(names, 2)
  const second = live.status()
  t.not(second?.pid, first?.pid)

  process.kill(second?.pid ?? 0, 'SIGSTOP')
  const stoppedMs = performance.now()
  await until(() => live.status()?.restarts === 2 && live.status()?.phase === 'running')
  t.comment(`a stopped child was replaced after ${Math.round(performance.now() - stoppedMs)} ms`)
  await live.segments(names, 2)
  t.match(live.status(), { phase: 'running', restarts: 2 })
  await checkAgainstSource(t, live, names)

  const folder = t.testdir({})
  for (const name of names) {
    const { parts } = await live.stream.checked(name)
    const file = join(folder, `${name}.mp4`)
    writeFileSync(
      file,
      Buffer.concat([parts[0]?.init ?? Buffer.alloc(0), ...parts.map(({ data }) => data)]),
    )
    const errors = execFileSync('ffmpeg', ['-v', 'error', '-i', file, '-f', 'null', '-'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    t.equal(errors, '')
  }
})

test('another quality while it plays: the ladder changes and nothing is missing', {
  skip,
  timeout,
}, async (t) => {
  const live = new LiveLadder()
  await live.push(t, { size: '640x480', gopFrames: 30, bitrate: '1200k' })
  await live.segments(['360p', '240p'], 2)
  live.quality = 'low-cpu'
  live.transcoding.optionsChanged('main')
  await until(() => live.status()?.rungs.length === 1)
  await live.segments(['240p'], 2)
  t.equal(
    live.stream.publication.record.renditions.some(({ name }) => name === '360p'),
    false,
  )
  live.quality = 'auto'
  live.transcoding.optionsChanged('main')
  await until(() => live.status()?.rungs.length === 2)
  await live.segments(['360p', '240p'], 2)
  t.match(live.status(), { restarts: 0 })
  await checkAgainstSource(t, live, ['360p', '240p'])
})

test('children that all die cost the rungs and never the source', { skip, timeout }, async (t) => {
  const live = new LiveLadder()
  await live.push(t, { size: '426x320', gopFrames: 30, bitrate: '800k' })
  await live.segments(['240p'], 1)
  while (live.status()?.phase !== 'failed') {
    const { phase, pid } = live.status() ?? {}
    if (phase === 'running' && pid !== undefined) process.kill(pid, 'SIGKILL')
    await wait(20)
  }
  t.equal(
    live.stream.publication.record.renditions.some(({ name }) => name === '240p'),
    false,
  )
  t.match(live.status()?.dropped.find(({ name }) => name === '240p')?.reason, /tried again later/)
  await live.segments(['source'], 2)
  t.same(await live.stream.violations(['source', 'audio']), [])
})
