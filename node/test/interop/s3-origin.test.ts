/** S3 buckets as origins, at s3rver and at MinIO (`go install github.com/minio/minio@latest`). */

import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { Origin } from '../../src/cdn/origin.ts'
import { createOrigin } from '../../src/cdn/origins/create-origin.ts'
import type { S3OriginInit } from '../../src/cdn/origins/s3-origin.ts'
import { ask, bodyOf, originParts, wholeOf } from '../support/origin-parts.ts'
import { type S3Server, startMinio, startS3rver } from '../support/s3-servers.ts'

const text = 'one two three\n'

type Case = [headers: Record<string, string>, status: number, body: string]
const strictCases: Case[] = [
  [{ 'if-match': '"x"' }, 412, '412 Precondition Failed\n'],
  [{ range: 'bytes=-6' }, 206, 'three\n'],
]
const oddKey = "odd/caf\u00e9 (1)+'a'!*~&=,;$@:#?%.txt"

test('s3rver', async (t) => {
  const server = await startS3rver(t.testdir())
  t.teardown(() => server.stop())
  await bucketTests(t, server, false)
})

const minio = [join(homedir(), 'go/bin/minio'), ...pathsOf('minio')].find(isProgram)
const skip = minio === undefined ? 'needs minio, not installed here' : false

test('MinIO', { skip }, async (t) => {
  const server = await startMinio(minio as string, t.testdir())
  t.teardown(() => server.stop())
  await bucketTests(t, server, true)

  await t.test('without keys a private bucket is forbidden, a public one is read', async (t) => {
    const { origin, lines } = originOf(t, server, { accessKeyId: '', secretAccessKey: '' })
    t.match(await wholeOf(ask(origin, '/a.txt')), { status: 403, text: '403 Forbidden\n' })
    t.match(lines.at(-1), { level: 'warn', fields: { code: 'AccessDenied' } })
    await server.publish()
    t.equal((await wholeOf(ask(origin, '/a.txt'))).text, text)
  })
})

function originOf(
  t: Test,
  server: S3Server,
  init: Partial<S3OriginInit> = {},
): { readonly origin: Origin } & ReturnType<typeof originParts> {
  const parts = originParts()
  const { endpoint, bucket, accessKeyId, secretAccessKey } = server
  const access = { endpoint, bucket, accessKeyId, secretAccessKey }
  const config = { type: 's3', region: 'us-east-1', prefix: '', ...access, ...init } as const
  const origin = createOrigin(config, parts.components)
  t.teardown(() => origin.close())
  return { origin, ...parts }
}

