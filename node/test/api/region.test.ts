/** The region at the API and on the command line, over a real HTTP server and a real tracker. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { type Test, t, test } from 'tap'
import { regionRoutes } from '../../src/api/region.ts'
import { parseArguments } from '../../src/cli/arguments.ts'
import { region } from '../../src/cli/region.ts'
import { systemClock } from '../../src/clock.ts'
import type { CoordinationService } from '../../src/coordination/coordination-service.ts'
import { homeAt, writeRunning } from '../../src/home.ts'
import { HttpServer } from '../../src/http/server.ts'
import { silentLogger } from '../../src/logger.ts'
import { startCoordination } from '../support/coordination.ts'
import { httpRequest } from '../support/http-get.ts'
import { until } from '../support/until.ts'

t.setTimeout(120_000)

/** The command against a server that fronts the service. */
async function serve(t: Test, folder: string, coordination: CoordinationService) {
  const home = join(folder, 'home')
  mkdirSync(home)
  const base = { clock: systemClock, logger: silentLogger, registry: new Registry() }
  const server = new HttpServer(base, {
    ...{ host: '127.0.0.1', port: 0, corsOrigins: [], plainHandlers: [], streamRoutes: [] },
    routes: regionRoutes({ coordination }),
    authenticators: { operator: ({ bearer }) => bearer === 'right' },
  })
  await server.start()
  t.teardown(() => server.stop())
  const url = `http://127.0.0.1:${server.address()?.port}`
  const paths = homeAt(home)
  writeFileSync(paths.operatorTokenFile, 'right\n')
  writeRunning(paths, { pid: process.pid, http: url })
  const run = async (...words: string[]) => {
    const output: string[] = []
    const capture = t.capture(process.stdout, 'write', (text: string) => {
      output.push(text)
      return true
    })
    try {
      const code = await region(parseArguments(['region', ...words, '--home', home], {}))
      return { code, text: output.join('') }
    } finally {
      capture.restore()
    }
  }
  return { url, run }
}

test('a region at the API and on the command line', async (t) => {
  const folder = t.testdir()
  const { service, host } = await startCoordination(t, { folder: join(folder, 'tracker') })
  const { url, run } = await serve(t, folder, service)
  for (const [method, path] of [
    ['GET', ''],
    ['POST', '/leave'],
    ['POST', '/forget'],
    ['POST', '/merge'],
  ] as const) {
    const { status } = await httpRequest(`${url}/api/region${path}`, { method })
    t.equal(status, 401, `${path} is for the operator only`)
  }
  t.match(await run(), { code: 1, text: /engine +tracker, stopped/ })
  await service.start()
  await until(() => service.status.agent?.hasQuorum === true, 'the region')
  const shown = await run()
  t.equal(shown.code, 0)
  t.match(shown.text, /^region +eu\nengine +tracker, running\nthis peer +member\n/)
  t.match(shown.text, new RegExp(`1 \\(here\\) +${host.peerId} +there +17 +17 +25 %`))
  t.match(shown.text, /^0 \(region\) +1 +\d+ +\d+ +1 +0$/m)
  const before = JSON.parse((await run('--json')).text)
  t.match(before, { hasQuorum: true, members: [{ isSelf: true, votes: 17 }], conflicts: [] })
  t.equal(before.groups.length, 17)

  await t.rejects(run('merge', 'beefbeef'), { code: 'ERR_INVALID_INPUT' }, 'never met')
  await t.rejects(run('forget', 'beefbeef', '--lose-data'), {
    code: 'ERR_INVALID_INPUT',
    message: new RegExp(`in the region ${before.regionId}`),
  })
  await t.rejects(run('forget', before.regionId), { code: 'ERR_USAGE', message: /--lose-data/ })
  t.match(await run('forget', before.regionId, '--lose-data'), { code: 0, text: /given up/ })
  const isNew = () => {
    const { facts, hasQuorum } = service.status.agent ?? {}
    return hasQuorum === true && facts !== undefined && facts.regionId !== before.regionId
  }
  await until(isNew, 'the new region')
  t.match(await run('leave', '--json'), { code: 0, text: '{"done":true}\n' })
  t.match(await run(), { code: 1, text: /quorum +no/ })
  for (const words of [['leave', 'x'], ['merge'], ['forget'], ['merge', 'a', 'b'], ['join']]) {
    await t.rejects(run(...words), { code: 'ERR_USAGE' }, words.join(' '))
  }
})

test('etcd has no members, and says whether it is there', async (t) => {
  const folder = t.testdir()
  const coordinationUrl = 'etcd://127.0.0.1:1'
  const { service } = await startCoordination(t, { coordinationUrl })
  const { run } = await serve(t, folder, service)
  await service.start()
  await until(() => service.status.state === 'running', 'the client')
  t.match(await run(), { code: 0, text: /engine +etcd, running/ })
  await t.rejects(run('leave'), { code: 'ERR_INVALID_INPUT' })
})
