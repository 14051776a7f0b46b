// Debian's ffmpeg calls the SRT server; what arrives is compared, byte by byte, with what ffprobe reads from the same file.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { t as root, type Test, test } from 'tap'
import { KairoError } from '../../src/errors.ts'
import type { AccessUnit } from '../../src/media/access-unit.ts'
import type { Publishing } from '../../src/media/sink.ts'
import { avPush } from '../support/av-push.ts'
import { needs } from '../support/needs.ts'
import { PackagingRun } from '../support/packaging-run.ts'
import { RecordingPublishing, type RecordingSink } from '../support/recording-publishing.ts'
import {
  packetsOf,
  packetsOfUnits,
  pushWithFfmpeg,
  type SourcePacket,
  srtTarget,
} from '../support/srt-push.ts'
import { udpProxy } from '../support/udp-proxy.ts'

root.setTimeout(180_000)

const run = promisify(execFile)
const KEY = 'secret-key'
const PASSPHRASE = 'correct horse battery'
// In FFmpeg's addresses a plus is a space, and nothing else is escaped.
const ENCRYPTED = `&passphrase=${PASSPHRASE.replaceAll(' ', '+')}`
const skip = needs('ffmpeg', 'ffprobe')
const H264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '3']
const AAC = ['-c:a', 'aac', '-ac', '2']

/** A file of 3 s at 30000/1001 frames with two tones. */
async function makeSource(t: Test, name: string, ...codecs: string[]): Promise<string> {
  const file = join(t.testdir(), name)
  await run('ffmpeg', [
    ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=30000/1001'],
    ...['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'],
    ...['-f', 'lavfi', '-i', 'sine=frequency=880:sample_rate=48000'],
    ...['-t', '3', '-map', '0', '-map', '1', '-g', '30', '-pix_fmt', 'yuv420p', ...codecs, file],
  ])
  return file
}

/** Times may be off by a tick, for the file's clock is another one. */
function compare(t: Test, got: readonly SourcePacket[], sent: readonly SourcePacket[]) {
  t.ok(sent.length > 50, `${sent.length} packets`)
  t.same(
    got.map(({ hash, keyframe }) => ({ hash, keyframe })),
    sent.map(({ hash, keyframe }) => ({ hash, keyframe })),
  )
  const off = got.filter(({ dts, pts }, index) => {
    const other = sent[index]
    return other === undefined || Math.abs(dts - other.dts) > 2 || Math.abs(pts - other.pts) > 2
  })
  t.same(off.length, 0, 'times agree')
}

async function compareAll(t: Test, units: readonly AccessUnit[], file: string) {
  compare(t, packetsOfUnits(units, 'video'), await packetsOf(file, 'v:0'))
  compare(t, packetsOfUnits(units, 'audio'), await packetsOf(file, 'a:0'))
}

test('a file that ffmpeg pushes arrives frame by frame and packages', { skip }, async (t) => {
  const publishing = new RecordingPublishing(KEY)
  const { url, metric } = await srtTarget(t, publishing)
  const file = await makeSource(t, 'source.mp4', ...H264, ...AAC)
  const next = publishing.next()
  const pushed = pushWithFfmpeg(t, '-i', file, '-c', 'copy', '-f', 'mpegts', url(`publish:${KEY}`))
  const sink = await next
  t.equal(await sink.ended, 'closed')
  t.match(await pushed.done, { code: 0, log: '' })
  t.same(sink.expected, [{ video: true, audio: true }])
  t.match(sink.configs, [
    { kind: 'video', width: 320, height: 240, codecString: /^avc1\.6400/ },
    { kind: 'audio', sampleRate: 48_000, channels: 2, codecString: 'mp4a.40.2', track: 0 },
  ])
  t.match(publishing.requests, [{ protocol: 'srt', remote: /^127\.0\.0\.1:\d+$/ }])
  await compareAll(t, sink.units, file)
  t.equal(await metric('kairo_srt_access_units_dropped_total'), 0)
  t.equal(await metric('kairo_srt_connections'), 0)
  t.equal(await metric('kairo_srt_disconnects_total', { reason: 'closed' }), 1)

  const packaged = packagedOf(sink)
  t.same(packaged.check(), [])
  const parts = join(t.testdir(), 'packaged.mp4')
  writeFileSync(parts, packaged.file('source'))
  const { stderr } = await run('ffmpeg', ['-v', 'error', '-i', parts, '-f', 'null', '-'])
  t.equal(stderr, '', 'ffmpeg decodes it without a word')
})

