/** Answers to peers that ask for stream records and do not read them. */
import { test } from 'tap'
import { RecordExchange } from '../../../src/content/records/record-exchange.ts'
import type { PeerStream, Transport } from '../../../src/host/transport.ts'
import { recordLimits } from '../../../src/limits.ts'
import { silentLogger } from '../../../src/logger.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'

/** An asker that takes no byte until it is told to. */
function unread(remotePeer: string): { stream: PeerStream; take: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const stream: PeerStream = {
    remotePeer,
    incoming: (async function* () {})(),
    write: () => promise,
    close: async () => {},
    abort: () => {},
  }
  return { stream, take: resolve }
}

test('answers under way are limited for each peer and in all', async (t) => {
  const exchange = new RecordExchange({
    clock: new ManualClock(),
    logger: silentLogger,
    transport: {} as Transport,
    protocol: '/test',
    records: () => [],
    accept: () => {},
  })
  const { recordAnswersMax: max, recordAnswersPerPeerMax: perPeer } = recordLimits
  const askers = Array.from({ length: max }, (_, index) =>
    unread(`peer-${index % (max / perPeer)}`),
  )
  const answers = askers.map(({ stream }) => exchange.answer(stream))
  await settle()
  await t.rejects(exchange.answer(unread('peer-0').stream), { code: 'ERR_LIMIT' }, 'one peer')
  await t.rejects(exchange.answer(unread('another').stream), { code: 'ERR_LIMIT' }, 'in all')
  for (const { take } of askers) take()
  await Promise.all(answers)
  const after = unread('peer-0')
  after.take()
  await t.resolves(exchange.answer(after.stream), 'a slot is given back')
})
