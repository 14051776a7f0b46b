/** Every bound of one page's connection, and how it ends, over real sockets. */

import { createHmac } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { readEdgeMessage, swarmProtocol } from '@kairo/client/protocol'
import { test } from 'tap'
import { type ClientOptions, WebSocket } from 'ws'
import { swarmLimits as limits, pageSwarmLimits } from '../../../src/limits/swarm.ts'
import { createRegistry } from '../../../src/metrics/registry.ts'
import type { PageSwarms } from '../../../src/signalling/swarm/page-swarms.ts'
import { SwarmConnection } from '../../../src/signalling/swarm/swarm-connection.ts'
import { type SwarmLoad, SwarmMetrics } from '../../../src/signalling/swarm/swarm-metrics.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { startSwarmEdge } from '../../support/swarm-stage.ts'

async function refusalOf(url: string, options: ClientOptions = {}): Promise<string> {
  const [error] = (await once(new WebSocket(url, swarmProtocol, options), 'error')) as [Error]
  return error.message
}

test('what is no message ends the connection, what is of a later version does not', async (t) => {
  const { enter, count } = await startSwarmEdge(t)
  for (const text of ['', '{}', '{"kind":"want"}', '{"kind":"got","key":"v/1","bytes":-1}']) {
    const page = await enter()
    page.socket.send(text)
    t.strictSame(await page.end(), { code: 1008, reason: 'protocol' }, text)
  }
  const binary = await enter()
  binary.socket.send(Buffer.from('{"kind":"follow"}'))
  t.strictSame(await binary.end(), { code: 1008, reason: 'protocol' })
  const large = await enter()
  large.socket.send(' '.repeat(limits.messageBytesMax + 1))
  t.equal((await large.end()).code, 1009)
  const later = await enter()
  later.socket.send('{"kind":"something-new"}')
  await later.settled()
  t.equal(later.closed, undefined)
  t.equal(await count('messages_total', { kind: 'unknown' }), 1)
  t.equal(await count('messages_total', { kind: 'invalid' }), 5)
})

test('what is measured is told as pages read it: whole, and within bounds', async (t) => {
  const sent: string[] = []
  const socket = Object.assign(new EventEmitter(), {
    ...{ readyState: WebSocket.OPEN, bufferedAmount: 0 },
    send: (text: string) => sent.push(text),
  })
  const clock = new ManualClock()
  const metrics = new SwarmMetrics(createRegistry(), () => ({}) as SwarmLoad)
  const connection = new SwarmConnection(
    { clock, metrics, iceServers: [], swarms: {} as PageSwarms },
    { socket: socket as unknown as WebSocket, address: '', onClosed: () => {} },
  )
  for (const forMs of [12.5, 1e9]) {
    connection.tell({ kind: 'from', key: 'v/1', peers: [], isWhole: true, forMs })
  }
  const told = sent.map((text) => readEdgeMessage(text)) as { forMs: number }[]
  t.strictSame(
    told.map(({ forMs }) => forMs),
    [13, 60_000],
  )
})

test('messages a second', async (t) => {
  const { enter, clock, count, counted } = await startSwarmEdge(t)
  const page = await enter()
  const said = (count: number): Promise<void> =>
    counted(count, 'messages_total', { kind: 'follow' })
  for (let left = limits.messageBurstMax; left > 1; left -= 1) page.say({ kind: 'follow' })
  await said(limits.messageBurstMax - 1)
  clock.advance(1_000)
  for (let left = limits.messagesPerSecondMax; left > 0; left -= 1) page.say({ kind: 'follow' })
  await said(limits.messageBurstMax - 1 + limits.messagesPerSecondMax)
  t.equal(page.closed, undefined)
  page.say({ kind: 'follow' })
  t.strictSame(await page.end(), { code: 1008, reason: 'rate' })
  t.equal(await count('ended_total', { reason: 'rate' }), 1)
})

test('pages at once, and of one address', async (t) => {
  const { connect, url, count } = await startSwarmEdge(t, { connectionsMax: 3 })
  for (let page = 0; page < 3; page += 1) await connect({ localAddress: `127.0.0.${page + 1}` })
  t.match(await refusalOf(url), /503/)
  t.equal(await count('refused_total', { reason: 'connections' }), 1)
})

