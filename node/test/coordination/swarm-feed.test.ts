/** What the region is told of live streams here: what their windows have, once, again when they change, and what is gone. */
import type { SoftNews } from '@kairo/tracker'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { heldWindow, type WindowEntry } from '../../src/coordination/held-windows.ts'
import {
  type HeldRendition,
  type HeldStream,
  SwarmFeed,
} from '../../src/coordination/swarm-feed.ts'
import { swarmFeedLimits as limits } from '../../src/limits/swarms.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { metricOf } from '../support/registry-value.ts'

/** Entries of segments: how many parts each has, a dot behind those that have ended. */
function entriesOf(firstMsn: number, shape: string): WindowEntry[] {
  return shape.split(' ').flatMap((text, index) =>
    Array.from({ length: Number.parseInt(text, 10) }, (_, part) => ({
      msn: firstMsn + index,
      part,
      endOfSegment: text.endsWith('.') && part === Number.parseInt(text, 10) - 1,
    })),
  )
}

test('a window is whole segments in ranges and the parts of the others', async (t) => {
  t.same(heldWindow([]), { ranges: [], parts: [] })
  t.same(heldWindow(entriesOf(7, '3. 4. 2')), {
    ranges: [{ first: 7, count: 2 }],
    parts: [
      [9, 0],
      [9, 1],
    ],
  })
  const holed = entriesOf(7, '3. 3. 3.').filter(({ msn, part }) => msn !== 8 || part !== 1)
  t.same(heldWindow(holed), {
    ranges: [
      { first: 7, count: 1 },
      { first: 9, count: 1 },
    ],
    parts: [
      [8, 0],
      [8, 2],
    ],
  })
  t.same(heldWindow(entriesOf(2 ** 32, '1.')), { ranges: [], parts: [] }, 'no such number')
  const long = heldWindow(entriesOf(1, '300'))
  t.equal(long.parts.length, limits.partsPerSegmentMax)
  const scattered = Array.from({ length: 200 }, (_, at) => entriesOf(at * 2, '1.')).flat()
  t.equal(heldWindow(scattered).ranges.length, limits.rangesMax)
  t.equal(heldWindow(scattered).ranges.at(-1)?.first, 398, 'the newest')
})

/** A peer whose streams a test changes. */
function feedOf(streams: HeldStream[]) {
  const clock = new ManualClock()
  const registry = new Registry()
  const told: SoftNews[] = []
  const viewers = new Map<string, number>()
  const load = { uploadFreeKbps: 1, busyPermille: 2, coordinate: undefined }
  const tracker = () => ({
    tell: (news: SoftNews) => told.push(news),
    ask: async () => [],
    totals: async () => ({
      ...{ peers: 0, subjects: 0, entries: 0, viewers: 0 },
      ...{ answered: 0, complete: 0, shards: 16 },
    }),
  })
  const state = { swarms: tracker() as ReturnType<typeof tracker> | undefined }
  const feed = new SwarmFeed({
    ...{ clock, registry, swarms: () => state.swarms, held: () => streams, load: () => load },
    viewers: (id) => viewers.get(id) ?? 0,
  })
  feed.start()
  const round = (): SoftNews[] => {
    clock.advance(limits.roundMs)
    return told.splice(0)
  }
  return { feed, round, viewers, state, tracker, registry, clock }
}

function rendition(name: string, entries: WindowEntry[]): HeldRendition & { version: number } {
  return { info: { name }, version: 1, entries }
}

test('each window is told once, and again when it has changed', async (t) => {
  const source = rendition('source', entriesOf(5, '2. 1'))
  const streams: HeldStream[] = [{ record: { id: 'a' }, followed: () => [source] }]
  const { round, viewers, feed } = feedOf(streams)
  viewers.set('a', 3)
  const [news] = round()
  t.same(news?.held, [
    { stream: 'a', rendition: '', viewers: 3, ranges: [], parts: [] },
    ...[{ stream: 'a', rendition: 'source', viewers: 0, ...heldWindow(source.entries) }],
  ])
  t.match(round(), [{ held: [], gone: [] }], 'the load alone')
  source.version = 2
  t.same(
    round()[0]?.held.map((each) => each.rendition),
    ['source'],
  )
  viewers.set('a', 4)
  t.same(
    round()[0]?.held.map((each) => each.viewers),
    [4],
  )
  // Another window that happens to be of the same version.
  streams[0] = { record: { id: 'a' }, followed: () => [{ ...source }] }
  t.equal(round()[0]?.held.length, 1)
  streams.length = 0
  t.same(round()[0]?.gone, [
    { stream: 'a', rendition: '' },
    { stream: 'a', rendition: 'source' },
  ])
  t.same(round(), [], 'nothing is held, and nothing is said')
  feed.stop()
})

test('a tracker that is started anew is told everything, and one that is not there nothing', async (t) => {
  const stream = { record: { id: 'a' }, followed: () => [rendition('source', entriesOf(1, '1.'))] }
  const kept = stream.followed()
  const { round, state, tracker } = feedOf([{ ...stream, followed: () => kept }])
  state.swarms = undefined
  t.same(round(), [])
  state.swarms = tracker()
  t.equal(round()[0]?.held.length, 2)
  t.equal(round()[0]?.held.length, 0)
  state.swarms = tracker()
  t.equal(round()[0]?.held.length, 2)
})

test('streams without anything are not told of, nor more than there may be', async (t) => {
  const empty = { record: { id: 'empty' }, followed: () => [rendition('source', [])] }
  const many = Array.from({ length: limits.subjectsMax / 2 + 3 }, (_, at) => {
    const one = rendition('source', entriesOf(1, '1.'))
    return { record: { id: `s${at}` }, followed: () => [one] }
  })
  const { round, registry } = feedOf([empty, ...many])
  t.equal(round()[0]?.held.length, limits.subjectsMax)
  t.equal(await metricOf(registry, 'kairo_coordination_swarm_untold_total'), 6)
  t.equal(await metricOf(registry, 'kairo_coordination_swarm_subjects'), limits.subjectsMax)
})
