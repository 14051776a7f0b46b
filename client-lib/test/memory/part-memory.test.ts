/** The memory for parts: what it keeps, what it lets go, and whom it tells. */
import { test } from 'tap'
import { memoryLimits } from '../../src/memory/limits.ts'
import { PartMemory } from '../../src/memory/part-memory.ts'
import { protocolLimits } from '../../src/protocol/limits.ts'
import { ProtocolError } from '../../src/protocol/protocol-error.ts'

function newMemory(bytesMax = 1_000): { memory: PartMemory; evicted: string[] } {
  const evicted: string[] = []
  return { memory: new PartMemory({ bytesMax, onEvicted: (key) => evicted.push(key) }), evicted }
}

/** A whole part, verified. */
function keep(memory: PartMemory, key: string, bytes = 100): void {
  memory.write(key, 0, new Uint8Array(bytes))
  memory.setBytes(key, bytes)
  memory.seal(key)
}

test('a part comes in pieces, from a page and by HTTP', async (t) => {
  const { memory } = newMemory()
  t.strictSame(memory.missing('m/1'), [{ from: 0, to: Number.POSITIVE_INFINITY }])
  t.strictSame(memory.write('m/1', 4, Uint8Array.of(4, 5), 'ann'), [{ from: 4, to: 6 }])
  t.strictSame(memory.write('m/1', 0, Uint8Array.of(0, 1, 2, 3, 9, 9, 6)), [
    { from: 0, to: 4 },
    { from: 6, to: 7 },
  ])
  t.strictSame(memory.write('m/1', 1, Uint8Array.of(8, 8), 'bob'), [])
  memory.setBytes('m/1', 8)
  t.equal(memory.bytesOf('m/1'), 8)
  t.equal(memory.available('m/1', 2), 5)
  t.notOk(memory.isComplete('m/1'))
  memory.write('m/1', 7, Uint8Array.of(7))
  t.ok(memory.isComplete('m/1'))
  t.strictSame([...memory.join('m/1')], [0, 1, 2, 3, 4, 5, 6, 7])
  t.strictSame([...memory.read('m/1', 5, 2)], [5, 6])
  t.strictSame(memory.peersOf('m/1'), ['ann'], 'who brought nothing new is not named')
  t.strictSame(memory.bytesBy('m/1'), { http: 6, peers: 2 })
  t.equal(memory.bytesHeld, 8)
  memory.seal('m/1')
  t.ok(memory.isSealed('m/1'))
  t.strictSame(memory.write('m/1', 0, new Uint8Array(8), 'eve'), [])
  memory.drop('m/1')
  t.equal(memory.bytesHeld, 0)
  t.notOk(memory.isSealed('m/1') || memory.isComplete('m/1'))
  t.equal(memory.bytesOf('m/1'), undefined)
  t.strictSame(memory.bytesBy('m/1'), { http: 0, peers: 0 })
  t.equal(memory.read('m/1', 0, 9).length, 0)
})

test('what cannot be is refused, and changes nothing', async (t) => {
  const { memory } = newMemory()
  t.throws(() => memory.write('nonsense', 0, new Uint8Array(1)), ProtocolError)
  t.throws(() => memory.write('m/1', protocolLimits.partBytesMax, new Uint8Array(1)), ProtocolError)
  memory.setBytes('m/1', 10)
  t.throws(() => memory.setBytes('m/1', 11), ProtocolError)
  t.throws(() => memory.write('m/1', 9, new Uint8Array(2), 'eve'), ProtocolError)
  t.strictSame(memory.missing('m/1'), [{ from: 0, to: 10 }])
  t.equal(memory.bytesHeld, 0)
  t.throws(() => memory.join('m/1'))
  t.throws(() => memory.seal('m/1'))
  t.throws(() => memory.seal('m/2'))
  t.throws(() => memory.unpin('m/1'))
})

test('renditions that do not play go first, then what lies furthest behind, then furthest ahead', async (t) => {
  const { memory, evicted } = newMemory(800)
  for (const key of ['m/12', 'm/1', 'm/5', 'a/5', 'm/9', 'm/6', 'x/5', 'm/4']) keep(memory, key)
  memory.setPlayhead('m', 5)
  memory.setPlayhead('a', 5)
  for (let at = 0; at < 7; at += 1) {
    memory.pin(`n/${at}`)
    keep(memory, `n/${at}`)
  }
  t.strictSame(evicted, ['x/5', 'm/1', 'm/4', 'm/12', 'm/9', 'm/6', 'm/5'])
  t.equal(memory.bytesHeld, 800)
})

