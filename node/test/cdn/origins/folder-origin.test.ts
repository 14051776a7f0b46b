/** Folders as origins: what is served, what never is, and files that change under the reader's eyes. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { open, utimes } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { FolderOrigin } from '../../../src/cdn/origins/folder-origin.ts'
import { folderOriginLimits as limits } from '../../../src/limits/cdn-origins.ts'
import { allOver, ask, bodyOf, codeOf, originParts, wholeOf } from '../../support/origin-parts.ts'

const text = 'one two three\n'
const hour = 3_600_000
const modified = new Date(Math.floor((Date.now() - hour) / 1_000) * 1_000)

/** A folder `site` with files an hour old, and a secret beside it. */
async function siteOf(t: Test): Promise<string> {
  const folder = t.testdir({
    'secret.txt': 'secret',
    site: {
      'a.txt': text,
      'index.html': '<p>home</p>',
      'empty.bin': '',
      'caf\u00e9 100%.HTML': 'coffee',
      'a..b': 'dots',
      '.env': 'secret',
      '.git': { config: 'secret' },
      '.well-known': { 'security.txt': 'public', '.hidden': 'secret' },
      sub: { 'index.html': '<p>sub</p>', '.htaccess': 'secret', '.well-known': { x: 'secret' } },
      bare: { 'x.txt': 'x' },
    },
  })
  const site = join(folder, 'site')
  await utimes(join(site, 'a.txt'), modified, modified)
  return site
}

function originOf(
  t: Test,
  path: string,
): { origin: FolderOrigin } & ReturnType<typeof originParts> {
  const parts = originParts()
  const origin = new FolderOrigin(parts.components, { path })
  t.teardown(() => origin.close())
  return { origin, ...parts }
}

test('what is served', async (t) => {
  const { origin } = originOf(t, await siteOf(t))

  await t.test('a file with its type, length and validators', async (t) => {
    const answer = await wholeOf(ask(origin, '/a.txt?v=2'))
    t.equal(answer.text, text)
    t.match(answer, {
      status: 200,
      headers: {
        'content-type': 'text/plain; charset=utf-8',
        'content-length': String(text.length),
        'last-modified': modified.toUTCString(),
        'accept-ranges': 'bytes',
        etag: /^"[0-9a-z]+-[0-9a-z]+"$/,
        date: / GMT$/,
      },
    })
  })

  await t.test('names are decoded once', async (t) => {
    const answer = await wholeOf(ask(origin, '/caf%C3%A9%20100%25.HTML'))
    t.equal(answer.text, 'coffee')
    t.equal(answer.headers['content-type'], 'text/html; charset=utf-8')
    t.equal((await wholeOf(ask(origin, '/%61%2Etxt'))).text, text)
    t.equal((await wholeOf(ask(origin, '/a..b'))).text, 'dots')
    t.equal(
      (await wholeOf(ask(origin, '/a..b'))).headers['content-type'],
      'application/octet-stream',
    )
    t.equal((await wholeOf(ask(origin, '/empty.bin'))).text, '')
  })

  await t.test('folders: their page, or nothing; without the slash a redirect', async (t) => {
    t.equal((await wholeOf(ask(origin, '/'))).text, '<p>home</p>')
    t.equal((await wholeOf(ask(origin, '/sub/'))).text, '<p>sub</p>')
    t.match(await wholeOf(ask(origin, '/sub?a=b')), {
      status: 301,
      headers: { location: '/sub/?a=b' },
    })
    t.equal((await ask(origin, '/bare/')).status, 404)
    t.equal((await ask(origin, '/a.txt/')).status, 404)
    t.equal((await ask(origin, '/a.txt/b')).status, 404)
  })

  await t.test('HEAD is GET without the body; nothing else is allowed', async (t) => {
    const head = await wholeOf(ask(origin, '/a.txt', { method: 'HEAD' }))
    const get = await wholeOf(ask(origin, '/a.txt'))
    t.strictSame([head.status, head.headers, head.text], [200, get.headers, ''])
    t.match(await wholeOf(ask(origin, '/a.txt', { method: 'PUT' })), {
      status: 405,
      headers: { allow: 'GET, HEAD' },
    })
    t.match(await wholeOf(ask(origin, '/none', { method: 'HEAD' })), { status: 404, text: '' })
  })
})

