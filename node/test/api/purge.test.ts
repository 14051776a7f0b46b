/** Purges at the API and on the command line, over a real HTTP server and a log on disk. */

import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { purgeRoutes } from '../../src/api/purge.ts'
import { PurgeService } from '../../src/cdn/purge/purge-service.ts'
import { DiskPurgeStorage } from '../../src/cdn/purge/purge-storage.ts'
import { purge } from '../../src/cli/purge.ts'
import { systemClock } from '../../src/clock.ts'
import { peerSigner } from '../../src/host/peer-signature.ts'
import { HttpServer } from '../../src/http/server.ts'
import { silentLogger } from '../../src/logger.ts'
import { commandAt } from '../support/command-at.ts'
import { httpRequest } from '../support/http-get.ts'
import { memoryNetwork } from '../support/memory-network.ts'
import { SmallCache } from '../support/small-cache.ts'

const URL_A = 'https://cdn.example/a'

test('purges at the API and on the command line', async (t) => {
  const home = join(t.testdir({}), 'home')
  mkdirSync(home)
  const base = { clock: systemClock, logger: silentLogger, registry: new Registry() }
  const signer = peerSigner(await generateKeyPair('Ed25519'))
  const cache = new SmallCache()
  const peerOf = memoryNetwork()
  const host = peerOf(signer.peerId)
  const members: string[] = []
  const start = async (): Promise<PurgeService> => {
    const service = new PurgeService(
      {
        ...{ ...base, registry: new Registry(), signer, transport: host, peers: host },
        ...{ purgeable: cache, members: () => members, hasLeft: () => false, random: Math.random },
      },
      {
        storage: new DiskPurgeStorage(join(home, 'cdn')),
        ...{ purgePeers: ['network'], expectsPeers: () => false },
      },
    )
    await service.start()
    return service
  }
  const purges = await start()
  const server = new HttpServer(base, {
    ...{ host: '127.0.0.1', port: 0, corsOrigins: [], plainHandlers: [], streamRoutes: [] },
    routes: purgeRoutes({ purges }),
    authenticators: { operator: ({ bearer }) => bearer === 'right' },
  })
  await server.start()
  t.teardown(() => server.stop())
  const url = `http://127.0.0.1:${server.address()?.port}`
  const run = commandAt(t, { home, url }, 'purge', purge)

  t.equal((await httpRequest(`${url}/api/cdn/purges`)).status, 401, 'for the operator only')
  t.match(await run('list'), { code: 0, text: /No purges/ })
  cache.put(URL_A, 'old', 0, ['news'])
  t.match(await run(URL_A), { code: 0, text: /done +1 .*\nEvery peer has done it \(hard, https/s })
  t.equal(cache.responses.size, 0)
  cache.put(URL_A, 'old', 0, ['news'])
  t.match(await run('--tag', 'news', '--host', 'cdn.example', '--soft'), { code: 0 })
  t.equal(cache.responses.get(URL_A)?.soft, true)
  for (const words of [
    ['--prefix', 'https://cdn.example'],
    ['--host', 'CDN.example'],
    ['--everything'],
  ]) {
    cache.put(URL_A, 'old')
    t.match(await run(...words), { code: 0, text: /done +1 / }, words.join(' '))
  }
  members.push('12D3KooWNobody')
  const answer = JSON.parse((await run(URL_A, '--json')).text) as { complete: boolean }
  t.match(answer, {
    complete: false,
    peers: [{}, { status: 'unreachable', code: 'ERR_NO_PROVIDER' }],
  })
  t.match(await run(URL_A), {
    code: 1,
    text: /unreachable .*ERR_NO_PROVIDER\nPeers that are not done/s,
  })
  t.match((await run('list')).text, /hard +https:\/\/cdn.example\/a +1 of 2/)
  t.equal(JSON.parse((await run('list', '--json')).text).purges.length, 7)
  await t.rejects(run('--host', 'no host'), { code: 'ERR_INVALID_INPUT' })
  await t.rejects(run('no url'), { code: 'ERR_INVALID_INPUT' })
  for (const words of [
    [],
    [URL_A, '--everything'],
    [URL_A, URL_A],
    ['--tag', 'a', '--prefix', URL_A],
  ]) {
    await t.rejects(run(...words), { code: 'ERR_USAGE' }, words.join(' '))
  }

  await purges.stop()
  t.strictSame(readdirSync(join(home, 'cdn')), ['purges.log'])
  const again = await start()
  t.equal(again.generation(), purges.generation(), 'the log is read back')
  t.equal(again.stamp(), purges.stamp())
  await again.stop()
})
