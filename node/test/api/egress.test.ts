// Restream targets, pulls and webhooks at the API and on the command line, over a real HTTP server.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { pullRoutes } from '../../src/api/pulls.ts'
import { restreamRoutes } from '../../src/api/restream.ts'
import { webhookRoutes } from '../../src/api/webhooks.ts'
import { restream } from '../../src/cli/restream.ts'
import { systemClock } from '../../src/clock.ts'
import { HttpServer } from '../../src/http/server.ts'
import { PullService } from '../../src/ingest/pull/service.ts'
import type { OwnedStream } from '../../src/ingest/stream-keys.ts'
import { StreamOptionsStore } from '../../src/ingest/stream-options.ts'
import { silentLogger } from '../../src/logger.ts'
import { RestreamService } from '../../src/restream/service.ts'
import { WebhookService } from '../../src/webhooks/service.ts'
import { commandAt } from '../support/command-at.ts'
import { httpRequest } from '../support/http-get.ts'
import { ScriptedRemoteJobs } from '../support/scripted-remote-jobs.ts'

const secretUrl = 'rtmp://platform.example/live/secret-key'

test('egress at the API and on the command line', async (t) => {
  const home = join(t.testdir({}), 'home')
  mkdirSync(home)
  const base = { clock: systemClock, logger: silentLogger, registry: new Registry() }
  const media = new ScriptedRemoteJobs()
  const random = (): number => 0
  const owned = { name: 'main', streamKey: 'own-key-12345678' } as OwnedStream
  const keys = {
    get: (name: string) => (name === 'main' ? owned : undefined),
    list: () => [owned],
  }
  const streamOptions = new StreamOptionsStore(join(home, 'options'))
  const restreaming = new RestreamService({
    ...{ ...base, random, media },
    streamNames: () => ['main'],
    targetsOf: (name) => streamOptions.get(name).restream ?? [],
    streamKeyOf: () => owned.streamKey,
  })
  const publishing = {
    publish: () => {
      throw new Error('nothing is published here')
    },
  }
  const pulls = new PullService({ ...base, random, media, keys, streamOptions, publishing })
  const webhooks = new WebhookService(
    { ...base, random, peerId: 'me' },
    {
      ...{ urls: ['http://127.0.0.1:9/secret-hook'], secret: 'a secret of the operator' },
      ...{ secretFile: join(home, 'webhook.secret'), directory: join(home, 'webhooks') },
    },
  )
  await webhooks.start()
  pulls.start()
  streamOptions.set('main', { pullUrl: 'http://origin.example/secret-path.m3u8' })
  const server = new HttpServer(base, {
    ...{ host: '127.0.0.1', port: 0, corsOrigins: [], plainHandlers: [], streamRoutes: [] },
    routes: [
      ...restreamRoutes({ keys, streamOptions, restreaming }),
      ...pullRoutes({ pulls }),
      ...webhookRoutes({ webhooks }),
    ],
    authenticators: { operator: ({ bearer }) => bearer === 'right' },
  })
  await server.start()
  t.teardown(async () => {
    pulls.stop()
    await webhooks.stop()
    await server.stop()
  })
  const url = `http://127.0.0.1:${server.address()?.port}`
  const run = commandAt(t, { home, url }, 'restream', restream)
  const headers = { authorization: 'Bearer right' }

  t.equal((await httpRequest(`${url}/api/restream`)).status, 401)
  t.match(await run(), { code: 0, text: /No stream/ })
  t.match(await run('add', 'main', 'platform', secretUrl), { code: 0, text: /main.*platform/ })
  t.match(streamOptions.get('main').restream, [{ name: 'platform', url: secretUrl, enabled: true }])
  await t.rejects(run('add', 'main', 'platform', secretUrl), { code: 'ERR_NAME_TAKEN' })
  await t.rejects(run('add', 'none', 'platform', secretUrl), { code: 'ERR_NOT_FOUND' })
  await t.rejects(run('add', 'main', 'own', 'rtmp://localhost/live/own-key-12345678'), {
    ...{ code: 'ERR_INVALID_INPUT', message: /itself/ },
  })
  await t.rejects(run('add', 'main', 'Bad Name', secretUrl), { code: 'ERR_INVALID_INPUT' })
  await t.rejects(run('add', 'main', 'file', 'file:///etc/passwd'), { code: 'ERR_INVALID_INPUT' })
  t.match(await run('off', 'main', 'platform'), { text: /is off/ })
  t.equal(streamOptions.get('main').restream?.[0]?.enabled, false)
  t.match(await run('on', 'main', 'platform', '--json'), { text: '{"done":true}\n' })
  await t.rejects(run('on', 'main', 'other'), { code: 'ERR_NOT_FOUND' })
  await t.rejects(run('retry', 'main', 'platform'), { code: 'ERR_NOT_FOUND', message: /not live/ })
  const list = await run('list')
  t.match(list.text, /main +platform +off +rtmp:\/\/platform.example +0 B/)
  t.notMatch(list.text + (await run('list', '--json')).text, /secret-key/)
  const patched = await httpRequest(`${url}/api/keys/main/restream/platform`, {
    method: 'PATCH',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ url: 'srt://other.example:9000' }),
  })
  t.equal(patched.status, 200)
  t.equal(streamOptions.get('main').restream?.[0]?.url, 'srt://other.example:9000')
  t.match(await run('remove', 'main', 'platform'), { text: /not sent/ })
  t.same(streamOptions.get('main').restream, [])
  for (const words of [['add', 'main'], ['list', 'x'], ['on', 'main'], ['paint']]) {
    await t.rejects(run(...words), { code: 'ERR_USAGE' })
  }

  const pulled = await httpRequest(`${url}/api/pulls`, { headers })
  t.match(JSON.parse(pulled.text), {
    pulls: [{ stream: 'main', host: 'http://origin.example', state: 'connecting', error: null }],
  })
  const told = await httpRequest(`${url}/api/webhooks/test`, { method: 'POST', headers })
  t.match(told, { status: 202, text: '{"endpoints":1}' })
  const hooks = await httpRequest(`${url}/api/webhooks`, { headers })
  t.match(JSON.parse(hooks.text), {
    endpoints: [{ host: 'http://127.0.0.1:9', delivered: 0, lastDelivered: null }],
  })
  t.notMatch(pulled.text + hooks.text, /secret/)
})