test('ffmpeg waits through an answer that takes longer than its patience', { skip }, async (t) => {
  const publishing = new RecordingPublishing(KEY)
  // FFmpeg gives up after 3 s without an answer to its handshake.
  publishing.asking = new Promise((resolve) => setTimeout(resolve, 4_000))
  const { url, metric } = await srtTarget(t, publishing)
  const file = await makeSource(t, 'source.mp4', ...H264, ...AAC)
  const next = publishing.next()
  const target = url(`publish:${KEY}`)
  const options = ['-re', '-stream_loop', '-1', '-i', file, '-c', 'copy', '-t', '8']
  const pushed = pushWithFfmpeg(t, ...options, '-f', 'mpegts', target)
  const sink = await next
  t.equal(await sink.ended, 'closed')
  t.match(await pushed.done, { code: 0 })
  t.equal(sink.units.find(({ kind }) => kind === 'video')?.keyframe, true)
  t.ok(await metric('kairo_srt_access_units_dropped_total', { reason: 'not-admitted' }))
  t.same(packagedOf(sink).check(), [])
})

function packagedOf(sink: RecordingSink): PackagingRun {
  const packaging = new PackagingRun()
  packaging.feed(sink.configs.map((config) => ({ config })))
  return packaging.feed(sink.units.map((unit) => ({ unit }))).end()
}

test('AES of every key length, with keys that change on the way', { skip }, async (t) => {
  const file = await makeSource(t, 'source.mp4', '-b:v', '2M', ...H264, ...AAC)
  const publish = async (bytes: number): Promise<void> => {
    const publishing = new RecordingPublishing(KEY)
    const { url, metric } = await srtTarget(t, publishing, { passphrase: PASSPHRASE })
    const next = publishing.next()
    const keys = `${ENCRYPTED}&pbkeylen=${bytes}&kmrefreshrate=120&kmpreannounce=40`
    const target = url(`publish:${KEY}?from=ffmpeg`, keys)
    const pushed = pushWithFfmpeg(t, '-re', '-i', file, '-c', 'copy', '-f', 'mpegts', target)
    const sink = await next
    t.equal(await sink.ended, 'closed', `AES-${bytes * 8}`)
    t.match(await pushed.done, { code: 0 })
    await compareAll(t, sink.units, file)
    t.ok((await metric('kairo_srt_key_changes_total')) > 0, 'keys changed')
    t.equal(await metric('kairo_srt_packets_dropped_total', { reason: 'key' }), 0)
  }
  await Promise.all([16, 24, 32].map(publish))
})

test('HEVC, and two Opus tracks with their languages', { skip }, async (t) => {
  const publishing = new RecordingPublishing(KEY)
  const { url } = await srtTarget(t, publishing)
  const file = await makeSource(
    t,
    'source.mkv',
    ...['-map', '2', '-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=error'],
    ...['-c:a', 'libopus', '-metadata:s:a:0', 'language=eng', '-metadata:s:a:1', 'language=fra'],
  )
  const next = publishing.next()
  pushWithFfmpeg(
    t,
    ...['-i', file, '-map', '0', '-c', 'copy', '-f', 'mpegts', url(`#!::r=${KEY},m=publish`)],
  )
  const sink = await next
  await sink.ended
  t.match(
    sink.configs.toSorted((a, b) => (a.track ?? 0) - (b.track ?? 0)),
    [
      { kind: 'video', codec: 'hevc', width: 320, height: 240 },
      { kind: 'audio', codec: 'opus', channels: 1, track: 0, language: 'en' },
      { kind: 'audio', codec: 'opus', channels: 1, track: 1, language: 'fr' },
    ],
  )
  const video = packetsOfUnits(sink.units, 'video')
  const sentVideo = await packetsOf(file, 'v:0')
  t.same(
    video.map(({ keyframe }) => keyframe),
    sentVideo.map(({ keyframe }) => keyframe),
  )
  for (const track of [0, 1]) {
    const got = packetsOfUnits(sink.units, 'audio', track)
    const sent = await packetsOf(file, `a:${track}`)
    t.same(
      got.map(({ hash }) => hash),
      sent.map(({ hash }) => hash),
    )
  }
})

