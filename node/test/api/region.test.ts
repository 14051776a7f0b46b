/** The region at the API and on the command line, over a real HTTP server and a real tracker. */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { type Test, t, test } from 'tap'
import { type RegionRouteComponents, regionRoutes } from '../../src/api/region.ts'
import { region } from '../../src/cli/region.ts'
import { systemClock } from '../../src/clock.ts'
import type { StreamId } from '../../src/content/stream.ts'
import type { CoordinationService } from '../../src/coordination/coordination-service.ts'
import { StreamLeases } from '../../src/coordination/stream-leases.ts'
import { StreamOwners } from '../../src/coordination/stream-owners.ts'
import { HttpServer } from '../../src/http/server.ts'
import { silentLogger } from '../../src/logger.ts'
import { commandAt } from '../support/command-at.ts'
import { type CoordinationStage, startCoordination } from '../support/coordination.ts'
import { httpRequest } from '../support/http-get.ts'
import { until } from '../support/until.ts'

t.setTimeout(120_000)

/** Streams that this peer knows: of each only what is told of owners. */
function directoryOf(names: readonly string[]): RegionRouteComponents['directory'] {
  const now = { renditions: [], startedAtMs: 0, sequence: 1, expiresAtMs: 1, title: '' }
  const record = (name: string, state: 'live' | 'ended') => ({
    ...{ ...now, id: `k51${name}` as StreamId, alias: name, state, originPeer: 'x' },
  })
  return {
    list: () => [record('over', 'ended'), ...names.map((name) => record(name, 'live'))],
    uniqueName: ({ alias }) => alias,
  }
}

/** The service; while the switch is on, its look at the region is one from the moments after all leaders went, with this member for another. */
function withoutLeaders(
  service: CoordinationService,
  lost: { isOn: boolean },
): RegionRouteComponents['coordination'] {
  const groupless = async () => {
    const view = await service.view()
    const groups = view.groups.map((one) => ({ ...one, leader: undefined, hasQuorum: false }))
    return { ...view, groups, members: view.members.map((one) => ({ ...one, memberId: 9 })) }
  }
  return {
    get status() {
      return service.status
    },
    view: () => (lost.isOn ? groupless() : service.view()),
    leave: () => service.leave(),
    forget: () => service.forget(),
    merge: (regionId) => service.merge(regionId),
  }
}

/** The command against a server that fronts the service. */
async function serve(t: Test, folder: string, { service, host }: CoordinationStage) {
  const home = join(folder, 'home')
  mkdirSync(home)
  const base = { clock: systemClock, logger: silentLogger, registry: new Registry() }
  const { coordination } = service
  const { peerId } = host
  const alone = { isConnected: () => false, heardOwner: () => undefined }
  const leases = new StreamLeases({ ...base, coordination, peerId, ...alone })
  t.teardown(() => leases.stop())
  const names: string[] = []
  const lost = { isOn: false }
  const server = new HttpServer(base, {
    ...{ host: '127.0.0.1', port: 0, corsOrigins: [], plainHandlers: [], streamRoutes: [] },
    routes: regionRoutes({
      coordination: withoutLeaders(service, lost),
      host,
      streamOwners: new StreamOwners({ coordination, peerId, leases }),
      directory: directoryOf(names),
    }),
    authenticators: { operator: ({ bearer }) => bearer === 'right' },
  })
  await server.start()
  t.teardown(() => server.stop())
  const url = `http://127.0.0.1:${server.address()?.port}`
  const run = commandAt(t, { home, url }, 'region', region)
  return { url, run, leases, names, lost }
}

test('a region at the API and on the command line', async (t) => {
  const folder = t.testdir()
  const stage = await startCoordination(t, { folder: join(folder, 'tracker') })
  const { service, host } = stage
  const { url, run, leases, names, lost } = await serve(t, folder, stage)
  for (const [method, path] of [
    ['GET', ''],
    ['GET', '/streams'],
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
  t.match(
    shown.text,
    /^region +eu\nstate +decides things\nengine +tracker, running\nthis peer +member 1\n/,
  )
  t.match(shown.text, new RegExp(`1 \\(here\\) +${host.peerId} +there +17 +17 +25 %`))
  t.match(shown.text, /^0 \(region\) +1 +\d+ +\d+ +1 +0$/m)
  const before = JSON.parse((await run('--json')).text)
  t.match(before, { hasQuorum: true, members: [{ isSelf: true, votes: 17 }], conflicts: [] })
  t.equal(before.groups.length, 17)
  lost.isOn = true
  const leaderless = await run()
  t.equal(leaderless.code, 1)
  t.match(
    leaderless.text,
    /state +no quorum\n[\s\S]*^9 +\S+ +not connected [\s\S]*^0 \(region\) +none/m,
  )
  lost.isOn = false
  await streamsAreTold(t, run, leases, names)

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
  t.match(await run(), {
    code: 1,
    text: /state +in no region \(idle\)[\s\S]*joins one at its next/,
  })
  for (const words of [
    ['leave', 'x'],
    ['streams', 'x'],
    ['merge'],
    ['forget'],
    ['merge', 'a', 'b'],
    ['join'],
  ]) {
    await t.rejects(run(...words), { code: 'ERR_USAGE' }, words.join(' '))
  }
})

/** The command's words and JSON about streams that this peer owns, and that nobody owns. */
async function streamsAreTold(
  t: Test,
  run: (...words: string[]) => Promise<{ code: number; text: string }>,
  leases: StreamLeases,
  names: string[],
): Promise<void> {
  t.match(await run('streams'), { code: 0, text: 'No stream is live.' })
  for (let index = 10; index < 65; index += 1) names.push(`s${index}`)
  const taken = await leases.take('k51s12', {
    ...{ numbers: { nextMsn: 0, discontinuitySequence: 0 }, waitMsMax: 0 },
    ...{ signal: new AbortController().signal, onChange: () => undefined },
  })
  const { code, text } = await run('streams')
  t.equal(code, 0)
  const rows = text.trim().split('\n').slice(1)
  t.equal(rows.length, 55, 'more than are asked for at once, and none that is over')
  t.match(rows[2], /^s12 +this peer +20\S+Z +term \d+, entry \d+ +[012]\.\d s left$/)
  t.match(rows[54], /^s64 +nobody in this region$/)
  const { streams, total } = JSON.parse((await run('streams', '--json')).text)
  t.equal(total, 55)
  t.match(streams[2], { name: 's12', state: 'owned', isSelf: true, token: taken.token })
  t.match(streams[3], { name: 's13', state: 'free', owner: null, leftMs: null, problem: null })
  taken.release()
}

test('etcd has no members, and says whether it is there', async (t) => {
  const folder = t.testdir()
  const coordinationUrl = 'etcd://127.0.0.1:1'
  const stage = await startCoordination(t, { coordinationUrl })
  const { service } = stage
  const { run, names } = await serve(t, folder, stage)
  await service.start()
  await until(() => service.status.state === 'running', 'the client')
  t.match(await run(), { code: 0, text: /state +etcd decides\nengine +etcd, running/ })
  names.push('live')
  t.match(await run('streams'), { code: 1, text: /^live +not known: \w/m })
  await t.rejects(run('leave'), { code: 'ERR_INVALID_INPUT' })
})
