/** Offers: what is written is read, who is chosen, and how fast what was offered is fetched. */
import fc from 'fast-check'
import { test } from 'tap'
import { digestOf } from '../../../src/content/digest.ts'
import { decodeOffer, encodeOffer } from '../../../src/content/replication/offer-codec.ts'
import { planOffers } from '../../../src/content/replication/offer-plan.ts'
import { type Offered, OfferedObjects } from '../../../src/content/replication/offered-objects.ts'
import { replicationLimits } from '../../../src/limits/replication.ts'
import { contentLimits } from '../../../src/limits.ts'
import { parseOrRefuse } from '../../support/fuzz.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'

const digest = (seed: number): string => digestOf(Buffer.from(`object ${seed}`))

test('an offer that is encoded is decoded', async (t) => {
  const object = fc.record(
    {
      digest: fc.nat(1_000).map(digest),
      bytes: fc.integer({ min: 1, max: contentLimits.objectBytesMax }),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(fc.array(object, { minLength: 1, maxLength: 64 }), (objects) => {
      t.strictSame(decodeOffer(encodeOffer(objects)), objects)
    }),
    { numRuns: 50 },
  )
})

test('what is no offer is refused', async (t) => {
  const one = encodeOffer([{ digest: digest(1), bytes: 5 }])
  for (const body of [
    Buffer.alloc(0),
    one.subarray(1),
    Buffer.concat(Array.from({ length: replicationLimits.offerObjectsMax + 1 }, () => one)),
    encodeOffer([{ digest: digest(1), bytes: 0 }]),
    encodeOffer([{ digest: digest(1), bytes: contentLimits.objectBytesMax + 1 }]),
  ]) {
    t.throws(() => decodeOffer(body), { code: 'ERR_PROTOCOL' })
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
      parseOrRefuse(() => decodeOffer(noise))
    }),
    { numRuns: 1_000 },
  )
})

test('the more popular an object, the more copies, up to a bound', async (t) => {
  const { popularMin, copyStep, copiesMax } = replicationLimits
  const peers = Array.from({ length: 9 }, (_, index) => ({ peerId: `peer ${index}`, region: '' }))
  const copies = (count: number): number =>
    planOffers([{ digest: digest(1), bytes: 1, count }], peers, 'nobody').size
  t.equal(copies(popularMin - 1), 0)
  t.equal(copies(popularMin), 1)
  t.equal(copies(popularMin * copyStep), 2)
  t.equal(copies(popularMin * copyStep * copyStep), 3)
  t.equal(copies(1e12), copiesMax)
})

test('all peers choose the same holders, some in each region', async (t) => {
  const peers = ['a', 'b', 'c', 'd', 'e', 'f'].map((peerId, index) => ({
    peerId,
    region: index < 3 ? 'east' : 'west',
  }))
  const popular = Array.from({ length: 40 }, (_, seed) => ({
    digest: digest(seed),
    bytes: 100,
    count: replicationLimits.popularMin * (seed < 20 ? 1 : replicationLimits.copyStep),
  }))
  const holders = (self: string, seed: number): string[] => {
    const plan = planOffers(popular, peers, self)
    return [...plan].flatMap(([peerId, objects]) =>
      objects.some((object) => object.digest === digest(seed)) ? [peerId] : [],
    )
  }
  for (let seed = 0; seed < 40; seed += 1) {
    const all = holders('nobody', seed).sort()
    const copies = seed < 20 ? 1 : 2
    t.equal(all.length, 2 * copies)
    t.equal(all.filter((peerId) => peerId < 'd').length, copies, 'as many in each region')
    t.strictSame(
      holders('a', seed).sort(),
      all.filter((peerId) => peerId !== 'a'),
    )
  }
  t.equal(planOffers([{ digest: digest(1), bytes: 1, count: 1 }], peers, 'a').size, 0)
})

/** A queue whose fetches end when the test says so. */
function aQueue() {
  const clock = new ManualClock()
  const started: Offered[] = []
  const ends: ((error?: Error) => void)[] = []
  const failures: Error[] = []
  const queue = new OfferedObjects({
    clock,
    fetch: (object) => {
      started.push(object)
      return new Promise((resolve, reject) => {
        ends.push((error) => (error === undefined ? resolve() : reject(error)))
      })
    },
    onFailure: (error) => failures.push(error),
  })
  const add = (seed: number, bytes = 1_000, peerId = 'peer'): boolean =>
    queue.add({ digest: digest(seed), bytes, peerId })
  return { clock, started, ends, failures, queue, add }
}

test('offered objects are fetched in order, so many at a time', async (t) => {
  const { started, ends, failures, queue, add } = aQueue()
  for (let seed = 0; seed < 5; seed += 1) t.ok(add(seed))
  t.equal(add(4), false, 'it waits already')
  t.equal(started.length, replicationLimits.fetchesMax)
  ends[0]?.(new Error('broken'))
  await settle()
  t.equal(failures.length, 1)
  t.strictSame(
    started.map((object) => object.digest),
    [0, 1, 2].map(digest),
  )
  t.equal(queue.size, 2)
  queue.stop()
  t.equal(queue.size, 0)
  ends[1]?.()
  await settle()
  t.equal(started.length, 3)
  t.equal(add(9), false)
})

test('no faster than agreed', async (t) => {
  const { clock, started, ends, add } = aQueue()
  const { burstBytesMax, bytesPerSecondMax } = replicationLimits
  const large = contentLimits.objectBytesMax
  const inBurst = burstBytesMax / large
  for (let seed = 0; seed < inBurst + 3; seed += 1) add(seed, large)
  for (let index = 0; index < inBurst; index += 1) {
    ends[index]?.()
    await settle()
  }
  t.equal(started.length, inBurst)
  await clock.pass((1_000 * large) / bytesPerSecondMax)
  t.equal(started.length, inBurst + 1)
  ends[inBurst]?.()
  await clock.pass((1_000 * large) / bytesPerSecondMax)
  t.equal(started.length, inBurst + 2)
})

test('the queue is bounded, and what one peer may have of it', async (t) => {
  const { queue, add } = aQueue()
  const { queuePerPeerMax, queueMax, fetchesMax } = replicationLimits
  for (let seed = 0; seed < queuePerPeerMax + fetchesMax; seed += 1) t.ok(add(seed))
  t.equal(add(5_000), false)
  t.ok(add(5_000, 1, 'another'))
  for (let seed = 0; seed < queueMax * 2; seed += 1) add(10_000 + seed, 1, `peer ${seed % 50}`)
  t.equal(queue.size, queueMax)
})
