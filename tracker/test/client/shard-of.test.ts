/** Which group a keyspace lies in: part of the protocol, so these never change. */
import { test } from 'tap'
import { groupOf, shardCount, shardOf } from '../../src/region/shard-of.ts'

test('names lie where every peer, now and later, looks for them', async (t) => {
  t.equal(groupOf('region'), 0)
  const names = ['stream/a', 'stream/b', 'jobs', 'ä', '']
  t.same(names.map(shardOf), [6, 4, 7, 13, 14])
})

test('shards have an equal part of the names', async (t) => {
  const counts = new Array<number>(shardCount + 1).fill(0)
  const total = 16_000
  for (let i = 0; i < total; i++) {
    const shard = shardOf(`stream/${i}`)
    counts[shard] = (counts[shard] ?? 0) + 1
  }
  t.equal(counts[0], 0, 'group 0 is the region itself')
  for (const count of counts.slice(1)) {
    t.ok(Math.abs(count - total / shardCount) < total / shardCount / 5, `${count} names`)
  }
})
