/** Waiting for parts: in order, bounded, and without anything left behind. */
import { Registry } from 'prom-client'
import { test } from 'tap'
import { digestOf } from '../../../src/content/digest.ts'
import { IndexWindow } from '../../../src/content/index/index-window.ts'
import {
  type RenditionChange,
  WindowedRendition,
} from '../../../src/content/index/live-rendition.ts'
import type { IndexEntry, IndexHead } from '../../../src/content/stream.ts'
import { generateStreamKey } from '../../../src/content/stream-key.ts'
import { KairoError } from '../../../src/errors.ts'
import { contentLimits } from '../../../src/limits.ts'
import { never, sourceInfo } from '../../support/content-peer.ts'
import { settle } from '../../support/manual-clock.ts'

const key = generateStreamKey()
const baseHead: IndexHead = {
  rendition: 'source',
  firstMsn: 0,
  discontinuitySequence: 0,
  targetDurationS: 2,
  partTargetUs: 200_000,
  ended: false,
}

class CountedPins {
  readonly counts = new Map<string, number>()

  pin(digest: string): void {
    this.counts.set(digest, (this.counts.get(digest) ?? 0) + 1)
  }

  unpin(digest: string): void {
    const count = (this.counts.get(digest) ?? 0) - 1
    if (count < 0) throw new Error('unpinned more than pinned')
    if (count === 0) this.counts.delete(digest)
    else this.counts.set(digest, count)
  }
}

function entry(msn: number, part: number, last = false): IndexEntry {
  return {
    msn,
    part,
    digest: digestOf(Buffer.from(`${msn}.${part}`)),
    bytes: 10,
    durationUs: 200_000,
    independent: part === 0,
    endOfSegment: last,
    segmentDigest: last ? digestOf(Buffer.from(`${msn}`)) : undefined,
    programDateTimeMs: undefined,
    discontinuity: false,
    initDigest: digestOf(Buffer.from('init')),
  }
}

function setUp() {
  const pins = new CountedPins()
  const rendition = new WindowedRendition(
    { pins, registry: new Registry() },
    { info: sourceInfo, window: IndexWindow.create(key, baseHead) },
  )
  const push = (
    msn: number,
    part: number,
    last = false,
    firstMsn = rendition.head.firstMsn,
  ): void => {
    const next = { ...rendition.head, firstMsn }
    rendition.apply(rendition.window.append(key, next, entry(msn, part, last)), 'part')
  }
  const pending = async (promise: Promise<void>): Promise<boolean> => {
    let done = false
    promise.then(
      () => {
        done = true
      },
      () => {
        done = true
      },
    )
    await settle()
    return !done
  }
  return { pins, rendition, push, pending }
}

