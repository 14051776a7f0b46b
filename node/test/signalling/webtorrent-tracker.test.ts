/** The WebTorrent tracker over real WebSockets: swarms, offers, answers, scrapes, who may come and how it ends. */
import { once } from 'node:events'
import { test } from 'tap'
import { WebSocket } from 'ws'
import { webtorrentLimits as limits } from '../../src/limits/signalling.ts'
import { exchange, RawClient } from '../support/http-exchange.ts'
import { announce, startSignalling, twenty } from '../support/signalling-stage.ts'

const swarm = twenty('swarm')

test('an offer goes to another peer of the swarm, its answer back', async (t) => {
  const { connect, count } = await startSignalling(t)
  const [first, second, stranger] = [await connect(), await connect(), await connect()]
  t.strictSame(await first.ask(announce(swarm, twenty('first'), { offerCount: 5 })), {
    ...{ action: 'announce', info_hash: swarm, interval: 60, complete: 0, incomplete: 1 },
  })
  await stranger.ask(announce(twenty('other swarm'), twenty('stranger')))
  const joined = announce(swarm, twenty('second'), { offerCount: 5, left: 0 })
  t.match(await second.ask(joined), { complete: 1, incomplete: 1 })
  const offer = await first.hear()
  t.strictSame(offer, {
    ...{ action: 'announce', info_hash: swarm, peer_id: twenty('second') },
    ...{ offer_id: twenty('offer', 0), offer: { type: 'offer', sdp: `v=0 ${twenty('second')} 0` } },
  })
  first.say({
    ...{ action: 'announce', info_hash: swarm, peer_id: twenty('first') },
    ...{ to_peer_id: offer.peer_id, offer_id: offer.offer_id },
    answer: { type: 'answer', sdp: 'v=0 yes', more: 'is left out' },
  })
  t.strictSame(await second.hear(), {
    ...{ action: 'announce', info_hash: swarm, peer_id: twenty('first') },
    ...{ offer_id: twenty('offer', 0), answer: { type: 'answer', sdp: 'v=0 yes' } },
  })
  t.match(await first.ask({ action: 'scrape', info_hash: swarm }), { action: 'scrape' })
  t.strictSame(
    [first.heard, second.heard, stranger.heard],
    [[], [], []],
    'nothing else came to anybody',
  )
  t.equal(await count('relayed_total', { kind: 'offer' }), 1)
  t.equal(await count('relayed_total', { kind: 'answer' }), 1)
  t.equal(await count('messages_total', { kind: 'started' }), 3)
  t.equal(await count('swarms'), 2)
  t.equal(await count('peers'), 3)
})

test('events: complete, stopped, gone', async (t) => {
  const { connect, counted } = await startSignalling(t)
  const [a, b] = [await connect(), await connect()]
  await a.ask(announce(swarm, twenty('a')))
  t.match(await b.ask(announce(swarm, twenty('b'), { left: null })), { incomplete: 2 })
  t.match(await b.ask(announce(swarm, twenty('b'), { event: 'completed' })), { complete: 1 })
  const update = await b.ask(announce(swarm, twenty('b'), { event: undefined }))
  t.match(update, { complete: 1, incomplete: 1 }, 'whoever has everything keeps it')
  const notMine = announce(swarm, twenty('a'), { event: 'stopped' })
  t.match(await b.ask(notMine), { complete: 1, incomplete: 1 }, 'nobody stops for another')
  t.match(await b.ask(announce(swarm, twenty('b'), { event: 'stopped' })), { complete: 0 })
  t.match(await b.ask(announce(swarm, twenty('b'), { event: 'paused' })), { incomplete: 2 })
  a.socket.terminate()
  await counted(1, 'peers')
  const another = await b.ask(announce(swarm, twenty('b2')))
  t.match(another, { incomplete: 2 }, 'the clients of one page share a connection')
  b.socket.close()
  await counted(0, 'swarms')
  await counted(0, 'peers')
  await counted(0, 'connections')
})

test('scrapes tell what is asked for and no more', async (t) => {
  const { connect } = await startSignalling(t)
  const client = await connect()
  await client.ask(announce(swarm, twenty('a'), { left: 0 }))
  const none = twenty('nobody here')
  t.strictSame(await client.ask({ action: 'scrape', info_hash: [swarm, none] }), {
    action: 'scrape',
    files: {
      [swarm]: { complete: 1, incomplete: 0, downloaded: 1 },
      [none]: { complete: 0, incomplete: 0, downloaded: 0 },
    },
    flags: { min_request_interval: 60 },
  })
  client.say({ action: 'scrape' })
  t.strictSame(await client.end(), { code: 1008, reason: 'protocol' }, 'a list of all is no answer')
})

test('only whom an offer was given to answers it, and once', async (t) => {
  const { connect, count, counted } = await startSignalling(t)
  const [a, b, c] = [await connect(), await connect(), await connect()]
  await b.ask(announce(swarm, twenty('b')))
  await a.ask(announce(swarm, twenty('a'), { offerCount: 1 }))
  const { offer_id } = await b.hear()
  await c.ask(announce(swarm, twenty('c')))
  const answer = {
    ...{ action: 'announce', info_hash: swarm, peer_id: twenty('b'), to_peer_id: twenty('a') },
    ...{ offer_id, answer: { type: 'answer', sdp: 'v=0' } },
  }
  const undelivered = (value: number): Promise<void> =>
    counted(value, 'undelivered_total', { kind: 'answer' })
  c.say(answer)
  await undelivered(1)
  c.say({ ...answer, peer_id: twenty('c') })
  await undelivered(2)
  b.say({ ...answer, offer_id: twenty('another') })
  await undelivered(3)
  b.say({ ...answer, to_peer_id: twenty('nobody') })
  await undelivered(4)
  t.strictSame(a.heard, [])
  b.say(answer)
  t.match(await a.hear(), { peer_id: twenty('b'), offer_id })
  b.say(answer)
  await undelivered(5)
  t.equal(await count('relayed_total', { kind: 'answer' }), 1)
})

