/**
 * What reaches out of a peer, through whole peers: a stream that ffmpeg pushes is recorded, sent on to a second peer, pulled by it,
 * and every step is told to a real receiver of webhooks, which checks what it is told.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { t as root, type Test, test } from 'tap'
import { Upload } from 'tus-js-client'
import { ffmpegPush } from '../support/ffmpeg-push.ts'
import { readPlaylist } from '../support/hls-playlist.ts'
import { httpRequest, httpUntil } from '../support/http-get.ts'
import { makeClip } from '../support/make-clip.ts'
import { needs } from '../support/needs.ts'
import { type OperatorClient, operatorOf } from '../support/operator-client.ts'
import { type PeerProcess, startPeer } from '../support/peer-process.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts'

root.setTimeout(160_000)

const run = promisify(execFile)
const SECRET = `whsec_${randomBytes(32).toString('base64')}`
/** A loaded machine takes its time to start a media child. */
const PATIENT = { attempts: 600 }

/** Waits for whole segments of a live stream, and sees that parts and pictures can be had. */
async function plays(t: Test, live: string): Promise<void> {
  const isWhole = ({ uri }: { readonly uri: string | undefined }) => uri !== undefined
  const { text } = await httpUntil(
    `${live}/source/media.m3u8`,
    (answer) => answer.status === 200 && readPlaylist(answer.text).segments.some(isWhole),
    PATIENT,
  )
  const part = readPlaylist(text)
    .segments.findLast(({ parts }) => parts.length > 0)
    ?.parts.at(-1)
  const { status, body } = await httpRequest(`${live}/source/${part?.uri}`)
  t.equal(status, 200)
  t.equal(body.subarray(4, 8).toString('latin1'), 'moof')
  const { stdout, stderr } = await run('ffprobe', [
    ...['-v', 'error', '-show_entries', 'stream=codec_name', '-of', 'csv=p=0'],
    `${live}/master.m3u8`,
  ])
  t.equal(stderr, '')
  t.match(stdout, /h264/)
  t.match(stdout, /aac/)
}

/** Where a restream target of the one stream stands. */
async function targetOf(operator: OperatorClient, name: string) {
  const { streams } = await operator.get<{
    readonly streams: readonly {
      readonly targets: readonly { readonly name: string; readonly state: string }[]
    }[]
  }>('/api/restream')
  return streams[0]?.targets.find((target) => target.name === name)
}

/** Uploads a film by tus; the name of the video. */
async function upload(a: PeerProcess, operator: OperatorClient, path: string): Promise<string> {
  const film = await readFile(path)
  return await new Promise((resolve, reject) => {
    new Upload(film, {
      endpoint: `${a.ready.http}/api/uploads`,
      headers: { ...operator.headers },
      metadata: { filename: 'film.mp4', title: 'A film' },
      onError: reject,
      onSuccess: ({ lastResponse }) => resolve(String(lastResponse.getHeader('Kairo-Video'))),
    }).start()
  })
}

