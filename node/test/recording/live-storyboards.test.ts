/** Small pictures of live streams: which keyframes become some, how long they stay, and what a failing child costs. */
import { Registry } from 'prom-client'
import { test } from 'tap'
import { createLiveStoryboardHandler } from '../../src/delivery/live-storyboard.ts'
import { KairoError } from '../../src/errors.ts'
import { liveStoryboardLimits as limits } from '../../src/limits/live-storyboard.ts'
import { silentLogger } from '../../src/logger.ts'
import type { AccessUnit, VideoConfig } from '../../src/media/access-unit.ts'
import type { MediaRun, MediaRunHandlers } from '../../src/media/child/media-run.ts'
import type { PublishedSession, SessionListener } from '../../src/media/published-session.ts'
import { LiveStoryboards } from '../../src/recording/live-storyboards.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { metricOf } from '../support/registry-value.ts'

const config = { kind: 'video', codec: 'h264', width: 640, height: 360 } as VideoConfig

/** A child that the test plays: it says when a picture is made, and when it dies. */
class ScriptedChild {
  readonly handlers: MediaRunHandlers
  readonly units: AccessUnit[] = []
  readonly calls: string[] = []
  fail: (error: Error) => void = () => {}
  readonly done: Promise<null>

  constructor(handlers: MediaRunHandlers) {
    this.handlers = handlers
    const { promise, reject } = Promise.withResolvers<null>()
    this.done = promise
    this.fail = reject
  }

  configure(): void {
    this.calls.push('configure')
  }

  write(_input: number, unit: AccessUnit): undefined {
    this.units.push(unit)
  }

  finish(): void {
    this.calls.push('finish')
  }

  cancel(): void {
    this.calls.push('cancel')
  }

  /** Makes the picture of a unit. */
  make(index: number, bytes = Buffer.from(`jpeg ${index}`)): void {
    this.handlers.onBlob?.({ time: this.units[index]?.pts ?? -1 }, bytes)
  }
}

function setUp(dvrWindowS = 60) {
  const clock = new ManualClock()
  const registry = new Registry()
  const children: ScriptedChild[] = []
  const told: number[] = []
  const state = { full: false, record: false }
  const storyboards = new LiveStoryboards({
    ...{ clock, registry, logger: silentLogger },
    media: {
      run: (_job, handlers) => {
        if (state.full) throw new KairoError('ERR_LIMIT', 'no child')
        const child = new ScriptedChild(handlers)
        children.push(child)
        return child as unknown as MediaRun
      },
    },
    optionsOf: () => ({ record: state.record, dvrWindowS }),
    onPicture: (_stream, { msn }) => told.push(msn),
  })
  storyboards.start()
  const begin = (streamId: string): SessionListener => {
    let listener: SessionListener | undefined
    storyboards.sessionStarted({
      ...{ streamId, streamName: streamId },
      listen: (one: SessionListener) => {
        listener = one
        one.configured?.(config)
        return () => {}
      },
    } as unknown as PublishedSession)
    if (listener === undefined) throw new Error('nobody listens')
    return listener
  }
  const keyframe = (to: SessionListener, atS: number): void => {
    const cut = { time: 0, msn: atS / 2, discontinuity: false, wallMs: clock.now() + atS * 1_000 }
    to.unit?.({ kind: 'video', pts: 7, dts: 7, keyframe: true } as AccessUnit, cut)
  }
  return { clock, registry, storyboards, children, told, state, begin, keyframe }
}

test('a picture every ten seconds, for as long as the window is', async (t) => {
  const { storyboards, children, told, begin, keyframe } = setUp()
  const [one, two] = [begin('one'), begin('two')]
  for (let atS = 0; atS <= 120; atS += 2) {
    keyframe(one, atS)
    if (atS === 4) keyframe(two, atS)
    const child = children[0]
    child?.make(child.units.length - 1)
  }
  t.equal(children.length, 1, 'one child for all')
  t.equal(children[0]?.calls.filter((call) => call === 'configure').length, 1)
  const msns = storyboards.pictures('one').map(({ msn }) => msn)
  t.same(msns, [30, 35, 40, 45, 50, 55, 60])
  t.same(
    storyboards.pictures('two').map(({ msn }) => msn),
    [2],
  )
  t.ok(told.includes(0) && told.includes(2))
  t.same(storyboards.pictures('three'), [])
  one.unit?.({ kind: 'video', pts: 0, dts: 0, keyframe: true } as AccessUnit, undefined)
  one.ended?.('gone')
  storyboards.stop()
  t.same(children[0]?.calls.at(-1), 'cancel')
})

