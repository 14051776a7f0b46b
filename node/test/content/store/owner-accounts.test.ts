/** Accounts of owners: sums against a slow model, and who gives up what. */
import fc from 'fast-check'
import { test } from 'tap'
import type { ObjectClass } from '../../../src/content/eviction/s3-fifo.ts'
import {
  boundedName,
  boundedOwner,
  type OwnedObject,
  OwnerAccounts,
} from '../../../src/content/store/owner-accounts.ts'
import { storeLimits } from '../../../src/limits/store.ts'

const unbounded = { streamBytesMax: 0, tenantBytesMax: 0 }
const never = (): boolean => false

test('sums are those of the objects that are there, whatever comes and goes', async (t) => {
  const action = fc.record({
    object: fc.integer({ min: 0, max: 9 }),
    tenant: fc.constantFrom('a', 'b'),
    stream: fc.constantFrom(undefined, 'x', 'y'),
    bytes: fc.integer({ min: 1, max: 100 }),
    objectClass: fc.constantFrom<ObjectClass>('loose', 'live', 'kept'),
  })
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const accounts = new OwnerAccounts(unbounded)
      const there = new Map<number, { held: OwnedObject; objectClass: ObjectClass }>()
      for (const { object, tenant, stream, bytes, objectClass } of actions) {
        const known = there.get(object)
        if (known === undefined) {
          const owner = stream === undefined ? { tenant } : { tenant, stream }
          const held = accounts.enter(`${object}`, bytes, owner, objectClass)
          if (held !== undefined) there.set(object, { held, objectClass })
        } else if (known.objectClass === objectClass) {
          accounts.leave(known.held)
          there.delete(object)
        } else {
          accounts.setClass(known.held, objectClass)
          known.objectClass = objectClass
        }
        for (const [kind, name] of [
          ['tenant', 'a'],
          ['tenant', 'b'],
          ['stream', 'x'],
          ['stream', 'y'],
        ] as const) {
          const its = [...there.values()].filter(({ held }) => held.owner[kind] === name)
          const sum = its.reduce((total, { held }) => total + held.bytes, 0)
          t.match(accounts.usageOf(kind, name), { bytes: sum, objects: its.length })
          const victim = accounts.victim(kind, name, never)
          const mayGo = its.filter((one) => one.objectClass !== 'kept')
          const loose = mayGo.some((one) => one.objectClass === 'loose')
          const named = there.get(Number(victim))
          t.equal(victim !== undefined, mayGo.length > 0, 'somebody goes where somebody may')
          if (named !== undefined) t.equal(named.objectClass, loose ? 'loose' : 'live')
        }
      }
      for (const { held } of there.values()) accounts.leave(held)
      t.equal(accounts.size, 0, 'nothing is left behind')
    }),
    { numRuns: 60 },
  )
})

test('what was used lately goes round, and only so often', async (t) => {
  const accounts = new OwnerAccounts(unbounded)
  for (const digest of ['a', 'b', 'c']) accounts.enter(digest, 1, { tenant: 't' }, 'loose')
  const uses = new Map([['a', 2]])
  const spare = (digest: string): boolean => {
    const left = uses.get(digest) ?? 0
    uses.set(digest, left - 1)
    return left > 0
  }
  t.equal(accounts.victim('tenant', 't', spare), 'b')
  t.ok(
    accounts.victim('tenant', 't', () => true),
    'when all are used one goes all the same',
  )
  t.equal(accounts.victim('tenant', 'nobody', spare), undefined)
})

test('a bound of zero is none; a tenant of its own bound has that one', async (t) => {
  const accounts = new OwnerAccounts({ streamBytesMax: 50, tenantBytesMax: 100 })
  const owner = { tenant: 't', stream: 's' }
  t.equal(accounts.over(owner, 50), undefined)
  t.strictSame(accounts.over(owner, 51), { kind: 'stream', name: 's' })
  t.equal(accounts.couldFit(owner, 51), false)
  t.strictSame(accounts.over({ tenant: 't' }, 101), { kind: 'tenant', name: 't' })
  accounts.setTenantMax('t', 0)
  t.equal(accounts.over({ tenant: 't' }, 1e9), undefined)
  accounts.setTenantMax('t', 10)
  t.strictSame(accounts.over(owner, 11), { kind: 'tenant', name: 't' })
  accounts.setTenantMax('t', undefined)
  t.equal(accounts.over(owner, 11), undefined)
  accounts.enter('x', 30, owner, 'loose')
  t.strictSame(accounts.overdrawn(), [])
  accounts.setTenantMax('t', 20)
  t.strictSame(
    accounts.overdrawn().map(({ kind, name }) => `${kind} ${name}`),
    ['tenant t'],
  )
})

test('owners are bounded in number, and their names in length', async (t) => {
  const accounts = new OwnerAccounts(unbounded)
  for (let index = 0; index < storeLimits.ownersMax; index += 1) {
    accounts.enter(`${index}`, 1, { tenant: `${index}` }, 'loose')
  }
  t.equal(accounts.enter('more', 1, { tenant: 'more' }, 'loose'), undefined)
  t.ok(accounts.enter('again', 1, { tenant: '7' }, 'loose'))
  const long = 'ü'.repeat(storeLimits.ownerNameBytesMax)
  t.equal(boundedName('short'), 'short')
  t.match(boundedName(long), /^[0-9a-f]{64}$/)
  t.strictSame(boundedOwner({ tenant: 't', stream: '' }), { tenant: 't' })
  t.strictSame(boundedOwner({ tenant: 't', stream: long }), {
    tenant: 't',
    stream: boundedName(long),
  })
})
