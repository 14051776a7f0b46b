// What the engine is told of playlists and of what plays.

import fc from 'fast-check'
import type { Fragment } from 'hls.js'
import { test } from 'tap'
import { hlsLimits as limits } from '../../src/hls/limits.ts'
import { type PlayerView, PlaylistWatch } from '../../src/hls/playlist-watch.ts'
import { readPartKey } from '../../src/protocol/part-key.ts'
import { detailsOf } from '../support/hls-parts.ts'
import { ToldEngine } from '../support/told-engine.ts'

function setUp() {
  const engine = new ToldEngine()
  const watch = new PlaylistWatch()
  const listed = (details: ReturnType<typeof detailsOf>, isLowLatency = true): string[] => {
    const before = engine.listed.length
    watch.listed(engine, 'm', details, isLowLatency)
    return engine.listed.slice(before).flatMap((parts) => parts.map(({ key }) => key))
  }
  return { engine, watch, listed }
}

test('segments: nothing of the first playlist, then what is new', async (t) => {
  const { listed, engine } = setUp()
  t.same(listed(detailsOf({ first: 10, segments: 5 })), [])
  t.same(listed(detailsOf({ first: 10, segments: 5 })), [])
  t.same(listed(detailsOf({ first: 12, segments: 5 })), ['m/15', 'm/16'])
  t.match(engine.listed[0]?.[1], { url: 'https://origin.example/v/16.m4s' })
  t.equal(engine.listed[0]?.[1]?.range, undefined)
})

test('parts: never a part and its segment', async (t) => {
  const { listed, engine } = setUp()
  t.same(listed(detailsOf({ first: 10, segments: 5, parts: { 14: 4, 15: 1 } })), [])
  t.same(listed(detailsOf({ first: 10, segments: 5, parts: { 14: 4, 15: 3 } })), [
    'm/15.1',
    'm/15.2',
  ])
  t.same(listed(detailsOf({ first: 10, segments: 6, parts: { 15: 4, 16: 1 } })), [
    'm/15.3',
    'm/16.0',
  ])
  t.match(engine.listed[0], [
    { url: 'https://origin.example/v/15.mp4', range: { from: 10, to: 20 } },
    { range: { from: 20, to: 30 } },
  ])
})

test('a player that takes no parts hears of segments', async (t) => {
  const { listed } = setUp()
  t.same(listed(detailsOf({ first: 10, segments: 5, parts: { 15: 1 } }), false), [])
  t.same(listed(detailsOf({ first: 10, segments: 6, parts: { 15: 4 } }), false), ['m/15'])
})

test('what is not live is not published, gaps neither', async (t) => {
  const { listed } = setUp()
  t.same(listed(detailsOf({ first: 0, segments: 5, live: false })), [])
  t.same(listed(detailsOf({ first: 0, segments: 6, live: false })), [])
  t.same(listed(detailsOf({ first: 0, segments: 5 })), [])
  t.same(listed(detailsOf({ first: 0, segments: 8, gaps: [6] })), ['m/5', 'm/7'])
  t.same(listed(detailsOf({ first: 0, segments: 0 })), [], 'an empty one')
})

test('a stream that began anew is new from there on; after a pause only the newest', async (t) => {
  const { listed } = setUp()
  listed(detailsOf({ first: 100, segments: 5 }))
  t.same(listed(detailsOf({ first: 0, segments: 3 })), [])
  t.same(listed(detailsOf({ first: 0, segments: 4 })), ['m/3'])
  const many = listed(detailsOf({ first: 0, segments: 400 }))
  t.equal(many.length, limits.publishedMax)
  t.equal(many.at(-1), 'm/399')
})

test('each rendition by itself, so many of them', async (t) => {
  const { watch, engine } = setUp()
  for (let index = 0; index <= limits.renditionsMax; index++) {
    watch.listed(engine, `r${index}`, detailsOf({ first: 0, segments: 2 }), false)
  }
  watch.listed(engine, 'r0', detailsOf({ first: 0, segments: 3 }), false)
  t.equal(engine.listed.length, 0, 'the first one was forgotten')
  watch.listed(engine, 'r9', detailsOf({ first: 0, segments: 3 }), false)
  t.same(
    engine.listed[0]?.map(({ key }) => key),
    ['r9/2'],
  )
})

test('property: each part once, in order, however the window slides', async () => {
  const steps = fc.array(
    fc.record({ more: fc.integer({ min: 0, max: 3 }), slide: fc.integer({ min: 0, max: 3 }) }),
    { maxLength: 20 },
  )
  fc.assert(
    fc.property(steps, (list) => {
      const { listed } = setUp()
      let [first, end] = [0, 8]
      const seen: number[] = []
      listed(detailsOf({ first, segments: end - first }))
      for (const { more, slide } of list) {
        end += more
        first = Math.min(first + slide, end - 4)
        const keys = listed(detailsOf({ first, segments: end - first }))
        seen.push(...keys.map((key) => readPartKey(key)?.sequence ?? -1))
      }
      return seen.every((sequence, index) => sequence === 8 + index) && seen.length === end - 8
    }),
  )
})

const live = detailsOf({ first: 10, segments: 5, parts: { 14: 4 } })

function view(of: Partial<PlayerView> = {}): PlayerView {
  return {
    ...{ rendition: 'm', details: live, frag: undefined, positionS: undefined },
    ...{ targetLatencyS: 3, isLowLatency: true },
    ...of,
  }
}

test('what plays: at the edge before there is a picture, parts where there are parts', async (t) => {
  const { watch, engine } = setUp()
  watch.plays(engine, view({ rendition: undefined }))
  watch.plays(engine, view({ details: undefined }))
  t.same(engine.played, [])
  watch.plays(engine, view())
  watch.plays(engine, view())
  t.same(engine.played, [{ rendition: 'm', sequence: 14, isLive: true, partMs: 1_000 }])
  watch.plays(engine, view({ isLowLatency: false, frag: { sn: 12 } as Fragment }))
  t.same(engine.played[1], { rendition: 'm', sequence: 12, isLive: true, partMs: 4_000 })
  watch.plays(engine, view({ details: detailsOf({ first: 0, segments: 3, live: false }) }))
  t.match(engine.played[2], { isLive: false, partMs: 4_000 })
})

test('who falls far behind the edge leaves it, and comes back when quite there', async (t) => {
  const { watch, engine } = setUp()
  const isLiveAt = (positionS: number): boolean | undefined => {
    watch.plays(engine, view({ positionS }))
    return engine.played.at(-1)?.isLive
  }
  // The edge is at 60; the target 3 behind it.
  t.equal(isLiveAt(57), true)
  t.equal(isLiveAt(60 - 3 - 16), true)
  t.equal(isLiveAt(60 - 3 - 17), false)
  t.equal(isLiveAt(60 - 3 - 9), false)
  t.equal(isLiveAt(60 - 3 - 8), true)
})

test('the end is told once, and everything is new afterwards', async (t) => {
  const { watch, engine, listed } = setUp()
  watch.ends(engine)
  t.same(engine.played, [])
  listed(live)
  watch.plays(engine, view())
  watch.ends(engine)
  watch.ends(engine)
  watch.ends(undefined)
  t.equal(engine.played.length, 2)
  t.equal(engine.played[1], undefined)
  t.same(listed(detailsOf({ first: 10, segments: 6 })), [])
})
