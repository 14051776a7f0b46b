/** Streams of other peers, which may be quiet between messages and not within one. */

import type { Stream } from '@libp2p/interface'
import { TimeoutError } from '@libp2p/interface'
import { type Test, test } from 'tap'
import { letBeQuiet } from '../../../src/ipfs/bitswap/inbound-stream.ts'
import { bitswapLimits } from '../../../src/limits/ipfs.ts'
import { startHost } from '../../support/hosts.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { until } from '../../support/until.ts'

const PROTOCOL = '/kairo-test/quiet/1'

/** A stream between two hosts: its writer, and its reader with all that came. */
async function connect(t: Test) {
  const clock = new ManualClock()
  const reader = await startHost(t)
  const writer = await startHost(t, { join: [reader] })
  const opened = Promise.withResolvers<Stream>()
  let bytes = 0
  await reader.libp2p().handle(PROTOCOL, (stream) => {
    letBeQuiet(stream, clock)
    stream.addEventListener('message', ({ data }) => {
      bytes += data.byteLength
    })
    opened.resolve(stream)
  })
  const { peerId } = reader.libp2p()
  const out = await writer.libp2p().dialProtocol(peerId, PROTOCOL)
  let sent = 0
  const send = async (...values: number[]): Promise<void> => {
    out.send(Uint8Array.from(values))
    sent += values.length
    await until(() => bytes === sent, 'what was sent has come')
  }
  await send(0)
  return { clock, out, send, stream: await opened.promise }
}

test('a stream that is quiet between messages stays, whatever its reader thinks', async (t) => {
  const { clock, send, stream } = await connect(t)
  // Three bytes; 130 in two pieces, the first of which ends within the length; none; and two messages at once.
  await send(3, 1, 2, 3)
  await send(0x82)
  await send(1, ...Array.from({ length: 130 }, () => 0xff))
  await send(0)
  await send(1, 9, 2, 8, 8)
  t.equal(clock.timers, 0, 'no message has begun')
  clock.advance(bitswapLimits.messageTimeoutMs * 1_000)
  stream.abort(new TimeoutError('nothing came for a while'))
  t.equal(stream.status, 'open')
  await send(1, 1)
  stream.abort(new Error('broken'))
  t.equal(stream.status, 'aborted', 'other reasons count')
})

for (const [what, begun] of Object.entries({
  'its length': [0x82],
  'its length and a part': [3, 1],
  'another message and a part': [1, 1, 3, 1],
})) {
  test(`a message that does not end, of which there is ${what}, ends its stream`, async (t) => {
    const { clock, send, stream, out } = await connect(t)
    await send(...begun)
    clock.advance(bitswapLimits.messageTimeoutMs - 1)
    // A sender that trickles has no more time than one that sends nothing.
    await send(1)
    t.equal(stream.status, 'open')
    clock.advance(1)
    t.equal(stream.status, 'aborted')
    await until(() => out.status === 'reset', 'the sender is told')
    t.equal(clock.timers, 0)
  })
}

test('a stream that ends within a message leaves no timer', async (t) => {
  const { clock, send, out } = await connect(t)
  await send(9, 1)
  t.equal(clock.timers, 1)
  out.abort(new Error('gone'))
  await until(() => clock.timers === 0, 'the timer is gone')
})
