/** /api/store as the operator calls it, over a real HTTP server and a real store. */
import { Registry } from 'prom-client'
import { test } from 'tap'
import { storeRoutes } from '../../src/api/store.ts'
import { systemClock } from '../../src/clock.ts'
import { cidOf } from '../../src/content/digest.ts'
import { KairoError } from '../../src/errors.ts'
import { HttpServer } from '../../src/http/server.ts'
import { storeLimits } from '../../src/limits/store.ts'
import { silentLogger } from '../../src/logger.ts'
import { httpRequest } from '../support/http-get.ts'
import { object, storeAt } from '../support/stores.ts'

test('the operator sees, keeps and releases', async (t) => {
  const base = { clock: systemClock, logger: silentLogger, registry: new Registry() }
  const store = storeAt(undefined, { memoryBytesMax: 100_000_000 })
  await store.start()
  const elsewhere = object(2)
  const replication = {
    obtain: async (digest: string) => {
      if (digest !== elsewhere.digest) throw new KairoError('ERR_NO_PROVIDER', 'nobody has it')
      store.put(digest, elsewhere.bytes)
    },
  }
  const server = new HttpServer(base, {
    ...{ host: '127.0.0.1', port: 0, corsOrigins: [], plainHandlers: [], streamRoutes: [] },
    routes: storeRoutes({ store, replication }),
    authenticators: { operator: () => true },
  })
  await server.start()
  t.teardown(() => server.stop())
  const call = async (method: string, path: string) => {
    const { status, text } = await httpRequest(
      `http://127.0.0.1:${server.address()?.port}${path}`,
      { method },
    )
    return { status, body: JSON.parse(text) }
  }
  const here = object(1)
  store.put(here.digest, here.bytes)
  const cid = cidOf(here.digest)
  t.match(await call('GET', '/api/store'), {
    status: 200,
    body: { status: 'ok', reason: '', memoryBytes: 1_000, diskBytes: 0, keptObjects: 0 },
  })
  t.match(await call('PUT', `/api/store/kept/${cid}`), { status: 200, body: { cid, bytes: 1_000 } })
  t.match(await call('PUT', `/api/store/kept/${cidOf(elsewhere.digest)}`), { status: 200 })
  t.match(await call('PUT', `/api/store/kept/${cidOf(object(3).digest)}`), {
    status: 503,
    body: { code: 'ERR_NO_PROVIDER' },
  })
  t.equal((await call('PUT', `/api/store/kept/${'b'.repeat(59)}`)).status, 400)
  t.equal((await call('PUT', '/api/store/kept/nonsense')).status, 400)
  const all = await call('GET', '/api/store/kept')
  const mine = { bytes: 1_000, by: ['operator'] }
  t.match(all.body, { total: 2, objects: [mine, mine] })
  const [first, second] = all.body.objects
  t.strictSame((await call('GET', `/api/store/kept?after=${first.cid}`)).body.objects, [second])
  t.strictSame((await call('GET', `/api/store/kept?after=${second.cid}`)).body.objects, [])
  t.equal((await call('DELETE', `/api/store/kept/${cid}`)).status, 200)
  t.equal((await call('DELETE', `/api/store/kept/${cid}`)).status, 404)
  await store.keep(here.digest, 'ipfs')
  t.match(await call('GET', '/api/store/kept'), { body: { total: 2 } })
  t.equal((await call('DELETE', `/api/store/kept/${cid}`)).status, 404, 'a tree is let go by ipfs')
  t.strictSame([...store.kept.keys()].sort(), [here.digest, elsewhere.digest].sort())
  t.equal((await call('PUT', `/api/store/kept/${cid}`)).status, 200)
  const both = (await call('GET', '/api/store/kept')).body.objects
  t.strictSame(both.find((one: { cid: string }) => one.cid === cid)?.by, ['operator', 'ipfs'])
  await store.keep(object(2).digest, 'ipfs')
  t.equal((await call('DELETE', `/api/store/kept/${cidOf(elsewhere.digest)}`)).status, 200)
  t.match((await call('GET', '/api/store/kept?by=operator')).body, { total: 1, objects: [{ cid }] })
  t.equal((await call('GET', '/api/store/kept?by=ipfs')).body.total, 2)
  t.equal((await call('GET', '/api/store/kept?limit=1')).body.objects.length, 1)
  t.equal((await call('GET', '/api/store/kept?by=nobody')).status, 400)
  t.strictSame((await call('GET', '/api/store/usage?kind=tenant&name=me')).body, {
    ...{ bytes: 0, objects: 0, bytesMax: 0 },
  })
  for (let seed = 10; seed < 11 + storeLimits.keptPageObjects; seed += 1) {
    store.put(object(seed).digest, object(seed).bytes)
    await store.keep(object(seed).digest, 'operator')
  }
  t.equal((await call('GET', '/api/store/kept')).body.objects.length, storeLimits.keptPageObjects)
})
