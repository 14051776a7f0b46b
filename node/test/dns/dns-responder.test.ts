/** Answers of the zone, rule by rule. */
import { Registry } from 'prom-client'
import { test } from 'tap'
import { readRequest } from '../../src/dns/dns-query.ts'
import { DnsResponder } from '../../src/dns/dns-responder.ts'
import { encodeResponse } from '../../src/dns/dns-response.ts'
import { dnsLimits } from '../../src/limits/dns.ts'
import { silentLogger } from '../../src/logger.ts'
import { knownPeer } from '../support/adverts.ts'
import { type DnsAsk, dnsQuery, dnsReply } from '../support/dns-client.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { nearestStage } from '../support/nearest-stage.ts'
import { metricOf } from '../support/registry-value.ts'

const resolver = '198.51.100.53'

function openZone() {
  const { nearest, stage, changed } = nearestStage()
  const registry = new Registry()
  stage.self = {
    ...stage.self,
    clientUrls: ['http://192.0.2.1:80', 'http://[2001:db8::1]:80'],
  }
  const responder = new DnsResponder(
    {
      ...{ clock: new ManualClock(), logger: silentLogger, registry, nearest },
      ownUrls: () => stage.self.clientUrls,
    },
    { zone: 'cdn.example' },
  )
  const send = (message: Buffer, verdict: 'send' | 'cut' = 'send') =>
    responder.respond(message, { transport: 'udp', address: resolver, verdict })
  const ask = (question: DnsAsk) => dnsReply(send(dnsQuery(question)) as Buffer)
  return { ask, send, stage, changed, responder, registry }
}

test('the zone and every host name below it are the addresses of the best peers', async (t) => {
  const { ask, stage, changed, registry } = openZone()
  for (const name of ['cdn.example', 'CDN.Example', 'show.cdn.example', 'a.b.cdn.example']) {
    const { rcode, addresses, packet } = ask({ name })
    t.same([rcode, addresses, packet.flag_aa], ['NOERROR', ['192.0.2.1'], true], name)
    t.equal(packet.questions?.[0]?.name, name, 'the question as it was asked')
  }
  t.same(ask({ name: 'cdn.example', type: 'AAAA' }).addresses, ['2001:db8::1'])
  const [answer] = ask({ name: 'cdn.example' }).packet.answers ?? []
  t.match(answer, { ttl: dnsLimits.ttlS, name: 'cdn.example' })
  stage.peers = [
    knownPeer('near', { rttMs: 20, clientUrls: ['http://192.0.2.2:80'] }),
    knownPeer('far', { rttMs: 200, clientUrls: ['http://192.0.2.3:80'] }),
  ]
  changed()
  t.same(ask({ name: 'cdn.example' }).addresses, ['192.0.2.1', '192.0.2.2'], 'none that is far')
  const name = 'kairo_dns_queries_total'
  t.equal(await metricOf(registry, name, { rcode: 'noError', transport: 'udp' }), 7)
})

test('a peer that drains or dies leaves the answers at once', (t) => {
  const { ask, stage, changed } = openZone()
  stage.self = { ...stage.self, state: 'draining' }
  const peers = ['192.0.2.2', '192.0.2.3'].map((address) =>
    knownPeer(address, { rttMs: 10, clientUrls: [`http://${address}:80`] }),
  )
  stage.peers = peers
  changed()
  t.equal(ask({ name: 'cdn.example' }).addresses.length, 2)
  stage.peers = [peers[0], { ...peers[1], reachable: false }] as typeof peers
  changed()
  t.same(ask({ name: 'cdn.example' }).addresses, ['192.0.2.2'])
  stage.peers = stage.peers.map((peer) => ({ ...peer, state: 'draining' }))
  changed()
  t.equal(ask({ name: 'cdn.example' }).rcode, 'SERVFAIL', 'another server may know better')
  t.end()
})

test('answers hold a bounded number of addresses', (t) => {
  const { ask, stage, changed } = openZone()
  stage.peers = Array.from({ length: 12 }, (_, index) =>
    knownPeer(`peer${index}`, { rttMs: 1, clientUrls: [`http://192.0.2.${index + 10}:80`] }),
  )
  changed()
  t.equal(ask({ name: 'cdn.example' }).addresses.length, dnsLimits.addressesMax)
  t.end()
})

