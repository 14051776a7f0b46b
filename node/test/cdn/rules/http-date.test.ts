/** Dates of HTTP: the three forms that a recipient must read, and all that is none. */
import fc from 'fast-check'
import { test } from 'tap'
import { formatHttpDate, parseHttpDate } from '../../../src/cdn/rules/http-date.ts'
import { START_MS } from '../../support/cdn-messages.ts'

const example = Date.UTC(1994, 10, 6, 8, 49, 37)
const parse = (text: string): number | undefined => parseHttpDate(text, START_MS)

test('the three forms of a date are read (RFC 9110 5.6.7)', async (t) => {
  t.equal(parse('Sun, 06 Nov 1994 08:49:37 GMT'), example, 'IMF-fixdate')
  t.equal(parse('Sunday, 06-Nov-94 08:49:37 GMT'), example, 'RFC 850')
  t.equal(parse('Sun Nov  6 08:49:37 1994'), example, 'asctime')
  t.equal(parse('Sun Nov 16 08:49:37 1994'), example + 10 * 86_400_000, 'asctime, two digits')
})

test('a year of two digits is at most 50 years ahead (RFC 9110 5.6.7)', async (t) => {
  const year = (text: string): number | undefined => {
    const at = parse(text)
    return at === undefined ? undefined : new Date(at).getUTCFullYear()
  }
  t.equal(year('Thursday, 18-Aug-50 02:01:18 GMT'), 2050)
  t.equal(year('Thursday, 18-Aug-76 02:01:18 GMT'), 2076)
  t.equal(year('Thursday, 18-Aug-77 02:01:18 GMT'), 1977)
})

test('case does not matter in dates (RFC 9111 4.2)', async (t) => {
  for (const text of ['SUN, 06 Nov 1994 08:49:37 GMT', 'Sun, 06 NOV 1994 08:49:37 gMT']) {
    t.equal(parse(text), example, text)
  }
})

test('what is no date is none, zones other than GMT among them (RFC 9111 4.2)', async (t) => {
  const invalid = [
    ...['', '0', '-1', 'foo', 'Thu, 18 Aug 2050 02:01:18 UTC', 'Thu, 18 Aug 2050 02:01:18 +0000'],
    ...['Thu, 18 Aug 50 02:01:18 GMT', 'Thu 18 Aug 2050 02:01:18 GMT'],
    ...['Thu, 18  Aug  2050 02:01:18 GMT', 'Thu, 18-Aug-2050 02:01:18 GMT'],
    ...['Thu, 18 Aug 2050 02.01.18 GMT', 'Thu, 18 Aug 2050 2:01:18 GMT'],
    ...['Thu, 31 Feb 2050 02:01:18 GMT', 'Thu, 00 Aug 2050 02:01:18 GMT'],
    ...['Thu, 18 Aug 2050 24:01:18 GMT', 'Thu, 18 Aug 2050 02:60:18 GMT'],
    ...['Thu, 18 Aug 2050 02:01:61 GMT', 'Thu, 18 Foo 2050 02:01:18 GMT'],
    ...['2050-08-18T02:01:18Z', 'Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:18 GMT'],
  ]
  for (const text of invalid) t.equal(parse(text), undefined, text)
})

test('a leap second is a second (RFC 9110 5.6.7)', async (t) => {
  t.equal(parse('Sat, 31 Dec 2016 23:59:60 GMT'), Date.UTC(2017, 0, 1))
})

test('what is written is read again', async () => {
  const date = fc.integer({ min: 0, max: Math.floor(Date.UTC(9999, 0) / 1_000) })
  fc.assert(fc.property(date, (s) => parse(formatHttpDate(s * 1_000)) === s * 1_000))
})
