/** What a peer keeps of its region's log, and which entries are too many or too old. */
import type { KeyValue } from '@kairo/tracker'
import { test } from 'tap'
import type { RegionEntry } from '../../src/coordination/region-follower.ts'
import { entryKey, memberKey, RegionLogMirror } from '../../src/coordination/region-log-mirror.ts'
import { regionLogLimits as limits } from '../../src/limits/region-log.ts'
import { ManualClock } from '../support/manual-clock.ts'

const item = (key: string, revision: number, value = 'x'): KeyValue => ({
  ...{ key, value: Buffer.from(value), createRevision: revision, modRevision: revision },
  ...{ token: { term: 1, index: revision }, leaseId: undefined },
})

function made() {
  const clock = new ManualClock()
  const hit: string[] = []
  const onLimit = (limit: string): number => hit.push(limit)
  return { clock, hit, mirror: new RegionLogMirror({ clock, onLimit }, { valueBytesMax: 100 }) }
}

const names = (entries: Iterable<RegionEntry>): string[] => [...entries].map(({ name }) => name)

test('entries stand in the order in which they came, whatever their names', async (t) => {
  const { mirror, clock } = made()
  mirror.replace([item(entryKey('a'), 9), item(entryKey('b'), 3), item('horizon', 2, '1')])
  t.same(names(mirror.entries()), ['b', 'a'])
  t.same(mirror.horizon, { revision: 1, modRevision: 2 })
  t.same(mirror.take({ type: 'put', item: item(entryKey('b'), 3) }), {}, 'twice')
  t.match(mirror.take({ type: 'put', item: item(entryKey('c'), 10) }).entry, { revision: 10 })
  t.match(mirror.take({ type: 'put', item: item(entryKey('b'), 11) }).entry, { name: 'b' })
  t.same(names(mirror.entries()), ['a', 'c', 'b'])
  mirror.take({ type: 'deleted', key: entryKey('a') })
  t.equal(mirror.find('a'), undefined)
  mirror.take({ type: 'deleted', key: 'horizon' })
  t.same(mirror.horizon, { revision: 0, modRevision: undefined })
  clock.advance(50)
  mirror.replace([item(entryKey('c'), 10), item(entryKey('d'), 12)])
  t.same(
    [...mirror.entries()].map(({ seenMs }) => seenMs),
    [0, 50],
    'a list makes none younger',
  )
})

test('what nobody of this version writes counts for nothing', async (t) => {
  const { mirror } = made()
  mirror.replace([item(entryKey('long'), 1, 'x'.repeat(101)), item('horizon', 2, '-1')])
  t.equal(mirror.find('long')?.value.byteLength, 0)
  t.equal(mirror.horizon.revision, 0)
  mirror.replace([item(memberKey('a'), 3, '17'), item(memberKey('b'), 4, 'far')])
  t.same(
    [...mirror.members],
    [
      ['a', 17],
      ['b', 0],
    ],
  )
})

test('too many, too large, too old: a row from the oldest on', async (t) => {
  const { mirror, hit } = made()
  const never = (): boolean => false
  const many = Array.from({ length: limits.entriesMax }, (_, index) => {
    return item(entryKey(`${index}`), index + 1)
  })
  mirror.replace(many)
  t.same(mirror.surplus(never), [])
  mirror.take({ type: 'put', item: item(entryKey('last'), many.length + 1) })
  const surplus = names(mirror.surplus(never))
  t.equal(mirror.size - surplus.length, limits.entriesMax * limits.keepShare)
  t.same(surplus.slice(0, 2), ['0', '1'])
  t.same(hit, ['entriesMax'])
  mirror.replace(many.slice(0, 5))
  const old = new Set(['0', '1', '3'])
  t.same(names(mirror.surplus(({ name }) => old.has(name))), ['0', '1'], 'no holes')
})