test('no window, no pictures; a recording wants them too', async (t) => {
  const { children, state, begin, keyframe } = setUp(0)
  const stream = begin('one')
  keyframe(stream, 0)
  t.equal(children.length, 0)
  state.record = true
  keyframe(stream, 2)
  t.equal(children.length, 1)
})

test('pictures go when the stream does not come back', async (t) => {
  const { clock, storyboards, children, begin, keyframe } = setUp()
  keyframe(begin('one'), 0)
  children[0]?.make(0)
  storyboards.streamEnded('one')
  storyboards.streamEnded('other')
  clock.advance(30_000)
  t.equal(storyboards.pictures('one').length, 1)
  const again = begin('one')
  keyframe(again, 40)
  clock.advance(31_000)
  t.equal(storyboards.pictures('one').length, 1, 'it has come back')
  storyboards.streamEnded('one')
  clock.advance(61_000)
  t.equal(storyboards.pictures('one').length, 0)
})

test('a child that dies, is missing, stuck, idle or wrong costs pictures and nothing else', async (t) => {
  const { clock, registry, children, state, begin, keyframe } = setUp()
  const outcome = (name: string): Promise<number> =>
    metricOf(registry, 'kairo_recording_thumbnails_total', { outcome: name })
  const stream = begin('one')
  keyframe(stream, 0)
  children[0]?.fail(new KairoError('ERR_WORKER', 'killed'))
  await settle()
  t.equal(await outcome('child failed'), 1)
  keyframe(stream, 10)
  t.equal(children.length, 1, 'not at once')
  clock.advance(limits.retryMs)
  state.full = true
  keyframe(stream, 20)
  state.full = false
  keyframe(stream, 30)
  t.equal(children.length, 1)
  t.equal(await outcome('no child'), 3)
  clock.advance(limits.retryMs)
  for (let count = 0; count <= limits.pendingMax; count += 1) keyframe(stream, 40 + count * 10)
  const child = children[1]
  t.equal(child?.units.length, limits.pendingMax)
  t.equal(await outcome('child too slow'), 1)
  child?.make(2)
  t.equal(await outcome('damaged'), 2, 'the two before it were not decodable')
  child?.make(3, Buffer.alloc(limits.pictureBytesMax + 1))
  child?.handlers.onBlob?.('nonsense', Buffer.alloc(1))
  t.equal(await outcome('unusable'), 2)
  clock.advance(limits.idleMs)
  t.equal(child?.calls.at(-1), 'finish', 'given back when nobody needs it')
})

test('the track and the pictures over HTTP', async (t) => {
  const jpeg = Buffer.from('jpeg')
  const pictures = [1_763_800_000_000, 1_763_800_010_500, 1_763_803_700_000].map((wallMs) => ({
    ...{ wallMs, jpeg, digest: 'ab'.repeat(32) },
  }))
  const handler = createLiveStoryboardHandler({
    streams: {
      get: (name) => (name === 'main' ? ({ record: { id: 'k51' } } as never) : undefined),
    },
    storyboards: { pictures: (id) => (id === 'k51' ? pictures : []) },
  })
  const ask = async (path: string, ifNoneMatch?: string) =>
    await handler(
      { method: 'GET', path, query: '', ifNoneMatch } as never,
      new AbortController().signal,
      'client',
    )
  t.equal(await ask('/live/main/master.m3u8'), undefined)
  t.equal(await ask('/live/main/storyboard/01.jpg'), undefined)
  const track = await ask('/live/main/storyboard.vtt')
  t.equal(
    Buffer.concat((track?.body ?? []) as Buffer[]).toString(),
    [
      ...['WEBVTT', '', '2025-11-22T08:26:40.000Z', '00:00:00.000 --> 00:00:10.500'],
      ...['storyboard/1763800000000.jpg', '', '2025-11-22T08:26:50.500Z'],
      ...['00:00:10.500 --> 01:01:40.000', 'storyboard/1763800010500.jpg', ''],
      ...['2025-11-22T09:28:20.000Z', '01:01:40.000 --> 01:01:50.000'],
      ...['storyboard/1763803700000.jpg', ''],
    ].join('\n'),
  )
  t.equal((await ask('/live/main/storyboard.vtt', track?.headers.etag))?.status, 304)
  const picture = await ask('/live/main/storyboard/1763800010500.jpg')
  t.match(picture, { status: 200, headers: { 'content-type': 'image/jpeg' } })
  await t.rejects(ask('/live/main/storyboard/17.jpg'), { code: 'ERR_NOT_FOUND' })
  const none = await ask('/live/other/storyboard.vtt')
  t.equal(Buffer.concat((none?.body ?? []) as Buffer[]).toString(), 'WEBVTT\n')
})
