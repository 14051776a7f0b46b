/** Answers of origins that nobody asked for. */
import { test } from 'tap'
import { solicited } from '../../../src/cdn/rules/solicited.ts'
import { dateAt, reply } from '../../support/cdn-messages.ts'

test('a 304 answers a condition (RFC 9110 15.4.5)', async (t) => {
  const unchanged = reply({ etag: '"1"' }, 304)
  t.equal(solicited({}, unchanged), undefined)
  t.equal(solicited({ range: 'bytes=0-1' }, unchanged), undefined)
  t.equal(solicited({ 'if-none-match': '"1"' }, unchanged), unchanged)
  t.equal(solicited({ 'if-modified-since': dateAt(0) }, unchanged), unchanged)
  const whole = reply()
  t.equal(solicited({}, whole), whole)
})

test('a 206 answers a range, and without one it is a 200 when its part is the whole (RFC 9110 15.3.7)', async (t) => {
  const part = (range: string) => reply({ etag: '"1"', 'content-range': range }, 206)
  const half = part('bytes 0-4/10')
  t.equal(solicited({ range: 'bytes=0-4' }, half), half)
  for (const range of ['bytes 0-4/10', 'bytes 5-9/10', 'bytes 0-9/*', 'x', '']) {
    t.equal(solicited({}, part(range)), undefined, range)
  }
  t.equal(solicited({}, reply({}, 206)), undefined)
  t.strictSame(solicited({}, part('bytes 0-9/10')), reply({ etag: '"1"' }))
})
