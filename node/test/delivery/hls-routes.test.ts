// The declarations of the HLS paths and the parser that serves them agree.
import { test } from 'tap'
import { parseHlsRequest } from '../../src/delivery/hls-request.ts'
import { hlsRoutes } from '../../src/delivery/hls-routes.ts'

const examples: Readonly<Record<string, string>> = {
  stream: 'main',
  rendition: 'source',
  msn: '12',
  part: '3',
  prefix: '0123456789abcdef',
}

function pathOf(template: string): string {
  return template.replace(/:([a-z]+)/g, (_, name: string) => examples[name] ?? '')
}

test('every declared path is one that the handler answers, and each kind is declared once', async (t) => {
  const kinds = hlsRoutes.map(({ path }) => parseHlsRequest(pathOf(path), '')?.kind)
  t.same(kinds.sort(), [
    ...['init', 'init-at', 'manifest', 'master', 'part', 'playlist'],
    ...['segment', 'segment', 'still'],
  ])
})

test('declared parameters are those of the path, and take what the handler takes', async (t) => {
  for (const { path, params } of hlsRoutes) {
    const names = [...path.matchAll(/:([a-z]+)/g)].map(([, name]) => name ?? '')
    t.same(Object.keys(params.shape).sort(), [...names].sort(), path)
    t.ok(params.safeParse(Object.fromEntries(names.map((name) => [name, examples[name]]))).success)
  }
})

test('declared directives are those that the handler knows', async (t) => {
  const query = hlsRoutes.find(({ query }) => query !== undefined)?.query
  t.same(Object.keys(query?.shape ?? {}).sort(), ['_HLS_msn', '_HLS_part', '_HLS_skip'])
  const request = parseHlsRequest(
    '/live/main/source/media.m3u8',
    '_HLS_msn=3&_HLS_part=1&_HLS_skip=v2',
  )
  t.match(request, { directives: { msn: 3, part: 1, skip: true } })
  t.equal(query?.safeParse({ _HLS_msn: '3', _HLS_part: '1', _HLS_skip: 'v2' }).success, true)
})
