/** `/metrics` and `/health/*` as routes of a server. */
import { test } from 'tap'
import { healthRoutes } from '../../src/api/health.ts'
import { metricsRoute } from '../../src/api/metrics.ts'
import { KairoError } from '../../src/errors.ts'
import { httpLimits } from '../../src/limits.ts'
import { createRegistry } from '../../src/metrics/registry.ts'
import {
  exchange,
  keepingLogger,
  type Line,
  startTestServer,
  stopTestServer,
} from '../support/http-exchange.ts'
import { ManualClock } from '../support/manual-clock.ts'

const get = (path: string, host = 'localhost') =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
const jsonOf = (text: string) => JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4))

test('metrics', async (t) => {
  const registry = createRegistry()
  const started = await startTestServer({ routes: [metricsRoute({ registry })] })
  t.teardown(() => stopTestServer(started))
  const text = await exchange(started.port, get('/metrics'))
  t.match(text, /^HTTP\/1\.1 200 OK\r\n/)
  t.match(text, /\r\ncontent-type: text\/plain; version=0\.0\.4/)
  t.match(text, /\nprocess_cpu_seconds_total /)
  t.match(text, /\nnodejs_eventloop_lag_seconds /)
  t.match(await exchange(started.port, get('/metrics', 'peer.example')), /^HTTP\/1\.1 401 /)
})

test('health', async (t) => {
  const lines: Line[] = []
  const clock = new ManualClock()
  const state: Record<string, () => Promise<void>> = {
    store: async () => {},
    network: async () => {},
  }
  const routes = healthRoutes(
    { clock, logger: keepingLogger(lines) },
    {
      checks: {
        store: () => (state.store as () => Promise<void>)(),
        network: () => (state.network as () => Promise<void>)(),
      },
    },
  )
  const started = await startTestServer({ routes })
  t.teardown(() => stopTestServer(started))
  t.same(jsonOf(await exchange(started.port, get('/health/live'))), { status: 'live' })
  const ready = await exchange(started.port, get('/health/ready'))
  t.match(ready, /^HTTP\/1\.1 200 /)
  t.same(jsonOf(ready), { status: 'ready', checks: { store: 'ok', network: 'ok' } })

  state.store = async () => {
    throw new KairoError('ERR_STORAGE', 'the disk at /secret is full')
  }
  state.network = () => {
    // The deadline comes while the check hangs.
    setImmediate(() => clock.advance(httpLimits.readyCheckTimeoutMs))
    return new Promise(() => {})
  }
  const failing = await exchange(started.port, get('/health/ready'))
  t.match(failing, /^HTTP\/1\.1 503 /)
  t.same(jsonOf(failing), {
    status: 'not-ready',
    checks: { store: 'ERR_STORAGE', network: 'ERR_TIMEOUT' },
  })
  t.equal(lines.length, 2)
  state.network = async () => {
    throw new TypeError('secret')
  }
  t.equal(jsonOf(await exchange(started.port, get('/health/ready'))).checks.network, 'ERR_INTERNAL')
  t.equal(clock.timers, 0)
})
