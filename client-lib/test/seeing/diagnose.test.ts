// One sentence for each reason.
import { test } from 'tap'
import { diagnose, type Situation } from '../../src/seeing/diagnose.ts'
import { overlayText, showOverlay } from '../../src/seeing/overlay.ts'
import { type KairoStats, newCounters, offloadOf } from '../../src/seeing/stats.ts'
import { ManualClock } from '../support/manual-clock.ts'

const peer = {
  id: 'abcdefghijklmnop',
  rttMs: 12,
  receivedBytes: 2e6,
  sentBytes: 1e6,
  downKbps: 0,
  upKbps: 0,
}

function stats(of: Partial<KairoStats> = {}): KairoStats {
  const some = { ...newCounters(), ...of }
  return {
    ...{ peers: [], httpKbps: 0, memoryBytes: 0, edge: 'wss://e/swarm', isEdgeOpen: true },
    ...{ latencyMs: undefined, offload: offloadOf(some) },
    ...some,
  }
}

function situation(of: Partial<Situation> = {}): Situation {
  return {
    ...{ hasSource: true, edges: 1, badEdges: [], canConnect: true, swarm: '/a', off: undefined },
    allowed: { mayTake: true, mayGive: true, why: undefined },
    stats: stats(),
    ...of,
  }
}

test('why P2P is at 0 %', async (t) => {
  const cases: [Partial<Situation>, RegExp][] = [
    [{ hasSource: false }, /has loaded anything/],
    [{ edges: 0 }, /no edge is named/],
    [{ edges: 0, badEdges: ['e.example'] }, /"e\.example" is no address/],
    [{ canConnect: false }, /no WebRTC/],
    [{ allowed: { mayTake: false, mayGive: false, why: 'sharing is off' } }, /sharing is off/],
    [{ off: 'the ticket is too old' }, /refused this page \(the ticket is too old\)/],
    [{ stats: stats({ isEdgeOpen: false }) }, /wss:\/\/e\/swarm cannot be reached/],
    [{}, /0 other pages in swarm "\/a" are connected; nobody watches/],
    [{ stats: stats({ peers: [peer] }) }, /nothing has been loaded yet/],
    [{ stats: stats({ peers: [peer], httpBytes: 9, refusedParts: 3 }) }, /3 parts had wrong bytes/],
    [{ stats: stats({ peers: [peer], httpBytes: 9 }) }, /none had in time/],
  ]
  for (const [of, sentence] of cases) {
    t.match(diagnose(situation(of)), /^No P2P: .*[.]$/)
    t.match(diagnose(situation(of)), sentence)
  }
})

test('what it does when it does', async (t) => {
  const works = stats({ peers: [peer], httpBytes: 1e6, peerBytes: 3e6 })
  t.equal(
    diagnose(situation({ stats: works })),
    '75 % of 4.0 MB came from other pages; 1 are connected now.',
  )
  const allowed = { mayTake: true, mayGive: false, why: 'the data saver is on' }
  t.match(
    diagnose(situation({ stats: works, allowed })),
    /Nothing is sent to them: the data saver is on\.$/,
  )
  const alone = stats({ isEdgeOpen: false, peers: [peer], peerBytes: 1e6 })
  t.match(diagnose(situation({ stats: alone })), /^100 %/, 'an edge that died ends nothing')
})

test('the overlay: a line each, as text, and gone when it is taken away', async (t) => {
  const many = stats({
    peers: Array.from({ length: 10 }, () => peer),
    peerBytes: 3e6,
    httpBytes: 1e6,
    latencyMs: 2_340,
  })
  const text = overlayText(many, 'why')
  t.match(text, /^P2P 75 % {2}saved 3\.0 MB {2}HTTP 1\.0 MB/)
  t.match(text, /10 peers.*2\.3 s behind/)
  t.match(text, /abcdef {3}12 ms/)
  t.match(text, /and 2 more\nwhy$/)
  const clock = new ManualClock()
  const table = {
    style: { cssText: '' },
    textContent: '',
    isGone: false,
    remove: () => (table.isGone = true),
  }
  const parent = { ownerDocument: { createElement: () => table }, append: () => {} }
  let asked = 0
  const shown = { stats: () => many, diagnose: () => `<b>${++asked}` }
  const hide = showOverlay(shown, parent as unknown as HTMLElement, clock)
  t.match(table.textContent, /<b>1$/)
  clock.advance(2_000)
  t.match(table.textContent, /<b>3$/)
  hide()
  t.equal(table.isGone, true)
  t.equal(clock.timers, 0)
})
