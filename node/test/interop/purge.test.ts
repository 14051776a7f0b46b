/** Purges over real processes and real libp2p: peers that are killed, stopped, or cut off never serve what was purged while they were away. */
import { once } from 'node:events'
import { join } from 'node:path'
import { t as root, test } from 'tap'
import type { PurgeReport } from '../../src/cdn/purge/purge-report.ts'
import {
  A,
  getAtPeer as get,
  type PurgeTestPeer as Peer,
  purgeAtPeer as purge,
  startPurgeMesh as startMesh,
  startPurgePeer as startPeer,
  untilReady,
} from '../support/purge-peers.ts'
import { tcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'

root.setTimeout(180_000)

test('one command empties the caches of all processes', async (t) => {
  const peers = await startMesh(t, 3)
  for (const peer of peers) await peer.call({ op: 'put', url: A.url, body: 'old' })
  for (const peer of peers) t.match(await get(peer), { body: 'old', ready: true })
  const report = await purge(peers[0] as Peer)
  t.equal(report.complete, true)
  t.equal(report.peers.length, 3)
  for (const { status, purged } of report.peers) t.strictSame([status, purged], ['done', 1])
  for (const peer of peers) t.match(await get(peer), { ready: true, body: undefined })
})

test('a process that was killed asks what it has missed before it serves', async (t) => {
  const [first, second] = (await startMesh(t, 2)) as [Peer, Peer]
  await purge(first)
  second.child.kill('SIGKILL')
  await once(second.child, 'exit')
  await until(
    async () => (await first.call<{ peers: number }>({ op: 'state' })).peers === 0,
    'its end',
  )
  await purge(first)
  const back = await startPeer(t, second.home, 'yes')
  t.equal(back.peerId, second.peerId)
  await back.call({ op: 'put', url: A.url, body: 'old' })
  t.strictSame(await get(back), { ready: false })
  await back.call({ op: 'dial', multiaddrs: first.multiaddrs })
  await untilReady(back)
  t.strictSame(await get(back), { ready: true }, 'the old response is gone')
})

test('a process that was stopped does not serve what was purged meanwhile', async (t) => {
  const [first, second] = (await startMesh(t, 2)) as [Peer, Peer]
  await second.call({ op: 'put', url: A.url, body: 'old' })
  second.child.kill('SIGSTOP')
  const report = await purge(first)
  t.equal(report.complete, false)
  t.match(report.peers[1], { peerId: second.peerId, code: 'ERR_TIMEOUT' })
  // It is read as soon as the process goes on, perhaps before anything from the network.
  const early = get(second)
  second.child.kill('SIGCONT')
  t.not((await early).body, 'old')
  await untilReady(second)
  t.strictSame(await get(second), { ready: true })
  await until(async () => {
    const { reports } = await first.call<{ reports: PurgeReport[] }>({ op: 'state' })
    return reports.at(-1)?.complete === true
  }, 'the late acknowledgement')
})

test('a process that was cut off catches up when it is back', async (t) => {
  const folder = t.testdir({})
  const first = await startPeer(t, join(folder, 'first'))
  const second = await startPeer(t, join(folder, 'second'))
  const port = Number(/\/tcp\/(\d+)/.exec(first.multiaddrs[0] ?? '')?.[1])
  const proxy = await tcpProxy(t, port)
  const throughProxy = [`/ip4/127.0.0.1/tcp/${proxy.port}/p2p/${first.peerId}`]
  await second.call({ op: 'dial', multiaddrs: throughProxy })
  await untilReady(second)
  const peersOf = async (peer: Peer) => (await peer.call<{ peers: number }>({ op: 'state' })).peers
  await until(async () => (await peersOf(first)) === 1, 'they know each other')
  await second.call({ op: 'put', url: A.url, body: 'old' })
  proxy.cut()
  for (const peer of [first, second]) {
    await until(async () => (await peersOf(peer)) === 0, 'the loss of the connection')
  }
  const report = await purge(first)
  t.equal(report.complete, false, 'it may come back with what it has')
  t.match(report.peers, [{ status: 'done' }, { peerId: second.peerId, status: 'away' }])
  // On a busy machine it may have been held up, and waited for others before.
  await until(async () => (await get(second)).body === 'old', 'alone, it cannot know')
  proxy.mend()
  await second.call({ op: 'dial', multiaddrs: throughProxy })
  // Once it knows that it was away it serves nothing until it has caught up; then the old response is gone for good.
  const served: (string | undefined)[] = []
  await until(async () => {
    served.push((await get(second)).body)
    return served.at(-1) === undefined
  }, 'the purge')
  await untilReady(second)
  t.strictSame(await get(second), { ready: true })
  await until(async () => {
    const { reports } = await first.call<{ reports: PurgeReport[] }>({ op: 'state' })
    return reports.at(-1)?.complete === true
  }, 'the late acknowledgement')
})