test('an id belongs to whoever has it, and to the same client when it comes back', async (t) => {
  const stage = await startSignalling(t)
  const [lost, other] = [await stage.connect(), await stage.connect({ localAddress: '127.0.0.2' })]
  await lost.ask(announce(swarm, twenty('a')))
  t.match(await other.ask(announce(swarm, twenty('a'))), {
    action: 'announce',
    info_hash: swarm,
    'failure reason': /used from another address/,
  })
  t.equal(await stage.count('limited_total', { limit: 'peer-id' }), 1)
  const back = await stage.connect()
  t.match(await back.ask(announce(swarm, twenty('a'))), { incomplete: 1 })
  lost.socket.close()
  await stage.counted(2, 'connections')
  t.equal(await stage.count('peers'), 1, 'the lost connection takes nobody with it')
  await other.ask(announce(swarm, twenty('b'), { offerCount: 1 }))
  t.match(await back.hear(), { peer_id: twenty('b'), offer: { type: 'offer' } })
})

test('those behind a trusted proxy that names nobody are not one client', async (t) => {
  const { connect } = await startSignalling(t, { trusts: () => true })
  const [a, b] = [await connect(), await connect()]
  await a.ask(announce(swarm, twenty('a')))
  t.match(await b.ask(announce(swarm, twenty('a'))), { 'failure reason': /another/ })
})

test('pages of other origins', async (t) => {
  const stage = await startSignalling(t, { origins: ['https://site.example'] })
  for (const origin of ['https://site.example', `http://127.0.0.1:${stage.http.port}`]) {
    await stage.connect({ origin })
  }
  await stage.connect()
  for (const origin of ['https://other.example', 'null', 'junk']) {
    const socket = new WebSocket(stage.url, { origin })
    const [error] = (await once(socket, 'error')) as [Error]
    t.match(error.message, /403/, origin)
  }
  t.equal(await stage.count('refused_total', { reason: 'origin' }), 3)
  t.equal(await stage.count('connections'), 3)
})

test('HTTP at the path, and other protocols', async (t) => {
  const { http, count } = await startSignalling(t)
  const get = 'GET /announce HTTP/1.1\r\nHost: a\r\n'
  const close = 'Connection: close\r\n\r\n'
  t.match(await exchange(http.port, `${get}${close}`), /^HTTP\/1.1 426 [\s\S]*upgrade: websocket/i)
  const h2c = `${get}Upgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n`
  t.match(await exchange(http.port, h2c), /^HTTP\/1.1 426 /)
  const elsewhere = h2c.replace('h2c', 'websocket').replace('/announce', '/nowhere')
  t.match(await exchange(http.port, elsewhere), /^HTTP\/1.1 404 /)
  const keyless = `${get}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n`
  t.match(await exchange(http.port, keyless), /^HTTP\/1.1 400 [\s\S]*ERR_PROTOCOL/)
  t.equal(await count('refused_total', { reason: 'handshake' }), 1)
})

test('a host rule that has the path has its upgrades too', async (t) => {
  const rawHandler = (_message: unknown, reply: { end(text: string): void }): true => {
    reply.end('from the origin')
    return true
  }
  const isRaw = ({ headers }: { headers: { host?: string } }): boolean => headers.host === 'cdn'
  const { http, connect } = await startSignalling(t, {
    http: { rawHandler: (message, reply) => isRaw(message) && rawHandler(message, reply), isRaw },
  })
  const asked =
    'GET /announce HTTP/1.1\r\nHost: cdn\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n'
  t.match(await exchange(http.port, asked), /^HTTP\/1.1 200 [\s\S]*from the origin$/)
  const client = await connect()
  t.match(await client.ask(announce(swarm, twenty('a'))), { incomplete: 1 }, 'others come through')
})

test('the shelter counts those who come, and turns them away', async (t) => {
  const { connect, http } = await startSignalling(t, {
    shelter: { requestsPerSecondMax: 1, connectionsPerAddressMax: 2 },
  })
  const client = await connect()
  t.match(await client.ask(announce(swarm, twenty('a'))), { incomplete: 1 })
  const eager = await RawClient.connect(http.port)
  eager.send('GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n')
  await eager.until((text) => text.includes('404'))
  eager.send(
    'GET /announce HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n',
  )
  t.match(await eager.closed(), /HTTP\/1.1 429 [\s\S]*retry-after: 1/, 'too many requests')
  http.clock.advance(10_000)
  await connect()
  const third = await RawClient.connect(http.port)
  t.match(await third.closed(), /^HTTP\/1.1 429 /, 'connections go on counting')
})

test('a stop says goodbye, and cuts those who say none', async (t) => {
  const stage = await startSignalling(t)
  const [polite, deaf] = [await stage.connect(), await stage.connect()]
  await polite.ask(announce(swarm, twenty('a')))
  deaf.socket.pause()
  const stopped = stage.tracker.stop()
  t.strictSame(await polite.end(), { code: 1001, reason: 'stop' })
  await stage.counted(1, 'connections')
  t.equal(await stage.count('peers'), 0)
  const late = new WebSocket(stage.url)
  t.match((await once(late, 'error'))[0], { message: /503/ })
  stage.clock.advance(limits.closeGraceMs)
  await stopped
  t.equal(await stage.count('connections'), 0)
  t.equal(await stage.count('ended_total', { reason: 'stop' }), 2)
  t.equal(stage.clock.timers, 0, 'nothing is left running')
})
