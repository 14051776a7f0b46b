/** The region's swarms at the API and on the command line, over a real HTTP server and a real tracker that leads all shards. */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { t, test } from 'tap'
import { type SwarmRouteComponents, swarmRoutes } from '../../src/api/swarms.ts'
import { swarms } from '../../src/cli/swarms.ts'
import { systemClock } from '../../src/clock.ts'
import { SwarmView } from '../../src/coordination/swarm-view.ts'
import { SwarmViewers } from '../../src/coordination/swarm-viewers.ts'
import { HttpServer } from '../../src/http/server.ts'
import { swarmAskLimits } from '../../src/limits/swarms.ts'
import { silentLogger } from '../../src/logger.ts'
import { commandAt } from '../support/command-at.ts'
import { startCoordination } from '../support/coordination.ts'
import { httpRequest } from '../support/http-get.ts'
import { until } from '../support/until.ts'

t.setTimeout(60_000)

type StreamRecord = ReturnType<SwarmRouteComponents['directory']['list']>[number]

/** Streams that this peer knows: of each only what is told of swarms. */
function directoryOf(names: readonly string[]): SwarmRouteComponents['directory'] {
  const source: StreamRecord['renditions'][number] = {
    ...{ name: 'source', codecs: '', bandwidthBps: 1, width: 1, height: 1 },
    ...{ kind: 'video', frameRate: 1, channels: 0 },
  }
  const record = (name: string, state: 'live' | 'ended'): StreamRecord => ({
    ...{ startedAtMs: 0, sequence: 1, expiresAtMs: 1, title: '', originPeer: 'x' },
    ...{ id: `k51${name}`, alias: name, state, renditions: [source] },
  })
  const live = names.map((name) => record(name, 'live'))
  return {
    list: () => [record('over', 'ended'), ...live],
    uniqueName: ({ alias }) => alias,
    resolve: (name) => live.find(({ alias }) => alias === name),
  }
}

test('who holds and who watches what', async (t) => {
  const folder = t.testdir()
  const { service } = await startCoordination(t, { folder: join(folder, 'tracker') })
  const home = join(folder, 'home')
  mkdirSync(home)
  const base = { clock: systemClock, logger: silentLogger, registry: new Registry() }
  const swarmView = new SwarmView({ ...base, swarms: () => service.swarms })
  const names = Array.from({ length: swarmAskLimits.streamsMax + 2 }, (_, at) => `s${100 + at}`)
  const server = new HttpServer(base, {
    ...{ host: '127.0.0.1', port: 0, corsOrigins: [], plainHandlers: [], streamRoutes: [] },
    routes: swarmRoutes({ swarmView, directory: directoryOf(names) }),
    authenticators: { operator: ({ bearer }) => bearer === 'right' },
  })
  await server.start()
  t.teardown(() => server.stop())
  const url = `http://127.0.0.1:${server.address()?.port}`
  const run = commandAt(t, { home, url }, 'swarms', swarms)
  t.equal((await httpRequest(`${url}/api/swarms`)).status, 401, 'for the operator only')
  await t.rejects(run(), { code: 'ERR_NO_QUORUM' }, 'no tracker runs')
  t.same(await swarmView.peersOf('k51s100', new AbortController().signal), [])
  await service.start()
  await until(() => service.status.agent?.hasQuorum === true, 'the region')
  const none = { stream: 'k51s100', viewers: 0, ranges: [], parts: [] }
  service.swarms?.tell({
    held: [
      { ...none, rendition: '', viewers: 4 },
      { ...none, rendition: 'source', ranges: [{ first: 3, count: 5 }] },
    ],
    gone: [],
    load: { uploadFreeKbps: 90_000, busyPermille: 250, coordinate: undefined },
  })
  const isTold = async () => (await swarmView.streams(['k51s100']))[0]?.viewers === 4
  await until(isTold, 'what was told')
  const shown = await run()
  t.equal(shown.code, 0)
  t.match(shown.text, /^peers +1\nviewers +4\nstreams and renditions +2\nshards +16 of 16 answered/)
  t.match(shown.text, /^s100 +4 +1 *$/m)
  t.match(shown.text, /^s101 +0 +0 *$/m)
  const { streams, total } = JSON.parse((await run('--json')).text)
  t.equal(streams.length, names.length, 'all of them, part by part')
  t.equal(total, names.length)
  t.match(await run('s100'), { code: 0, text: /s100.*: 4 watching, 1 peers/ })
  t.match(JSON.parse((await run('s100', '--json')).text), {
    id: 'k51s100',
    // Whoever asks is not told of itself.
    renditions: [{ name: 'source', holders: [], problem: null }],
  })
  await t.rejects(run('nothing'), { code: 'ERR_NOT_FOUND' })
  await t.rejects(run('a', 'b'), { code: 'ERR_USAGE' })
  const viewers = new SwarmViewers({ ...base, swarms: () => service.swarms })
  await until(() => viewers.of('k51s100') === 4, 'viewers for pages')
})
