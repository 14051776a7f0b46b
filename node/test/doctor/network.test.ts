// The doctor's findings about a peer's place in the network.
import { test } from 'tap'
import type { StreamRecord } from '../../src/content/stream.ts'
import {
  checkClock,
  checkJoin,
  checkReach,
  checkReachability,
  checkStore,
} from '../../src/doctor/network.ts'
import { type ReachStatus, reachUnknown } from '../../src/host/reach/reach-status.ts'
import { recordLimits } from '../../src/limits.ts'

const NOW = 1_800_000_000_000

function signedAt(sequence: number, more: Partial<StreamRecord> = {}): StreamRecord {
  return {
    id: 'k51',
    alias: 'a',
    title: 'A',
    state: 'live',
    sequence,
    renditions: [],
    originPeer: 'other',
    startedAtMs: sequence,
    expiresAtMs: sequence,
    ...more,
  }
}

test('the clock is judged by when others signed what is fresh', async (t) => {
  t.match(checkClock(NOW, 'me', []), { status: 'ok', detail: /no other/ })
  t.match(checkClock(NOW, 'me', [signedAt(NOW - 3_000)]), { status: 'ok', detail: /1 other/ })
  t.match(checkClock(NOW, 'me', [signedAt(NOW + 60_000)]), {
    status: 'warn',
    detail: /60 s behind/,
  })
  const old = NOW - recordLimits.recordTtlMs - 30_000
  t.match(checkClock(NOW, 'me', [signedAt(old)]), { status: 'warn', detail: /30 s ahead/ })
  const own = signedAt(NOW + 60_000, { originPeer: 'me' })
  t.match(checkClock(NOW, 'me', [own]), { status: 'ok' }, 'its own signatures prove nothing')
  const majority = [signedAt(NOW - 1), signedAt(NOW - 2), signedAt(NOW + 90_000)]
  t.match(checkClock(NOW, 'me', majority), { status: 'ok' }, 'one wrong clock does not convince')
})

test('join targets', async (t) => {
  const target = { peerId: undefined, lastError: undefined, failures: 0 }
  t.match(
    checkJoin([
      { ...target, target: '/a', state: 'connected' },
      { ...target, target: '/b', state: 'self' },
      {
        ...target,
        target: '/c',
        state: 'waiting',
        lastError: { code: 'ERR_TIMEOUT', message: 'no answer' },
      },
      { ...target, target: '/d', state: 'connecting' },
    ]),
    [
      { status: 'ok' },
      { status: 'warn', detail: /this very peer/ },
      { status: 'fail', detail: '/c is not reached: no answer', hint: /firewall/ },
      { status: 'fail', detail: '/d is not reached' },
    ],
  )
})

test('reachability', async (t) => {
  const view = { multiaddrs: ['/a'], observed: [], connections: [] }
  t.match(checkReachability(view), { status: 'warn', detail: /nobody/ })
  const outbound = { ...view, connections: [{ direction: 'outbound' as const }] }
  t.match(checkReachability(outbound), { status: 'warn', hint: /--announce/ })
  const inbound = {
    ...view,
    observed: ['/ip4/192.0.2.9/tcp/5000', '/ip4/192.0.2.9/tcp/6000'],
    connections: [{ direction: 'inbound' as const }],
  }
  t.match(checkReachability(inbound), {
    status: 'ok',
    detail: /others see this machine as 192\.0\.2\.9$/,
  })
})

test('reach', async (t) => {
  const outer = '/ip4/5.5.5.5/tcp/4001'
  const check = (status: Partial<ReachStatus>) =>
    checkReach(
      { ...reachUnknown, ...status },
      ['/ip4/5.5.5.5/tcp/60001'],
      ['/ip4/10.0.0.1/tcp/4001'],
    )
  const open = { publicAddresses: [{ multiaddr: outer, verified: false }] }
  t.match(check({}), [{ status: 'warn', detail: 'not yet known' }])
  t.match(check(open), [{ status: 'warn', detail: /5\.5\.5\.5\/tcp\/4001 waits/ }])
  t.match(check({ nat: 'public' }), [{ status: 'ok', detail: /announced/ }])
  const confirmed = { publicAddresses: [{ multiaddr: outer, verified: true }] }
  t.match(check({ nat: 'public', ...confirmed }), [
    { status: 'ok', detail: `others can dial this peer at ${outer}` },
  ])
  t.match(check({ nat: 'local' }), [{ status: 'ok' }])
  t.match(check({ nat: 'private' }), [
    {
      status: 'warn',
      detail: /no neighbour relays/,
      hint: /--announce \/ip4\/5\.5\.5\.5\/tcp\/4001\. Or/,
    },
  ])
  t.match(check({ nat: 'private', relays: ['a', 'b'] }), [{ status: 'warn', detail: /2 relays/ }])
  t.match(checkReach({ ...reachUnknown, nat: 'private' }, [], []), [{ hint: /<outer address>/ }])
  const relaying = { reservations: 3, connections: 2 }
  const punched = check({ nat: 'public', relaying, holePunches: { tried: 3, succeeded: 1 } })
  t.match(punched, [{}, { detail: /^3 peers/ }, { status: 'ok', detail: /^1 of 3/ }])
  const blocked = check({ nat: 'public', holePunches: { tried: 3, succeeded: 0 } })
  t.match(blocked, [{}, { status: 'warn', hint: /Forward/ }])
})

test('store', async (t) => {
  t.match(checkStore({ status: 'ok', reason: '' }), { status: 'ok' })
  t.match(checkStore({ status: 'degraded', reason: 'disk full' }), {
    status: 'warn',
    detail: 'disk full',
  })
})
