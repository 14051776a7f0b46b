/** Stills: the newest independent part as a picture, made once, and only so many kept. */
import { Registry } from 'prom-client'
import { test } from 'tap'
import { digestOf } from '../../src/content/digest.ts'
import { createHlsHandler } from '../../src/delivery/hls-handler.ts'
import type { PreparedResponse } from '../../src/http/prepared-response.ts'
import { deliveryLimits } from '../../src/limits.ts'
import { silentLogger } from '../../src/logger.ts'
import { encodeFragment } from '../../src/media/cmaf/fragment.ts'
import { VIDEO_TRACK_ID, videoInitSegment } from '../../src/media/cmaf/init-segment.ts'
import { audioInfo, FakeStream, videoInfo } from '../support/fake-stream.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { plainRequest } from '../support/plain-request.ts'

const init = videoInitSegment({
  kind: 'video',
  codec: 'h264',
  codecString: videoInfo.codecs,
  width: 1280,
  height: 720,
  frameRate: 30,
  description: Buffer.from('avcC'),
})

/** A part of two pictures that begins with the given one. */
function part(sync: boolean, picture: string): Buffer {
  const sample = { duration: 3_000, compositionOffset: 0, sync, data: Buffer.from(picture) }
  const samples = [sample, { ...sample, sync: false, data: Buffer.from('the next picture') }]
  const times = { sequence: 1, trackId: VIDEO_TRACK_ID, baseDecodeTime: 900_000 }
  return encodeFragment({ layout: 'per-sample', ...times, samples })
}

function setUp() {
  const stream = new FakeStream('demo', [audioInfo, videoInfo])
  const components = { clock: new ManualClock(), logger: silentLogger, registry: new Registry() }
  const handler = createHlsHandler({ ...components, streams: stream })
  const ask = async (): Promise<PreparedResponse> => {
    const answer = handler(
      plainRequest('/live/demo/still.mp4'),
      new AbortController().signal,
      '192.0.2.1',
    )
    if (answer === undefined) throw new Error('not answered')
    return answer
  }
  return { video: stream.at(1), stream, ask }
}

test('the newest picture from which decoding can start', async (t) => {
  const { video, ask, stream } = setUp()
  await t.rejects(ask(), { code: 'ERR_NOT_FOUND' })
  video.push({ bytes: part(true, 'an older picture'), last: true, init })
  video.push({ bytes: part(true, 'a newer picture') })
  video.push({ bytes: part(false, 'not decodable alone'), independent: false })
  const still = await ask()
  const body = Buffer.concat(still.body)
  t.ok(body.includes('a newer picture') && !body.includes('the next picture'))
  t.same(body.subarray(0, init.byteLength), init)
  t.equal(still.headers['content-type'], 'video/mp4')
  t.equal(still.headers['cache-control'], 'public, max-age=2')
  t.equal(still.headers.etag, `"${digestOf(body)}"`)
  stream.objects.clear()
  t.equal(await ask(), still, 'made once')
})

test('a part that is no video gives an error, not a picture', async (t) => {
  const { video, ask } = setUp()
  video.push({ bytes: Buffer.from('junk'), init })
  await t.rejects(ask(), { code: 'ERR_INVALID_INPUT' })
})

test('only so many stills are kept', async (t) => {
  const { video, ask, stream } = setUp()
  const first = video.push({ bytes: part(true, 'picture 0'), last: true, init })
  await ask()
  for (let count = 1; count <= deliveryLimits.stillsMax; count += 1) {
    video.push({ bytes: part(true, `picture ${count}`), last: true })
    await ask()
  }
  video.entries = [first]
  stream.objects.delete(first.digest)
  t.equal((await ask()).status, 503, 'the oldest has to be made again, and its bytes are gone')
})
