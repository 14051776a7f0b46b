/** Going back in streams of other peers: what the publisher's peer tells, and what is shown of it. */
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { DvrServer } from '../../../src/content/dvr/dvr-server.ts'
import { RemoteDvr } from '../../../src/content/dvr/remote-dvr.ts'
import { generateStreamKey } from '../../../src/content/stream-key.ts'
import { KairoError } from '../../../src/errors.ts'
import type { PeerHttpHandler } from '../../../src/host/peer-http.ts'
import { remoteDvrLimits as limits } from '../../../src/limits/remote-dvr.ts'
import { silentLogger } from '../../../src/logger.ts'
import { metric } from '../../support/http-exchange.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { archivedSegments } from '../../support/memory-presentations.ts'
import { recordFields } from '../../support/records.ts'

const { id } = generateStreamKey()
const { signal } = new AbortController()

/** A publisher that keeps segments, and a peer that asks it, with a live window of five segments. */
function pair(t: Test, first = 100, count = 60) {
  const clock = new ManualClock()
  const registry = new Registry()
  const kept = { segments: archivedSegments(count, { firstMsn: first }) }
  const live = { entries: archivedSegments(5, { firstMsn: first + count - 4 }) }
  let handler: PeerHttpHandler | undefined
  const state = { kept, live, asked: [] as string[], fails: undefined as Error | undefined }
  new DvrServer({
    registry: new Registry(),
    http: {
      handle: (_prefix, answer) => {
        handler = answer
      },
    },
    source: {
      segments: (stream, name) => (stream === id && name === 'source' ? kept.segments : []),
    },
  }).start()
  const record = {
    ...{ ...recordFields(), id, sequence: 1, expiresAtMs: 2, originPeer: 'publisher' },
  }
  const dvr = new RemoteDvr({
    ...{ clock, logger: silentLogger, registry, peerId: 'here' },
    records: { get: (stream) => (stream === id ? record : undefined) },
    http: {
      request: async (peerId, request) => {
        t.equal(peerId, 'publisher')
        state.asked.push(request.path)
        if (state.fails !== undefined) throw state.fails
        const incoming = { ...request, headers: {}, peerId: 'here', body: new Uint8Array() }
        const answer = await handler?.(incoming, signal)
        if (answer === undefined) throw new Error('nobody answers')
        const { body = [] } = answer
        const chunks = (async function* () {
          yield* body
        })()
        return { status: answer.status, headers: answer.headers ?? {}, body: chunks }
      },
    },
  })
  t.teardown(() => dvr.stop())
  /** The stream goes on, and the publisher drops what is too old. */
  const goOn = (segments: number, drop = 0): void => {
    const next = (kept.segments.at(-1)?.msn ?? 0) + 1
    kept.segments = [
      ...kept.segments.slice(drop),
      ...archivedSegments(segments, { firstMsn: next }).map((segment) => ({
        ...segment,
        startUs: (segment.msn - first) * 2_000_000,
      })),
    ]
    live.entries = archivedSegments(5, { firstMsn: next + segments - 4 })
  }
  const prepare = () => dvr.prepare(id, 'source', () => live)
  const shown = (): number[] => {
    const segments = dvr.segments(id, 'source')
    return [segments[0]?.msn ?? -1, segments.at(-1)?.msn ?? -1]
  }
  return { clock, registry, dvr, state, goOn, prepare, shown, kept }
}

test('a window is learned once, goes on, and ends where the publisher drops it', async (t) => {
  const { clock, dvr, state, goOn, prepare, shown, kept } = pair(t)
  t.same(dvr.segments(id, 'source'), [])
  await prepare()
  t.same(dvr.segments(id, 'source'), kept.segments)
  t.ok(dvr.has(id, kept.segments[3]?.digest ?? ''))
  t.ok(dvr.has(id, kept.segments[3]?.initDigest ?? ''))
  t.notOk(dvr.has(id, 'other'))
  t.notOk(dvr.has('other', kept.segments[3]?.digest ?? ''))
  t.equal(state.asked.length, 1)
  goOn(2, 30)
  shown()
  await settle()
  t.equal(state.asked.length, 1, 'not asked again so soon')
  await clock.pass(limits.refreshMsMax)
  shown()
  await settle()
  t.same(shown(), [130, 161])
  t.match(state.asked[1], /from=160$/)
  t.same(
    dvr.segments(id, 'source').map(({ msn }) => msn),
    kept.segments.map(({ msn }) => msn),
  )
})

test('long windows come page by page', async (t) => {
  const { dvr, state, prepare, kept } = pair(t, 0, 2_500)
  await prepare()
  t.same(dvr.segments(id, 'source').length, kept.segments.length)
  t.equal(state.asked.length, 3)
})

test('a window that comes late or falls behind never reaches back further than was shown', async (t) => {
  const { clock, state, goOn, prepare, shown } = pair(t)
  state.fails = new KairoError('ERR_NO_PROVIDER', 'away')
  await prepare()
  t.same(shown(), [-1, -1])
  state.fails = undefined
  await clock.pass(limits.refreshMsMax)
  shown()
  await settle()
  t.same(shown(), [156, 159], 'from the live window on')
  state.fails = new KairoError('ERR_NO_PROVIDER', 'away')
  goOn(50)
  await clock.pass(limits.refreshMsMax)
  shown()
  await settle()
  t.same(shown(), [-1, -1], 'what does not join the live window is of no use')
  state.fails = undefined
  await clock.pass(limits.refreshMsMax)
  shown()
  await settle()
  t.same(shown(), [206, 209], 'what was behind for a while begins anew')
})

test('the publisher begins its window anew', async (t) => {
  const { clock, goOn, prepare, shown, kept } = pair(t)
  await prepare()
  const next = archivedSegments(3, { firstMsn: 400 })
  goOn(1)
  kept.segments = next
  await clock.pass(limits.refreshMsMax)
  shown()
  await settle()
  t.same(shown(), [400, 402])
})

test('nobody waits long, and own streams are not asked about', async (t) => {
  const { clock, registry, dvr, state } = pair(t)
  state.fails = undefined
  const { id: unknown } = generateStreamKey()
  await dvr.prepare(unknown, 'source', () => undefined)
  t.equal(state.asked.length, 0)
  const slow = new RemoteDvr({
    ...{ clock, logger: silentLogger, registry: new Registry(), peerId: 'here' },
    records: {
      get: () => ({ ...recordFields(), id, sequence: 1, expiresAtMs: 2, originPeer: 'p' }),
    },
    http: { request: () => new Promise(() => {}) },
  })
  const prepared = slow.prepare(id, 'source', () => undefined)
  await clock.pass(limits.prepareMsMax)
  await t.resolves(prepared)
  t.same(slow.segments(id, 'source'), [])
  slow.stop()
  t.equal(await metric(registry, 'kairo_dvr_remote_segments'), 0)
})

test('what is no longer followed is forgotten', async (t) => {
  const { registry, dvr, prepare } = pair(t)
  await prepare()
  t.equal(await metric(registry, 'kairo_dvr_remote_segments'), 60)
  dvr.forget(id)
  t.same(dvr.segments(id, 'source'), [])
  t.equal(await metric(registry, 'kairo_dvr_remote_segments'), 0)
})
