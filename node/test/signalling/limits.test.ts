/** Every bound of the WebTorrent tracker, seen to bite over real sockets. */
import { once } from 'node:events'
import { test } from 'tap'
import { type ClientOptions, WebSocket } from 'ws'
import { webtorrentLimits as limits } from '../../src/limits/signalling.ts'
import { RawClient } from '../support/http-exchange.ts'
import { announce, startSignalling, twenty } from '../support/signalling-stage.ts'
import { until } from '../support/until.ts'

const swarm = twenty('swarm')
const scrape = { action: 'scrape', info_hash: swarm }

async function refusalOf(url: string, options: ClientOptions = {}): Promise<string> {
  const [error] = (await once(new WebSocket(url, options), 'error')) as [Error]
  return error.message
}

test('connections, whole and of an address, and how many are pinged at once', async (t) => {
  const perAddress = limits.connectionsPerAddressMax
  const connectionsMax = perAddress + 1
  const stage = await startSignalling(t, { connectionsMax })
  const clients = await Promise.all(Array.from({ length: perAddress }, () => stage.connect()))
  t.match(await refusalOf(stage.url), /429/)
  t.equal(await stage.count('refused_total', { reason: 'connections-address' }), 1)
  clients.push(await stage.connect({ localAddress: '127.0.0.2' }))
  t.match(await refusalOf(stage.url, { localAddress: '127.0.0.3' }), /503/)
  t.equal(await stage.count('refused_total', { reason: 'connections' }), 1)
  clients[0]?.socket.close()
  await stage.counted(connectionsMax - 1, 'connections')
  clients.push(await stage.connect())
  let [pings, sweeps] = [0, 0]
  for (const { socket } of clients) socket.on('ping', () => (pings += 1))
  stage.clock.advance(limits.pingIntervalMs)
  while (pings < connectionsMax) {
    sweeps += 1
    const due = Math.min(connectionsMax, sweeps * limits.pingsPerSweepMax)
    await until(() => pings === due, 'as many pings as go out at once')
    stage.clock.advance(limits.sweepMs)
  }
  t.equal(sweeps, 3)
  t.equal(await stage.count('connections'), connectionsMax)
})

