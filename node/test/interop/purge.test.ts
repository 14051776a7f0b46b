/** Purges over real processes and real libp2p: peers that are killed, stopped, or cut off never serve what was purged while they were away. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { t as root, type Test, test } from 'tap'
import type { PurgeReport } from '../../src/cdn/purge/purge-report.ts'
import type { PurgeCommand, PurgeServed } from '../support/purge-process.ts'
import { tcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'

root.setTimeout(180_000)

const PROGRAM = fileURLToPath(new URL('../support/purge-process.ts', import.meta.url))
const URL_A = 'https://cdn.example/a'
const A = { by: 'url', url: URL_A } as const

interface Answer {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

interface Peer {
  readonly child: ChildProcess
  readonly home: string
  readonly peerId: string
  readonly multiaddrs: readonly string[]
  call<Value>(command: PurgeCommand): Promise<Value>
}

async function startPeer(t: Test, home: string, expectsPeers = 'no'): Promise<Peer> {
  const child = fork(PROGRAM, [home, expectsPeers])
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const [{ ready }] = (await once(child, 'message')) as [
    { ready: { peerId: string; multiaddrs: string[] } },
  ]
  const waiting = new Map<number, (answer: Answer) => void>()
  let lastId = 0
  child.on('message', (answer: Answer) => waiting.get(answer.id)?.(answer))
  const call = async <Value>(command: PurgeCommand): Promise<Value> => {
    lastId += 1
    const id = lastId
    const { value, error } = await new Promise<Answer>((resolve) => {
      waiting.set(id, resolve)
      child.send({ id, command })
    })
    if (error !== undefined) throw new Error(error)
    return value as Value
  }
  return { child, home, ...ready, call }
}

async function startMesh(t: Test, count: number): Promise<Peer[]> {
  const folder = t.testdir({})
  const homes = Array.from({ length: count }, (_, index) => join(folder, String(index)))
  const peers = await Promise.all(homes.map((home) => startPeer(t, home)))
  for (const [index, peer] of peers.entries()) {
    for (const { multiaddrs } of peers.slice(0, index)) await peer.call({ op: 'dial', multiaddrs })
  }
  for (const peer of peers) await untilReady(peer)
  return peers
}

async function untilReady(peer: Peer): Promise<void> {
  await until(async () => (await peer.call<{ ready: boolean }>({ op: 'state' })).ready, 'readiness')
}

const purge = (peer: Peer): Promise<PurgeReport> =>
  peer.call({ op: 'purge', selector: A, mode: 'hard' })

const get = (peer: Peer): Promise<PurgeServed> => peer.call({ op: 'get', url: URL_A })

test('one command empties the caches of all processes', async (t) => {
  const peers = await startMesh(t, 3)
  for (const peer of peers) await peer.call({ op: 'put', url: URL_A, body: 'old' })
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
  await back.call({ op: 'put', url: URL_A, body: 'old' })
  t.strictSame(await get(back), { ready: false })
  await back.call({ op: 'dial', multiaddrs: first.multiaddrs })
  await untilReady(back)
  t.strictSame(await get(back), { ready: true }, 'the old response is gone')
})

test('a process that was stopped does not serve what was purged meanwhile', async (t) => {
  const [first, second] = (await startMesh(t, 2)) as [Peer, Peer]
  await second.call({ op: 'put', url: URL_A, body: 'old' })
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
  await second.call({ op: 'put', url: URL_A, body: 'old' })
  proxy.cut()
  const state = () => second.call<{ peers: number }>({ op: 'state' })
  await until(async () => (await state()).peers === 0, 'the loss of the connection')
  await purge(first)
  t.match(await get(second), { body: 'old' }, 'alone, it cannot know')
  proxy.mend()
  await second.call({ op: 'dial', multiaddrs: throughProxy })
  await until(async () => (await get(second)).body === undefined, 'the purge')
  await untilReady(second)
  t.strictSame(await get(second), { ready: true })
})
