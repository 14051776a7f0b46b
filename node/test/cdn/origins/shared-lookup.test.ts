/** One look-up for many connections. */
import type { LookupAddress, lookup } from 'node:dns'
import { test } from 'tap'
import { sharedLookup } from '../../../src/cdn/origins/shared-lookup.ts'
import { httpOriginLimits as limits } from '../../../src/limits/cdn-origins.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'

type Answer = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void

test('look-ups', async (t) => {
  const clock = new ManualClock()
  const asked: { name: string; answer: Answer }[] = []
  const resolve = ((name: string, _options: object, answer: Answer) => {
    asked.push({ name, answer })
  }) as unknown as typeof lookup
  const look = sharedLookup({ clock }, resolve)
  const both: LookupAddress[] = [
    { address: '::1', family: 6 },
    { address: '127.0.0.1', family: 4 },
  ]
  const find = (name: string, options: object) =>
    new Promise((done) => look(name, options, (error, ...rest) => done(error?.code ?? rest)))

  await t.test('a thousand at once ask once', async (t) => {
    const all = Array.from({ length: 1_000 }, () => find('a.example', { all: true }))
    t.equal(asked.length, 1)
    asked[0]?.answer(null, both)
    t.strictSame(await Promise.all(all), Array(1_000).fill([both]))
  })

  await t.test('a second later nobody asks, after a while again', async (t) => {
    clock.advance(limits.lookupMs - 1)
    t.strictSame(await find('a.example', {}), ['::1', 6])
    t.strictSame(await find('a.example', { family: 4 }), ['127.0.0.1', 4])
    t.strictSame(await find('a.example', { family: 'IPv4', all: true }), [[both[1]]])
    t.equal(asked.length, 1)
    clock.advance(1)
    const later = find('a.example', { family: 6 })
    t.equal(asked.length, 2)
    asked[1]?.answer(null, [{ address: '127.0.0.1', family: 4 }])
    t.equal(await later, 'ENOTFOUND', 'an address of another family is none')
  })

  await t.test('a failure is told to all who wait, and to nobody else', async (t) => {
    const all = [find('b.example', {}), find('b.example', {})]
    asked[2]?.answer(Object.assign(new Error(), { code: 'EAI_AGAIN' }), [])
    t.strictSame(await Promise.all(all), ['EAI_AGAIN', 'EAI_AGAIN'])
    await settle()
    const next = find('b.example', {})
    t.equal(asked.length, 4)
    asked[3]?.answer(null, both)
    t.strictSame(await next, ['::1', 6])
  })
})
