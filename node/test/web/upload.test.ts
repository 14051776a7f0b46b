// The parts of uploads that need no browser: who may, what is refused, how fast it goes.
import { test } from 'tap'
import { SentRate } from '../../web/src/upload/sent-rate.ts'
import { failureWords, mayUpload, refusalOf } from '../../web/src/upload/upload-words.ts'

test('an upload is offered where the peer takes it', async (t) => {
  const local = { access: 'local', fileBytesMax: 1 } as const
  t.ok(mayUpload(local, 'localhost', undefined))
  t.ok(mayUpload(local, '127.0.0.1', undefined))
  t.ok(mayUpload(local, '[::1]', undefined))
  t.notOk(mayUpload(local, '192.168.1.20', undefined), 'not from another machine')
  t.notOk(mayUpload(local, '127.0.0.1.example', undefined))
  t.ok(mayUpload(local, '192.168.1.20', 'token'), 'but by the operator')
  t.notOk(mayUpload({ ...local, access: 'operator' }, 'localhost', undefined))
  t.ok(mayUpload({ ...local, access: 'operator' }, 'localhost', 'token'))
  t.notOk(mayUpload({ ...local, access: 'off' }, 'localhost', 'token'))
  t.notOk(mayUpload(undefined, 'localhost', 'token'))
})

test('refusals are sentences', async (t) => {
  t.equal(refusalOf({ size: 10 }, 10), undefined)
  t.equal(refusalOf({ size: 0 }, 10), 'The file is empty.')
  t.match(refusalOf({ size: 2_048 }, 1_024), /larger than this peer takes \(1\.0 KiB\)/)
  t.match(failureWords(0, ''), /connection/)
  t.match(failureWords(401, '{"detail":"x"}'), /operator only/)
  t.match(failureWords(413, ''), /larger/)
  t.equal(failureWords(507, '{"detail":"the disk is full"}'), 'The disk is full.')
  t.equal(failureWords(500, '<html>'), 'The peer answered with status 500.')
  t.equal(failureWords(500, '{"detail":""}'), 'The peer answered with status 500.')
})

test('the rate is that of the last seconds', async (t) => {
  const rate = new SentRate()
  t.equal(rate.bytesPerSecond(0), 0)
  for (let second = 0; second <= 20; second++) rate.add(second * 1_000, second * 1_000)
  t.equal(Math.round(rate.bytesPerSecond(20_000)), 1_000)
  for (let second = 21; second <= 30; second++)
    rate.add(20_000 + (second - 20) * 5_000, second * 1_000)
  t.equal(Math.round(rate.bytesPerSecond(30_000)), 5_000)
  rate.add(10, 31_000)
  t.equal(rate.bytesPerSecond(31_000), 0, 'a piece that is sent again begins anew')
})
