/** Declared routes: who may call them, what they take, what they answer, and what the OpenAPI document says of them. */
import { once } from 'node:events'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { test } from 'tap'
import { z } from 'zod'
import { openapiRoute } from '../../src/api/openapi.ts'
import { KairoError } from '../../src/errors.ts'
import { type Access, defineRoute, type Route } from '../../src/http/route.ts'
import { HttpServer } from '../../src/http/server.ts'
import { httpLimits } from '../../src/limits.ts'
import { silentLogger } from '../../src/logger.ts'
import { createRegistry } from '../../src/metrics/registry.ts'
import { eventually, metric, startTestServer, stopTestServer } from '../support/http-exchange.ts'
import { ManualClock } from '../support/manual-clock.ts'

interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any
}

async function ask(
  port: number,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: string,
): Promise<Reply> {
  const request = httpRequest({ port, host: '127.0.0.1', method, path, headers, agent: false })
  request.end(body)
  const [response] = await once(request, 'response')
  const chunks: Buffer[] = []
  for await (const chunk of response) {
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString()
  const isJson = /json/.test(response.headers['content-type'] ?? '')
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    json: isJson ? JSON.parse(text) : undefined,
  }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const json = { 'content-type': 'application/json' }
const answered = z.object({ ok: z.boolean() })

function declared(access: Access): Route {
  return defineRoute({
    method: 'GET',
    path: `/${access}`,
    summary: `For ${access}.`,
    access,
    response: { 200: answered },
    handler: () => ({ status: 200, body: { ok: true } }),
  })
}

let aborted = false
const routes: Route[] = [
  declared('public'),
  declared('viewer'),
  declared('operator'),
  declared('publisher'),
  defineRoute({
    method: 'PUT',
    path: '/things/:id',
    summary: 'Takes everything.',
    access: 'public',
    params: z.object({ id: z.coerce.number().int() }),
    query: z.object({ limit: z.coerce.number().max(5).default(3), tag: z.string().optional() }),
    body: z.object({ name: z.string().min(2) }),
    response: { 200: z.object({ sum: z.number(), name: z.string() }), 204: z.undefined() },
    handler: ({ params, query, body }) =>
      body.name === 'nothing'
        ? { status: 204, body: undefined }
        : {
            status: 200,
            body: { sum: params.id + query.limit, name: body.name },
            headers: { etag: '"t"' },
          },
  }),
  defineRoute({
    method: 'GET',
    path: '/leaks',
    summary: 'Says more than it declares.',
    access: 'public',
    response: { 200: answered },
    handler: () => {
      const body = { ok: true, secret: 'x' }
      return { status: 200, body }
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/lies/:how',
    summary: 'Answers what it does not declare.',
    access: 'public',
    params: z.object({ how: z.string() }),
    response: { 200: answered },
    handler: ({ params }) => {
      const answer =
        params.how === 'body'
          ? { status: 200, body: { ok: 'yes' } }
          : { status: 201, body: { ok: true } }
      return answer as unknown as { status: 200; body: { ok: boolean } }
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/fails/:how',
    summary: 'Fails.',
    access: 'public',
    params: z.object({ how: z.enum(['planned', 'unplanned', 'never']) }),
    response: { 200: answered },
    handler: async ({ params, signal }) => {
      if (params.how === 'never') {
        await new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason)),
        ).finally(() => {
          aborted = true
        })
      }
      throw params.how === 'planned'
        ? new KairoError('ERR_NAME_TAKEN', 'the name is taken')
        : new TypeError('secret words')
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/here',
    summary: 'Open to this machine.',
    access: 'operator',
    localAccess: 'public',
    response: { 200: z.string() },
    textType: 'text/x-test',
    handler: () => ({ status: 200, body: 'text' }),
  }),
]
routes.push(openapiRoute(routes, [], { version: '1.2.3' }))

test('declared routes', async (t) => {
  const started = await startTestServer({
    routes,
    corsOrigins: ['http://friend'],
    authenticators: {
      viewer: () => true,
      operator: async ({ bearer }) => bearer === 'right',
    },
  })
  const { port, registry, clock } = started
  t.teardown(() => stopTestServer(started))

  t.test('who may call', async (t) => {
    t.equal((await ask(port, 'GET', '/public')).status, 200)
    t.equal((await ask(port, 'GET', '/viewer')).status, 200)
    t.equal((await ask(port, 'GET', '/operator', bearer('right'))).status, 200)
    const denied = await ask(port, 'GET', '/operator')
    t.equal(denied.status, 401)
    t.equal(denied.headers['www-authenticate'], 'Bearer')
    t.equal(denied.json.code, 'ERR_UNAUTHORIZED')
    t.equal((await ask(port, 'GET', '/operator', { authorization: 'Basic cmlnaHQ=' })).status, 401)
    const wrong = await ask(port, 'GET', '/publisher', bearer('right'))
    t.equal(wrong.status, 401, 'a level without an authenticator lets nobody in')
    t.equal(
      await metric(registry, 'kairo_http_denied_total', { access: 'operator', reason: 'missing' }),
      2,
    )
  })

  t.test('too many wrong credentials, and only of that address', async (t) => {
    for (let count = 0; count < httpLimits.authFailuresMax; count += 1) {
      await ask(port, 'GET', '/operator', bearer('wrong'))
    }
    const refused = await ask(port, 'GET', '/operator', bearer('right'))
    t.equal(refused.status, 429)
    t.ok(Number(refused.headers['retry-after']) > 0)
    t.equal((await ask(port, 'GET', '/public')).status, 200)
    clock.advance(httpLimits.authFailureWindowMs)
    t.equal((await ask(port, 'GET', '/operator', bearer('right'))).status, 200)
  })

  t.test('only the machine itself, and directly', async (t) => {
    const local = await ask(port, 'GET', '/here')
    t.equal(local.status, 200)
    t.equal(local.text, 'text')
    t.equal(local.headers['content-type'], 'text/x-test')
    const foreign: Record<string, string>[] = [
      { host: 'evil.example' },
      { 'x-forwarded-for': '1.2.3.4' },
      { forwarded: 'for=1.2.3.4' },
      { via: '1.1 proxy' },
      { origin: 'http://evil.example' },
    ]
    for (const headers of foreign) {
      t.equal((await ask(port, 'GET', '/here', headers)).status, 401, JSON.stringify(headers))
    }
  })

  t.test('input is checked and converted', async (t) => {
    const good = await ask(port, 'PUT', '/things/4?limit=2', json, '{"name":"ab"}')
    t.same(good.json, { sum: 6, name: 'ab' })
    t.equal(good.headers.etag, '"t"')
    t.same((await ask(port, 'PUT', '/things/4', json, '{"name":"ab"}')).json, {
      sum: 7,
      name: 'ab',
    })
    t.equal((await ask(port, 'PUT', '/things/4', json, '{"name":"nothing"}')).status, 204)
    const bad = await ask(port, 'PUT', '/things/x?limit=9', json, '{"name":1}')
    t.equal(bad.status, 400)
    t.equal(bad.headers['content-type'], 'application/problem+json; charset=utf-8')
    t.equal(bad.json.code, 'ERR_INVALID_INPUT')
    t.equal(bad.json.instance, '/things/x')
    t.same(
      bad.json.errors.map((error: { field: string }) => error.field),
      ['path.id', 'query.limit', 'body.name'],
    )
    t.equal((await ask(port, 'PUT', '/things/4', json, '{"name":')).status, 400)
    t.equal((await ask(port, 'PUT', '/things/4', json, '{"__proto__":{}}')).status, 400)
    t.equal(
      (await ask(port, 'PUT', '/things/4', { 'content-type': 'text/plain' }, 'ab')).status,
      415,
    )
    const huge = JSON.stringify({ name: 'a'.repeat(httpLimits.bodyBytesMax) })
    const large = await ask(port, 'PUT', '/things/4', json, huge)
    t.equal(large.status, 413)
    t.equal(large.json.code, 'ERR_LIMIT')
  })

  t.test('answers are checked', async (t) => {
    t.same(
      (await ask(port, 'GET', '/leaks')).json,
      { ok: true },
      'what is not declared does not leave',
    )
    for (const how of ['body', 'status']) {
      const before = started.lines.filter((line) => line.level === 'error').length
      const reply = await ask(port, 'GET', `/lies/${how}`)
      t.equal(reply.status, 500)
      t.same(Object.keys(reply.json).sort(), ['code', 'instance', 'status', 'title', 'type'])
      t.equal(started.lines.filter((line) => line.level === 'error').length, before + 1)
    }
    t.equal(
      await metric(registry, 'kairo_http_invalid_responses_total', { route: '/lies/:how' }),
      2,
    )
  })

  t.test('failures', async (t) => {
    const planned = await ask(port, 'GET', '/fails/planned')
    t.equal(planned.status, 409)
    t.equal(planned.json.detail, 'the name is taken')
    const unplanned = await ask(port, 'GET', '/fails/unplanned')
    t.equal(unplanned.status, 500)
    t.notMatch(unplanned.text, /secret/)
    t.equal((await ask(port, 'GET', '/nowhere')).json.code, 'ERR_NOT_FOUND')
    t.equal((await ask(port, 'DELETE', '/public')).status, 404)
    const gone = httpRequest({ port, host: '127.0.0.1', path: '/fails/never' })
    gone.on('error', () => {})
    gone.end()
    await once(gone, 'socket')
    await eventually(
      async () => (await metric(registry, 'kairo_http_connections', { state: 'handed' })) > 0,
    )
    gone.destroy()
    await eventually(() => aborted)
  })

  t.test('headers of every answer', async (t) => {
    const { headers } = await ask(port, 'GET', '/public')
    t.match(headers['x-request-id'], /^[0-9a-f-]{36}$/)
    t.equal(headers['x-content-type-options'], 'nosniff')
    t.equal(headers['referrer-policy'], 'no-referrer')
    t.match(headers['content-security-policy'], /frame-ancestors 'none'/)
    const line = started.lines.find((item) => item.fields.requestId === headers['x-request-id'])
    t.match(line, { level: 'debug', fields: { method: 'GET', path: '/public', status: 200 } })
  })

  t.test('other origins', async (t) => {
    const friend = await ask(port, 'GET', '/operator', {
      origin: 'http://friend',
      ...bearer('right'),
    })
    t.equal(friend.headers['access-control-allow-origin'], 'http://friend')
    t.equal(friend.headers.vary, 'Origin')
    const stranger = await ask(port, 'GET', '/public', { origin: 'http://stranger' })
    t.equal(stranger.headers['access-control-allow-origin'], undefined)
    const preflight = await ask(port, 'OPTIONS', '/things/4', {
      origin: 'http://friend',
      'access-control-request-method': 'PUT',
    })
    t.equal(preflight.status, 204)
    t.equal(preflight.headers['access-control-allow-methods'], 'PUT')
    t.equal(preflight.headers['access-control-allow-origin'], 'http://friend')
    t.match(preflight.headers['access-control-allow-headers'], /Authorization/)
    const media = await ask(port, 'OPTIONS', '/live/x', { origin: 'http://friend' })
    t.match(media.headers['access-control-allow-headers'], /Range/)
  })

  t.test('the OpenAPI document says what is enforced', async (t) => {
    const { json: document } = await ask(port, 'GET', '/openapi.json')
    t.equal(document.openapi, '3.1.0')
    t.equal(document.info.version, '1.2.3')
    t.equal(Object.keys(document.paths).length, routes.length)
    const put = document.paths['/things/{id}'].put
    t.same(
      put.parameters.map((item: { name: string; in: string; required: boolean }) => [
        item.name,
        item.in,
        item.required,
      ]),
      [
        ['id', 'path', true],
        ['limit', 'query', false],
        ['tag', 'query', false],
      ],
    )
    t.equal(put.requestBody.content['application/json'].schema.properties.name.minLength, 2)
    t.ok(put.responses['204'] && put.responses.default)
    t.equal(put.security, undefined)
    t.same(document.paths['/operator'].get.security, [{ bearer: [] }])
    t.ok(document.paths['/here'].get.responses['200'].content['text/x-test'])
  })
})

test('a route that does not say who may call it stops the server from being made', async (t) => {
  const components = { clock: new ManualClock(), logger: silentLogger, registry: createRegistry() }
  const { access: _, ...nameless } = declared('public')
  for (const route of [nameless as Route, { ...declared('public'), access: 'anyone' as Access }]) {
    t.throws(
      () =>
        new HttpServer(
          { ...components, registry: createRegistry() },
          { host: '127.0.0.1', port: 0, routes: [route] },
        ),
      /does not say who may call it/,
    )
  }
})

test('public answers go to every page by default, answers with credentials to none', async (t) => {
  const started = await startTestServer({
    routes: [declared('public'), declared('operator')],
    authenticators: { operator: () => true },
  })
  t.teardown(() => stopTestServer(started))
  const origin = { origin: 'http://anyone' }
  const open = await ask(started.port, 'GET', '/public', origin)
  t.equal(open.headers['access-control-allow-origin'], '*')
  const closed = await ask(started.port, 'GET', '/operator', origin)
  t.equal(closed.status, 200)
  t.equal(closed.headers['access-control-allow-origin'], undefined)
})
