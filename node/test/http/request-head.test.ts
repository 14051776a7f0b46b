/** Which heads the lane understands, and what it reads in them. */
import { test } from 'tap'
import { isForeignStart, isPlainPath, RequestHeadReader } from '../../src/http/request-head.ts'

const read = (head: string, reader = new RequestHeadReader()) =>
  reader.read(Buffer.from(head, 'latin1'), head, 0, head.indexOf('\r\n\r\n'))
const withFields = (...fields: string[]) =>
  read(`GET /a HTTP/1.1\r\n${['Host: a', ...fields].join('\r\n')}\r\n\r\n`)

test('request heads', async (t) => {
  t.test('understood', async (t) => {
    const head = read(
      'HEAD /live/a_b-c~1.m3u8?_HLS_msn=3&_HLS_part=1 HTTP/1.1\r\nhost: a.b:80\r\nORIGIN: http://c\r\n' +
        'If-None-Match: "x", W/"y"\r\nAccept-Encoding:gzip, br\r\nConnection: Close\r\nSec-Fetch-Mode: cors\r\n' +
        'Cookie: a=1\r\nCookie:  b=2 \r\n\r\n',
    )
    t.match(head, {
      request: {
        method: 'HEAD',
        path: '/live/a_b-c~1.m3u8',
        query: '_HLS_msn=3&_HLS_part=1',
        host: 'a.b:80',
        ifNoneMatch: '"x", W/"y"',
        acceptEncoding: 'gzip, br',
        asksCache: true,
      },
      origin: 'http://c',
      keepAlive: false,
    })
    t.equal(head?.request.header('cookie'), 'a=1, b=2')
    t.equal(head?.request.header('accept'), undefined)
    t.same(head?.request.fieldNames().slice(0, 3), ['host', 'origin', 'if-none-match'])
    t.equal(withFields('Accept: a')?.request.asksCache, false)
    t.equal(withFields('Pragma: no-cache')?.request.asksCache, true)
    t.equal(read('GET / HTTP/1.1\r\nHost: A.Example\r\n\r\n')?.request.host, 'a.example')
    t.equal(withFields('Connection: keep-alive')?.keepAlive, true)
    t.equal(withFields()?.keepAlive, true)
    t.equal(read('GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n')?.request.path, '/')
  })

  t.test('left to Node', async (t) => {
    for (const field of [
      'Host: b',
      'Content-Length: 0',
      'Transfer-Encoding: chunked',
      'Expect: 100-continue',
      'Upgrade: websocket',
      'Range: bytes=0-1',
      'Authorization: Bearer x',
      'TE: trailers',
      'Trailer: x',
      'X-Unknown: x',
      'Accept : a',
      ' Accept: a',
      'Accept',
      'Accept:',
      ': a',
      'Accept: a\tb',
      'Accept: \xe9',
      'Accept: a\nb',
      'Accept: a\rb',
      'Accept: a\0b',
      'Connection: upgrade',
      'Connection: close, x',
      'Connection:  close',
      'Connection: close ',
    ]) {
      t.equal(withFields(field), undefined, JSON.stringify(field))
    }
    for (const field of [
      'Connection: close',
      'If-None-Match: a',
      'Origin: a',
      'Accept-Encoding: a',
    ]) {
      t.equal(withFields(field, field), undefined, `${field} twice`)
    }
    for (const head of [
      'GET /a HTTP/1.1\r\n\r\n',
      'GET /a HTTP/1.1\r\nHost: a b\r\n\r\n',
      'GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n',
      'GET /a HTTP/1.0\r\nHost: a\r\n\r\n',
      'GET /a  HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET a HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /%61 HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /a?b=%61 HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /.b HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /a HTTP/1.1\nHost: a\r\n\r\n',
      'POST /a HTTP/1.1\r\nHost: a\r\n\r\n',
      'get /a HTTP/1.1\r\nHost: a\r\n\r\n',
    ]) {
      t.equal(read(head), undefined, JSON.stringify(head))
    }
  })

  t.test('starts that can still become a head', async (t) => {
    for (const text of [
      'G',
      'GET /a HTTP/1.1\r',
      'GET /a HTTP/1.1\r\nHost: a\r\n',
      'GET /a HTTP/1.1\r\nHost: a\r\n\r',
    ]) {
      t.equal(isForeignStart(text), false, JSON.stringify(text))
    }
    for (const text of [
      'GET\n',
      '\n',
      'GET /a\rx',
      'GET /\0',
      'GET /\xe9',
      'GET /a HTTP/1.1\r\r',
    ]) {
      t.equal(isForeignStart(text), true, JSON.stringify(text))
    }
  })

  t.test('plain paths', async (t) => {
    for (const path of ['/', '/a/b.c', '/~a_b-c']) {
      t.equal(isPlainPath(path), true, path)
    }
    for (const path of ['', 'a', '/..', '/a/.b', '/a b', '/%61', '/a?b', '*']) {
      t.equal(isPlainPath(path), false, path)
    }
  })
})

test('a connection whose fields change is read anew, one that repeats them is not', (t) => {
  const reader = new RequestHeadReader()
  const ask = (target: string, fields: string) =>
    read(`GET ${target} HTTP/1.1\r\n${fields}\r\n\r\n`, reader)
  const fields = 'Host: A.example\r\nOrigin: https://page\r\nAccept-Encoding: br'
  const expected = { origin: 'https://page', request: { host: 'a.example', acceptEncoding: 'br' } }
  t.match(ask('/one', fields), { ...expected, request: { path: '/one' } })
  t.match(ask('/two?x=1', fields), { ...expected, request: { path: '/two', query: 'x=1' } })
  t.equal(ask('/two', fields)?.request.header('origin'), 'https://page')
  t.match(ask('/two', fields.replace('br', 'gz')), { request: { acceptEncoding: 'gz' } })
  t.equal(ask('/two', `${fields}\r\nExpect: 100-continue`), undefined)
  t.equal(ask('/two', fields.replace('Host', 'Hosts')), undefined, 'as long, and foreign')
  t.match(ask('/two', `${fields}\r\nConnection: close`), { keepAlive: false })
  const last = ask('/two', fields)
  t.match(last, { ...expected, keepAlive: true })
  t.equal(ask('/two', fields), last, 'a repeated request is the same one')
  t.not(ask('/six', fields), last, 'as long, and another')
  t.end()
})
