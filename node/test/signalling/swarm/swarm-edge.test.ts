/** The edge of viewers' swarms over real WebSockets: who is let in, what pages are told, how it ends. */
import { once } from 'node:events'
import { test } from 'tap'
import { WebSocket } from 'ws'
import { swarmLimits as limits } from '../../../src/limits/swarm.ts'
import { digestOf, startSwarmEdge } from '../../support/swarm-stage.ts'

test('pages of one stream find one another, and nobody else', async (t) => {
  const { enter, count } = await startSwarmEdge(t)
  const first = await enter()
  t.match(first.welcome, { iceServers: [], edges: [], stateEveryMs: limits.stateEveryMs })
  t.match(first.id, /^[\w-]{16}$/)
  const stranger = await enter({ swarm: 'another film' })
  const second = await enter()
  t.strictSame(await second.hear('peers'), { kind: 'peers', connect: [first.id] })
  second.say({ kind: 'signal', to: first.id, step: { type: 'offer', text: 'v=0' } })
  t.strictSame(await first.hear('signal'), {
    ...{ kind: 'signal', from: second.id, step: { type: 'offer', text: 'v=0' } },
  })
  first.say({ kind: 'signal', to: second.id, step: { type: 'answer', text: 'v=0 yes' } })
  t.match(await second.hear('signal'), { from: first.id, step: { type: 'answer' } })
  stranger.say({ kind: 'signal', to: first.id, step: { type: 'offer', text: 'v=0' } })
  t.strictSame(await stranger.hear('gone'), { kind: 'gone', id: first.id })
  await first.settled()
  t.strictSame([first.heard, second.heard, stranger.heard], [[], [], []])
  t.equal(await count('signals_total', { result: 'relayed' }), 2)
  t.equal(await count('signals_total', { result: 'unknown' }), 1)
  t.equal(await count('swarms'), 2)
  t.equal(await count('pages'), 3)
  second.socket.close()
  t.strictSame(await first.hear('gone'), { kind: 'gone', id: second.id })
})

test('one fetches, the others get it, and are told what it is', async (t) => {
  const { enter, count } = await startSwarmEdge(t)
  const [a, b, c] = [await enter(), await enter(), await enter()]
  a.want('v/1')
  t.match(await a.hear('grant'), { key: 'v/1', forMs: 15_000 })
  b.want('v/1', 5_000)
  t.match(await b.hear('from'), { key: 'v/1', peers: [a.id], isWhole: false, forMs: 4_000 })
  a.got('v/1')
  const digests = { kind: 'digests', parts: [{ key: 'v/1', bytes: 3, digest: digestOf('v/1') }] }
  t.strictSame(await b.hear('digests'), digests)
  c.want('v/1')
  t.strictSame(await c.hear('digests'), digests)
  t.match(await c.hear('from'), { key: 'v/1', peers: [a.id], isWhole: true })
  t.equal(await count('answered_total', { how: 'lease' }), 1)
  t.equal(await count('leases_total', { end: 'got' }), 1)
})

test('hello comes first, once, and soon', async (t) => {
  const stage = await startSwarmEdge(t)
  const [early, twice, silent] = [await stage.connect(), await stage.enter(), await stage.connect()]
  early.want('v/1')
  t.strictSame(await early.end(), { code: 1008, reason: 'protocol' })
  twice.say({ kind: 'hello', swarm: 'a film', uploadBps: 0, canConnect: true })
  t.strictSame(await twice.end(), { code: 1008, reason: 'protocol' })
  stage.clock.advance(limits.helloMsMax)
  t.strictSame(await silent.end(), { code: 1008, reason: 'hello' })
  await stage.counted(0, 'swarms')
  t.equal(await stage.count('ended_total', { reason: 'hello' }), 1)
})

test('the subprotocol is asked for', async (t) => {
  const { url, count, http } = await startSwarmEdge(t, { origins: ['https://site.example'] })
  for (const protocols of [[], ['kairo-swarm.2']]) {
    const socket = new WebSocket(url, protocols)
    t.match((await once(socket, 'error'))[0], { message: /400/ })
  }
  t.equal(await count('refused_total', { reason: 'subprotocol' }), 2)
  const elsewhere = new WebSocket(url, ['kairo-swarm.1'], { origin: 'https://other.example' })
  t.match((await once(elsewhere, 'error'))[0], { message: /403/ })
  const own = new WebSocket(url, ['other', 'kairo-swarm.1'], {
    origin: `http://127.0.0.1:${http.port}`,
  })
  await once(own, 'open')
  t.equal(own.protocol, 'kairo-swarm.1')
  own.close()
})
