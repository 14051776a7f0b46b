/** What the settings of a peer tell others of its addresses, and to whom its clients are sent: two whole peers in this process. */
import { type Test, test } from 'tap'
import { settingsFixed } from '../../src/config/load.ts'
import { createPeer, loadSettings, type Peer, silentLogger } from '../../src/index.ts'
import { httpRequest } from '../support/http-get.ts'
import { until } from '../support/until.ts'

type Flags = Record<string, string | string[] | boolean>

async function start(t: Test, home: string, flags: Flags = {}): Promise<Peer> {
  const loaded = loadSettings({
    flags: {
      ...{ home, http: '127.0.0.1:0', rtmp: 'off', srt: 'off', peerHttps: '127.0.0.1:0' },
      ...{ listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false, testStream: false, ...flags },
    },
    env: {},
  })
  const peer = createPeer({ ...loaded, fixed: settingsFixed(loaded), logger: silentLogger })
  await peer.start()
  t.teardown(() => peer.stop())
  return peer
}

async function ask<Value>(peer: Peer, path: string): Promise<Value> {
  const { http, admin } = peer.addresses()
  const token = new URL(admin).searchParams.get('token') ?? ''
  const headers = { authorization: `Bearer ${token}` }
  return JSON.parse((await httpRequest(http + path, { headers })).text) as Value
}

interface Known {
  readonly peers: readonly { readonly peerId: string; readonly httpsAddresses: readonly string[] }[]
}

test('addresses that are told, and peers to which clients are sent', async (t) => {
  const folder = t.testdir({ first: {}, second: {} })
  const first = await start(t, `${folder}/first`, {
    announceHttps: ['edge-1.example:4443', '[2001:db8::1]:443'],
    clientPeers: ['believed'],
  })
  const join = [first.addresses().http]
  const second = await start(t, `${folder}/second`, { join, clientPeers: ['believed'] })
  const known = (peer: Peer) => ask<Known>(peer, '/api/nearest/peers')
  for (const peer of [first, second]) {
    await until(async () => (await known(peer)).peers.length === 1, 'both know each other')
  }
  const [told] = (await known(second)).peers
  t.same(told?.httpsAddresses, ['edge-1.example:4443', '[2001:db8::1]:443'])
  t.match((await known(first)).peers[0]?.httpsAddresses[0], /^127\.0\.0\.1:\d+$/)
  const nearest = async (peer: Peer) => (await ask<Known>(peer, '/api/nearest')).peers.length
  t.equal(await nearest(first), 1, 'whom nobody has named draws no clients')
  t.equal(await nearest(second), 2, 'whom it has joined does')
})