test('a rendition that was left plays no more after a while', async (t) => {
  const { memory, evicted } = newMemory(200)
  keep(memory, 'old/5')
  keep(memory, 'm/1')
  memory.setPlayhead('old', 5)
  for (let sequence = 100; sequence <= 100 + memoryLimits.playheadAge; sequence += 1) {
    memory.setPlayhead('m', sequence)
  }
  memory.write('m/109', 0, new Uint8Array(100))
  t.strictSame(evicted, ['old/5'])
})

test('only so many renditions play at once', async (t) => {
  const { memory, evicted } = newMemory(200)
  keep(memory, 'a/900')
  keep(memory, 'b/1')
  for (const rendition of ['b', 'c', 'd', 'e', 'a']) memory.setPlayhead(rendition, 900)
  memory.write('a/901', 0, new Uint8Array(100))
  t.strictSame(evicted, ['b/1'])
})

test('what is pinned stays', async (t) => {
  const { memory, evicted } = newMemory(300)
  for (const key of ['m/1', 'm/2', 'm/3']) keep(memory, key)
  memory.setPlayhead('m', 9)
  memory.pin('m/1')
  memory.pin('m/1')
  memory.unpin('m/1')
  memory.write('m/10', 0, new Uint8Array(100))
  t.strictSame(evicted, ['m/2'])
  memory.unpin('m/1')
  memory.write('m/11', 0, new Uint8Array(100))
  t.strictSame(evicted, ['m/2', 'm/1'])
})

test('where all is pinned HTTP finds a place, and peers do not', async (t) => {
  const { memory, evicted } = newMemory(200)
  for (const key of ['m/1', 'm/2', 'm/3']) memory.pin(key)
  keep(memory, 'm/1', 150)
  t.strictSame(memory.write('m/2', 0, new Uint8Array(100), 'ann'), [])
  t.equal(memory.bytesRefused, 100)
  t.strictSame(memory.peersOf('m/2'), [])
  t.strictSame(memory.write('m/2', 0, new Uint8Array(100)), [{ from: 0, to: 100 }])
  t.equal(memory.bytesHeld, 250)
  t.strictSame(evicted, [])
})

test('what a peer brings of its own accord takes the place of nothing nearer', async (t) => {
  const { memory, evicted } = newMemory(200)
  memory.setPlayhead('m', 5)
  keep(memory, 'm/6')
  keep(memory, 'm/8')
  t.strictSame(memory.write('m/9', 0, new Uint8Array(50), 'eve'), [])
  t.strictSame(memory.write('x/6', 0, new Uint8Array(50), 'eve'), [])
  t.strictSame(evicted, [])
  t.equal(memory.write('m/7', 0, new Uint8Array(50), 'ann').length, 1)
  t.strictSame(evicted, ['m/8'])
  memory.pin('x/7')
  t.equal(memory.write('x/7', 0, new Uint8Array(100), 'ann').length, 1, 'unless it is wanted here')
  t.strictSame(evicted, ['m/8', 'm/7'])
})

test('parts are bounded by number, too, and those without a byte go first', async (t) => {
  const { memory, evicted } = newMemory()
  keep(memory, 'm/0')
  for (let at = 1; at < memoryLimits.partsMax; at += 1) memory.setBytes(`m/${at}`, 10)
  t.strictSame(evicted, [])
  memory.setBytes('m/9999', 10)
  memory.write('m/9998', 0, new Uint8Array(1))
  t.strictSame(evicted, ['m/1', 'm/2'])
})

test('more peers than are ever connected bring nothing', async (t) => {
  const { memory } = newMemory()
  for (let at = 0; at <= memoryLimits.sourcesMax; at += 1) {
    memory.write('m/1', at, new Uint8Array(1), `peer ${at}`)
  }
  t.equal(memory.peersOf('m/1').length, memoryLimits.sourcesMax)
  t.equal(memory.bytesHeld, memoryLimits.sourcesMax)
  t.equal(memory.write('m/1', 100, new Uint8Array(1), 'peer 0').length, 1)
})

test('what is held is told in runs', async (t) => {
  const { memory } = newMemory(100_000)
  for (const key of ['m/3', 'm/1', 'm/2', 'm/2.0', 'm/5', 'a/10', 'm/2.1', 'm/10', 'm/9'])
    keep(memory, key, 1)
  memory.write('m/4', 0, new Uint8Array(1))
  t.strictSame(memory.held(), [
    { key: 'a/10', count: 1 },
    { key: 'm/1', count: 3 },
    { key: 'm/5', count: 1 },
    { key: 'm/9', count: 2 },
    { key: 'm/2.0', count: 1 },
    { key: 'm/2.1', count: 1 },
  ])
  memory.setPlayhead('m', 2)
  t.strictSame(
    memory.held().map(({ key }) => key),
    ['m/2.0', 'm/2.1', 'm/1', 'm/5', 'm/9', 'a/10'],
    'what is of most use first',
  )
})