test('what never is', async (t) => {
  const site = await siteOf(t)
  symlinkSync('../secret.txt', join(site, 'out.txt'))
  symlinkSync('..', join(site, 'up'))
  symlinkSync('/etc', join(site, 'etc'))
  symlinkSync('.env', join(site, 'env.txt'))
  symlinkSync('a.txt', join(site, 'inside.txt'))
  symlinkSync('loop', join(site, 'loop'))
  mkdirSync(`${site}-beside`)
  writeFileSync(join(`${site}-beside`, 'x'), 'secret')
  symlinkSync(`${site}-beside`, join(site, 'beside'))
  execFileSync('mkfifo', [join(site, 'pipe')])
  const server = createServer().listen(join(site, 'socket'))
  t.teardown(() => server.close())
  const { origin, registry } = originOf(t, site)

  const targets = [
    ...['/../secret.txt', '/sub/../../secret.txt', '/%2e%2e/secret.txt', '/.%2E/secret.txt'],
    ...['/%2e%2e%2fsecret.txt', '/..%2fsecret.txt', '/..%5csecret.txt', '/..\\secret.txt'],
    ...['/%252e%252e/secret.txt', '/..;/secret.txt', '/....//secret.txt', '//etc/passwd'],
    ...[
      '/sub//index.html',
      '/./a.txt',
      '/a.txt%00.html',
      '/a.txt%0a',
      '/%',
      '/%zz',
      '/%ff',
      '/%c0%ae',
    ],
    ...['/.env', '/.git/config', '/%2eenv', '/sub/.htaccess', '/.well-known/.hidden'],
    ...[
      '/sub/.well-known/x',
      '/out.txt',
      '/up/secret.txt',
      '/up/',

      '/etc/passwd',
    ],
    ...['/env.txt', '/loop', '/beside/x', '/pipe', '/socket', '/none', `/${'a'.repeat(300)}`],
    ...[`/${'a/'.repeat(limits.depthMax)}a`, `/${'%61'.repeat(5_000)}`, '', 'a.txt', '*'],
  ]
  for (const target of targets) {
    await t.test(target.slice(0, 40), async (t) => {
      const answer = await wholeOf(ask(origin, target))
      t.equal(answer.status, 404)
      t.notMatch(answer.text, 'secret')
    })
  }

  await t.test('links within the folder and its public places are', async (t) => {
    t.equal((await wholeOf(ask(origin, '/inside.txt'))).text, text)
    t.equal((await wholeOf(ask(origin, '/up/site/a.txt'))).text, text, 'out and in again')
    t.equal((await wholeOf(ask(origin, '/.well-known/security.txt'))).text, 'public')
  })

  await t.test('nothing stays open', async (t) => {
    await allOver(registry)
    const files = readdirSync('/proc/self/fd').length
    for (let round = 0; round < 20; round += 1) {
      for (const target of ['/a.txt', '/pipe', '/sub', '/none', '/out.txt']) {
        await wholeOf(ask(origin, target))
      }
    }
    await allOver(registry)
    t.ok(readdirSync('/proc/self/fd').length <= files)
  })
})

test('a folder that becomes a link while a file of it is opened leads nowhere', async (t) => {
  const site = await siteOf(t)
  const outside = `${site}-outside`
  mkdirSync(outside)
  writeFileSync(join(outside, 'x.txt'), 'secret')
  mkdirSync(join(site, 'flip'))
  writeFileSync(join(site, 'flip/x.txt'), 'public')
  symlinkSync(outside, join(site, 'link'))
  const { origin } = originOf(t, site)
  const [flip, link, aside] = ['flip', 'link', 'aside'].map((name) => join(site, name)) as [
    string,
    string,
    string,
  ]
  let isDone = false
  const flipping = (async () => {
    for (let turn = 0; !isDone; turn += 1) {
      renameSync(flip, aside)
      renameSync(link, flip)
      for (let wait = 0; wait < turn % 7; wait += 1) await new Promise(setImmediate)
      renameSync(flip, link)
      renameSync(aside, flip)
      for (let wait = 0; wait < turn % 11; wait += 1) await new Promise(setImmediate)
    }
  })()
  const texts = new Set<string>()
  for (let round = 0; round < 40; round += 1) {
    const asked = Array.from({ length: 25 }, () => wholeOf(ask(origin, '/flip/x.txt')))
    for (const { text: body } of await Promise.all(asked)) texts.add(body)
  }
  isDone = true
  await flipping
  t.ok(texts.has('public'))
  t.notOk(texts.has('secret'))
})

