/** Paths and queries under /live/. */
import fc from 'fast-check'
import { test } from 'tap'
import { parseHlsRequest } from '../../src/delivery/hls-request.ts'
import { isKairoError } from '../../src/errors.ts'

test('what is understood', async (t) => {
  t.same(parseHlsRequest('/live/demo/master.m3u8', 'token=1'), { kind: 'master', stream: 'demo' })
  t.same(parseHlsRequest('/live/demo/still.mp4', ''), { kind: 'still', stream: 'demo' })
  const names = { stream: 'demo', rendition: 'source' }
  const part = { kind: 'part', ...names, msn: 12, part: 3 }
  t.same(parseHlsRequest('/live/demo/source/12.3.m4s', '_HLS_x=ignored+here'), part)
  const segment = { kind: 'segment', ...names, msn: 0, format: 'm4s' }
  const captions = { ...segment, format: 'vtt' }
  t.same(parseHlsRequest('/live/demo/source/0.vtt', ''), captions)
  const initAt = { kind: 'init-at', ...names, msn: 7 }
  t.same(parseHlsRequest('/live/demo/source/init-at-7.mp4', ''), initAt)
  const manifest = { kind: 'manifest', stream: 'demo' }
  t.same(parseHlsRequest('/live/demo/manifest.mpd', ''), manifest)
  t.same(parseHlsRequest('/live/demo/source/0.m4s', ''), segment)
  const init = { kind: 'init', ...names, prefix: '0123456789abcdef' }
  t.same(parseHlsRequest('/live/demo/source/init-0123456789abcdef.mp4', ''), init)
  const playlist = (query: string): unknown => {
    const request = parseHlsRequest('/live/demo/source/media.m3u8', query)
    return request?.kind === 'playlist' ? request.directives : undefined
  }
  t.same(playlist(''), { msn: undefined, part: undefined, skip: false })
  t.same(playlist('a=b&_HLS_msn=5&c'), { msn: 5, part: undefined, skip: false })
  t.same(playlist('_HLS_part=0&_HLS_msn=5'), { msn: 5, part: 0, skip: false })
  t.same(playlist('_HLS_skip=v2'), { msn: undefined, part: undefined, skip: true })
  t.same(playlist('_HLS_skip=YES'), { msn: undefined, part: undefined, skip: true })
  t.same(playlist('x_HLS_skip=nonsense'), { msn: undefined, part: undefined, skip: false })
})

test('what is left to others', async (t) => {
  for (const path of [
    '/',
    '/live',
    '/live/',
    '/live/demo',
    '/live/demo/',
    '/live/demo/source/',
    '/live/demo/source/other.txt',
    '/live/demo/source/more/1.m4s',
    '/api/streams',
  ]) {
    t.equal(parseHlsRequest(path, ''), undefined, path)
  }
})

test('what is refused', async (t) => {
  const refuses = (path: string, query: string, code: string): void => {
    try {
      parseHlsRequest(path, query)
      t.fail(`${path}?${query} was understood`)
    } catch (error) {
      t.equal(isKairoError(error) && error.code, code, `${path}?${query}`)
    }
  }
  for (const file of [
    '01.m4s',
    '1.01.m4s',
    '-1.m4s',
    '1.2.3.m4s',
    '.m4s',
    '1.2.vtt',
    '01.vtt',
    'init-at-.mp4',
    '1..m4s',
    'a.m4s',
    '1e3.m4s',
    '9999999999999999.m4s',
    'init-0123.mp4',
    'init-0123456789ABCDEF.mp4',
  ]) {
    refuses(`/live/demo/source/${file}`, '', 'ERR_INVALID_INPUT')
  }
  for (const query of [
    '_HLS_part=1',
    '_HLS_msn=',
    '_HLS_msn',
    '_HLS_msn=+1',
    '_HLS_msn=1&_HLS_msn=2',
    '_HLS_msn=1&_HLS_part=x',
    '_HLS_skip=NO',
    '_HLS_push=1',
    '_HLS_=1',
    'a=b&_HLS_start_offset=3',
  ]) {
    refuses('/live/demo/source/media.m3u8', query, 'ERR_INVALID_INPUT')
  }
  refuses('/live/Demo/master.m3u8', '', 'ERR_NOT_FOUND')
  refuses('/live//still.mp4', '', 'ERR_NOT_FOUND')
  refuses('/live/demo/So_urce/media.m3u8', '', 'ERR_NOT_FOUND')
})

test('any path and query gives an answer or a KairoError', async (t) => {
  const name = fc.oneof(fc.string(), fc.constantFrom('demo', 'source', '1.2.m4s', 'media.m3u8'))
  fc.assert(
    fc.property(fc.array(name, { maxLength: 4 }), fc.string(), (steps, query) => {
      try {
        parseHlsRequest(`/live/${steps.join('/')}`, `_HLS_msn=${query}`)
      } catch (error) {
        if (!isKairoError(error)) throw error
      }
    }),
    { numRuns: 2_000 },
  )
  t.pass('no counterexample')
})
