/** Keys: compare-and-set, transactions, lists. */
import type { Keyspace, Operation } from '../../src/coordination.ts'
import type { ComplianceTest } from './coordination.ts'
import { bytes, listAll, put, remove, textOf } from './helpers.ts'

const CLIENTS = 3
const INCREMENTS = 15
const CONCURRENT_PUTS = 300

/** Adds one to a counter, however often others come first. */
async function increment(keyspace: Keyspace, key: string): Promise<number> {
  for (let tries = 1; ; tries++) {
    const item = await keyspace.get(key)
    const next = String(Number(textOf(item) ?? '0') + 1)
    const when = item ? { key, modRevision: item.modRevision } : { key, exists: false }
    const { succeeded } = await keyspace.transact({
      when: [when],
      then: [{ type: 'put', key, value: bytes(next) }],
    })
    if (succeeded) return tries
  }
}

export const keyTests: readonly ComplianceTest[] = [
  {
    name: 'a key is read as it was put last',
    run: async (t, { connect, name }) => {
      const [one, two] = [connect().keyspace(name), connect().keyspace(name)]
      t.equal(await one.get('a'), undefined, 'nothing is there at first')
      const first = await put(one, 'a', '1')
      const made = await two.get('a')
      t.equal(textOf(made), '1', 'another client reads it at once')
      t.equal(made?.createRevision, first.revision)
      t.equal(made?.modRevision, first.revision)
      t.same(made?.token, first.token, 'the key carries the token of the change that made it')
      t.equal(made?.leaseId, undefined)
      const second = await put(two, 'a', '2')
      t.ok(second.revision > first.revision, 'the revision grows')
      const changed = await one.get('a')
      t.equal(textOf(changed), '2')
      t.equal(changed?.createRevision, first.revision, 'it came to be with the first put')
      t.equal(changed?.modRevision, second.revision)
      t.same(changed?.token, first.token, 'its token stays')
      await remove(one, 'a')
      t.equal(await two.get('a'), undefined)
      const again = await put(one, 'a', '3')
      const reborn = await two.get('a')
      t.equal(reborn?.createRevision, again.revision, 'put again, it is a new key')
      t.same(reborn?.token, again.token)
    },
  },
  {
    name: 'compare-and-set loses no increment under contention',
    run: async (t, { connect, name }) => {
      const spaces = Array.from({ length: CLIENTS }, () => connect().keyspace(name))
      const tries = await Promise.all(
        spaces.map(async (keyspace) => {
          let sum = 0
          for (let i = 0; i < INCREMENTS; i++) sum += await increment(keyspace, 'count')
          return sum
        }),
      )
      const item = await spaces[0]?.get('count')
      t.equal(textOf(item), String(CLIENTS * INCREMENTS), `${tries} tries`)
    },
  },
  {
    name: 'every comparison holds when it should and only then',
    run: async (t, { connect, name }) => {
      const keyspace = connect().keyspace(name)
      const lease = await keyspace.grantLease(60_000)
      await put(keyspace, 'a', 'old')
      await put(keyspace, 'a', 'x', lease)
      const { modRevision = 0, createRevision = 0 } = (await keyspace.get('a')) ?? {}
      const holds = async (when: Parameters<Keyspace['transact']>[0]['when']) =>
        (await keyspace.transact({ when: when ?? [], then: [] })).succeeded
      const key = 'a'
      t.equal(await holds([]), true, 'no condition')
      t.equal(await holds([{ key, exists: true }]), true)
      t.equal(await holds([{ key, exists: false }]), false)
      t.equal(await holds([{ key, modRevision }]), true)
      t.equal(await holds([{ key, modRevision: createRevision }]), false)
      t.equal(await holds([{ key, createRevision }]), true)
      t.equal(await holds([{ key, createRevision: modRevision }]), false)
      t.equal(await holds([{ key, value: bytes('x') }]), true)
      t.equal(await holds([{ key, value: bytes('xx') }]), false)
      t.equal(await holds([{ key, leaseId: lease }]), true)
      t.equal(await holds([{ key, leaseId: '424242' }]), false)
      const missing = 'none'
      t.equal(await holds([{ key: missing, exists: false }]), true)
      t.equal(await holds([{ key: missing, exists: true }]), false)
      t.equal(await holds([{ key: missing, value: bytes('') }]), false, 'no key has no value')
      t.equal(await holds([{ key: missing, leaseId: lease }]), false)
      t.equal(await holds([{ key: missing, modRevision }]), false)
      t.equal(
        await holds([
          { key, exists: true },
          { key, exists: false },
        ]),
        false,
        'all of them must hold',
      )
    },
  },
  {
    name: 'a transaction does all of one branch and nothing of the other',
    run: async (t, { connect, name }) => {
      const keyspace = connect().keyspace(name)
      const operation = (key: string): Operation => ({ type: 'put', key, value: bytes(key) })
      const transaction = {
        when: [{ key: 'lock', exists: false }],
        then: [operation('lock'), operation('yes')],
        otherwise: [{ type: 'get' as const, key: 'lock' }, operation('no')],
      }
      const first = await keyspace.transact(transaction)
      t.equal(first.succeeded, true)
      t.equal(await keyspace.get('no'), undefined)
      const [lock, yes] = [await keyspace.get('lock'), await keyspace.get('yes')]
      t.equal(lock?.modRevision, yes?.modRevision, 'one revision for all of it')
      const second = await keyspace.transact(transaction)
      t.equal(second.succeeded, false)
      const [got, item] = second.results
      t.equal(got?.type === 'got' && textOf(got.item), 'lock', 'who holds it is told')
      t.equal(item?.type === 'put' && item.item.key, 'no')
    },
  },
  {
    name: 'operations are done in order and tell what they did',
    run: async (t, { connect, name }) => {
      const keyspace = connect().keyspace(name)
      const lease = await keyspace.grantLease(60_000)
      for (const key of ['p/1', 'p/2', 'p/3', 'q', 'gone']) await put(keyspace, key, key)
      const before = await keyspace.get('q')
      const { results, revision, token } = await keyspace.transact({
        then: [
          { type: 'get', key: 'q' },
          { type: 'put', key: 'q', value: bytes('new'), leaseId: lease },
          { type: 'get', key: 'q' },
          { type: 'delete', key: 'gone' },
          { type: 'delete', key: 'never' },
          { type: 'delete-prefix', prefix: 'p/' },
          { type: 'get', key: 'gone' },
          { type: 'put', key: 'fresh', value: bytes('') },
        ],
      })
      t.same(
        results.map((result) => {
          if (result.type === 'deleted') return result.count
          const { item } = result
          return item && [textOf(item), item.createRevision, item.modRevision, item.leaseId]
        }),
        [
          ['q', before?.createRevision, before?.modRevision, undefined],
          ['new', before?.createRevision, revision, lease],
          ['new', before?.createRevision, revision, lease],
          1,
          0,
          3,
          undefined,
          ['', revision, revision, undefined],
        ],
      )
      const fresh = results.at(-1)
      t.same(fresh?.type === 'put' && fresh.item.token, token, 'a new key has this token')
      const { items } = await keyspace.list('')
      t.same(
        items.map(({ key }) => key),
        ['fresh', 'q'],
      )
    },
  },
  {
    name: 'concurrent transactions of one client have revisions and tokens of their own',
    run: async (t, { connect, name }) => {
      const keyspace = connect().keyspace(name)
      const keys = Array.from({ length: CONCURRENT_PUTS }, (_, index) => `k${index % 7}/${index}`)
      const done = await Promise.all(keys.map((key) => put(keyspace, key, key)))
      t.equal(new Set(done.map(({ revision }) => revision)).size, keys.length)
      const sorted = [...done].sort((a, b) => a.revision - b.revision)
      const inOrder = sorted.every(({ token }, index) => {
        const before = sorted[index - 1]?.token
        if (before === undefined) return true
        return (
          token.term > before.term || (token.term === before.term && token.index > before.index)
        )
      })
      t.ok(inOrder, 'tokens grow as revisions do')
      const { items, pages } = await listAll(keyspace, '', 64)
      t.equal(items.length, keys.length)
      t.equal(pages, Math.ceil(keys.length / 64))
    },
  },
  {
    name: 'lists are in the order of UTF-8 bytes, page by page',
    run: async (t, { connect, name }) => {
      const keyspace = connect().keyspace(name)
      // In UTF-16 the emoji comes before U+FFFD, in UTF-8 behind it.
      const keys = ['a', 'a/', 'a/1', 'a/10', 'a/2', 'a0', 'b', 'ä', '\u{fffd}', '\u{1f600}', '\0x']
      for (const key of [...keys].reverse()) await put(keyspace, key, key)
      const order = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      const all = await keyspace.list('')
      t.same(
        all.items.map(({ key }) => key),
        order,
      )
      t.equal(all.more, false)
      t.ok(all.revision >= Math.max(...all.items.map(({ modRevision }) => modRevision)))
      for (const limit of [1, 2, 5, order.length]) {
        const { items } = await listAll(keyspace, '', limit)
        t.same(
          items.map(({ key }) => key),
          order,
          `pages of ${limit}`,
        )
      }
      const under = await keyspace.list('a/')
      t.same(
        under.items.map(({ key }) => key),
        ['a/', 'a/1', 'a/10', 'a/2'],
      )
      const behind = await keyspace.list('a/', { after: 'a/1', limit: 1 })
      t.same([behind.items.map(({ key }) => key), behind.more], [['a/10'], true])
      const fromBefore = await keyspace.list('a/', { after: 'a', limit: 1 })
      t.equal(fromBefore.items[0]?.key, 'a/', 'from before the prefix')
      const fromBehind = await keyspace.list('a/', { after: 'zz' })
      t.same([fromBehind.items, fromBehind.more], [[], false], 'from behind the prefix')
    },
  },
  {
    name: 'values that are large together come in several lists',
    run: async (t, { connect, name }) => {
      const keyspace = connect().keyspace(name)
      const value = 'x'.repeat(256 * 1024)
      const keys = Array.from({ length: 36 }, (_, index) => String(index).padStart(3, '0'))
      for (const key of keys) await put(keyspace, key, value)
      const { items } = await listAll(keyspace, '', 1_000)
      t.same(
        items.map(({ key }) => key),
        keys,
      )
      t.ok(items.every((item) => item.value.length === value.length))
    },
  },
  {
    name: 'keyspaces are apart, whatever they are called',
    run: async (t, { connect, name }) => {
      const coordination = connect()
      const names = [name, `${name}/`, `${name}/a`, `${name}%2Fa`, `${name}/a/`, `${name} ä`]
      for (const each of names) await put(coordination.keyspace(each), 'a/b', each)
      for (const each of names) {
        const { items } = await coordination.keyspace(each).list('')
        t.same(
          items.map((item) => [item.key, textOf(item)]),
          [['a/b', each]],
          each,
        )
      }
      await coordination.keyspace(name).transact({ then: [{ type: 'delete-prefix', prefix: '' }] })
      t.equal(textOf(await coordination.keyspace(`${name}/`).get('a/b')), `${name}/`)
    },
  },
]