test('a message takes so many runs, and those furthest away are left out', async (t) => {
  const { memory } = newMemory(1e9)
  for (let at = 0; at < 600; at += 2) keep(memory, `m/${at}`, 1)
  for (let at = 1_000; at < 3_100; at += 1) keep(memory, `m/${at}`, 1)
  memory.setPlayhead('m', 300)
  const held = memory.held()
  t.equal(held.length, protocolLimits.partsPerMessageMax)
  t.ok(held.some(({ key, count }) => key === 'm/1000' && count === protocolLimits.runPartsMax))
  t.ok(held.some(({ key }) => key === 'm/300'))
  t.notOk(
    held.some(({ key }) => key === 'm/0'),
    'furthest behind',
  )
})

test('listeners are told of bytes, length, seal, drop and eviction', async (t) => {
  const { memory } = newMemory(100)
  let calls = 0
  const stop = memory.watch('m/1', () => {
    calls += 1
  })
  const told = (what: string, expected: number): void => {
    t.equal(calls, expected, what)
    calls = 0
  }
  memory.write('m/1', 0, new Uint8Array(10))
  told('bytes', 1)
  memory.write('m/1', 0, new Uint8Array(10))
  told('no new bytes', 0)
  memory.setBytes('m/1', 10)
  memory.setBytes('m/1', 10)
  told('length', 1)
  memory.seal('m/1')
  memory.seal('m/1')
  told('seal', 1)
  memory.drop('m/1')
  memory.drop('m/1')
  told('drop', 1)
  memory.write('m/1', 0, new Uint8Array(10))
  memory.write('m/2', 0, new Uint8Array(100))
  told('bytes, then eviction', 2)
  stop()
  stop()
  memory.write('m/1', 0, new Uint8Array(1))
  told('nothing, once it has stopped', 0)
})

test('a listener may stop others, write, and drop', async (t) => {
  const { memory } = newMemory()
  const heard: string[] = []
  const stops: (() => void)[] = []
  stops.push(
    memory.watch('m/1', () => {
      heard.push(`first ${memory.available('m/1', 0)}`)
      if (memory.available('m/1', 0) < 3)
        memory.write('m/1', memory.available('m/1', 0), Uint8Array.of(1))
      stops[2]?.()
    }),
    memory.watch('m/1', () => heard.push(`second ${memory.available('m/1', 0)}`)),
    memory.watch('m/1', () => heard.push('third')),
  )
  memory.write('m/1', 0, Uint8Array.of(1))
  t.strictSame(heard, ['first 1', 'second 2', 'first 2', 'second 3', 'first 3', 'second 3'])
  stops[0]?.()
  heard.length = 0
  memory.watch('m/1', () => memory.drop('m/1'))
  t.strictSame(memory.write('m/1', 3, Uint8Array.of(1)), [{ from: 3, to: 4 }])
  t.strictSame(heard, ['second 4', 'second 0'])
  t.equal(memory.bytesHeld, 0)
})

test('who is told of an eviction may change the memory', async (t) => {
  const memory = new PartMemory({
    bytesMax: 100,
    onEvicted: (key) => memory.drop(key === 'm/1' ? 'm/2' : key),
  })
  memory.write('m/1', 0, new Uint8Array(60))
  memory.watch('m/1', () => memory.write('m/2', 5, new Uint8Array(20)))
  t.strictSame(memory.write('m/2', 0, new Uint8Array(50)), [{ from: 0, to: 50 }])
  t.strictSame(memory.missing('m/2'), [
    { from: 0, to: 5 },
    { from: 25, to: Number.POSITIVE_INFINITY },
  ])
  t.equal(memory.bytesHeld, 20)
})

test('a listener that throws stops nobody, and is heard of', async (t) => {
  const { memory } = newMemory()
  const late: (() => void)[] = []
  const { queueMicrotask } = globalThis
  t.teardown(() => Object.assign(globalThis, { queueMicrotask }))
  Object.assign(globalThis, { queueMicrotask: (callback: () => void) => late.push(callback) })
  let calls = 0
  memory.watch('m/1', () => {
    throw new Error('mine')
  })
  memory.watch('m/1', () => {
    calls += 1
  })
  memory.write('m/1', 0, Uint8Array.of(1))
  memory.write('m/1', 1, Uint8Array.of(1))
  t.equal(calls, 2)
  t.throws(() => late[0]?.(), /mine/)
})

test('listeners are bounded', async (t) => {
  const { memory } = newMemory()
  const stops = Array.from({ length: memoryLimits.watchersMax }, () =>
    memory.watch('m/1', () => {}),
  )
  t.throws(() => memory.watch('m/2', () => {}), { code: 'ERR_LIMIT' })
  stops[0]?.()
  t.doesNotThrow(() => memory.watch('m/2', () => {}))
})