test("the client's subnet decides, and the answer says for how much of it (RFC 7871)", (t) => {
  const { ask, stage, changed } = openZone()
  const [berlin, sydney] = [
    { latitude: 52.52, longitude: 13.4 },
    { latitude: -33.87, longitude: 151.21 },
  ]
  stage.self = { ...stage.self, state: 'draining' }
  stage.peers = [
    knownPeer('berlin', { ...berlin, clientUrls: ['http://192.0.2.2:80'] }),
    knownPeer('sydney', { ...sydney, clientUrls: ['http://192.0.2.3:80'] }),
  ]
  stage.places.set('203.0.113.0', sydney)
  stage.places.set('2001:db8:7:0:0:0:0:0', sydney)
  stage.places.set(resolver, berlin)
  changed()
  const name = 'show.cdn.example'
  const placed = ask({ name, subnet: '203.0.113.0/24' })
  t.same([placed.addresses, placed.scope], [['192.0.2.3'], 24])
  const v6 = ask({ name, subnet: '2001:db8:7::/48' })
  t.same([v6.addresses, v6.scope], [['192.0.2.3'], 56])
  t.same(ask({ name }).addresses, ['192.0.2.2'], 'without it the resolver stands for its clients')
  const hidden = ask({ name, subnet: '0.0.0.0/0' })
  t.same([hidden.addresses, hidden.scope], [['192.0.2.2'], 0], 'a client that hides')
  const [option] = placed.edns?.options ?? []
  t.match(option, { family: 1, sourcePrefixLength: 24, ip: '203.0.113.0' }, 'echoed as it came')
  for (const [question, what] of [
    [{ name: 'cdn.example', type: 'SOA' }, 'the SOA'],
    [{ name: '_x.cdn.example' }, 'what does not exist'],
    [{ name: 'example' }, 'what is refused'],
  ] as const) {
    t.equal(ask({ ...question, subnet: '203.0.113.0/24' }).scope, 0, `${what} is for everybody`)
  }
  t.end()
})

test('a client subnet that breaks its rules is a format error', (t) => {
  const { send } = openZone()
  const good = dnsQuery({ name: 'cdn.example', subnet: '203.0.113.0/24' })
  // The option's data are the last 7 bytes: family, source, scope, address.
  const at = good.byteLength - 7
  const changes: [number, number, string][] = [
    [at + 1, 9, 'a family that there is not'],
    [at + 2, 33, 'a prefix longer than an address'],
    [at + 2, 16, 'more address than the prefix'],
    [at + 2, 23, 'bits set behind the prefix'],
    [at + 3, 24, 'a scope in a query'],
  ]
  for (const [offset, value, what] of changes) {
    const bad = Buffer.from(good)
    bad.writeUInt8(value, offset)
    t.equal(dnsReply(send(bad) as Buffer).rcode, 'FORMERR', what)
  }
  t.equal(dnsReply(send(good) as Buffer).rcode, 'NOERROR')
  t.end()
})

test('what exists and what does not (RFC 2308, RFC 8020)', (t) => {
  const { ask } = openZone()
  for (const name of ['_acme-challenge.cdn.example', 'x._tcp.cdn.example', 'x.ns.cdn.example']) {
    const { rcode, packet } = ask({ name })
    t.equal(rcode, 'NXDOMAIN', name)
    t.match(packet.authorities, [{ type: 'SOA', name: 'cdn.example' }])
  }
  for (const type of ['TXT', 'MX', 'HTTPS', 'CNAME', 'UNKNOWN_65']) {
    const { rcode, packet } = ask({
      name: 'show.cdn.example',
      type: type === 'HTTPS' ? 'SVCB' : type,
    })
    if (rcode === 'FORMERR') continue
    t.same([rcode, packet.answers], ['NOERROR', []], type)
    t.match(packet.authorities, [{ type: 'SOA', data: { minimum: dnsLimits.negativeTtlS } }])
  }
  t.equal(ask({ name: 'ns.cdn.example', type: 'TXT' }).rcode, 'NOERROR')
  t.end()
})

test('the zone has an SOA, and a name server with this address', (t) => {
  const { ask } = openZone()
  const [soa] = ask({ name: 'cdn.example', type: 'SOA' }).packet.answers ?? []
  t.match(soa, {
    type: 'SOA',
    data: { mname: 'ns.cdn.example', rname: 'hostmaster.cdn.example', serial: 1_700_000_000 },
  })
  const [ns] = ask({ name: 'cdn.example', type: 'NS' }).packet.answers ?? []
  t.match(ns, { type: 'NS', data: 'ns.cdn.example' })
  t.same(ask({ name: 'ns.cdn.example' }).addresses, ['192.0.2.1'])
  t.same(ask({ name: 'show.cdn.example', type: 'NS' }).packet.answers, [], 'the zone has one cut')
  t.end()
})

test('names of others, other classes and transfers are refused', (t) => {
  const { ask } = openZone()
  for (const question of [
    { name: 'example' },
    { name: 'www.other.example' },
    { name: 'notcdn.example' },
    { name: '.' },
    { name: 'version.bind', type: 'TXT', class: 'CH' },
    { name: 'cdn.example', class: 'CH' },
    { name: 'cdn.example', type: 'AXFR' },
    { name: 'cdn.example', type: 'IXFR' },
  ]) {
    const { rcode, packet } = ask(question)
    t.same([rcode, packet.flag_aa, packet.flag_ra], ['REFUSED', false, false], question.name)
  }
  t.end()
})

