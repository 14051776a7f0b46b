/** S3-FIFO with classes: against a slow model, against LRU on made-up traces, and its promises one by one. */
import fc from 'fast-check'
import { test } from 'tap'
import {
  type ObjectClass,
  objectClasses,
  S3Fifo,
  type S3FifoInit,
} from '../../../src/content/eviction/s3-fifo.ts'
import { LruModel, seededRandom, zipfTrace } from '../../support/cache-traces.ts'
import { S3FifoModel } from './s3-fifo-model.ts'

function cacheOf(init: Partial<S3FifoInit<string>> = {}): {
  cache: S3Fifo<string>
  evicted: string[]
} {
  const evicted: string[] = []
  const cache = new S3Fifo<string>({
    bytesMax: 100,
    entriesMax: 1_000,
    ghostsMax: 1_000,
    onEvict: (key) => evicted.push(key),
    ...init,
  })
  return { cache, evicted }
}

/** Asks for an object and takes it where it was not there; true for a hit. */
function ask(cache: S3Fifo<string>, key: string, bytes: number): boolean {
  if (cache.get(key) !== undefined) return true
  cache.put(key, key, bytes, 'loose')
  return false
}

test('does what the slow model does, whatever is asked of it', async (t) => {
  const key = fc.integer({ min: 0, max: 15 }).map((number) => `key ${number}`)
  const objectClass = fc.constantFrom<ObjectClass>('loose', 'loose', 'loose', 'live', 'kept')
  const action = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constant('get' as const), key) },
    {
      weight: 6,
      arbitrary: fc.tuple(
        fc.constant('put' as const),
        key,
        fc.integer({ min: 1, max: 40 }),
        objectClass,
      ),
    },
    { weight: 1, arbitrary: fc.tuple(fc.constant('delete' as const), key) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('class' as const), key, objectClass) },
  )
  const bounds = fc.record({
    bytesMax: fc.integer({ min: 20, max: 200 }),
    entriesMax: fc.integer({ min: 1, max: 12 }),
    ghostsMax: fc.integer({ min: 0, max: 8 }),
  })
  fc.assert(
    fc.property(bounds, fc.array(action, { maxLength: 200 }), (init, actions) => {
      const { cache, evicted } = cacheOf(init)
      const model = new S3FifoModel(init)
      for (const [kind, name, ...rest] of actions) {
        if (kind === 'get') t.equal(cache.get(name) !== undefined, model.get(name))
        else if (kind === 'delete') t.equal(cache.delete(name) !== undefined, model.delete(name))
        else if (kind === 'class') {
          cache.setClass(name, rest[0] as ObjectClass)
          model.setClass(name, rest[0] as ObjectClass)
        } else if (!cache.has(name)) {
          const [bytes, to] = rest as [number, ObjectClass]
          t.equal(cache.put(name, name, bytes, to), model.put(name, bytes, to))
        }
        t.strictSame(evicted, model.evicted)
        t.ok(cache.bytes <= init.bytesMax && cache.size <= init.entriesMax)
      }
      const queues = [model.main, model.small, model.live, model.kept]
      t.strictSame(
        cache.keys(),
        queues.flatMap((queue) => queue.map((one) => one.key)),
      )
      for (const name of objectClasses) {
        const objects = {
          loose: [...model.main, ...model.small],
          live: model.live,
          kept: model.kept,
        }
        t.equal(cache.sizeOf(name), objects[name].length)
        t.equal(
          cache.bytesOf(name),
          objects[name].reduce((sum, one) => sum + one.bytes, 0),
        )
      }
    }),
    { numRuns: 150 },
  )
})