/** @param isStrict false for a server that takes every signature, ignores If-Match and misreads suffix ranges. */
async function bucketTests(t: Test, server: S3Server, isStrict: boolean): Promise<void> {
  await server.put('a.txt', text, {
    'content-type': 'text/plain',
    'cache-control': 'max-age=60',
    'x-amz-meta-owner': 'someone',
  })
  await server.put(oddKey, 'odd')
  await server.put('site/index.html', '<p>home</p>', { 'content-type': 'text/html' })
  await server.put('big.bin', Buffer.alloc(3_000_000, 'b'))
  const { origin, lines } = originOf(t, server)

  await t.test('an object with what it says of itself, and nothing of the account', async (t) => {
    const answer = await wholeOf(ask(origin, '/a.txt'))
    t.match(answer, {
      status: 200,
      text,
      headers: {
        'content-type': /^text\/plain/,
        'cache-control': 'max-age=60',
        'content-length': String(text.length),
        etag: /^"[0-9a-f]{32}"$/,
        'last-modified': / GMT$/,
      },
    })
    t.notOk(Object.keys(answer.headers).some((name) => name.startsWith('x-')))
    t.equal((await bodyOf(await ask(origin, '/big.bin'))).length, 3_000_000)
  })

  await t.test('HEAD', async (t) => {
    const answer = await wholeOf(ask(origin, '/a.txt', { method: 'HEAD' }))
    t.match(answer, { status: 200, text: '', headers: { 'content-length': String(text.length) } })
    t.equal((await wholeOf(ask(origin, '/none', { method: 'HEAD' }))).status, 404)
  })

  await t.test('any key', async (t) => {
    const target = `/${oddKey.split('/').map(encodeURIComponent).join('/')}`
    t.equal((await wholeOf(ask(origin, target))).text, 'odd')
    t.equal((await wholeOf(ask(origin, target.replaceAll('%2B', '+')))).text, 'odd')
  })

  await t.test('a prefix, and the page of a folder', async (t) => {
    const { origin: site } = originOf(t, server, { prefix: 'site/' })
    t.equal((await wholeOf(ask(site, '/'))).text, '<p>home</p>')
    t.equal((await wholeOf(ask(origin, '/site/'))).text, '<p>home</p>')
    for (const out of ['/../a.txt', '/%2e%2e/a.txt', '/..%2fa.txt']) {
      t.equal((await wholeOf(ask(site, out))).status, 404)
    }
  })

  await t.test('conditions and ranges', async (t) => {
    const { etag = '', 'last-modified': date = '' } = (await wholeOf(ask(origin, '/a.txt'))).headers
    const cases: Case[] = [
      [{ 'if-none-match': etag }, 304, ''],
      [{ 'if-none-match': '"x"' }, 200, text],
      [{ 'if-modified-since': date }, 304, ''],
      [{ range: 'bytes=4-6' }, 206, 'two'],
      [{ range: 'bytes=4-6', 'if-range': etag }, 206, 'two'],
      [{ range: 'bytes=4-6', 'if-range': '"x"' }, 200, text],
      [{ range: 'bytes=4-6', 'if-range': date }, 200, text],
      [{ range: 'bytes=0-1,4-6' }, 200, text],
      [{ range: 'bytes=99-' }, 416, '416 Range Not Satisfiable\n'],
      ...(isStrict ? strictCases : []),
    ]
    for (const [headers, status, body] of cases) {
      const answer = await wholeOf(ask(origin, '/a.txt', { headers }))
      t.strictSame([answer.status, answer.text], [status, body], JSON.stringify(headers))
    }
    const { headers } = await wholeOf(ask(origin, '/a.txt', { headers: { range: 'bytes=4-6' } }))
    t.equal(headers['content-range'], `bytes 4-6/${text.length}`)
  })

  await t.test('commands of the store do not reach it', async (t) => {
    for (const target of [
      '/?list-type=2',
      '/a.txt?acl',
      '/a.txt?response-content-type=text/html',
    ]) {
      const answer = await wholeOf(ask(origin, target))
      t.notMatch(answer.text, /ListBucketResult|AccessControlPolicy/)
      t.not(answer.headers['content-type'], 'text/html')
    }
    const headers = { authorization: 'AWS4-HMAC-SHA256 x', 'x-amz-acl': 'public-read', 'x-a': 'b' }
    t.equal((await wholeOf(ask(origin, '/a.txt', { headers }))).text, text)
    for (const method of ['PUT', 'DELETE', 'POST']) {
      t.equal((await ask(origin, '/a.txt', { method })).status, 405)
    }
    t.equal((await wholeOf(ask(origin, '/a.txt'))).text, text)
  })

  await t.test('what is not there is 404 in plain words', async (t) => {
    const answer = await wholeOf(ask(origin, '/none.txt'))
    t.match(answer, { status: 404, text: '404 Not Found\n', headers: { 'content-type': /plain/ } })
    const { origin: other } = originOf(t, server, { bucket: 'no-such-bucket' })
    t.equal((await wholeOf(ask(other, '/a.txt'))).status, 404)
  })

  await t.test(
    'a wrong key is 403, said in the log without the key',
    { skip: !isStrict },
    async (t) => {
      const { origin: wrong, lines: said } = originOf(t, server, {
        secretAccessKey: 'wrong-secret',
      })
      t.match(await wholeOf(ask(wrong, '/a.txt')), { status: 403, text: '403 Forbidden\n' })
      t.match(said, [{ level: 'warn', fields: { status: 403, code: 'SignatureDoesNotMatch' } }])
      const words = JSON.stringify([lines, said])
      for (const secret of ['wrong-secret', server.accessKeyId, server.secretAccessKey]) {
        t.notMatch(words, JSON.stringify(secret).slice(1, -1))
      }
    },
  )
}

function pathsOf(name: string): string[] {
  return (process.env.PATH ?? '').split(':').map((folder) => join(folder, name))
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    // Not there, or not ours to run.
    return false
  }
}