test('bytes of a message, and pieces that it comes in', async (t) => {
  const { connect, url, http, count, counted } = await startSignalling(t)
  const large = await connect()
  large.say(' '.repeat(limits.messageBytesMax + 1))
  t.equal((await large.end()).code, 1009)
  t.equal(await count('ended_total', { reason: 'message-bytes' }), 1)
  const fragmented = await connect()
  for (let piece = 0; piece <= limits.fragmentsMax; piece += 1) {
    fragmented.socket.send(' ', { fin: false })
  }
  t.equal((await fragmented.end()).code, 1008)
  t.equal(await count('ended_total', { reason: 'protocol' }), 1)
  const binary = await connect()
  binary.socket.send(Buffer.from(JSON.stringify(scrape)))
  t.strictSame(await binary.end(), { code: 1008, reason: 'protocol' })
  const raw = await RawClient.connect(http.port)
  raw.send(
    `GET ${new URL(url).pathname} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  )
  await raw.until((text) => text.includes('101 '))
  // The head of a masked text frame of 32 KiB, then its bytes one by one.
  raw.send(Buffer.from([0x81, 0xfe, 0x80, 0, 0, 0, 0, 0]))
  for (let sent = 0; sent < 0x8000 && !raw.isClosed; sent += 1) {
    raw.send(' ')
    await new Promise((resolve) => setImmediate(resolve))
  }
  await counted(3, 'ended_total', { reason: 'protocol' })
  t.ok(await raw.closed())
})

test('messages and pings a second', async (t) => {
  const stage = await startSignalling(t)
  const [talker, pinger] = [await stage.connect(), await stage.connect()]
  for (let said = 0; said < limits.messageBurstMax; said += 1) await talker.ask(scrape)
  stage.clock.advance(1_000)
  for (let said = 0; said < limits.messagesPerSecondMax; said += 1) await talker.ask(scrape)
  t.equal(talker.closed, undefined)
  talker.say(scrape)
  t.strictSame(await talker.end(), { code: 1008, reason: 'rate' })
  for (let said = 0; said < limits.messageBurstMax; said += 1) {
    pinger.socket.ping()
    await once(pinger.socket, 'pong')
  }
  t.equal(pinger.closed, undefined)
  pinger.socket.ping()
  t.strictSame(await pinger.end(), { code: 1008, reason: 'rate' })
  t.equal(await stage.count('ended_total', { reason: 'rate' }), 2)
})

test('offers of an announce, and characters of a description', async (t) => {
  const { connect, count, counted } = await startSignalling(t)
  const client = await connect()
  // The clients of one page share a connection.
  for (let peer = 0; peer < limits.peersPerConnectionMax; peer += 1) {
    await client.ask(announce(swarm, twenty('peer', peer)))
  }
  const other = await connect()
  const offerCount = limits.offersMax + 2
  await other.ask(announce(swarm, twenty('other'), { offerCount }))
  await counted(limits.offersMax, 'relayed_total', { kind: 'offer' })
  t.equal(await count('limited_total', { limit: 'offers' }), 2)
  const long = 'x'.repeat(limits.sdpCharsMax + 1)
  const { offers, ...rest } = announce(swarm, twenty('other'), { offerCount: 2 })
  const [offer] = offers as { offer: object; offer_id: string }[]
  await other.ask({ ...rest, offers: [{ ...offer, offer: { type: 'offer', sdp: long } }, offer] })
  await counted(limits.offersMax + 1, 'relayed_total', { kind: 'offer' })
  t.equal(await count('limited_total', { limit: 'offers' }), 3)
  client.say({
    ...{ action: 'announce', info_hash: swarm, peer_id: twenty('peer', 0) },
    ...{ to_peer_id: twenty('other'), offer_id: twenty('offer', 0) },
    answer: { type: 'answer', sdp: long },
  })
  await counted(1, 'limited_total', { limit: 'sdp' })
  t.strictSame(other.heard, [])
})

test('offers that one client is given, so that answering costs it nothing', async (t) => {
  const stage = await startSignalling(t)
  const [target, flooder] = [await stage.connect(), await stage.connect()]
  await target.ask(announce(swarm, twenty('target')))
  const flood = announce(swarm, twenty('flooder'), { offerCount: 1 })
  for (let said = 0; said <= limits.offersGivenBurstMax; said += 1) await flooder.ask(flood)
  t.equal(await stage.count('limited_total', { limit: 'offers-given' }), 1)
  t.equal(await stage.count('undelivered_total', { kind: 'offer' }), 1)
  stage.clock.advance(1_000)
  for (let said = 0; said < limits.offersGivenPerSecondMax; said += 1) await flooder.ask(flood)
  t.equal(await stage.count('limited_total', { limit: 'offers-given' }), 1)
  await until(() => target.heard.length === 60, 'all of them')
})

test('offers that may still be answered', async (t) => {
  const { connect, counted } = await startSignalling(t)
  const [a, b] = [await connect(), await connect()]
  const others = [await connect(), await connect()]
  for (const [at, other] of others.entries()) await other.ask(announce(swarm, twenty('o', at)))
  await b.ask(announce(swarm, twenty('b')))
  const offer = (number: number) => ({
    ...announce(swarm, twenty('a')),
    offers: [{ offer: { type: 'offer', sdp: 'v=0' }, offer_id: twenty('n', number) }],
  })
  for (let number = 0; number <= limits.offeredMax; number += 1) await a.ask(offer(number))
  await counted(limits.offeredMax + 1, 'relayed_total', { kind: 'offer' })
  const holders = [...others.entries()].map(([at, client]) => ({ client, id: twenty('o', at) }))
  for (const { client, id } of [...holders, { client: b, id: twenty('b') }]) {
    const isFirst = (message: object): boolean =>
      'offer_id' in message && message.offer_id === twenty('n', 0)
    if (!client.heard.some(isFirst)) continue
    client.say({
      ...{ action: 'announce', info_hash: swarm, peer_id: id, to_peer_id: twenty('a') },
      ...{ offer_id: twenty('n', 0), answer: { type: 'answer', sdp: 'v=0' } },
    })
  }
  await counted(1, 'undelivered_total', { kind: 'answer' })
  t.strictSame(a.heard, [])
})

test('swarms of one connection, and of one scrape', async (t) => {
  const { connect, count } = await startSignalling(t)
  const client = await connect()
  const join = (number: number) => client.ask(announce(twenty('s', number), twenty('a')))
  for (let number = 0; number < limits.peersPerConnectionMax; number += 1) await join(number)
  await join(0)
  await join(limits.peersPerConnectionMax)
  t.equal(await count('peers'), limits.peersPerConnectionMax)
  t.equal(await count('limited_total', { limit: 'connection-peers' }), 1)
  const hashes = [0, 1].map((number) => twenty('s', number))
  const { files } = await client.ask({ action: 'scrape', info_hash: hashes })
  const [first, second] = Object.values(files as Record<string, object>)
  t.match(first, { incomplete: 1 }, 'the one that was announced again is there')
  t.match(second, { incomplete: 0 }, 'the one that was quiet longest is not')
  const many = Array.from({ length: limits.scrapedMax + 1 }, (_, number) => twenty('s', number))
  client.say({ action: 'scrape', info_hash: many })
  t.strictSame(await client.end(), { code: 1008, reason: 'protocol' })
})

test('a client that does not read', async (t) => {
  const stage = await startSignalling(t)
  const client = await stage.connect()
  const many = Array.from({ length: limits.scrapedMax }, (_, number) => twenty('s', number))
  await client.ask(announce(swarm, twenty('a')))
  client.socket.pause()
  const scrapes = (): Promise<number> => stage.count('messages_total', { kind: 'scrape' })
  // The kernel takes some megabytes before anything waits here.
  for (let said = 0; client.closed === undefined && said < 20_000; said += 15) {
    stage.clock.advance(1_000)
    client.say(announce(swarm, twenty('a')))
    for (let more = 0; more < 15; more += 1) client.say({ action: 'scrape', info_hash: many })
    await until(async () => (await stage.count('peers')) === 0 || (await scrapes()) === said + 15)
    if ((await stage.count('peers')) === 0) break
  }
  t.equal(await stage.count('ended_total', { reason: 'slow-reader' }), 1)
  await stage.counted(0, 'connections')
})

test('a client that is silent, one that left without a word, one that is in no swarm', async (t) => {
  const stage = await startSignalling(t)
  const [deaf, ghost] = [await stage.connect(), await stage.connect()]
  await deaf.ask(announce(swarm, twenty('deaf')))
  await ghost.ask(announce(swarm, twenty('ghost')))
  deaf.socket.pause()
  stage.clock.advance(limits.pingIntervalMs)
  await ghost.ask(scrape)
  t.equal(await stage.count('peers'), 2)
  stage.clock.advance(limits.pingIntervalMs)
  await stage.counted(1, 'connections')
  t.equal(await stage.count('ended_total', { reason: 'silent' }), 1)
  t.equal(await stage.count('peers'), 1)
  const passed = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= limits.pingIntervalMs) {
      stage.clock.advance(limits.pingIntervalMs)
      if (ghost.closed === undefined) ghost.say(scrape)
      await until(() => ghost.heard.length > 0 || ghost.closed !== undefined)
      ghost.heard.length = 0
    }
  }
  await passed(limits.announceMsMax - 3 * limits.pingIntervalMs)
  t.equal(await stage.count('peers'), 1)
  await passed(2 * limits.pingIntervalMs)
  t.equal(await stage.count('peers'), 0, 'who announces nothing has left')
  t.equal(await stage.count('connections'), 1)
  await passed(limits.idleMsMax + limits.pingIntervalMs)
  t.strictSame(await ghost.end(), { code: 1000, reason: 'idle' })
})