test('ANY is answered with as little as can be (RFC 8482)', (t) => {
  const { ask } = openZone()
  const { packet, bytes } = ask({ name: 'cdn.example', type: 'ANY' })
  t.match(packet.answers, [{ type: 'HINFO', data: { cpu: 'RFC8482', os: '' } }])
  t.ok(bytes < 100)
  t.end()
})

test('EDNS is answered in kind, and only where it was spoken (RFC 6891)', (t) => {
  const { ask } = openZone()
  t.equal(ask({ name: 'cdn.example' }).edns, undefined)
  const { edns } = ask({ name: 'cdn.example', udpBytes: 4_096 })
  t.match(edns, { udpPayloadSize: dnsLimits.queryBytesMax, ednsVersion: 0, extendedRcode: 0 })
  const newer = ask({ name: 'cdn.example', ednsVersion: 1 })
  // BADVERS is 16: its upper bits stand in the OPT record.
  t.match(newer, { rcode: 'NOERROR', edns: { ednsVersion: 0, extendedRcode: 1 } })
  t.same(newer.addresses, [])
  t.end()
})

test('messages that are no queries', (t) => {
  const { send } = openZone()
  const query = dnsQuery({ name: 'cdn.example' })
  const changed = (offset: number, value: number) => {
    const message = Buffer.from(query)
    message.writeUInt8(value, offset)
    return send(message)
  }
  t.equal(changed(2, 0x81), undefined, 'an answer is not answered')
  t.equal(send(query.subarray(0, 11)), undefined, 'less than a header')
  t.equal(send(Buffer.alloc(dnsLimits.queryBytesMax + 1)), undefined, 'too much')
  t.equal(dnsReply(changed(2, 0x20) as Buffer).rcode, 'NOTIMP', 'NOTIFY')
  t.equal(dnsReply(changed(2, 0x28) as Buffer).rcode, 'NOTIMP', 'UPDATE')
  for (const [offset, value] of [
    [5, 0],
    [5, 2],
    [7, 1],
    [9, 1],
    [11, 9],
  ] as const) {
    const reply = dnsReply(changed(offset, value) as Buffer)
    t.same([reply.rcode, reply.packet.id], ['FORMERR', 4_711], `a count at ${offset}`)
  }
  t.equal(dnsReply(send(query.subarray(0, 20)) as Buffer).rcode, 'FORMERR', 'cut off')
  const pointer = Buffer.concat([query.subarray(0, 12), Buffer.of(0xc0, 12, 0, 1, 0, 1)])
  t.equal(dnsReply(send(pointer) as Buffer).rcode, 'FORMERR', 'a name that points at itself')
  t.end()
})

test('an answer that does not fit, or is told to, comes empty with TC set', (t) => {
  const { send } = openZone()
  const query = dnsQuery({ name: 'cdn.example' })
  const { packet, addresses, bytes } = dnsReply(send(query, 'cut') as Buffer)
  t.same([packet.flag_tc, addresses], [true, []])
  t.equal(bytes, query.byteLength, 'no larger than what asked for it')
  const request = readRequest(query)
  const answers = Array.from({ length: 60 }, () => ({ type: 'A', address: '192.0.2.1' }) as const)
  const large = {
    rcode: 0,
    isAuthoritative: true,
    answers,
    authorities: [],
    isTailored: true,
  } as const
  const zone = { labels: ['cdn', 'example'], serial: 1 }
  const encoded = (bytesMax: number) =>
    dnsReply(encodeResponse(request as never, large, zone, { bytesMax }))
  t.match(encoded(512), { packet: { flag_tc: true }, addresses: [] })
  t.equal(encoded(65_535).addresses.length, 60)
  t.end()
})

test('no answer is much larger than its question, and none above 512 bytes without EDNS', (t) => {
  const { send, stage, changed } = openZone()
  stage.peers = Array.from({ length: 12 }, (_, index) =>
    knownPeer(`peer${index}`, { rttMs: 1, clientUrls: [`http://[2001:db8::${index + 10}]:80`] }),
  )
  changed()
  const longest = `${Array(3).fill('a'.repeat(60)).join('.')}.${'b'.repeat(50)}.cdn.example`
  for (const name of ['cdn.example', longest, '_x.cdn.example']) {
    for (const type of ['A', 'AAAA', 'SOA', 'NS', 'ANY', 'TXT']) {
      const query = dnsQuery({ name, type })
      const answer = send(query) as Buffer
      t.ok(answer.byteLength <= 512 && answer.byteLength <= query.byteLength * 5, `${name} ${type}`)
    }
  }
  t.end()
})