test('what reaches out of a peer', {
  skip: needs('ffmpeg', 'ffprobe'),
  timeout: 150_000,
}, async (t) => {
  const homes = t.testdir({ a: {}, b: {} })
  const hook = await startWebhookReceiver(t, SECRET)
  const settings = ['--webhook-urls', hook.url, '--end-grace-ms', '500']
  // Not joined: what B has of the stream, it has by being sent to and by pulling.
  const [a, b] = await Promise.all([
    startPeer(t, join(homes, 'a'), settings, { KAIRO_WEBHOOK_SECRET: SECRET }),
    startPeer(t, join(homes, 'b')),
  ])
  const [atA, atB] = [operatorOf(a), operatorOf(b)]
  const { stream } = a.ready
  const publisher = ffmpegPush(t, `${a.ready.rtmp}/${a.ready.streamKey}`, {
    size: '320x180',
    gopFrames: 30,
  })
  const started = await hook.waitFor('stream.started', { stream })
  t.match(started, { peerId: a.ready.peerId, data: { protocol: 'rtmp', streamId: /^k51/ } })

  await t.test('a recording that is asked for by the API', async (t) => {
    await atA.post(`/api/keys/${stream}/recording`, { action: 'start' })
    const { data } = await hook.waitFor('recording.started', { stream })
    const { recordings } = await atA.get<{ recordings: { id: string }[] }>('/api/recordings')
    t.match(recordings, [{ id: data.recording }])
  })

  await t.test('a target that is added by the API', async (t) => {
    const url = `${b.ready.rtmp}/${b.ready.streamKey}`
    await atA.post(`/api/keys/${stream}/restream`, { name: 'other-peer', url })
    await plays(t, `${b.ready.http}/live/${b.ready.stream}`)
    t.match(await targetOf(atA, 'other-peer'), { state: 'sending', error: null })
  })

  await t.test('a target that refuses', async (t) => {
    const url = `${b.ready.rtmp}/no-key-of-that-peer`
    await atA.post(`/api/keys/${stream}/restream`, { name: 'refuses', url })
    const { data } = await hook.waitFor('restream.failed', { target: 'refuses' })
    t.match(data, { stream, host: b.ready.rtmp.replace(/\/live$/, ''), final: false })
    t.notMatch(JSON.stringify(data), /no-key-of-that-peer/)
    t.match(await targetOf(atA, 'other-peer'), { state: 'sending' }, 'the other notices nothing')
  })

  await t.test('a pull by the other peer', async (t) => {
    await atB.post('/api/keys', { name: 'pulled' })
    const pullUrl = `${a.ready.http}/live/${stream}/master.m3u8`
    await atB.patch('/api/keys/pulled/options', { pullUrl })
    await plays(t, `${b.ready.http}/live/pulled`)
    const { pulls } = await atB.get<{ pulls: unknown[] }>('/api/pulls')
    t.match(pulls, [{ stream: 'pulled', host: a.ready.http, state: 'pulling', error: null }])
  })

  await t.test('an upload', async (t) => {
    const path = await makeClip(join(t.testdir({}), 'film.mp4'), { seconds: 2 })
    const video = await upload(a, atA, path)
    const { data } = await hook.waitFor('vod.ready', { video })
    t.match(data, { title: 'A film' })
    t.ok(Math.abs(Number(data.durationMs) - 2_000) < 150, `${data.durationMs} ms`)
    t.equal((await httpRequest(`${a.ready.http}/vod/${video}/master.m3u8`)).status, 200)
  })

  await t.test('the end', async (t) => {
    await publisher.stop()
    await hook.waitFor('stream.publisher_lost', { stream })
    await hook.waitFor('stream.ended', { stream })
    const { data } = await hook.waitFor('recording.ready', { stream })
    t.ok(Number(data.durationMs) > 1_000, `${data.durationMs} ms`)
    const { text } = await httpRequest(`${a.ready.http}/vod/${data.recording}/master.m3u8`)
    t.match(text, /^#EXTM3U/)
    t.match(await targetOf(atA, 'other-peer'), { state: 'off' })
  })
  check(t, hook, a)
  // The peer hears a moment after the receiver that a webhook was taken.
  const { text } = await httpUntil(`${a.ready.http}/api/webhooks`, isAllDelivered, atA)
  t.notOk(text.includes('/hook'), 'the rest of the address may be secret')
})

/** Of the answer of /api/webhooks. */
function isAllDelivered({ text }: { readonly text: string }): boolean {
  const { endpoints } = JSON.parse(text) as { endpoints: { pending: number; dropped: number }[] }
  return endpoints.every(({ pending, dropped }) => pending + dropped === 0)
}

/** What was told, as a whole. */
function check(t: Test, hook: WebhookReceiver, a: PeerProcess): void {
  t.same(hook.refused, [])
  t.same(hook.received.map(({ event }) => event).sort(), [
    ...['recording.ready', 'recording.started', 'restream.failed', 'stream.ended'],
    ...['stream.publisher_lost', 'stream.started', 'vod.ready'],
  ])
  t.ok(hook.received.every(({ peerId }) => peerId === a.ready.peerId))
  t.notOk(
    [SECRET, a.ready.streamKey, 'no-key-of-that-peer'].some((secret) => a.log().includes(secret)),
    'no secret is logged',
  )
}
