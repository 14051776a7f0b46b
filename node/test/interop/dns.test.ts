/** The DNS server asked by BIND's dig: UDP, TCP, client subnets, EDNS, and the codes of refusals. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { DnsServer } from '../../src/dns/dns-server.ts'
import { silentLogger } from '../../src/logger.ts'
import { knownPeer } from '../support/adverts.ts'
import { nearestStage } from '../support/nearest-stage.ts'
import { needs } from '../support/needs.ts'

const run = promisify(execFile)
const berlin = { latitude: 52.52, longitude: 13.4 }
const sydney = { latitude: -33.87, longitude: 151.21 }

async function startServer(t: Test) {
  const { nearest, stage, changed } = nearestStage()
  stage.self = { ...stage.self, state: 'draining' }
  stage.peers = [
    knownPeer('berlin', {
      ...berlin,
      clientUrls: ['http://192.0.2.2:80', 'http://[2001:db8::2]:80'],
    }),
    knownPeer('sydney', { ...sydney, clientUrls: ['http://192.0.2.3:80'] }),
  ]
  stage.places.set('203.0.113.0', sydney)
  stage.places.set('127.0.0.1', berlin)
  const registry = new Registry()
  const server = new DnsServer(
    {
      ...{ clock: systemClock, logger: silentLogger, registry, nearest },
      ownUrls: () => ['http://192.0.2.1:80'],
    },
    { host: '127.0.0.1', port: 0, zone: 'cdn.example' },
  )
  await server.start()
  t.teardown(() => server.stop())
  const dig = async (...options: string[]) => {
    const { port } = server.address()
    const { stdout } = await run('dig', ['@127.0.0.1', '-p', String(port), '+tries=1', ...options])
    return stdout
  }
  return { dig, stage, changed }
}

test('dig asks the zone', { skip: needs('dig') }, async (t) => {
  const { dig, stage, changed } = await startServer(t)
  t.equal(await dig('+short', 'show.cdn.example'), '192.0.2.2\n')
  t.equal(await dig('+short', '+tcp', 'cdn.example'), '192.0.2.2\n')
  t.equal(await dig('+short', 'cdn.example', 'AAAA'), '2001:db8::2\n')
  t.equal(await dig('+short', '+noedns', 'cdn.example'), '192.0.2.2\n')
  const placed = await dig('+subnet=203.0.113.0/24', 'show.cdn.example')
  t.match(placed, /CLIENT-SUBNET: 203\.0\.113\.0\/24\/24/)
  t.match(placed, /show\.cdn\.example\.\s+10\s+IN\s+A\s+192\.0\.2\.3\n/)
  t.match(placed, /flags: qr aa rd; QUERY: 1, ANSWER: 1/)
  t.match(await dig('+subnet=0', 'cdn.example'), /CLIENT-SUBNET: 0\/0\/0|0\.0\.0\.0\/0\/0/)
  t.match(
    await dig('+subnet=2001:db8:5::/56', 'cdn.example'),
    /CLIENT-SUBNET: 2001:db8:5::\/56\/56/,
  )
  stage.peers = stage.peers.slice(1)
  changed()
  t.equal(
    await dig('+short', 'show.cdn.example'),
    '192.0.2.3\n',
    'a peer that is gone is not named',
  )
})

test('dig understands what is refused and what is not there', { skip: needs('dig') }, async (t) => {
  const { dig } = await startServer(t)
  t.match(await dig('www.example'), /status: REFUSED/)
  const missing = await dig('_x.cdn.example')
  t.match(missing, /status: NXDOMAIN/)
  t.match(missing, /cdn\.example\.\s+10\s+IN\s+SOA\s+ns\.cdn\.example\. hostmaster\.cdn\.example\./)
  t.match(await dig('cdn.example', 'TXT'), /status: NOERROR.*\n.*ANSWER: 0, AUTHORITY: 1/)
  t.match(await dig('cdn.example', 'HTTPS'), /status: NOERROR.*\n.*ANSWER: 0, AUTHORITY: 1/)
  t.match(await dig('+edns=1', '+noednsneg', 'cdn.example'), /status: BADVERS/)
  t.match(await dig('+opcode=notify', 'cdn.example'), /status: NOTIMP/)
  t.match(await dig('cdn.example', 'ANY'), /HINFO\s+"RFC8482" ""/)
  t.match(await dig('+short', 'cdn.example', 'NS'), /^ns\.cdn\.example\.\n$/)
  t.equal(await dig('+short', 'ns.cdn.example'), '192.0.2.1\n')
  t.match(await dig('+dnssec', 'cdn.example'), /flags: do; udp: 1232/)
  t.match(await dig('cdn.example', 'AXFR'), /Transfer failed|REFUSED/)
})
