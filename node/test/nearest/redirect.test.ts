/** Where /nearest/<path> leads: to a known peer and that path, and nowhere else. */
import fc from 'fast-check'
import { test } from 'tap'
import { isBaseUrl, safePath } from '../../src/nearest/client-url.ts'
import { redirectTarget } from '../../src/nearest/redirect.ts'
import { isHostAndPort } from '../../src/urls.ts'
import { knownPeer } from '../support/adverts.ts'
import { nearestStage } from '../support/nearest-stage.ts'

const client = { address: '198.51.100.7' }

function elsewhere() {
  const { nearest, stage } = nearestStage()
  stage.self = { ...stage.self, state: 'draining' }
  stage.peers = [knownPeer('other', { clientUrls: ['http://192.0.2.9:8080'] })]
  return nearest
}

test('a client is led to the same path and query at the best peer', (t) => {
  const target = '/live/stream/master.m3u8?token=a%2Fb&x=1'
  t.equal(redirectTarget(elsewhere(), client, target), `http://192.0.2.9:8080${target}`)
  t.end()
})

test('at the best peer itself the client stays on the name it came by', (t) => {
  const { nearest, stage } = nearestStage()
  t.equal(redirectTarget(nearest, client, '/live/x'), '/live/x')
  stage.self = { ...stage.self, state: 'draining' }
  t.equal(redirectTarget(nearest, { address: '203.0.113.1' }, '/live/x'), '/live/x', 'none knows')
  t.end()
})

test('paths that could lead elsewhere, or in circles, are refused', (t) => {
  const nearest = elsewhere()
  const bad = [
    '//evil.example/',
    '/\\evil.example',
    '/nearest/live',
    '/a/../..',
    '/%2e%2e/x',
    '/a\tb',
  ]
  for (const path of [...bad, '', 'live', '/\r\nx: y', '/ü', '/a#b', `/${'a'.repeat(3_000)}`]) {
    t.throws(() => redirectTarget(nearest, client, path), { code: 'ERR_INVALID_INPUT' }, path)
  }
  t.end()
})

test('whatever is asked for, the redirect stays on the peer', (t) => {
  const nearest = elsewhere()
  const piece = fc.constantFrom(...'/\\.%2e?#@:;&=ab\t\r\n//', 'http:', '//evil.example', '..')
  const target = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`),
    fc.string().map((text) => `/${text}`),
  )
  fc.assert(
    fc.property(target, (path) => {
      if (safePath(path, 2_048) === undefined || path.startsWith('/nearest/')) return true
      const location = redirectTarget(nearest, client, path)
      // As a browser reads it, at a page of another origin.
      const url = new URL(location, 'https://page.example')
      return url.origin === 'http://192.0.2.9:8080' && url.pathname === path.split('?', 1)[0]
    }),
    { numRuns: 2_000 },
  )
  t.end()
})

test('base URLs and addresses of adverts', (t) => {
  const urls = ['http://192.0.2.1', 'https://edge.example', 'http://[2001:db8::1]:8080']
  for (const url of urls) t.ok(isBaseUrl(url), url)
  const bad = [
    'ftp://a',
    'http://a/',
    'http://a/b',
    'http://a?b',
    'http://u:p@a',
    'http:a',
    'HTTP://a',
  ]
  for (const url of [...bad, '', 'javascript:1', 'http://a\\b', 'http://a:80', '//a', 'http://A']) {
    t.notOk(isBaseUrl(url), url)
  }
  for (const text of ['192.0.2.1:1', '[::1]:4443', 'a.example:65535']) t.ok(isHostAndPort(text))
  for (const text of ['a', 'a:0', 'a:65536', '[a]:1', ':1', 'a b:1', 'a:01']) {
    t.notOk(isHostAndPort(text), text)
  }
  t.end()
})