test("node-av's FFmpeg, live, with HEVC and AAC in two languages", async (t) => {
  const publishing = new RecordingPublishing(KEY)
  const { url, metric } = await srtTarget(t, publishing, {
    ...{ passphrase: PASSPHRASE, peerIdleMs: 2_000 },
  })
  const next = publishing.next()
  const pushed = avPush(t, url(`publish:${KEY}`, `${ENCRYPTED}&pbkeylen=32`), {
    ...{ seconds: 2, live: true, format: 'mpegts', video: { codec: 'hevc' } },
    audio: [
      { codec: 'aac', language: 'eng' },
      { codec: 'aac', language: 'deu' },
    ],
  })
  const sink = await next
  t.equal(await pushed.done, 0, pushed.log())
  // Its process ends before libsrt has sent the last packet and the goodbye.
  t.match(await sink.ended, /^(?:closed|timeout)$/)
  t.match(sink.configs.map(({ kind, codec, track = 0 }) => [kind, codec, track]).toSorted(), [
    ['audio', 'aac', 0],
    ['audio', 'aac', 1],
    ['video', 'hevc', 0],
  ])
  t.ok(sink.units.filter(({ kind }) => kind === 'video').length >= 58)
  t.ok(sink.units.filter(({ track }) => track === 1).length > 85)
  t.equal(await metric('kairo_srt_packets_dropped_total', { reason: 'too-late' }), 0)
})

test('loss, reordering and duplication of 5 % each cost no frame', { skip }, async (t) => {
  const publishing = new RecordingPublishing(KEY)
  const { server, url, metric } = await srtTarget(t, publishing, { passphrase: PASSPHRASE })
  const file = await makeSource(t, 'source.mp4', '-b:v', '4M', ...H264, ...AAC)
  const proxy = await udpProxy(t, server.address().port, {
    ...{ seed: 20_261, loss: 0.05, duplication: 0.05, reordering: 0.05 },
  })
  const next = publishing.next()
  const target = url(`publish:${KEY}`, `${ENCRYPTED}&latency=250000`, proxy.port)
  pushWithFfmpeg(t, '-re', '-i', file, '-c', 'copy', '-f', 'mpegts', target)
  const sink = await next
  // The caller's goodbye may be what is lost.
  t.match(await sink.ended, /^(?:closed|timeout)$/)
  await compareAll(t, sink.units, file)
  t.ok(proxy.lost() > 20, `${proxy.lost()} datagrams were lost`)
  t.ok((await metric('kairo_srt_packets_lost_total')) > 5)
  t.ok((await metric('kairo_srt_packets_retransmitted_total')) > 5)
  t.equal(await metric('kairo_srt_packets_dropped_total', { reason: 'too-late' }), 0)
})

test('two publishers on one port, and what others are told', { skip }, async (t) => {
  const doors = [new RecordingPublishing('one'), new RecordingPublishing('two')] as const
  const publishing: Publishing = {
    publish: (request) => doors[request.streamKey === 'two' ? 1 : 0].publish(request),
  }
  const { url, metric } = await srtTarget(t, publishing)
  const file = await makeSource(t, 'source.mp4', ...H264, ...AAC)
  const push = (streamId: string, options = '') =>
    pushWithFfmpeg(t, '-re', '-i', file, '-c', 'copy', '-f', 'mpegts', url(streamId, options))
  const sinks = doors.map((door) => door.next())
  push('publish:one')
  push('two')
  const [one, two] = (await Promise.all(sinks)) as [RecordingSink, RecordingSink]
  await Promise.all([one.received(10), two.received(10)])

  const refused = [
    ['publish:one', '', 'conflict', /Application-defined rejection reason/],
    ['publish:wrong', '', 'forbidden', /Application-defined rejection reason/],
    ['read:one', '', 'bad-mode', /Application-defined rejection reason/],
    ['', '', 'unauthorized', /Application-defined rejection reason/],
    ['publish:one', ENCRYPTED, 'unsecure', /Password required or unexpected/],
    ['publish:one', '&transtype=file&messageapi=0', 'congestion', /congestion/i],
  ] as const
  for (const [streamId, options, reason, said] of refused) {
    const { code, log } = await push(streamId, options).done
    t.not(code, 0, `${reason} fails`)
    t.match(log, said)
    t.equal(await metric('kairo_srt_rejections_total', { reason }), 1, reason)
  }
  t.same(await Promise.all([one.ended, two.ended]), ['closed', 'closed'])
  await compareAll(t, one.units, file)
  await compareAll(t, two.units, file)
})