test('beats LRU on popularity after Zipf, with objects of different sizes', async (t) => {
  const objects = 5_000
  const bytesOf = (key: string): number => 1_000 + ((Number(key.slice(7)) * 7_919) % 9_000)
  const catalogueBytes = Array.from({ length: objects }, (_, rank) =>
    bytesOf(`object ${rank}`),
  ).reduce((sum, bytes) => sum + bytes, 0)
  for (const [alpha, ratioMin] of [
    [0.8, 1.1],
    [1, 1.04],
  ] as const) {
    const bytesMax = catalogueBytes / 10
    const { cache } = cacheOf({ bytesMax, entriesMax: objects, ghostsMax: objects })
    const lru = new LruModel(bytesMax)
    let hits = 0
    let lruHits = 0
    for (const key of zipfTrace(seededRandom(7), { objects, count: 60_000, alpha })) {
      if (ask(cache, key, bytesOf(key))) hits += 1
      if (lru.ask(key, bytesOf(key))) lruHits += 1
    }
    t.ok(hits > lruHits * ratioMin, `${hits} hits against ${lruHits} at ${alpha}`)
  }
})

test('a scan does not sweep out what is popular', async (t) => {
  const hot = Array.from({ length: 80 }, (_, index) => `hot ${index}`)
  const { cache } = cacheOf()
  const lru = new LruModel(100)
  for (let round = 0; round < 5; round += 1) {
    for (const key of hot) {
      ask(cache, key, 1)
      lru.ask(key, 1)
    }
  }
  for (let index = 0; index < 10_000; index += 1) {
    ask(cache, `scan ${index}`, 1)
    lru.ask(`scan ${index}`, 1)
  }
  t.equal(hot.filter((key) => cache.has(key)).length, 80)
  t.equal(hot.filter((key) => lru.ask(key, 1)).length, 0, 'which the rival does not')
})

test('one that comes back soon after it left goes to the main queue', async (t) => {
  const { cache } = cacheOf({ bytesMax: 10 })
  for (let index = 0; index < 11; index += 1) ask(cache, `key ${index}`, 1)
  t.equal(cache.has('key 0'), false)
  ask(cache, 'key 0', 1)
  t.strictSame(cache.standingOf('key 0'), { isMain: true, uses: 0, bytes: 1 })
  t.equal(cache.standingOf('key 1'), undefined, 'it left for it')
  t.equal(cache.isUsed('key 0'), true)
  t.equal(cache.isUsed('key 5'), false)
  t.equal(cache.isUsed('nowhere'), false)
})

test('loose objects go first, then live windows, kept ones never', async (t) => {
  const { cache, evicted } = cacheOf({ bytesMax: 4 })
  cache.put('kept', 'x', 1, 'kept')
  cache.put('live 1', 'x', 1, 'live')
  cache.put('loose 1', 'x', 1, 'loose')
  cache.put('loose 2', 'x', 1, 'loose')
  cache.put('live 2', 'x', 1, 'live')
  cache.put('live 3', 'x', 1, 'live')
  t.strictSame(evicted, ['loose 1', 'loose 2'])
  t.equal(cache.put('loose 3', 'x', 1, 'loose'), false, 'a loose one does not drive out a live one')
  t.equal(cache.put('live 4', 'x', 1, 'live'), true)
  t.strictSame(evicted, ['loose 1', 'loose 2', 'live 1'])
  t.equal(cache.put('kept 2', 'x', 3, 'kept'), true)
  t.equal(cache.put('kept 3', 'x', 1, 'kept'), false, 'only kept ones are left')
  t.equal(cache.put('live 5', 'x', 1, 'live'), false)
  t.strictSame(cache.keys(), ['kept', 'kept 2'])
})

test('a part that is about to be pinned drives out older parts before anything pins it', async (t) => {
  const { cache, evicted } = cacheOf({ bytesMax: 3 })
  for (const key of ['live 1', 'live 2', 'live 3']) cache.put(key, 'x', 1, 'live')
  t.equal(cache.put('live 4', 'x', 1, 'loose', 'live'), true)
  t.strictSame(evicted, ['live 1'])
  t.equal(cache.classOf('live 4'), 'loose')
})