test('conditions and ranges (RFC 9110 13, 14)', async (t) => {
  const site = await siteOf(t)
  const { origin } = originOf(t, site)
  const { etag = '' } = (await wholeOf(ask(origin, '/a.txt'))).headers
  const before = new Date(modified.getTime() - 1_000).toUTCString()
  const at = modified.toUTCString()
  const length = text.length
  const cases: [name: string, headers: Record<string, string>, status: number, body: string][] = [
    ['If-None-Match', { 'if-none-match': etag }, 304, ''],
    ['If-None-Match, weak', { 'if-none-match': `"x", W/${etag}` }, 304, ''],
    ['If-None-Match *', { 'if-none-match': '*' }, 304, ''],
    ['If-None-Match of another', { 'if-none-match': '"x"' }, 200, text],
    ['If-None-Match before date', { 'if-none-match': '"x"', 'if-modified-since': at }, 200, text],
    ['If-Modified-Since', { 'if-modified-since': at }, 304, ''],
    ['If-Modified-Since earlier', { 'if-modified-since': before }, 200, text],
    ['If-Modified-Since, no date', { 'if-modified-since': 'yesterday' }, 200, text],
    ['If-Match', { 'if-match': etag }, 200, text],
    ['If-Match, weak', { 'if-match': `W/${etag}` }, 412, '412 Precondition Failed\n'],
    ['If-Match of another', { 'if-match': '"x"' }, 412, '412 Precondition Failed\n'],
    ['If-Match *', { 'if-match': '*' }, 200, text],
    ['If-Unmodified-Since', { 'if-unmodified-since': at }, 200, text],
    [
      'If-Unmodified-Since earlier',
      { 'if-unmodified-since': before },
      412,
      '412 Precondition Failed\n',
    ],
    ['a range', { range: 'bytes=4-6' }, 206, 'two'],
    ['an open range', { range: 'bytes=8-' }, 206, 'three\n'],
    ['a suffix', { range: 'bytes=-6' }, 206, 'three\n'],
    ['a long range', { range: 'bytes=8-99' }, 206, 'three\n'],
    ['ranges close together', { range: 'bytes=0-0,-1' }, 206, text],
    ['another unit', { range: 'lines=0-1' }, 200, text],
    ['a range beyond', { range: 'bytes=99-' }, 416, '416 Range Not Satisfiable\n'],
    ['If-Range', { range: 'bytes=4-6', 'if-range': etag }, 206, 'two'],
    ['If-Range of another', { range: 'bytes=4-6', 'if-range': '"x"' }, 200, text],
    ['If-Range, weak', { range: 'bytes=4-6', 'if-range': `W/${etag}` }, 200, text],
    ['If-Range with the date', { range: 'bytes=4-6', 'if-range': at }, 206, 'two'],
    ['If-Range with an earlier date', { range: 'bytes=4-6', 'if-range': before }, 200, text],
    ['a range that is not modified', { range: 'bytes=4-6', 'if-none-match': etag }, 304, ''],
  ]
  for (const [name, headers, status, body] of cases) {
    await t.test(name, async (t) => {
      const answer = await wholeOf(ask(origin, '/a.txt', { headers }))
      t.strictSame([answer.status, answer.text], [status, body])
      const range = answer.headers['content-range']
      if (status === 206) {
        const first = text.indexOf(body)
        t.equal(range, `bytes ${first}-${first + body.length - 1}/${length}`)
        t.equal(answer.headers['content-length'], String(body.length))
      } else {
        t.equal(range, status === 416 ? `bytes */${length}` : undefined)
      }
      if (status === 304) t.equal(answer.headers.etag, etag)
    })
  }

  await t.test(
    'a file that has just changed has a weak tag, and no date ahead of now',
    async (t) => {
      writeFileSync(join(site, 'new.txt'), 'new')
      const young = (await wholeOf(ask(origin, '/new.txt'))).headers.etag ?? ''
      t.match(young, /^W\/"/)
      const headers = { range: 'bytes=0-1', 'if-range': young }
      t.equal((await wholeOf(ask(origin, '/new.txt', { headers }))).status, 200)
      await utimes(join(site, 'new.txt'), modified, new Date(Date.now() + hour))
      t.equal((await wholeOf(ask(origin, '/new.txt'))).headers['last-modified'], undefined)
      await utimes(join(site, 'new.txt'), modified, modified)
      const old = (await wholeOf(ask(origin, '/new.txt'))).headers.etag ?? ''
      t.match(old, /^"/)
      const conditional = { 'if-none-match': young }
      t.equal((await wholeOf(ask(origin, '/new.txt', { headers: conditional }))).status, 200)
    },
  )

  await t.test('a range of a large file reads no more than that', async (t) => {
    const file = await open(join(site, 'large.bin'), 'w')
    await file.truncate(64 * 1024 * limits.readBytes)
    await file.write(Buffer.from('needle'), 0, 6, 9_000_000_001)
    await file.close()
    const headers = { range: 'bytes=9000000001-9000000006' }
    const { headers: fields, text: body } = await wholeOf(ask(origin, '/large.bin', { headers }))
    t.strictSame([fields['content-length'], body], ['6', 'needle'])
  })
})

test('files and folders that change', async (t) => {
  const site = await siteOf(t)
  const path = join(site, 'big.bin')
  const size = limits.readBytes * 3
  const write = async (letter: string, bytes = size): Promise<void> => {
    writeFileSync(path, Buffer.alloc(bytes, letter))
    await utimes(path, modified, modified)
  }
  const { origin, registry } = originOf(t, site)
  const rest = async (chunks: AsyncIterator<Uint8Array>): Promise<void> => {
    while ((await chunks.next()).done !== true);
  }

  await t.test('one that becomes shorter breaks off', async (t) => {
    await write('a')
    const chunks = (await ask(origin, '/big.bin')).body[Symbol.asyncIterator]()
    await chunks.next()
    await write('a', 10)
    t.equal(await codeOf(rest(chunks)), 'ERR_PROTOCOL')
  })

  await t.test('one that is written over never ends as if it were whole', async (t) => {
    await write('a')
    const chunks = (await ask(origin, '/big.bin')).body[Symbol.asyncIterator]()
    await chunks.next()
    writeFileSync(path, Buffer.alloc(size, 'b'))
    t.equal(await codeOf(rest(chunks)), 'ERR_PROTOCOL')
  })

  await t.test('one that is exchanged is read to its end', async (t) => {
    await write('a')
    const response = await ask(origin, '/big.bin')
    writeFileSync(`${path}.new`, 'b')
    renameSync(`${path}.new`, path)
    t.same(await bodyOf(response), Buffer.alloc(size, 'a'))
    t.equal((await wholeOf(ask(origin, '/big.bin'))).text, 'b')
  })

  await t.test('one that nobody reads is closed with the signal', async (t) => {
    await write('a')
    const files = readdirSync('/proc/self/fd').length
    const gone = new AbortController()
    await ask(origin, '/big.bin', { signal: gone.signal })
    gone.abort()
    const reading = new AbortController()
    const chunks = (await ask(origin, '/big.bin', { signal: reading.signal })).body[
      Symbol.asyncIterator
    ]()
    await chunks.next()
    reading.abort()
    t.equal(await codeOf(rest(chunks)), 'ERR_TIMEOUT')
    for await (const _ of (await ask(origin, '/big.bin')).body) break
    await allOver(registry)
    t.ok(readdirSync('/proc/self/fd').length <= files)
  })

  await t.test(
    'more readers than files may be open wait, and too many are turned away',
    async (t) => {
      const readers = await Promise.all(
        Array.from({ length: limits.filesMax }, () => ask(origin, '/big.bin')),
      )
      let waited = 0
      const waiting = Array.from({ length: limits.waitingMax }, async () => {
        await wholeOf(ask(origin, '/a.txt'))
        waited += 1
      })
      t.equal(await codeOf(ask(origin, '/a.txt')), 'ERR_OVERLOADED')
      t.equal(waited, 0)
      for (const reader of readers) await bodyOf(reader)
      await Promise.all(waiting)
      t.equal(waited, limits.waitingMax)
    },
  )

  await t.test('a folder that is gone is a failure, not a thousand missing files', async (t) => {
    renameSync(site, `${site}-away`)
    t.equal(await codeOf(ask(origin, '/a.txt')), 'ERR_NO_PROVIDER')
    symlinkSync(`${site}-away`, site)
    t.equal((await wholeOf(ask(origin, '/a.txt'))).text, text, 'it may be a link')
    rmSync(site)
  })
})