test('live rendition', async (t) => {
  await t.test('resolves for the part, the segment, what came later, and the end', async (t) => {
    const { rendition, push, pending } = setUp()
    const part = rendition.wait(0, 1, { signal: never })
    const segment = rendition.wait(0, undefined, { signal: never })
    const beyondSegment = rendition.wait(0, 7, { signal: never })
    push(0, 0)
    t.ok(await pending(part))
    push(0, 1)
    await part
    t.ok(await pending(segment))
    push(0, 2, true)
    await segment
    t.ok(
      await pending(beyondSegment),
      'the segment closed with fewer parts, and none is there yet after it',
    )
    push(1, 0)
    await beyondSegment
    await rendition.wait(0, undefined, { signal: never })
    const last = rendition.wait(9, 9, { signal: never })
    rendition.apply(rendition.window.withHead(key, { ...baseHead, ended: true }), 'head')
    await last
    await rendition.wait(99, undefined, { signal: never })
    t.equal(rendition.version, 5)
    t.equal(rendition.entry(0, 1), rendition.entries[1])
    t.equal(rendition.segment(0).length, 3)
  })

  await t.test('waiters are woken in order, and before those that pass parts on', async (t) => {
    const { rendition, push } = setUp()
    const order: string[] = []
    const stop = rendition.onChange((change) => order.push(`feed ${change.kind}`))
    const first = rendition.wait(0, 0, { signal: never }).then(() => order.push('first'))
    const second = rendition.wait(0, 0, { signal: never }).then(() => order.push('second'))
    push(0, 0)
    await Promise.all([first, second])
    await settle()
    t.ok(order.indexOf('first') < order.indexOf('second'))
    t.equal(order.filter((what) => what === 'feed part').length, 1)
    stop()
    push(0, 1)
    await settle()
    t.equal(order.length, 3)
  })

  await t.test('ten thousand waiters come and go without a trace', async (t) => {
    const { rendition, push } = setUp()
    const controllers = Array.from({ length: 10_000 }, () => new AbortController())
    const waits = controllers.map((controller, index) =>
      rendition.wait(index % 7, index % 3, { signal: controller.signal }).then(
        () => 'woken',
        (error: KairoError) => error.code,
      ),
    )
    t.equal(rendition.waiterCount, 10_000)
    for (const controller of controllers.slice(0, 5_000)) controller.abort()
    await settle()
    t.equal(rendition.waiterCount, 5_000)
    for (let msn = 0; msn < 8; msn += 1) {
      for (let part = 0; part < 3; part += 1) push(msn, part, part === 2)
    }
    const outcomes = await Promise.all(waits)
    t.equal(outcomes.filter((outcome) => outcome === 'woken').length, 5_000)
    t.equal(outcomes.filter((outcome) => outcome === 'ERR_TIMEOUT').length, 5_000)
    t.equal(rendition.waiterCount, 0)
  })

  await t.test('their number is limited', async (t) => {
    const { rendition } = setUp()
    // One signal each, as requests have: Node looks through all listeners of a signal to add one.
    const waits = Array.from({ length: contentLimits.waitersMax }, () =>
      rendition.wait(1, 0, { signal: new AbortController().signal }),
    )
    for (const wait of waits) wait.catch(() => {})
    await t.rejects(rendition.wait(1, 0, { signal: never }), { code: 'ERR_LIMIT' })
    rendition.fail(new KairoError('ERR_NO_PROVIDER', 'gone'))
    await Promise.allSettled(waits)
    t.equal(rendition.waiterCount, 0)
  })

  await t.test('a lost upstream ends waits with its error, until it is back', async (t) => {
    const { rendition, push } = setUp()
    const wait = rendition.wait(0, 0, { signal: never })
    rendition.fail(new KairoError('ERR_NO_PROVIDER', 'gone'))
    await t.rejects(wait, { code: 'ERR_NO_PROVIDER' })
    await t.rejects(rendition.wait(0, 0, { signal: never }), { code: 'ERR_NO_PROVIDER' })
    rendition.recover()
    const again = rendition.wait(0, 0, { signal: never })
    push(0, 0)
    await again
    const signal = AbortSignal.abort()
    await t.rejects(rendition.wait(5, 0, { signal }), { code: 'ERR_TIMEOUT' })
    const reason = new KairoError('ERR_STOPPED', 'the server stops')
    await t.rejects(rendition.wait(5, 0, { signal: AbortSignal.abort(reason) }), reason)
  })

  await t.test('objects are pinned exactly while they are in the window', async (t) => {
    const { rendition, push, pins } = setUp()
    for (let msn = 0; msn < 20; msn += 1) {
      for (let part = 0; part < 3; part += 1) push(msn, part, part === 2, Math.max(0, msn - 4))
    }
    t.equal(rendition.entries.length, 15)
    const wanted = new Set(
      rendition.entries.flatMap(({ digest, initDigest }) => [digest, initDigest]),
    )
    t.same(new Set(pins.counts.keys()), wanted)
    const jumped = IndexWindow.create(key, { ...baseHead, firstMsn: 100 })
    const window = jumped.append(key, { ...baseHead, firstMsn: 100 }, entry(100, 0))
    await settle()
    const changes: RenditionChange[] = []
    rendition.onChange((change) => changes.push(change))
    rendition.apply(window, 'window')
    t.equal(pins.counts.size, 2)
    rendition.apply(window.withHead(key, { ...baseHead, firstMsn: 100, ended: true }), 'head')
    t.equal(pins.counts.size, 2)
    await settle()
    t.same(
      changes.map(({ kind }) => kind),
      ['window', 'head'],
    )
    rendition.describe({ ...sourceInfo, bandwidthBps: 1 })
    t.equal(rendition.info.bandwidthBps, 1)
    rendition.release(new KairoError('ERR_STOPPED', 'closed'))
    rendition.release(new KairoError('ERR_STOPPED', 'closed'))
    t.equal(pins.counts.size, 0)
  })
})
