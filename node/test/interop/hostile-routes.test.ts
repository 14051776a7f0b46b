/** Every route that the peer says it has, asked by whoever has no right to: strangers, web pages of others, rebound names, proxies. */
import { request } from 'node:http'
import { test } from 'tap'
import { startPeer } from '../support/peer-process.ts'

interface Operation {
  readonly security?: readonly object[]
}

/** Asks as the headers say; the status. */
function ask(
  base: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const sent = request(`${base}${path}`, { method, headers, agent: false }, (response) => {
    response.resume()
    resolve(response.statusCode ?? 0)
  })
  sent.on('error', reject)
  sent.end()
  return promise
}

test('no route is open that does not say so, and none that changes anything', async (t) => {
  const { ready } = await startPeer(t, t.testdir())
  const document = (await (await fetch(`${ready.http}/openapi.json`)).json()) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  }
  const { host } = new URL(ready.http)
  const strangers: Readonly<Record<string, string>>[] = [
    { host: 'rebound.example' },
    { host, origin: 'https://evil.example' },
    { host, origin: 'null' },
    { host, 'sec-fetch-site': 'cross-site' },
    { host, 'x-forwarded-for': '192.0.2.1' },
    { host, 'x-real-ip': '192.0.2.1' },
  ]
  let asked = 0
  for (const [template, operations] of Object.entries(document.paths)) {
    const path = template.replaceAll(/\{[a-z]+\}/gi, (name) =>
      name === '{id}' && template.includes('uploads') ? '0'.repeat(32) : 'a'.repeat(20),
    )
    for (const [name, { security }] of Object.entries(operations)) {
      const method = name.toUpperCase()
      if (security === undefined) {
        t.ok(method === 'GET' || method === 'HEAD', `${method} ${template} changes nothing`)
        continue
      }
      for (const headers of strangers) {
        asked += 1
        const status = await ask(ready.http, method, path, headers)
        if (status !== 401) t.fail(`${method} ${path} ${JSON.stringify(headers)}: ${status}`)
      }
    }
  }
  t.ok(asked > 60, `${asked} requests were refused`)
  const wrong = { host: 'rebound.example', authorization: `Bearer ${'x'.repeat(43)}` }
  for (let guess = 0; guess < 40; guess += 1) await ask(ready.http, 'GET', '/api/status', wrong)
  t.equal(await ask(ready.http, 'POST', '/api/uploads', wrong), 429, 'guesses count everywhere')
})
