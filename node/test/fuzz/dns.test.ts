/** DNS messages of any kind: always an answer of a bounded size or none, never an exception. */
import { decode } from 'dns-packet'
import fc from 'fast-check'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { DnsResponder } from '../../src/dns/dns-responder.ts'
import { silentLogger } from '../../src/logger.ts'
import { dnsQuery } from '../support/dns-client.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { mutate, mutations } from '../support/mutate.ts'
import { nearestStage } from '../support/nearest-stage.ts'

const { nearest } = nearestStage()
const responder = new DnsResponder(
  {
    ...{ clock: new ManualClock(), logger: silentLogger, registry: new Registry(), nearest },
    ownUrls: () => [],
  },
  { zone: 'cdn.example' },
)

function check(message: Buffer): boolean {
  const arrival = { transport: 'udp', address: '192.0.2.1', verdict: 'send' } as const
  const answer = responder.respond(message, arrival)
  if (answer === undefined) return true
  // What is sent can be read, is an answer, and belongs to what was asked.
  const packet = decode(answer)
  return packet.flag_qr && packet.id === message.readUInt16BE(0) && answer.byteLength <= 1_232
}

const seeds = [
  dnsQuery({ name: 'show.cdn.example' }),
  dnsQuery({ name: 'cdn.example', type: 'AAAA', subnet: '203.0.113.0/24' }),
  dnsQuery({ name: 'a.b.cdn.example', type: 'ANY', udpBytes: 4_096 }),
  dnsQuery({ name: 'cdn.example', type: 'SOA', subnet: '2001:db8::/32' }),
]

test('changed queries', (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...seeds), mutations(), (seed, changes) =>
      check(mutate(seed, changes)),
    ),
    { numRuns: fuzzRuns(5_000) },
  )
  t.end()
})

test('noise', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1_400 }), (bytes) => check(Buffer.from(bytes))),
    { numRuns: fuzzRuns(2_000) },
  )
  t.end()
})