test('one that leaves a live window has to show anew that it is worth its place', async (t) => {
  const { cache } = cacheOf()
  cache.put('part', 'x', 1, 'live')
  for (let use = 0; use < 5; use += 1) cache.get('part')
  cache.setClass('part', 'loose')
  t.strictSame(cache.standingOf('part'), { isMain: false, uses: 0, bytes: 1 })
  t.equal(cache.hitsOf('live'), 5)
  t.equal(cache.hitsOf('loose'), 0)
})

test('what another tier was asked for stays', async (t) => {
  const wanted = new Set(['a'])
  const { cache, evicted } = cacheOf({ bytesMax: 2, isWanted: (key) => wanted.has(key) })
  for (const key of ['a', 'b', 'c']) cache.put(key, 'x', 1, 'loose')
  t.strictSame(evicted, ['b'])
  cache.put('d', 'x', 1, 'loose')
  t.ok(cache.has('a'))
  wanted.clear()
  for (const key of ['e', 'f']) cache.put(key, 'x', 1, 'loose')
  cache.get('f')
  cache.get('f')
  cache.put('g', 'x', 1, 'loose')
  t.notOk(cache.has('a'))
})

test('when everything is wanted something goes all the same', async (t) => {
  const { cache, evicted } = cacheOf({ bytesMax: 5_000, entriesMax: 5_000, isWanted: () => true })
  for (let index = 0; index < 6_000; index += 1) cache.put(`key ${index}`, 'x', 1, 'loose')
  t.equal(cache.size, 5_000)
  t.equal(evicted.length, 1_000)
})

test('spares what was used, as often as it was', async (t) => {
  const { cache } = cacheOf()
  cache.put('key', 'x', 1, 'loose')
  cache.get('key')
  cache.get('key')
  t.strictSame([cache.spare('key'), cache.spare('key'), cache.spare('key')], [true, true, false])
  t.equal(cache.spare('nowhere'), false)
})

test('a restored cache goes on as the one before, and is trimmed to its bounds', async (t) => {
  const { cache: before } = cacheOf({ bytesMax: 50 })
  for (const key of zipfTrace(seededRandom(3), { objects: 200, count: 2_000, alpha: 1 })) {
    ask(before, key, 1)
  }
  before.put('kept', 'x', 1, 'kept')
  const { cache: after, evicted } = cacheOf({ bytesMax: 40 })
  for (const key of before.keys()) {
    const standing = before.standingOf(key) ?? { isMain: false, uses: 0, bytes: 1 }
    const objectClass = before.classOf(key) ?? 'loose'
    after.restore(key, key, 1, { ...standing, objectClass })
  }
  t.strictSame(after.keys(), before.keys())
  for (const key of before.keys()) t.strictSame(after.standingOf(key), before.standingOf(key))
  after.trim()
  t.equal(after.bytes, 40)
  t.ok(after.has('kept'))
  t.equal(evicted.length, 10)
})

test('bounds that shrank below what is kept send kept objects away too', async (t) => {
  const { cache, evicted } = cacheOf({ bytesMax: 1 })
  for (const key of ['a', 'b', 'c']) {
    cache.restore(key, key, 1, { isMain: false, uses: 9, objectClass: 'kept' })
  }
  t.equal(cache.standingOf('a')?.uses, 3)
  cache.trim()
  t.strictSame(evicted, ['a', 'b'])
})

test('misuse is found at once', async (t) => {
  const { cache } = cacheOf()
  cache.put('key', 'x', 1, 'loose')
  t.throws(() => cache.put('key', 'x', 1, 'loose'), /held already/)
  t.throws(() => cache.put('empty', 'x', 0, 'loose'), /has bytes/)
  t.equal(cache.delete('nowhere'), undefined)
  t.equal(cache.look('nowhere'), undefined)
  t.equal(cache.look('key'), 'x')
  cache.setClass('nowhere', 'live')
})
