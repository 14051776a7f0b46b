/** What is shown of an address holds none of its secrets. */
import { test } from 'tap'
import { hostOf, percentDecoded } from '../src/urls.ts'

test('only scheme, host and port are shown', async (t) => {
  t.equal(hostOf('rtmp://user:pass@example.org:1936/live/key?token=1#x'), 'rtmp://example.org:1936')
  t.equal(hostOf('https://example.org/hook/secret'), 'https://example.org')
  t.throws(() => hostOf('no address'))
})

test('percent-encoding is taken off where it is one', async (t) => {
  t.equal(percentDecoded('a%2Fb%20c'), 'a/b c')
  t.equal(percentDecoded('100%'), '100%')
})
