/**
 * Every way in and every rendition out, through whole peers: encrypted SRT into one, a ladder made by its media child, HLS and
 * DASH played from another, and the child killed meanwhile.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Test, test } from 'tap'
import { HlsChecker } from '../support/hls-checker.ts'
import { readPlaylist } from '../support/hls-playlist.ts'
import { httpRequest, httpUntil } from '../support/http-get.ts'
import { needs } from '../support/needs.ts'
import { operatorOf } from '../support/operator-client.ts'
import { startPeer } from '../support/peer-process.ts'
import { pushWithFfmpeg } from '../support/srt-push.ts'

const run = promisify(execFile)
/** Of letters: ffmpeg 5.1 does not decode what is escaped in an address. */
const PASSPHRASE = 'correcthorsebattery'
/** The ladder waits for the encoders to be tried and the source to be measured; a loaded machine takes its time. */
const PATIENT = { attempts: 900 }

interface Transcoding {
  readonly streams: readonly {
    readonly pid: number | null
    readonly restarts: number
    readonly rungs: readonly { readonly name: string; readonly state: string }[]
  }[]
}

/** Polls a media playlist like a player until `enough`, and checks every state of it. */
async function follow(
  t: Test,
  url: string,
  enough: (playlist: ReturnType<typeof readPlaylist>) => Promise<boolean> | boolean,
): Promise<void> {
  const checker = new HlsChecker({ dateToleranceMs: 60 })
  for (;;) {
    const { text } = await httpUntil(url, ({ status }) => status === 200)
    checker.load(text)
    const playlist = readPlaylist(text)
    if (await enough(playlist)) break
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
  t.same(checker.findings, [])
}

test('encrypted SRT in, a ladder out, at two peers', {
  skip: needs('ffmpeg', 'ffprobe'),
  timeout: 240_000,
}, async (t) => {
  const homes = t.testdir({ a: {}, b: {} })
  const a = await startPeer(t, join(homes, 'a'), ['--transcode-cores', '2'])
  const b = await startPeer(t, join(homes, 'b'), ['--join', a.ready.http])
  const operator = operatorOf(a)
  await operator.patch(`/api/keys/${a.ready.stream}/options`, {
    quality: '240p',
    srtPassphrase: PASSPHRASE,
  })
  const target = `${a.ready.srt}?streamid=publish:${a.ready.streamKey}`
  await t.rejects(run('ffmpeg', [...source('1'), target]), 'a clear stream is refused')

  pushWithFfmpeg(t, ...source('200'), `${target}&passphrase=${PASSPHRASE}`)
  const [liveA, liveB] = [a, b].map(({ ready }) => `${ready.http}/live/${a.ready.stream}`) as [
    string,
    string,
  ]
  await httpUntil(`${liveA}/240p/media.m3u8`, ({ status }) => status === 200, PATIENT)
  const master = await httpUntil(
    `${liveB}/master.m3u8`,
    ({ text }) => text.includes('240p/'),
    PATIENT,
  )
  t.match(master.text, /RESOLUTION=426x240/)

  await t.test('a rung is the same at both peers, and decodes', async (t) => {
    const { text } = await httpUntil(
      `${liveB}/240p/media.m3u8`,
      ({ text }) => readPlaylist(text).segments.filter(({ uri }) => uri !== undefined).length > 2,
    )
    const segment = readPlaylist(text).segments.findLast(({ uri }) => uri !== undefined)
    const [fromA, fromB] = await Promise.all(
      [liveA, liveB].map((base) => httpRequest(`${base}/240p/${segment?.uri}`)),
    )
    t.ok(fromA?.body.equals(fromB?.body ?? Buffer.alloc(0)))
    const { stderr } = await run('ffmpeg', [
      ...[
        '-v',
        'warning',
        '-i',
        `${liveB}/master.m3u8`,
        '-map',
        '0:v',
        '-t',
        '3',
        '-f',
        'null',
        '-',
      ],
    ])
    t.notMatch(stderr, /error|corrupt|invalid/i)
  })

  await t.test('DASH from the second peer plays in ffmpeg', async (t) => {
    const { stderr } = await run('ffmpeg', [
      ...['-v', 'error', '-i', `${liveB}/manifest.mpd`, '-t', '3', '-f', 'null', '-'],
    ])
    t.equal(stderr, '')
  })

  await t.test('a killed child costs the rung no segment', async (t) => {
    const before = await operator.get<Transcoding>('/api/transcoding')
    const pid = before.streams[0]?.pid ?? 0
    t.ok(pid > 0)
    let killedAt: number | undefined
    await follow(t, `${liveB}/240p/media.m3u8`, async ({ segments }) => {
      const newest = segments.at(-1)?.msn ?? 0
      if (killedAt === undefined && newest > 3) {
        process.kill(pid, 'SIGKILL')
        killedAt = newest
      }
      return killedAt !== undefined && newest >= killedAt + 4
    })
    const after = await operator.get<Transcoding>('/api/transcoding')
    t.not(after.streams[0]?.pid, pid, 'another child does the work')
  })
})

/** A picture and a tone in MPEG-TS, as a caller sends them. */
function source(seconds: string): string[] {
  return [
    ...['-hide_banner', '-loglevel', 'warning', '-re'],
    ...['-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30'],
    ...['-re', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-t', seconds],
    ...['-pix_fmt', 'yuv420p', '-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-g', '60'],
    ...['-b:v', '1500k', '-c:a', 'aac', '-f', 'mpegts'],
  ]
}
