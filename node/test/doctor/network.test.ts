// The doctor's findings about a peer's place in the network.
import { test } from 'tap'
import type { StreamRecord } from '../../src/content/stream.ts'
import { checkClock, checkJoin, checkReachability, checkStore } from '../../src/doctor/network.ts'
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

test('store', async (t) => {
  t.match(checkStore({ status: 'ok', reason: '' }), { status: 'ok' })
  t.match(checkStore({ status: 'degraded', reason: 'disk full' }), {
    status: 'warn',
    detail: 'disk full',
  })
})
