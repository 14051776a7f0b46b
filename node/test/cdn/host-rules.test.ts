/** Host rules: the file and its secrets, which rule a request falls under, the API. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { cdnRoutes } from '../../src/api/cdn.ts'
import { type HostRule, hostRuleSchema } from '../../src/cdn/host-rule.ts'
import { HostRules } from '../../src/cdn/host-rules.ts'
import type { Origin } from '../../src/cdn/origin.ts'
import { SiteTable } from '../../src/cdn/proxy/site.ts'
import { HttpServer } from '../../src/http/server.ts'
import { silentLogger } from '../../src/logger.ts'
import { createRegistry } from '../../src/metrics/registry.ts'
import { httpRequest } from '../support/http-get.ts'
import { ManualClock } from '../support/manual-clock.ts'

const http = { type: 'http', url: 'http://origin.example/' }
const rule = (name: string, hosts: string[], more: object = {}): HostRule =>
  hostRuleSchema.parse({ name, hosts, origin: http, ...more })

const bucket = {
  type: 's3',
  endpoint: 'https://s3.example',
  bucket: 'bucket',
  accessKeyId: 'id',
  secretAccessKey: 'secret words',
}

test('rules are kept in a file of their owner, and the setting makes one', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'kairo-rules-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const path = join(directory, 'rules.json')
  const rules = new HostRules({ directory, origin: 'http://setting.example' })
  let changes = 0
  rules.onChange(() => {
    changes += 1
  })
  await rules.start()
  t.match(rules.list(), [{ name: 'origin', hosts: ['*'] }])
  rules.put(rule('media', ['a.example'], { origin: bucket }))
  t.throws(() => rules.put(rule('origin', ['*'])), { code: 'ERR_NAME_TAKEN' })
  t.throws(() => rules.remove('none'), { code: 'ERR_NOT_FOUND' })
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.match(await readFile(path, 'utf8'), /secret words/)

  const again = new HostRules({ directory, origin: '' })
  await again.start()
  t.match(again.list(), [{ name: 'media', origin: { secretAccessKey: 'secret words' } }])
  again.put(rule('media', ['b.example'], { origin: { ...bucket, secretAccessKey: '' } }))
  t.match(again.list(), [{ hosts: ['b.example'], origin: { secretAccessKey: 'secret words' } }])
  const other = { ...bucket, accessKeyId: 'other', secretAccessKey: '' }
  again.put(rule('media', ['b.example'], { origin: other }))
  t.match(again.list(), [{ origin: { secretAccessKey: '' } }])
  again.remove('media')
  t.same(again.list(), [])
  t.equal(changes, 2)
  await writeFile(path, '{"rules":[{"name":"X"}]}')
  await t.rejects(new HostRules({ directory, origin: '' }).start(), { code: 'ERR_CONFIG' })
})

test('the nearest host, then the longest path', async (t) => {
  let closed = 0
  const origin = { close: () => (closed += 1) } as unknown as Origin
  const sites = new SiteTable(() => origin)
  sites.replace([
    rule('any', ['*']),
    rule('wild', ['*.example']),
    rule('nearer', ['*.a.example']),
    rule('exact', ['b.a.example']),
    rule('port', ['b.a.example:8080']),
    rule('path', ['b.a.example'], { pathPrefix: '/deep/' }),
    rule('six', ['[::1]:8080']),
  ])
  const find = (host: string, path = '/') => sites.find(host, path)?.rule.name
  for (const round of [1, 2]) {
    t.equal(find('b.a.example'), 'exact', `round ${round}`)
    t.equal(find('b.a.example:8080'), 'port')
    t.equal(find('b.a.example:9090'), 'exact')
    t.equal(find('b.a.example', '/deep/x'), 'path')
    t.equal(find('c.a.example'), 'nearer')
    t.equal(find('x.y.a.example'), 'nearer')
    t.equal(find('c.example'), 'wild')
    t.equal(find('example'), 'any')
    t.equal(find('[::1]:8080'), 'six')
    t.equal(find(''), 'any')
  }
  for (let host = 0; host < 5_000; host += 1) find(`h${host}.example`)
  t.equal(find('b.a.example'), 'exact')
  sites.replace([rule('exact', ['b.a.example'])])
  t.equal(closed, 6)
  t.equal(find('c.example'), undefined)
  sites.close()
  t.equal(closed, 7)
})

test('peers whose rules mean the same share a digest, whatever their keys', async (t) => {
  const digestOf = (one: HostRule): string => {
    const sites = new SiteTable(() => ({}) as Origin)
    sites.replace([one])
    const found = sites.find('a.example', '/')
    t.equal(sites.byDigest(found?.digest ?? ''), found)
    return found?.digest ?? ''
  }
  const one = digestOf(rule('a', ['a.example', 'b.example'], { origin: bucket }))
  const keyless = { ...bucket, accessKeyId: '', secretAccessKey: '' }
  t.equal(digestOf(rule('b', ['b.example', 'a.example'], { origin: keyless })), one)
  t.not(digestOf(rule('a', ['a.example'], { origin: bucket })), one)
  t.not(digestOf(rule('a', ['a.example', 'b.example'])), one)
})

/** The API about rules, of a peer whose pages are where the setting says. */
async function startApi(t: Test, adminHttp: string) {
  const directory = await mkdtemp(join(tmpdir(), 'kairo-rules-'))
  const hostRules = new HostRules({ directory, origin: '' })
  await hostRules.start()
  const server = new HttpServer(
    { clock: new ManualClock(), logger: silentLogger, registry: createRegistry() },
    {
      host: '127.0.0.1',
      port: 0,
      routes: cdnRoutes({
        ...{ hostRules, cdnCache: { index: { size: 3 } as never } },
        loaded: { settings: { adminHttp } },
      }),
      authenticators: { operator: ({ bearer }) => bearer === 'token' },
    },
  )
  await server.start()
  t.teardown(async () => {
    const stopped = server.stop()
    await stopped
    await rm(directory, { recursive: true, force: true })
  })
  const url = `http://127.0.0.1:${server.address()?.port}/api/cdn/rules`
  const ask = (method: string, path = '', body?: object) =>
    httpRequest(url + path, {
      method,
      headers: {
        authorization: 'Bearer token',
        connection: 'close',
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  return { url, ask }
}

test('the API shows no secret', async (t) => {
  const { url, ask } = await startApi(t, '127.0.0.1:0')
  t.equal((await httpRequest(url, { headers: { connection: 'close' } })).status, 401)
  const put = await ask('PUT', '/media', { hosts: ['a.example'], origin: bucket })
  t.equal(put.status, 200)
  t.match(JSON.parse(put.text), { name: 'media', origin: { type: 's3', hasSecret: true } })
  const password = { type: 'http', url: 'http://user:secret%20words@o.example/' }
  await ask('PUT', '/plain', { hosts: ['*'], origin: password })
  await ask('PUT', '/files', { hosts: ['f.example'], origin: { type: 'folder', path: '/srv' } })
  const list = await ask('GET')
  t.match(JSON.parse(list.text), {
    entries: 3,
    rules: [{}, { origin: { url: 'http://o.example/' } }, {}],
  })
  for (const { text } of [put, list]) t.notMatch(text, /secret.words|secret%20words/)
  t.equal((await ask('PUT', '/media', { hosts: ['a b'], origin: http })).status, 400)
  t.equal((await ask('DELETE', '/media')).status, 200)
  t.equal((await ask('DELETE', '/media')).status, 404)
})

test('a rule that would lock the operator out is refused until he insists', async (t) => {
  const { ask } = await startApi(t, 'same')
  const put = async (rule: object) => await ask('PUT', '/site', { origin: http, ...rule })
  for (const rule of [
    { hosts: ['*'] },
    { hosts: ['a.example', '*'], pathPrefix: '/a' },
    { hosts: ['127.0.0.1:8080'] },
    { hosts: ['localhost'], pathPrefix: '/api/' },
    { hosts: ['[::1]:80'] },
  ]) {
    const { status, text } = await put(rule)
    t.equal(status, 400, JSON.stringify(rule))
    t.match(JSON.parse(text), { code: 'ERR_INVALID_INPUT', detail: /adminHttp.*force=true/ })
  }
  t.same(JSON.parse((await ask('GET')).text).rules, [])
  for (const rule of [
    { hosts: ['*'], pathPrefix: '/files/' },
    { hosts: ['*.example', '127.example'] },
    { hosts: ['*'], force: true },
  ]) {
    t.equal((await put(rule)).status, 200, JSON.stringify(rule))
  }
  t.notMatch((await ask('GET')).text, /force/)

  const apart = await startApi(t, '127.0.0.1:0')
  const all = await apart.ask('PUT', '/site', { origin: http, hosts: ['*'] })
  t.equal(all.status, 200, 'pages and API have a port of their own')
})