test('a page that does not read', async (t) => {
  const { enter, count, counted } = await startSwarmEdge(t)
  const deaf = await enter()
  const talkers = await Promise.all(Array.from({ length: 8 }, () => enter()))
  deaf.socket.pause()
  const step = { type: 'offer', text: 'x'.repeat(16_000) } as const
  // The kernel takes some megabytes before anything waits here.
  for (const talker of talkers) {
    for (let said = 0; said < pageSwarmLimits.signalBurst; said += 1) {
      talker.say({ kind: 'signal', to: deaf.id, step })
    }
    await talker.settled()
  }
  t.equal(await count('ended_total', { reason: 'slow-reader' }), 1)
  t.ok((await count('signals_total', { result: 'undelivered' })) > 0)
  await counted(talkers.length, 'connections')
  t.equal(await count('pages'), talkers.length + 1, 'it may come back')
})

test('a page that is silent is asked, then gone; its neighbours hear of it later', async (t) => {
  const { enter, clock, count, counted } = await startSwarmEdge(t)
  const [deaf, other] = [await enter(), await enter()]
  deaf.socket.pause()
  clock.advance(limits.pingIntervalMs)
  await other.settled()
  clock.advance(limits.pingIntervalMs)
  await counted(1, 'connections')
  t.equal(await count('ended_total', { reason: 'silent' }), 1)
  clock.advance(limits.absenceMsMax + limits.absenceSweepMs)
  t.strictSame(await other.hear('gone'), { kind: 'gone', id: deaf.id })
  clock.advance(limits.resumeMsMax)
  await counted(1, 'pages')
})

test('a page whose connection broke comes back as who it was', async (t) => {
  const { enter, counted, connect } = await startSwarmEdge(t)
  const [first, other] = [await enter(), await enter()]
  const session = first.welcome?.session ?? ''
  first.socket.terminate()
  await counted(1, 'connections')
  const again = await enter({ session })
  t.equal(again.id, first.id)
  await again.settled()
  t.strictSame(
    other.heard.map(({ kind }) => kind),
    ['peers'],
    'nobody was told',
  )
  other.say({ kind: 'signal', to: again.id, step: { type: 'candidate', text: '' } })
  t.match(await again.hear('signal'), { from: other.id })
  const twice = await enter({ session })
  t.equal(twice.id, first.id)
  t.strictSame(await again.end(), { code: 1000, reason: 'displaced' })
  const elsewhere = await enter({ session, swarm: 'another film' })
  t.not(elsewhere.id, first.id, "of another swarm it is nobody's")
  const odd = await connect()
  odd.socket.send(
    JSON.stringify({
      ...{ kind: 'hello', swarm: 's', uploadBps: 0, canConnect: true },
      session: 'x'.repeat(513),
    }),
  )
  t.strictSame(await odd.end(), { code: 1008, reason: 'protocol' })
})

test('tickets, where they are required', async (t) => {
  const secret = 'the secret'
  const { connect, enter, count, clock } = await startSwarmEdge(t, {
    ...{ secret, areTicketsRequired: true },
  })
  const exp = clock.now() / 1_000 + 60
  const text = `v1.${Buffer.from(JSON.stringify({ swarm: 'a film', exp })).toString('base64url')}`
  const ticket = `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
  const page = await enter({ ticket })
  t.match(page.id, /^[\w-]{16}$/)
  const bare = await connect()
  bare.say({ kind: 'hello', swarm: 'a film', uploadBps: 0, canConnect: true })
  t.match(await bare.hear('off'), { reason: 'ticket' })
  t.strictSame(await bare.end(), { code: 1008, reason: 'off' })
  clock.advance(61_000)
  const late = await connect()
  late.say({ kind: 'hello', swarm: 'a film', ticket, uploadBps: 0, canConnect: true })
  t.match(await late.hear('off'), { reason: 'ticket' })
  t.equal(await count('off_total', { reason: 'ticket' }), 2)
})

test('STUN servers are told where there are some', async (t) => {
  const iceUrls = ['stun:stun.example:3478']
  const { enter } = await startSwarmEdge(t, { iceUrls })
  t.strictSame((await enter()).welcome?.iceServers, [{ urls: iceUrls }])
})

test('a stop says goodbye', async (t) => {
  const { enter, edge, count, clock } = await startSwarmEdge(t)
  const [page] = [await enter()]
  page.say({ kind: 'follow', rendition: 'v' })
  page.want('v/1')
  await page.hear('grant')
  const stopped = edge.stop()
  t.strictSame(await page.end(), { code: 1001, reason: 'stop' })
  await stopped
  t.equal(await count('swarms'), 0)
  t.equal(clock.timers, 0, 'nothing is left running')
})
