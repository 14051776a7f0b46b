// The server's handshake.
import { test } from 'tap'
import { ServerHandshake } from '../../../src/ingest/rtmp/handshake.ts'
import { clientHandshake } from '../../support/rtmp-wire.ts'

test('answers once, echoes C1, and leaves the rest', async (t) => {
  const client = Buffer.concat([clientHandshake(), Buffer.from('rest')])
  for (let index = 0; index < 1_536; index += 1) client[1 + index] = index & 255
  for (const piece of [1, 100, 1_537, 4_000]) {
    const handshake = new ServerHandshake()
    const answers: Buffer[] = []
    let used = 0
    while (!handshake.done) {
      const result = handshake.receive(client.subarray(used, used + piece), 0)
      used += result.used
      if (result.answer !== undefined) answers.push(result.answer)
    }
    const answer = Buffer.concat(answers)
    t.equal(used, client.byteLength - 4)
    t.equal(answers.length, 1)
    t.equal(answer.byteLength, 1 + 2 * 1_536)
    t.equal(answer[0], 3)
    t.same(answer.subarray(1, 9), Buffer.alloc(8), 'no version, so no digest is expected')
    t.same(answer.subarray(1_537), client.subarray(1, 1_537))
  }
})

test('refuses what is not RTMP', async (t) => {
  const refuse = (first: Buffer) => () => new ServerHandshake().receive(first, 0)
  t.throws(refuse(Buffer.from('GET / HTTP/1.1')), { code: 'ERR_PROTOCOL', message: /71/ })
  t.throws(refuse(Buffer.of(6)), { code: 'ERR_PROTOCOL' }, 'RTMPE')
  const handshake = new ServerHandshake()
  t.same(handshake.receive(Buffer.alloc(0), 0), { used: 0, answer: undefined })
})
