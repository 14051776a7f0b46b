// The application and the stream key, in the forms that encoders send them.
import { test } from 'tap'
import type { AmfValue } from '../../../src/ingest/rtmp/amf-value.ts'
import {
  answerConnect,
  requireLiveApplication,
  streamKeyOf,
} from '../../../src/ingest/rtmp/connect.ts'

const fields = (object: Record<string, AmfValue>) => new Map(Object.entries(object))

test('takes the application in all its spellings', async (t) => {
  for (const object of [
    { app: 'live' },
    { app: '/live/' },
    { app: 'live?token=1' },
    { app: 'live/_definst_' },
    { app: '', tcUrl: 'rtmp://host:1935/live' },
    { tcUrl: 'rtmps://host/live/?a=b' },
  ]) {
    t.doesNotThrow(() => requireLiveApplication(fields(object)), JSON.stringify(object))
  }
})

test('refuses other applications with advice', async (t) => {
  for (const object of [
    {},
    { app: 'vod' },
    { app: 'live/other' },
    { app: 5 },
    { app: 'x'.repeat(10_000) },
    { tcUrl: 'http://host/live' },
    { tcUrl: `rtmp://host/${'live'.repeat(1_000)}` },
    { app: 'vod', tcUrl: 'rtmp://host/live' },
  ]) {
    t.throws(() => requireLiveApplication(fields(object)), {
      code: 'ERR_NOT_FOUND',
      message: /live\/<stream key>/,
    })
  }
  t.throws(() => requireLiveApplication('no object'), { code: 'ERR_NOT_FOUND' })
})

test('reads the stream key', async (t) => {
  t.equal(streamKeyOf('key'), 'key')
  t.equal(streamKeyOf('/key/?a=b?c'), 'key')
  t.equal(streamKeyOf(''), undefined)
  t.equal(streamKeyOf('?a'), undefined)
  t.equal(streamKeyOf(5), undefined)
  t.equal(streamKeyOf('x'.repeat(513)), undefined)
})

test('answers with what this server takes, no more', async (t) => {
  const video = ['avc1', 'hvc1', 'av01', 'vp09']
  const audio = ['mp4a', 'Opus', 'fLaC']
  const { info } = answerConnect(fields({ objectEncoding: 3 }))
  t.equal(info.get('objectEncoding'), 3)
  t.same(info.get('fourCcList'), [...video, ...audio])
  t.same(info.get('videoFourCcInfoMap'), new Map(video.map((fourCc) => [fourCc, 4])))
  t.same(info.get('audioFourCcInfoMap'), new Map(audio.map((fourCc) => [fourCc, 4])))
  t.equal(info.get('capsEx'), 14, 'multitrack, ModEx, nanoseconds')
  t.equal(answerConnect(fields({})).info.get('objectEncoding'), 0)
  t.equal(answerConnect(null).info.get('objectEncoding'), 0)
})
