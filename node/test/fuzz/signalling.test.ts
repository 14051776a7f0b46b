/** The messages of browsers, from any text: what is none is refused, and what is one is within its bounds. */
import fc from 'fast-check'
import { test } from 'tap'
import { webtorrentLimits as limits } from '../../src/limits/signalling.ts'
import { readTrackerMessage, type TrackerMessage } from '../../src/signalling/tracker-message.ts'
import { fuzzRuns, parseOrRefuse } from '../support/fuzz.ts'
import { mutate, mutations } from '../support/mutate.ts'
import { announce, startSignalling, twenty } from '../support/signalling-stage.ts'

const RUNS = 1_000

const seeds = [
  announce(twenty('swarm'), twenty('a'), { offerCount: 3, left: 0 }),
  {
    ...{
      action: 'announce',
      info_hash: twenty('s'),
      peer_id: twenty('a'),
      to_peer_id: twenty('b'),
    },
    ...{ offer_id: twenty('o'), answer: { type: 'answer', sdp: 'v=0\r\n' } },
  },
  { action: 'scrape', info_hash: [twenty('s'), twenty('t')] },
].map((message) => Buffer.from(JSON.stringify(message)))

const isTwentyBytes = (text: string): boolean =>
  text.length === 20 && [...text].every((letter) => letter.charCodeAt(0) < 256)

/** What the rest of the room relies on. */
function isWithinBounds(message: TrackerMessage): boolean {
  if (message.kind === 'scrape') {
    return message.infoHashes.length <= limits.scrapedMax && message.infoHashes.every(isTwentyBytes)
  }
  const { infoHash, peerId } = message
  if (!isTwentyBytes(infoHash) || !isTwentyBytes(peerId)) return false
  if (message.kind === 'answer') return isTwentyBytes(message.toPeerId)
  return (
    message.offers.length <= limits.offersMax &&
    message.offers.every(
      ({ offerId, sdp }) => isTwentyBytes(offerId) && sdp.length <= limits.sdpCharsMax,
    )
  )
}

test('messages that were changed on the way', async (t) => {
  let taken = 0
  const property = fc.property(fc.constantFrom(...seeds), mutations(), (seed, changes) => {
    const message = parseOrRefuse(() => readTrackerMessage(String(mutate(seed, changes))))
    if (message !== undefined) taken += 1
    return message === undefined || isWithinBounds(message)
  })
  fc.assert(property, { numRuns: fuzzRuns(RUNS) })
  t.ok(taken > 0, 'some were still messages')
})

test('any JSON under the names of the protocol', async () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom(twenty('a'), '\u0100'.repeat(20), 'announce', 'scrape', 'started', 0, -1),
    fc.array(fc.constant(twenty('a')), { maxLength: 80 }),
    fc.constant({ type: 'answer', sdp: 'v=0' }),
    fc.array(fc.constant({ offer: { type: 'offer', sdp: 'v=0' }, offer_id: twenty('o') })),
  )
  const names = ['info_hash', 'peer_id', 'to_peer_id', 'offer_id', 'offers', 'answer', 'event']
  const fields = Object.fromEntries([...names, 'left', '__proto__'].map((name) => [name, value]))
  const message = fc.record(
    { ...fields, action: fc.constantFrom('announce', 'scrape', 'other', 1) },
    { requiredKeys: [] },
  )
  const property = fc.property(message, (json) => {
    const read = parseOrRefuse(() => readTrackerMessage(JSON.stringify(json)))
    return read === undefined || isWithinBounds(read)
  })
  fc.assert(property, { numRuns: fuzzRuns(RUNS) })
})

test('any text at all', async () => {
  const property = fc.property(fc.string(), (text) => {
    const read = parseOrRefuse(() => readTrackerMessage(text))
    return read === undefined
  })
  fc.assert(property, { numRuns: fuzzRuns(RUNS) })
})

test('any bytes in place of frames', async (t) => {
  const { connect, count, counted } = await startSignalling(t)
  const bytes = fc.uint8Array({ minLength: 2, maxLength: 300 })
  for (const junk of fc.sample(bytes, { numRuns: fuzzRuns(20), seed: 7 })) {
    const client = await connect()
    // Behind the library's back: what a browser never sends.
    const { _socket: socket } = client.socket as unknown as { _socket: NodeJS.WritableStream }
    socket.write(junk)
    socket.end()
    await client.end()
  }
  const honest = await connect()
  t.match(await honest.ask(announce(twenty('swarm'), twenty('a'))), { incomplete: 1 })
  await counted(1, 'connections')
  t.equal(await count('peers'), 1)
})
