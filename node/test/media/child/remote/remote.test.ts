// What a remote job says about its address, and how long one call may take.
import { test } from 'tap'
import { within } from '../../../../src/media/child/remote/deadline.ts'
import { redact, secretsOf } from '../../../../src/media/child/remote/redaction.ts'

test('no secret of an address is told', async (t) => {
  const url =
    'srt://user:pass%2Fword@host.example:9000/app/stream-key?streamid=the-id&passphrase=hidden'
  const secrets = secretsOf(url)
  const lines = [
    `Connection to ${url} failed: Input/output error`,
    'Server error: stream-key is taken',
    'no such stream: the-id',
    "Cannot open 'https://user:pw@other.example/with/token?x=1'",
    'bad passphrase hidden, pass/word',
  ]
  const told = lines.map((line) => redact(line, secrets)).join('\n')
  t.notMatch(told, /stream-key|the-id|hidden|pass\/word|pass%2Fword|token|pw@/)
  t.match(told, /host\.example:9000/)
  t.match(told, /other\.example/)
  t.match(told, /Input\/output error/)
  t.doesNotThrow(() => secretsOf('rtmp://h/live/%zz-not-encoded'))
  t.equal(redact('Connection refused', secretsOf('rtmp://h/a/b')), 'Connection refused')
})

test('a call that takes too long is left behind', async (t) => {
  t.equal(await within(Promise.resolve(7), 1_000, 'it does not come'), 7)
  await t.rejects(within(Promise.reject(new Error('no')), 1_000, 'it does not come'), /no/)
  let interrupted = 0
  const never = new Promise<never>(() => {})
  const late = within(never, 1, 'it does not come', () => {
    interrupted += 1
  })
  await t.rejects(late, { code: 'ERR_TIMEOUT', message: /it does not come within 1 ms/ })
  t.equal(interrupted, 1)
})
