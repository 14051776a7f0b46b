/** The DNS server on its sockets: UDP, TCP, and what a stranger may not do. */
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { DnsServer } from '../../src/dns/dns-server.ts'
import { SourceRate } from '../../src/dns/source-rate.ts'
import { dnsLimits } from '../../src/limits/dns.ts'
import { silentLogger } from '../../src/logger.ts'
import { askTcp, askUdp, dnsQuery, dnsReply, framed } from '../support/dns-client.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { nearestStage } from '../support/nearest-stage.ts'
import { metricOf } from '../support/registry-value.ts'

async function startServer(t: Test) {
  const { nearest, stage } = nearestStage()
  const clock = new ManualClock()
  const registry = new Registry()
  const components = {
    ...{ clock, registry, nearest, logger: silentLogger },
    ownUrls: () => stage.self.clientUrls,
  }
  const init = { host: '127.0.0.1', port: 0, zone: 'cdn.example' }
  const server = new DnsServer(components, init)
  await server.start()
  t.teardown(() => server.stop())
  return { server, clock, registry, components, port: server.address().port }
}

const query = dnsQuery({ name: 'show.cdn.example' })

test('UDP and TCP answer alike on one port', async (t) => {
  const { port } = await startServer(t)
  t.same(dnsReply(await askUdp(port, query)).addresses, ['192.0.2.1'])
  const [byTcp] = await askTcp(port, framed(query))
  t.same(dnsReply(byTcp as Buffer).addresses, ['192.0.2.1'])
})

test('TCP takes several queries, in pieces and in one piece', async (t) => {
  const { port } = await startServer(t)
  const three = Buffer.concat([framed(query), framed(query), framed(query)])
  t.equal((await askTcp(port, three, 3)).length, 3)
  const socket = connect(port, '127.0.0.1')
  for (const byte of framed(query)) {
    socket.write(Buffer.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
  const [chunk] = (await socket.take(1).toArray()) as Buffer[]
  t.equal(chunk?.readUInt16BE(0), (chunk?.byteLength ?? 0) - 2)
  socket.destroy()
})

test('a TCP client that sends what is no query, or nothing, is disconnected', async (t) => {
  const { port, clock, registry } = await startServer(t)
  t.same(await askTcp(port, Buffer.of(0xff, 0xff, 1)), [], 'a length that none has')
  t.same(await askTcp(port, Buffer.of(0, 0)), [], 'no length')
  t.same(await askTcp(port, framed(Buffer.alloc(12, 0x80))), [], 'an answer')
  const silent = connect(port, '127.0.0.1')
  const closed = new Promise((resolve) => silent.once('close', resolve))
  silent.resume()
  while ((await metricOf(registry, 'kairo_dns_connections')) === 0) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  clock.advance(dnsLimits.idleTimeoutMs)
  await closed
  t.pass('a silent one is closed')
})

test('connections of one network are bounded', async (t) => {
  const { port, registry } = await startServer(t)
  const { connectionsPerSourceMax } = dnsLimits
  const sockets = Array.from({ length: connectionsPerSourceMax }, () => connect(port, '127.0.0.1'))
  await Promise.all(sockets.map((socket) => new Promise((ok) => socket.once('connect', ok))))
  while ((await metricOf(registry, 'kairo_dns_connections')) < connectionsPerSourceMax) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.same(await askTcp(port, framed(query)), [])
  t.equal(await metricOf(registry, 'kairo_dns_limited_total', { verdict: 'refused' }), 1)
  for (const socket of sockets) socket.destroy()
})

test('a network that asks without end is cut to a rate; others are not', (t) => {
  const clock = new ManualClock()
  const rate = new SourceRate({ clock })
  const { answerBurstMax, answersPerSecondMax, sourcesMax } = dnsLimits
  const judge = (count: number, address = '192.0.2.1') => {
    const verdicts = Array.from({ length: count }, () => rate.judge(address))
    return (verdict: string) => verdicts.filter((one) => one === verdict).length
  }
  t.equal(judge(answerBurstMax)('send'), answerBurstMax)
  const beyond = judge(10, '192.0.2.200')
  t.same([beyond('send'), beyond('cut'), beyond('drop')], [0, 5, 5], 'of the same network')
  t.equal(judge(1, '203.0.113.1')('send'), 1)
  clock.advance(1_000)
  t.equal(judge(answerBurstMax)('send'), answersPerSecondMax)
  for (let index = 0; index <= sourcesMax; index++) {
    rate.judge(`10.${index >> 8}.${index & 255}.1`)
  }
  t.equal(judge(1)('send'), 1, 'who was heard of longest ago is forgotten')
  t.end()
})

test('a port that another program has is told', async (t) => {
  const { components, port } = await startServer(t)
  const init = { host: '127.0.0.1', port, zone: 'cdn.example' }
  await t.rejects(new DnsServer(ownRegistry(components), init).start(), {
    code: 'ERR_ADDRESS_IN_USE',
    message: /another program/,
  })
  const nowhere = { ...init, host: '192.0.2.1', port: 0 }
  await t.rejects(new DnsServer(ownRegistry(components), nowhere).start(), { code: 'ERR_CONFIG' })
})

test('messages from port 0 and broken answers stop nothing', async (t) => {
  const { port, server } = await startServer(t)
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => {
    socket.send(Buffer.from('junk'), port, '127.0.0.1', () => resolve())
  })
  socket.close()
  t.same(dnsReply(await askUdp(port, query)).rcode, 'NOERROR')
  await server.stop()
  await t.resolves(server.stop(), 'a second time')
})

/** The same with a registry of its own: metrics have one owner. */
function ownRegistry<T extends { registry: Registry }>(components: T): T {
  return { ...components, registry: new Registry() }
}
