/** What the memory keeps and lets go, against a model that sorts everything each time. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { PartMemory } from '../../src/memory/part-memory.ts'
import { ProtocolError } from '../../src/protocol/protocol-error.ts'

const numRuns = 150 * Number(process.env.KAIRO_FUZZ_RUNS ?? 1)
const bytesMax = 300

interface SlowPart {
  readonly bytes: Set<number>
  length: number | undefined
}

/** As {@link PartMemory}, for one rendition that plays, `m`, and one that does not, `x`. */
class SlowMemory {
  readonly parts = new Map<string, SlowPart>()
  readonly pins: string[] = []
  readonly evicted: string[] = []
  playhead: number | undefined

  get held(): number {
    return [...this.parts.values()].reduce((sum, { bytes }) => sum + bytes.size, 0)
  }

  /** How many bytes were new. */
  write(key: string, offset: number, count: number, isPeer: boolean): number {
    const part = this.parts.get(key) ?? { bytes: new Set(), length: undefined }
    if (offset + count > (part.length ?? 1e6)) throw new ProtocolError('beyond')
    const news = Array.from({ length: count }, (_, at) => offset + at).filter(
      (at) => !part.bytes.has(at),
    )
    if (news.length === 0) return 0
    if (!this.#makeRoom(key, news.length, isPeer)) return 0
    this.parts.set(key, part)
    for (const at of news) part.bytes.add(at)
    return news.length
  }

  /** Whether it was known, or can be so. */
  setLength(key: string, bytes: number): boolean {
    const part = this.parts.get(key) ?? { bytes: new Set<number>(), length: undefined }
    if (part.length !== undefined) return part.length === bytes
    if (Math.max(-1, ...part.bytes) >= bytes) return false
    this.#makeRoom(key, 0, false)
    part.length = bytes
    this.parts.set(key, part)
    return true
  }

  #makeRoom(key: string, count: number, isPeer: boolean): boolean {
    const isWanted = !isPeer || this.pins.includes(key)
    const victims = [...this.parts.keys()]
      .filter((other) => other !== key && !this.pins.includes(other) && this.#size(other) > 0)
      .filter((other) => isWanted || this.#distance(other) >= this.#distance(key))
      .sort((a, b) => this.#distance(b) - this.#distance(a))
    let excess = this.held + count - bytesMax
    const gone: string[] = []
    while (excess > 0 && victims.length > 0) {
      const victim = victims.shift() as string
      gone.push(victim)
      excess -= this.#size(victim)
    }
    if (excess > 0 && isPeer) return false
    for (const victim of gone) this.parts.delete(victim)
    this.evicted.push(...gone)
    return true
  }

  #size(key: string): number {
    return this.parts.get(key)?.bytes.size ?? 0
  }

  #distance(key: string): number {
    const [rendition, sequence] = key.split('/')
    if (rendition !== 'm' || this.playhead === undefined) return 2e6
    const ahead = Number(sequence) - this.playhead
    return ahead < 0 ? 1e6 - ahead : ahead
  }
}

const keys = fc.constantFrom('m/1', 'm/2', 'm/3', 'm/4', 'm/5', 'm/6', 'x/1', 'x/2')
const steps = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      step: fc.constant('write' as const),
      key: keys,
      offset: fc.nat(60),
      count: fc.integer({ min: 1, max: 80 }),
      isPeer: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ step: fc.constantFrom('drop', 'pin', 'unpin' as const), key: keys }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      step: fc.constant('length' as const),
      key: keys,
      bytes: fc.integer({ min: 50, max: 140 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ step: fc.constant('playhead' as const), at: fc.nat(7) }) },
)
type AnyStep = typeof steps extends fc.Arbitrary<infer Step> ? Step : never

function run(memory: PartMemory, model: SlowMemory, step: AnyStep): void {
  switch (step.step) {
    case 'write': {
      const { key, offset, count, isPeer } = step
      const news = attempt(() =>
        memory.write(key, offset, new Uint8Array(count), isPeer ? 'ann' : undefined),
      )
      const expected = attempt(() => model.write(key, offset, count, isPeer))
      assert.equal(
        news?.reduce((sum, { from, to }) => sum + to - from, 0),
        expected,
      )
      return
    }
    case 'length': {
      const set = attempt(() => {
        memory.setBytes(step.key, step.bytes)
        return true
      })
      assert.equal(set ?? false, model.setLength(step.key, step.bytes))
      return
    }
    case 'drop':
      memory.drop(step.key)
      model.parts.delete(step.key)
      return
    case 'pin':
      memory.pin(step.key)
      model.pins.push(step.key)
      return
    case 'unpin':
      if (!model.pins.includes(step.key)) return
      memory.unpin(step.key)
      model.pins.splice(model.pins.indexOf(step.key), 1)
      return
    case 'playhead':
      memory.setPlayhead('m', step.at)
      model.playhead = step.at
  }
}

function attempt<T>(what: () => T): T | undefined {
  try {
    return what()
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

test('any use leaves what the model has', async (t) => {
  let evictions = 0
  const property = fc.property(fc.array(steps, { maxLength: 60, size: 'max' }), (list) => {
    const evicted: string[] = []
    const memory = new PartMemory({ bytesMax, onEvicted: (key) => evicted.push(key) })
    const model = new SlowMemory()
    for (const step of list) {
      run(memory, model, step)
      assert.deepEqual(evicted, model.evicted)
      assert.equal(memory.bytesHeld, model.held)
    }
    for (const [key, { bytes, length }] of model.parts) {
      assert.equal(memory.bytesOf(key), length)
      assert.equal(memory.isComplete(key), length !== undefined && bytes.size === length)
      const { http, peers } = memory.bytesBy(key)
      assert.equal(http + peers, bytes.size)
    }
    evictions += evicted.length
  })
  fc.assert(property, { numRuns })
  t.ok(evictions > numRuns, 'there was something to evict')
})
