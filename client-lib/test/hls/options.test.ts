// Settings: this library's, and p2p-media-loader's.
import { test } from 'tap'
import { edgeUrl, readOptions, swarmOf } from '../../src/hls/options.ts'

test('addresses of edges are put right', async (t) => {
  t.equal(edgeUrl('wss://e.example/swarm'), 'wss://e.example/swarm')
  t.equal(edgeUrl('https://e.example'), 'wss://e.example/swarm')
  t.equal(edgeUrl('http://127.0.0.1:8080/'), 'ws://127.0.0.1:8080/swarm')
  t.equal(edgeUrl('wss://e.example/announce'), 'wss://e.example/swarm')
  t.equal(edgeUrl('wss://e.example/kairo/swarm?x=1#y'), 'wss://e.example/kairo/swarm?x=1')
  for (const bad of ['', 'e.example', 'ftp://e.example', '/swarm', 7 as unknown as string]) {
    t.equal(edgeUrl(bad), undefined, String(bad))
  }
})

test('a swarm is named after the path', async (t) => {
  t.equal(swarmOf('https://cdn7.example/live/a/master.m3u8?token=1'), '/live/a/master.m3u8')
  t.equal(swarmOf(`https://e.example/${'a'.repeat(300)}`).length, 256)
  t.equal(swarmOf('master.m3u8'), 'master.m3u8')
})

test('by default', async (t) => {
  t.match(readOptions({}), {
    ...{ edges: [], badEdges: [], swarm: undefined, uploadKbps: undefined, isSharing: true },
    ...{ memoryBytesMax: 64 * 1_048_576, isRelayed: false, request: undefined, ticket: undefined },
  })
})

test('edges: one or several, each once; what is no address is kept to be named', async (t) => {
  const { edges, badEdges } = readOptions({
    edge: 'https://a.example',
    edges: ['wss://b.example/swarm', 'wss://a.example/swarm', 'nonsense'],
    core: { announceTrackers: ['wss://c.example/announce'] },
  })
  t.same(edges, ['wss://a.example/swarm', 'wss://b.example/swarm', 'wss://c.example/swarm'])
  t.same(badEdges, ['nonsense'])
})

test('p2p-media-loader’s names', async (t) => {
  t.match(
    readOptions({
      core: {
        ...{ swarmId: 's', segmentMemoryStorageLimit: 10, isP2PUploadDisabled: true },
        ...{ isP2PDisabled: true, highDemandTimeWindow: 4 },
      },
    }),
    { swarm: 's', memoryBytesMax: 10 * 1_048_576, uploadKbps: 0, isSharing: false },
  )
  t.match(readOptions({ core: { swarmId: 's', mainStream: { swarmId: 'm' } } }), { swarm: 'm' })
  t.match(
    readOptions({ swarm: 'k', isSharing: true, core: { swarmId: 's', isP2PDisabled: true } }),
    {
      ...{ swarm: 'k', isSharing: true },
    },
  )
  t.equal(readOptions({ memoryMiB: 0 }).memoryBytesMax, 1_048_576, 'some memory there is')
  t.equal(readOptions({ memoryMiB: Number.NaN }).memoryBytesMax, 1_048_576)
})
