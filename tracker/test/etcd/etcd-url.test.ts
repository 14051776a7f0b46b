/** URLs, names and errors of etcd, without one. */
import { ClientClosedError } from 'etcd3'
import { test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { EtcdCalls } from '../../src/etcd/etcd-calls.ts'
import { EtcdCoordination } from '../../src/etcd/etcd-coordination.ts'
import { etcdLimits } from '../../src/etcd/etcd-limits.ts'
import { leaseToEtcd } from '../../src/etcd/etcd-transaction.ts'
import { parseEtcdUrl } from '../../src/etcd/etcd-url.ts'
import { KeyNames } from '../../src/etcd/key-names.ts'
import { codeOf } from '../support/driver-group.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

test('URLs as operators write them', async (t) => {
  t.same(parseEtcdUrl('etcd://10.0.0.1:2379'), { hosts: ['http://10.0.0.1:2379'], auth: undefined })
  t.same(parseEtcdUrl('etcds://a.example,b.example:99,[::1]:7/'), {
    hosts: ['https://a.example:2379', 'https://b.example:99', 'https://[::1]:7'],
    auth: undefined,
  })
  t.same(parseEtcdUrl('etcd://me:p%40ss%3A@h'), {
    hosts: ['http://h:2379'],
    auth: { username: 'me', password: 'p@ss:' },
  })
  const secret = 'hunter2'
  for (const bad of [
    '',
    'http://h:1',
    'etcd://',
    'etcd://h:0',
    'etcd://h:65536',
    'etcd://h:1/path',
    'etcd://h:1?x=y',
    'etcd://a,,b',
    `etcd://:${secret}@h`,
    `etcd://me:${secret}%@h`,
    `etcd://me@h`,
    `etcd://${Array.from({ length: 17 }, (_, i) => `h${i}`).join(',')}`,
    'etcd://h h',
  ]) {
    try {
      parseEtcdUrl(bad)
      t.fail(`${bad} was read`)
    } catch (error) {
      t.match(error, { code: 'ERR_INVALID_INPUT' }, bad)
      t.notOk(String(error).includes(secret), 'the password is told to nobody')
    }
  }
  const components = { clock: systemClock }
  const make = () => new EtcdCoordination(components, { url: 'etcd://h', region: '' })
  t.throws(make, { code: 'ERR_INVALID_INPUT' })
})

test('keys lie where no other region and no other keyspace has any', async (t) => {
  const names = new KeyNames('eu/1', 'streams')
  t.equal(names.toEtcd('a/b').toString(), '/kairo/eu%2F1/streams/a/b')
  t.equal(names.fromEtcd(names.toEtcd('ä\0')), 'ä\0')
  t.equal(names.after('a').compare(names.toEtcd('a')), 1)
  t.equal(names.after('a').compare(names.toEtcd('a\0')), 0)
  const within = ['', 'a', 'a/b', '\u{10ffff}']
  for (const key of within) t.ok(names.toEtcd(key).compare(names.endOf('')) < 0, key)
  t.ok(new KeyNames('eu/1', 'streams2').toEtcd('').compare(names.endOf('')) > 0)
  t.ok(names.toEtcd('b').compare(names.endOf('a')) >= 0)
  const noText = Buffer.concat([names.toEtcd(''), Buffer.of(0xff)])
  t.equal(names.fromEtcd(noText), undefined, 'what another program wrote')
  const before = names.toEtcd('x')
  names.endOf('x')
  t.ok(before.equals(names.toEtcd('x')))
})

test('leases that etcd cannot have given are not there', async (t) => {
  t.equal(leaseToEtcd('7587862094967'), '7587862094967')
  t.equal(leaseToEtcd('9223372036854775807'), '9223372036854775807')
  for (const bad of ['', '0', '-5', '9223372036854775808', 'abc', '1'.repeat(30)])
    t.equal(leaseToEtcd(bad), '-1', bad)
})

/** What a call ends with whose every attempt fails like this, and how often it was tried. */
async function outcome(
  kind: 'again' | 'once',
  error: unknown,
): Promise<{ code: string; tries: number }> {
  const clock = new VirtualClock()
  const calls = new EtcdCalls({ clock: clock.view() })
  let tries = 0
  const call = calls.run(kind, { timeoutMs: 200 }, async () => {
    tries += 1
    throw error
  })
  const code = await codeOf(clock.result(call))
  return { code, tries }
}

test('what etcd says is told as what it means, and asked again where that does no harm', async (t) => {
  const cases: readonly [string, string, string][] = [
    ['14 UNAVAILABLE: No connection established', 'ERR_UNAVAILABLE', 'ERR_UNAVAILABLE'],
    ['14 UNAVAILABLE: etcdserver: no leader', 'ERR_UNAVAILABLE', 'ERR_UNAVAILABLE'],
    ['2 UNKNOWN: raft proposal dropped', 'ERR_UNAVAILABLE', 'ERR_UNAVAILABLE'],
    ['14 UNAVAILABLE: Connection dropped', 'ERR_UNAVAILABLE', 'ERR_UNKNOWN_OUTCOME'],
    ['14 UNAVAILABLE: etcdserver: leader changed', 'ERR_UNAVAILABLE', 'ERR_UNKNOWN_OUTCOME'],
    ['4 DEADLINE_EXCEEDED: Deadline exceeded', 'ERR_UNAVAILABLE', 'ERR_UNKNOWN_OUTCOME'],
    ['1 CANCELLED: Call cancelled', 'ERR_UNAVAILABLE', 'ERR_UNKNOWN_OUTCOME'],
    ['8 RESOURCE_EXHAUSTED: etcdserver: too many requests', 'ERR_OVERLOADED', 'ERR_OVERLOADED'],
    [
      '8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded',
      'ERR_STORAGE',
      'ERR_STORAGE',
    ],
    [
      '5 NOT_FOUND: etcdserver: requested lease not found',
      'ERR_LEASE_NOT_FOUND',
      'ERR_LEASE_NOT_FOUND',
    ],
    [
      '11 OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted',
      'ERR_COMPACTED',
      '',
    ],
    ['7 PERMISSION_DENIED: etcdserver: permission denied', 'ERR_NOT_A_MEMBER', 'ERR_NOT_A_MEMBER'],
    ['3 INVALID_ARGUMENT: etcdserver: key is not provided', 'ERR_INVALID_INPUT', ''],
    ['16 UNAUTHENTICATED: etcdserver: invalid auth token', 'ERR_UNAVAILABLE', 'ERR_UNAVAILABLE'],
  ]
  for (const [text, again, once] of cases) {
    const first = await outcome('again', new Error(text))
    t.equal(first.code, again, text)
    const isRetried = again === 'ERR_UNAVAILABLE'
    t.ok(isRetried ? first.tries > 1 : first.tries === 1, `${first.tries} tries`)
    if (once === '') continue
    const second = await outcome('once', new Error(text))
    t.equal(second.code, once, text)
    t.equal(second.tries > 1, once === 'ERR_UNAVAILABLE', `${second.tries} tries`)
  }
  t.equal((await outcome('once', new ClientClosedError('KV'))).code, 'ERR_UNAVAILABLE')
  const bug = new TypeError('a mistake of the program')
  t.same(await outcome('again', bug), { code: String(bug), tries: 1 }, 'is not hidden')
})

test('too many calls are refused, and stopping ends all', async (t) => {
  const clock = new VirtualClock()
  const calls = new EtcdCalls({ clock: clock.view() })
  const never = () => new Promise<never>(() => undefined)
  const waiting = Array.from({ length: etcdLimits.callsMax }, () =>
    codeOf(calls.run('again', {}, never)),
  )
  t.equal(await codeOf(calls.run('again', {}, never)), 'ERR_OVERLOADED')
  t.equal(calls.counters.refused, 1)
  calls.stop()
  t.same(new Set(await Promise.all(waiting)), new Set(['ERR_STOPPED']))
  t.equal(await codeOf(calls.run('again', {}, never)), 'ERR_STOPPED')
  await t.rejects(calls.pause(1, undefined), { code: 'ERR_STOPPED' })
})