test('a wrong passphrase is refused before anything is asked of the stream', {
  skip,
}, async (t) => {
  const publishing = new RecordingPublishing(KEY)
  const { url, metric } = await srtTarget(t, publishing, { passphrase: PASSPHRASE })
  const input = ['-f', 'lavfi', '-i', 'testsrc2=size=64x64:rate=10', '-t', '1']
  const wrong = url(`publish:${KEY}`, '&passphrase=some+other+words')
  const { code, log } = await pushWithFfmpeg(t, ...input, '-f', 'mpegts', wrong).done
  t.not(code, 0)
  t.match(log, /Incorrect passphrase/)
  const clear = await pushWithFfmpeg(t, ...input, '-f', 'mpegts', url(`publish:${KEY}`)).done
  t.match(clear.log, /Password required or unexpected/)
  t.same(publishing.requests, [])
  t.equal(await metric('kairo_srt_rejections_total', { reason: 'bad-secret' }), 1)
})

test('a codec that is not taken ends the connection with a reason', { skip }, async (t) => {
  const publishing = new RecordingPublishing(KEY)
  const { url, metric } = await srtTarget(t, publishing)
  const next = publishing.next()
  const pushed = pushWithFfmpeg(
    t,
    ...['-re', '-f', 'lavfi', '-i', 'testsrc2=size=64x64:rate=25', '-t', '20'],
    ...['-c:v', 'mpeg2video', '-f', 'mpegts', url(`publish:${KEY}`)],
  )
  const sink = await next
  t.equal(await sink.ended, 'error')
  t.not((await pushed.done).code, 0)
  t.equal(await metric('kairo_srt_disconnects_total', { reason: 'unsupported-codec' }), 1)
})

test('a caller that is killed ends by its silence, and may come back', { skip }, async (t) => {
  const publishing = new RecordingPublishing(KEY)
  const { url, metric } = await srtTarget(t, publishing, { peerIdleMs: 700 })
  const live = [
    ...['-re', '-f', 'lavfi', '-i', 'testsrc2=size=160x90:rate=25', '-pix_fmt', 'yuv420p'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', '-t', '60', '-f', 'mpegts'],
  ]
  const next = publishing.next()
  const { child } = pushWithFfmpeg(t, ...live, url(`publish:${KEY}`))
  const first = await next
  await first.received(10)
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.equal(await first.ended, 'timeout')
  t.equal(await metric('kairo_srt_disconnects_total', { reason: 'timeout' }), 1)
  const again = publishing.next()
  const back = pushWithFfmpeg(t, ...live, url(`publish:${KEY}`))
  const second = await again
  await second.received(10)
  publishing.requests.at(-1)?.disconnect('an operator removed it')
  t.equal(await second.ended, 'replaced')
  t.not((await back.done).code, 0, 'the caller notices')
})

test('a stop says goodbye', { skip }, async (t) => {
  const publishing = new RecordingPublishing(KEY)
  const { server, url } = await srtTarget(t, publishing)
  const next = publishing.next()
  const pushed = pushWithFfmpeg(
    t,
    ...['-re', '-f', 'lavfi', '-i', 'testsrc2=size=160x90:rate=25', '-t', '60'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-f', 'mpegts', url(`publish:${KEY}`)],
  )
  const sink = await next
  await sink.received(1)
  await server.stop()
  t.equal(await sink.ended, 'stopped')
  t.not((await pushed.done).code, 0, 'the caller notices at once')
})

test('a port that is taken is said', async (t) => {
  const { server } = await srtTarget(t, new RecordingPublishing(KEY))
  const error = await srtTarget(t, new RecordingPublishing(KEY), {
    port: server.address().port,
  }).catch((failure: unknown) => failure)
  t.ok(error instanceof KairoError && error.code === 'ERR_ADDRESS_IN_USE')
  t.match(String(error), /taken by another program/)
})
