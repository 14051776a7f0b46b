/** Who a client is, and how clients are counted. */
import fc from 'fast-check'
import { test } from 'tap'
import { clientKeys, forwardedAddress } from '../../../src/http/shelter/client-network.ts'
import { ClientTable } from '../../../src/http/shelter/client-table.ts'
import { TrustedProxies } from '../../../src/http/shelter/trusted-proxies.ts'
import { clientLimits as limits } from '../../../src/limits/shelter.ts'

test('keys: an IPv4 address and its /24, a /64 and its /48', async (t) => {
  t.strictSame(clientKeys('192.0.2.7'), { address: '192.0.2.7', subnet: '192.0.2' })
  t.strictSame(clientKeys('::ffff:192.0.2.7'), { address: '192.0.2.7', subnet: '192.0.2' })
  t.strictSame(clientKeys('2001:db8:1:2:3:4:5:6'), {
    address: '2001:db8:1:2',
    subnet: '2001:db8:1',
  })
  t.strictSame(clientKeys('2001:db8::1'), { address: '2001:db8:0:0', subnet: '2001:db8:0' })
  t.strictSame(clientKeys(''), { address: '', subnet: '' })
})

test('addresses in forwarding fields', async (t) => {
  for (const [text, address] of [
    ['192.0.2.7', '192.0.2.7'],
    [' 192.0.2.7:1234 ', '192.0.2.7'],
    ['"[2001:db8::1]:80"', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['"192.0.2.7"', '192.0.2.7'],
    ['unknown', undefined],
    ['_hidden', undefined],
    ['192.0.2.7.9', undefined],
    ['192.0.2.999', undefined],
    ['[192.0.2.7]', undefined],
    ['192.0.2.7:123456', undefined],
    ['', undefined],
  ] as const) {
    t.equal(forwardedAddress(text), address, text)
  }
})

test('the client behind proxies', async (t) => {
  const proxies = new TrustedProxies(['127.0.0.0/8', '10.1.2.3', '2001:db8:5::/48'])
  const clientOf = (remote: string, chain?: string, forwarded?: string): string =>
    proxies.clientOf(remote, { 'x-forwarded-for': chain, forwarded })

  await t.test('networks', async (t) => {
    t.ok(proxies.trusts('127.9.9.9'))
    t.ok(proxies.trusts('::ffff:127.0.0.1'))
    t.ok(proxies.trusts('10.1.2.3'))
    t.notOk(proxies.trusts('10.1.2.4'))
    t.ok(proxies.trusts('2001:db8:5:ffff::1'))
    t.notOk(proxies.trusts('2001:db8:6::1'))
    t.notOk(proxies.trusts(''))
    for (const wrong of [
      '',
      'localhost',
      '10.0.0.0/33',
      '::/129',
      '10.0.0.0/',
      '1.2.3.4/x',
      '10/8',
    ]) {
      t.throws(() => new TrustedProxies([wrong]), { code: 'ERR_CONFIG' }, wrong)
    }
  })

  await t.test('the first from the right that is no proxy', async (t) => {
    t.equal(clientOf('127.0.0.1'), '127.0.0.1')
    t.equal(clientOf('127.0.0.1', '192.0.2.7'), '192.0.2.7')
    t.equal(clientOf('127.0.0.1', '1.1.1.1, 192.0.2.7'), '192.0.2.7', 'what it says of itself')
    t.equal(clientOf('127.0.0.1', '192.0.2.7, 10.1.2.3'), '192.0.2.7')
    t.equal(clientOf('127.0.0.1', '192.0.2.7, unknown'), '127.0.0.1')
    t.equal(clientOf('127.0.0.1', '127.0.0.2, 127.0.0.3'), '127.0.0.2')
    t.equal(clientOf('192.0.2.9', '192.0.2.7'), '192.0.2.9', 'a stranger’s word is none')
  })

  await t.test('Forwarded (RFC 7239), where there is no X-Forwarded-For', async (t) => {
    t.equal(clientOf('127.0.0.1', undefined, 'for=192.0.2.7;proto=http'), '192.0.2.7')
    t.equal(
      clientOf('127.0.0.1', undefined, 'for=1.1.1.1, proto=https; FOR="[2001:db8::9]:4"'),
      '2001:db8::9',
    )
    t.equal(clientOf('127.0.0.1', undefined, 'by=10.1.2.3'), '127.0.0.1')
    t.equal(clientOf('127.0.0.1', '192.0.2.7', 'for=1.1.1.1'), '192.0.2.7')
  })

  await t.test('any field gives an address that somebody trusted has written', async () => {
    const hop = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom('127.0.0.1', '10.1.2.3'),
      fc.string(),
    )
    fc.assert(
      fc.property(fc.array(hop, { maxLength: 40 }), (hops) => {
        const client = clientOf('127.0.0.1', hops.join(','))
        const written = hops
          .join(',')
          .split(',')
          .map((one) => forwardedAddress(one))
        return client === '127.0.0.1' || written.slice(-limits.hopsMax).includes(client)
      }),
    )
  })
})

test('tokens', async (t) => {
  const table = new ClientTable({ requestsPerSecond: 10, connectionsMax: 2, onEvicted: () => {} })
  const record = table.find('a', 0)
  const takeAll = (nowMs: number): number => {
    let taken = 0
    while (table.take(record, nowMs)) taken += 1
    return taken
  }
  t.equal(takeAll(0), 10 * limits.burstS, 'a burst')
  t.equal(takeAll(99), 0)
  t.equal(takeAll(100), 1)
  t.equal(takeAll(1_100), 10, 'then the rate')
  t.equal(takeAll(1_000_000), 10 * limits.burstS, 'never more than a burst')
  const none = new ClientTable({
    requestsPerSecond: Number.POSITIVE_INFINITY,
    connectionsMax: Number.POSITIVE_INFINITY,
    onEvicted: () => {},
  })
  const free = none.find('a', 0)
  t.ok(none.take(free, 0) && none.take(free, 0) && !none.isCrowded(free))

  await t.test('in the long run never more than the rate', async () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3_000), { maxLength: 200 }), (steps) => {
        const one = new ClientTable({
          requestsPerSecond: 7,
          connectionsMax: 1,
          onEvicted: () => {},
        })
        const client = one.find('a', 0)
        let nowMs = 0
        let taken = 0
        for (const step of steps) {
          nowMs += step
          while (one.take(client, nowMs)) taken += 1
        }
        return taken <= 7 * limits.burstS + (7 * nowMs) / 1_000
      }),
    )
  })
})

test('the table is bounded: who was seen longest ago goes, those without a connection first', async (t) => {
  let evicted = 0
  const table = new ClientTable({
    requestsPerSecond: 10,
    connectionsMax: 2,
    onEvicted: () => {
      evicted += 1
    },
  })
  const first = table.find('first', 0)
  first.connections = 1
  first.tokens = 3
  const second = table.find('second', 0)
  second.tokens = 3
  for (let index = 2; index < limits.addressesMax; index += 1) table.find(`x${index}`, 0)
  t.equal(table.size, limits.addressesMax)
  table.find('one more', 0)
  t.strictSame([table.size, evicted], [limits.addressesMax, 1])
  t.equal(table.find('first', 0), first, 'it has a connection')
  t.equal(table.find('second', 0).tokens, 10 * limits.burstS, 'it had none, and is new now')
  t.equal(evicted, 2)

  for (let index = 0; index < limits.addressesMax; index += 1) {
    table.find(`busy${index}`, 0).connections = 1
  }
  t.equal(table.size, limits.addressesMax, 'where all have one, the oldest goes')
})
