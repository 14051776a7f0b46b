/** /api/cdn/fills over a real HTTP server. */
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { fillRoutes } from '../../src/api/fills.ts'
import { systemClock } from '../../src/clock.ts'
import { FillService } from '../../src/content/fill/fill-service.ts'
import { HttpServer } from '../../src/http/server.ts'
import { silentLogger } from '../../src/logger.ts'
import { httpRequest } from '../support/http-get.ts'
import { until } from '../support/until.ts'

test('the operator orders fills, sees and clears them', async (t) => {
  const base = { clock: systemClock, logger: silentLogger, registry: new Registry() }
  const fills = new FillService(
    { ...base, load: async (url) => url.length },
    { file: join(t.testdir({}), 'fills.json') },
  )
  fills.start()
  const server = new HttpServer(base, {
    ...{ host: '127.0.0.1', port: 0, corsOrigins: [], plainHandlers: [], streamRoutes: [] },
    routes: fillRoutes({ fills }),
    authenticators: { operator: () => true },
  })
  await server.start()
  t.teardown(async () => {
    await server.stop()
    await fills.stop()
  })
  const call = async (method: string, order?: unknown, query = '') => {
    const { status, text } = await httpRequest(
      `http://127.0.0.1:${server.address()?.port}/api/cdn/fills${query}`,
      {
        method,
        ...(order !== undefined && {
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(order),
        }),
      },
    )
    return { status, body: JSON.parse(text) }
  }
  const url = 'http://cdn.example/a'
  t.match(await call('POST', { urls: [url] }), { status: 200, body: { fills: [{ url }] } })
  await until(async () => (await call('GET')).body.fills[0]?.state === 'done')
  for (const wrong of [
    { urls: [] },
    { urls: ['file:///etc/passwd'] },
    { urls: [url], between: 'tonight' },
  ]) {
    t.equal((await call('POST', wrong)).status, 400)
  }
  const late = ['http://cdn.example/b', 'http://cdn.example/c']
  const soon = new Date(Date.now() + 7_200_000).getUTCHours()
  const between = [soon, (soon + 1) % 24].map((hour) => `${String(hour).padStart(2, '0')}:00`)
  t.equal((await call('POST', { urls: late, between: between.join('-') })).status, 200)
  const urls = async (query: string) => {
    const { body } = await call('GET', undefined, query)
    t.match(body, { waiting: 2, done: 1, failed: 0 })
    return body.fills.map((fill: { url: string }) => fill.url)
  }
  t.strictSame(await urls(''), [url, ...late])
  t.strictSame(await urls('?order=newest&limit=2'), [...late].reverse())
  t.strictSame(await urls('?order=newest&limit=2&skip=2'), [url])
  t.strictSame(await urls('?state=waiting&limit=1'), late.slice(0, 1))
  t.equal((await call('GET', undefined, '?limit=0')).status, 400)
  t.match(await call('DELETE'), { status: 200, body: { done: true } })
  t.strictSame((await call('GET')).body.fills, [])
})
