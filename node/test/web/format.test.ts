// The parts of the web pages that need no browser: texts, addresses, the received bitrate.
import { test } from 'tap'
import { ReceivedBitrate } from '../../web/src/player/received-bitrate.ts'
import {
  bitrate,
  bytes,
  clockTime,
  codecName,
  count,
  describeRenditions,
  duration,
  shortPeerId,
} from '../../web/src/shared/format.ts'
import { isLoopback, reachableFrom } from '../../web/src/shared/url.ts'
import { readRoute, videoHref, watchHref } from '../../web/src/watch/route.ts'
import { fakeStream } from '../support/fake-web-answers.ts'

test('numbers and names read well', async (t) => {
  t.equal(shortPeerId('12D3KooWQe7hFDx8vCqYqQnvTQ9n1Zc4yQpXnR5mK2sW8aLtJ4uE'), '12D3…LtJ4uE')
  t.equal(shortPeerId('short'), 'short')
  t.equal(bitrate(128_400), '128 kbit/s')
  t.equal(bitrate(2_610_000), '2.6 Mbit/s')
  t.equal(bytes(0), '0 B')
  t.equal(bytes(1_536), '1.5 KiB')
  t.equal(bytes(268_435_456), '256 MiB')
  t.equal(duration(0.4), '0 s')
  t.equal(duration(59), '59 s')
  t.equal(duration(93_784), '1 d 2 h')
  t.equal(duration(3_600), '1 h')
  t.equal(codecName('avc1.64001f'), 'H.264')
  t.equal(codecName('xyz1.0'), 'xyz1')
  t.equal(count(1, 'viewer'), '1 viewer')
  t.equal(count(0, 'viewer'), '0 viewers')
})

test('renditions are told by the largest picture', async (t) => {
  const stream = fakeStream('test') as unknown as Parameters<typeof describeRenditions>[0]
  t.equal(describeRenditions(stream), '720p · 30 fps · H.264 + AAC')
  t.equal(describeRenditions({ ...stream, renditions: [] }), '')
})

test('the address names a view', async (t) => {
  t.same(readRoute({ hash: '', search: '' }), { view: 'wall' })
  t.same(readRoute({ hash: '#/', search: '?stream=x' }), { view: 'wall' })
  t.same(readRoute({ hash: '', search: '?stream=my%20show' }), { view: 'player', name: 'my show' })
  t.same(readRoute({ hash: watchHref('my show/2'), search: '' }), {
    view: 'player',
    name: 'my show/2',
  })
  t.same(readRoute({ hash: '#/watch/%E0%A4', search: '' }), { view: 'wall' }, 'a broken escape')
})

test('the received bitrate adds the tracks up and forgets the past', async (t) => {
  const rate = new ReceivedBitrate()
  t.equal(rate.bps, 0)
  for (let i = 0; i < 100; i++) rate.add('main', 250_000, 0.2)
  for (let i = 0; i < 100; i++) {
    rate.add('main', 50_000, 0.2)
    rate.add('audio', 3_200, 0.2)
  }
  t.equal(Math.round(rate.bps), 2_128_000)
  rate.add('main', 1_000, 0)
  t.equal(Math.round(rate.bps), 2_128_000, 'an empty part changes nothing')
})

test('addresses of the peer are told as the page reaches them', async (t) => {
  t.equal(reachableFrom('http://127.0.0.1:8080', '192.168.1.20'), 'http://192.168.1.20:8080')
  t.equal(reachableFrom('rtmp://[::1]:1935/live/k', 'studio'), 'rtmp://studio:1935/live/k')
  t.equal(reachableFrom('http://10.0.0.1:80', '192.168.1.20'), 'http://10.0.0.1:80')
  t.equal(reachableFrom('', '192.168.1.20'), '')
  t.ok(isLoopback('http://localhost:8080/'))
  t.notOk(isLoopback('http://127.0.0.1.example:8080'))
})

test('times are told as players do', async (t) => {
  t.equal(clockTime(7.9), '0:07')
  t.equal(clockTime(754), '12:34')
  t.equal(clockTime(3_723), '1:02:03')
  t.equal(clockTime(-1), '0:00')
})

test('videos have addresses of their own', async (t) => {
  t.same(readRoute({ hash: videoHref('abc-1'), search: '' }), { view: 'video', id: 'abc-1' })
  t.same(readRoute({ hash: '#/video/', search: '' }), { view: 'wall' })
})
