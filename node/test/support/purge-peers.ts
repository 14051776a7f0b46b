/** Peers with purges as processes of their own (purge-process.ts), and what a test says to them. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { PurgeReport } from '../../src/cdn/purge/purge-report.ts'
import type { PurgeCommand, PurgeServed } from './purge-process.ts'
import { until } from './until.ts'

const PROGRAM = fileURLToPath(new URL('purge-process.ts', import.meta.url))
/** What is purged. */
export const A = { by: 'url', url: 'https://cdn.example/a' } as const

interface Answer {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

/** A running peer. */
export interface PurgeTestPeer {
  readonly child: ChildProcess
  readonly home: string
  readonly peerId: string
  readonly multiaddrs: readonly string[]
  call<Value>(command: PurgeCommand): Promise<Value>
}

/** Starts a peer; it ends with the test. */
export async function startPurgePeer(
  t: Test,
  home: string,
  expectsPeers = 'no',
): Promise<PurgeTestPeer> {
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

/** Peers that are all connected and have caught up. */
export async function startPurgeMesh(t: Test, count: number): Promise<PurgeTestPeer[]> {
  const folder = t.testdir({})
  const homes = Array.from({ length: count }, (_, index) => join(folder, String(index)))
  const peers = await Promise.all(homes.map((home) => startPurgePeer(t, home)))
  for (const [index, peer] of peers.entries()) {
    for (const { multiaddrs } of peers.slice(0, index)) await peer.call({ op: 'dial', multiaddrs })
  }
  for (const peer of peers) {
    await untilReady(peer)
    await until(
      async () => (await peer.call<{ peers: number }>({ op: 'state' })).peers === count - 1,
      'all know that the others carry out purges',
    )
  }
  return peers
}

/** Waits until a peer trusts its cache. */
export async function untilReady(peer: PurgeTestPeer): Promise<void> {
  await until(async () => (await peer.call<{ ready: boolean }>({ op: 'state' })).ready, 'readiness')
}

/** Gives a peer the purge of `/a`. */
export const purgeAtPeer = (peer: PurgeTestPeer): Promise<PurgeReport> =>
  peer.call({ op: 'purge', selector: A, mode: 'hard' })

/** What a peer serves for `/a`. */
export const getAtPeer = (peer: PurgeTestPeer): Promise<PurgeServed> =>
  peer.call({ op: 'get', url: A.url })
